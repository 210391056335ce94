//! Images that leave the daemon: to a registry, or as an archive on the client's machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::try_join_all;
use treenail_bridge::{ExportRequest, Exporter};
use treenail_model::{Image, ImageFormat, PushTarget};

use crate::{Cause, Engine, ExportTarget, Receiving};

/// The exporters' answer with the digest of what was exported.
const DIGEST: &str = "containerimage.digest";

impl Engine {
    /// Pushes an image and answers its pinned name. Everything is evaluated first, inside the session's own build.
    ///
    /// # Errors
    /// What evaluating gives; the registry refuses, with what the daemon says of it.
    pub async fn publish(
        &self,
        image: &Image,
        format: ImageFormat,
        to: &PushTarget,
    ) -> Result<String, Cause> {
        let mut attributes = image.attributes(format).map_err(Cause::invalid)?;
        attributes.insert("name".to_owned(), to.name.clone());
        attributes.insert("push".to_owned(), "true".to_owned());
        let exporter = Exporter { kind: "image".to_owned(), attributes };
        let answer = self.export_image(image, exporter, ExportTarget::Registry).await?;
        let digest = answer
            .get(DIGEST)
            .ok_or_else(|| Cause::Bug("an image was pushed without a digest".to_owned()))?;
        Ok(to.pinned(digest))
    }

    /// Writes an image as an archive. One platform gives an archive that `docker load` reads as well.
    ///
    /// # Errors
    /// What evaluating gives; the file cannot be written.
    pub async fn export_archive(
        &self,
        image: &Image,
        format: ImageFormat,
        path: PathBuf,
    ) -> Result<(), Cause> {
        let exporter = archive_exporter(image, image.attributes(format).map_err(Cause::invalid)?);
        self.export_image(image, exporter, ExportTarget::Stream { path }).await.map(drop)
    }

    async fn export_image(
        &self,
        image: &Image,
        exporter: Exporter,
        target: ExportTarget,
    ) -> Result<BTreeMap<String, String>, Cause> {
        let mut answer = BTreeMap::new();
        let receiving = self.export_to(image, exporter, target, &mut answer).await?;
        receiving.finish().await.map_err(|error| Cause::Host(error.0))?;
        Ok(answer)
    }

    /// Exports, and answers the receiver still open.
    pub(crate) async fn export_open(
        &self,
        image: &Image,
        exporter: Exporter,
        target: ExportTarget,
    ) -> Result<Box<dyn Receiving>, Cause> {
        self.export_to(image, exporter, target, &mut BTreeMap::new()).await
    }

    async fn export_to(
        &self,
        image: &Image,
        exporter: Exporter,
        target: ExportTarget,
        answer: &mut BTreeMap<String, String>,
    ) -> Result<Box<dyn Receiving>, Cause> {
        let roots: Vec<_> =
            image.containers().iter().map(|container| (container, container.root())).collect();
        try_join_all(roots.iter().map(|(_, root)| self.solve(&root.tree))).await?;
        let mut request = ExportRequest {
            exporters: vec![exporter],
            metadata: image.metadata().into_iter().map(|(key, value)| (key, value.into())).collect(),
            ..ExportRequest::default()
        };
        for (container, root) in &roots {
            let definition = self.definition(&root.tree)?;
            if image.is_single() {
                request.definition = definition;
            } else {
                request.named.insert(container.platform.to_string(), definition.unwrap_or_default());
            }
        }
        let receiving = self.0.host.receive(target).await.map_err(|error| Cause::Host(error.0))?;
        request.session = receiving.session();
        match self.0.bridge.export(request).await {
            Ok(exported) => *answer = exported,
            Err(error) => {
                // The receiver knows better than the daemon why a write failed.
                return Err(match receiving.finish().await {
                    Err(host) => Cause::Host(host.0),
                    Ok(()) => error.into(),
                });
            }
        }
        Ok(receiving)
    }
}

/// The exporter whose archive suits most readers.
pub(crate) fn archive_exporter(image: &Image, attributes: BTreeMap<String, String>) -> Exporter {
    let kind = if image.is_single() { "docker" } else { "oci" };
    Exporter { kind: kind.to_owned(), attributes }
}
