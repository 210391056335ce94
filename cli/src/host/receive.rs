//! Exports arrive in a session of their own, which lives as long as the export.

use std::fs::File;
use std::sync::Arc;

use treenail_bridge::socket::Connection;
use treenail_engine::{ExportTarget, HostError, Ranges, Receiving};
use treenail_session::{OpenFile, Receivers, Services, Session, SessionOptions, Target};

use super::blobs::Nameless;
use super::{Identity, Logins, connector};

/// An open receiver of one export.
pub(super) struct Receiver {
    session: Session,
    /// The file without a name, where the export goes to one.
    nameless: Option<Arc<File>>,
}

impl Receiver {
    pub(super) async fn open(
        connection: &Connection,
        identity: &Identity,
        logins: &Logins,
        target: ExportTarget,
    ) -> Result<Self, HostError> {
        let mut nameless = None;
        let receivers = match target {
            ExportTarget::Directory { path, wipe: false } => Receivers::directory(path),
            ExportTarget::Directory { path, wipe: true } => Receivers::wiped_directory(path),
            ExportTarget::File { path } => Receivers::single_file(path),
            ExportTarget::Stream { path } => Receivers::file(path),
            ExportTarget::Registry => Receivers::default(),
            ExportTarget::Nameless => {
                let Nameless(file) = Nameless::new().await?;
                nameless = Some(file.clone());
                Receivers::new([Target::Open(OpenFile(file))])
            }
        };
        let options = SessionOptions::new("treenail-export", identity.as_str());
        let services = Services::default().with_receivers(receivers).with_credentials(logins.credentials());
        let session = Session::start(connector(connection), options, services)
            .await
            .map_err(|error| HostError(chain(&error)))?;
        Ok(Self { session, nameless })
    }
}

#[async_trait::async_trait]
impl Receiving for Receiver {
    fn session(&self) -> String {
        self.session.id().to_owned()
    }

    fn received(&self) -> Option<Arc<dyn Ranges>> {
        Some(Arc::new(Nameless(self.nameless.clone()?)))
    }

    async fn finish(self: Box<Self>) -> Result<(), HostError> {
        // What kept bytes from the disk was told to the daemon, which fails the export with it.
        self.session.close().await;
        Ok(())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
