//! Results that leave the daemon: each is a further solve with a short-lived session of its own.

use treenail_bridge::{ExportRequest, Exporter};
use treenail_model::Tree;

use crate::{Cause, Engine, ExportTarget};

impl Engine {
    /// Writes a tree to the client's machine.
    ///
    /// The tree is evaluated first, inside the session's own build: a failing command is told as such, and the
    /// export needs nothing from the main session any more.
    ///
    /// # Errors
    /// What evaluating gives; the target cannot be written.
    pub async fn export_tree(&self, tree: &Tree, target: ExportTarget) -> Result<(), Cause> {
        self.solve(tree).await?;
        let receiving = self.0.host.receive(target).await.map_err(|error| Cause::Host(error.0))?;
        // The empty tree is exported like any other: its target directory is made.
        let request = ExportRequest {
            definition: self.definition(tree)?,
            session: receiving.session(),
            exporters: vec![Exporter { kind: "local".to_owned(), ..Exporter::default() }],
            ..ExportRequest::default()
        };
        if let Err(error) = self.0.bridge.export(request).await {
            // The receiver knows better than the daemon why a write failed.
            return Err(match receiving.finish().await {
                Err(host) => Cause::Host(host.0),
                Ok(()) => error.into(),
            });
        }
        receiving.finish().await.map_err(|error| Cause::Host(error.0))
    }
}
