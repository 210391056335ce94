//! Exports arrive in a session of their own, which lives as long as the export.

use treenail_bridge::socket::Connection;
use treenail_engine::{ExportTarget, HostError, Receiving};
use treenail_session::{Receivers, Services, Session, SessionOptions};

use super::{Identity, Logins, connector};

/// An open receiver of one export.
pub(super) struct Receiver {
    session: Session,
}

impl Receiver {
    pub(super) async fn open(
        connection: &Connection,
        identity: &Identity,
        logins: &Logins,
        target: ExportTarget,
    ) -> Result<Self, HostError> {
        let receivers = match target {
            ExportTarget::Directory { path, wipe: false } => Receivers::directory(path),
            ExportTarget::Directory { path, wipe: true } => Receivers::wiped_directory(path),
            ExportTarget::File { path } => Receivers::single_file(path),
            ExportTarget::Stream { path } => Receivers::file(path),
            ExportTarget::Registry => Receivers::default(),
        };
        let options = SessionOptions::new("treenail-export", identity.as_str());
        let services = Services::default().with_receivers(receivers).with_credentials(logins.credentials());
        let session = Session::start(connector(connection), options, services)
            .await
            .map_err(|error| HostError(chain(&error)))?;
        Ok(Self { session })
    }
}

#[async_trait::async_trait]
impl Receiving for Receiver {
    fn session(&self) -> String {
        self.session.id().to_owned()
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
