//! Sockets of this machine that the daemon may connect to, by id.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use treenail_session::{BoxError, ByteStream, SocketSource};

use super::paths;

/// The shared sockets of one client. Nothing is opened before the daemon asks.
#[derive(Default)]
pub(crate) struct HostSockets(RwLock<HashMap<String, PathBuf>>);

impl HostSockets {
    /// Shares a socket under an id, replacing an earlier one.
    pub(super) fn share(&self, id: &str, path: PathBuf) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), path);
    }

    fn path(&self, id: &str) -> Result<PathBuf, BoxError> {
        let shared = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shared.get(id).cloned().ok_or_else(|| format!("socket {id} not found").into())
    }
}

#[async_trait::async_trait]
impl SocketSource for HostSockets {
    async fn check(&self, id: &str) -> Result<(), BoxError> {
        self.path(id).map(drop)
    }

    async fn open(&self, id: &str) -> Result<Box<dyn ByteStream>, BoxError> {
        let path = self.path(id)?;
        match tokio::net::UnixStream::connect(&path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("{}: {}", path.display(), paths::words(&error)).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_shared_can_be_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent");
        let sockets = HostSockets::default();
        let error = sockets.check("default").await.expect_err("nothing is shared");
        assert_eq!(error.to_string(), "socket default not found");
        sockets.share("default", path.clone());
        assert!(sockets.check("default").await.is_ok());
        assert!(sockets.open("default").await.is_err());
        let _listener = tokio::net::UnixListener::bind(&path).expect("bound");
        assert!(sockets.open("default").await.is_ok());
    }
}
