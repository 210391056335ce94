//! Bytes that are too many for memory: a file without a name, and what the engine offers to the daemon.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use treenail_engine::{HostError, Ranges};
use treenail_session::{BoxError, RemoteBlob};

use super::{blocking, paths};

/// Longest range that is read at once, in bytes.
const LONGEST: u64 = 16 << 20;

/// A file that has no name in any directory: it ends with its last user, however that ends.
pub(super) struct Nameless(pub(super) Arc<File>);

impl Nameless {
    /// An empty one.
    pub(super) async fn new() -> Result<Self, HostError> {
        let file = blocking(|| tempfile::tempfile().map_err(|error| failed(&error))).await?;
        Ok(Self(Arc::new(file)))
    }

    /// One with these bytes.
    pub(super) async fn copy(from: &dyn Ranges) -> Result<Self, HostError> {
        let copy = Self::new().await?;
        let mut offset = 0;
        while offset < from.size() {
            let bytes = from.read(offset, LONGEST).await?;
            if bytes.is_empty() {
                return Err(HostError("unexpected EOF".to_owned()));
            }
            let (file, at) = (copy.0.clone(), offset);
            offset += bytes.len() as u64;
            blocking(move || file.write_all_at(&bytes, at).map_err(|error| failed(&error))).await?;
        }
        Ok(copy)
    }
}

fn failed(error: &std::io::Error) -> HostError {
    HostError(format!("a temporary file: {}", paths::words(error)))
}

#[async_trait::async_trait]
impl Ranges for Nameless {
    fn size(&self) -> u64 {
        // A file that cannot be asked is one that cannot be read, which is told then.
        self.0.metadata().map_or(0, |meta| meta.len())
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, HostError> {
        let file = self.0.clone();
        blocking(move || {
            let mut buffer = vec![0; usize::try_from(length.min(LONGEST)).unwrap_or(0)];
            let read = file.read_at(&mut buffer, offset).map_err(|error| failed(&error))?;
            buffer.truncate(read);
            Ok(buffer.into())
        })
        .await
    }
}

/// What the engine offers, as the session serves it.
pub(super) struct Offered(pub(super) Arc<dyn Ranges>);

#[async_trait::async_trait]
impl RemoteBlob for Offered {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, BoxError> {
        Ok(self.0.read(offset, length).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn ranges_end_where_the_file_ends() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        let file = Nameless(Arc::new(file));
        assert_eq!(file.size(), 10);
        for (offset, length, expected) in [(0, 4, "0123"), (8, 4, "89"), (10, 4, ""), (99, 1 << 40, "")] {
            assert_eq!(file.read(offset, length).await.expect("read"), expected);
        }
    }
}
