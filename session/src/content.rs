//! Blobs, read by the daemon through containerd's content API.
//!
//! The daemon names the store in a header and the blob by digest. Small blobs are held in memory; large ones stay where
//! they are and are read in ranges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use treenail_protos::containerd::services::content::v1 as api;
use treenail_protos::containerd::services::content::v1::content_server::Content;

use crate::error::BoxError;

/// Bytes of one message towards the daemon.
const CHUNK: u64 = 1 << 20;

/// Named stores of blobs; cheap to clone, clones share.
///
/// The daemon asks for the store `oci:X` when a source's attribute `oci.store` is `X`: the name here is the
/// full one.
#[derive(Clone, Default)]
pub struct ContentStores(Arc<RwLock<BTreeMap<String, BTreeMap<String, Blob>>>>);

/// A blob that is kept elsewhere.
#[tonic::async_trait]
pub trait RemoteBlob: Send + Sync {
    /// Number of bytes.
    fn size(&self) -> u64;

    /// Reads at most `length` bytes from `offset` on; fewer only at the end.
    ///
    /// # Errors
    /// Whatever keeps it from being read; the text reaches the daemon.
    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, BoxError>;
}

#[derive(Clone)]
enum Blob {
    Held(Bytes),
    Remote(Arc<dyn RemoteBlob>),
}

impl Blob {
    fn size(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Remote(blob) => blob.size(),
        }
    }

    /// One chunk; never empty before the end.
    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Status> {
        match self {
            Self::Held(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Ok(bytes.slice(start..start.saturating_add(length).min(bytes.len())))
            }
            Self::Remote(blob) => {
                let read = blob
                    .read(offset, length)
                    .await
                    .map_err(|error| Status::unavailable(error.to_string()))?;
                if read.is_empty() { Err(Status::data_loss("the blob ends early")) } else { Ok(read) }
            }
        }
    }
}

impl ContentStores {
    /// Adds a blob and returns its digest (`sha256:…`).
    pub fn add(&self, store: &str, blob: impl Into<Bytes>) -> String {
        let blob = blob.into();
        let digest = digest(&blob);
        self.0.write().entry(store.to_owned()).or_default().insert(digest.clone(), Blob::Held(blob));
        digest
    }

    /// Adds a blob that stays where it is. The daemon checks the digest (`sha256:…`) when it has read it.
    pub fn add_remote(&self, store: &str, digest: &str, blob: Arc<dyn RemoteBlob>) {
        self.0.write().entry(store.to_owned()).or_default().insert(digest.to_owned(), Blob::Remote(blob));
    }

    /// Forgets a blob.
    pub fn remove(&self, store: &str, digest: &str) {
        if let Some(blobs) = self.0.write().get_mut(store) {
            blobs.remove(digest);
        }
    }

    fn blob(&self, metadata: &MetadataMap, digest: &str) -> Result<Blob, Status> {
        let store = chosen(metadata)?;
        let stores = self.0.read();
        let blobs = stores.get(store).ok_or_else(|| Status::not_found(format!("unknown store `{store}`")))?;
        blobs.get(digest).cloned().ok_or_else(|| Status::not_found(format!("content `{digest}` not found")))
    }
}

impl fmt::Debug for ContentStores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stores = self.0.read();
        formatter.debug_map().entries(stores.iter().map(|(name, blobs)| (name, blobs.len()))).finish()
    }
}

fn digest(blob: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(blob).iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn chosen(metadata: &MetadataMap) -> Result<&str, Status> {
    let store = metadata.get("buildkit-attachable-store-id").and_then(|store| store.to_str().ok());
    store.ok_or_else(|| Status::invalid_argument("the request names no store"))
}

fn info(digest: &str, blob: &Blob) -> api::Info {
    api::Info {
        digest: digest.to_owned(),
        size: i64::try_from(blob.size()).unwrap_or(i64::MAX),
        ..api::Info::default()
    }
}

pub(crate) struct ContentService {
    pub(crate) stores: ContentStores,
}

#[tonic::async_trait]
impl Content for ContentService {
    async fn info(&self, request: Request<api::InfoRequest>) -> Result<Response<api::InfoResponse>, Status> {
        let digest = &request.get_ref().digest;
        let blob = self.stores.blob(request.metadata(), digest)?;
        Ok(Response::new(api::InfoResponse { info: Some(info(digest, &blob)) }))
    }

    type ListStream = BoxStream<'static, Result<api::ListContentResponse, Status>>;

    /// Filters are not understood, so a filtered list is refused rather than answered in full.
    async fn list(
        &self,
        request: Request<api::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        if !request.get_ref().filters.is_empty() {
            return Err(Status::unimplemented("filters are not supported"));
        }
        let store = chosen(request.metadata())?;
        let stores = self.stores.0.read();
        let blobs = stores.get(store).ok_or_else(|| Status::not_found(format!("unknown store `{store}`")))?;
        let all = api::ListContentResponse {
            info: blobs.iter().map(|(digest, blob)| info(digest, blob)).collect(),
        };
        Ok(Response::new(stream::once(async { Ok(all) }).boxed()))
    }

    type ReadStream = BoxStream<'static, Result<api::ReadContentResponse, Status>>;

    async fn read(
        &self,
        request: Request<api::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let wanted = request.get_ref();
        let blob = self.stores.blob(request.metadata(), &wanted.digest)?;
        let start = wanted.offset.max(0).unsigned_abs();
        if start > blob.size() {
            return Err(Status::out_of_range(format!("read past object length {} bytes", blob.size())));
        }
        let size = u64::try_from(wanted.size).ok().filter(|&size| size > 0).unwrap_or(u64::MAX);
        let end = start.saturating_add(size).min(blob.size());
        let chunks = stream::try_unfold(start, move |at| {
            let blob = blob.clone();
            async move {
                if at >= end {
                    return Ok(None);
                }
                let data = blob.read(at, CHUNK.min(end - at)).await?;
                let next = at + data.len() as u64;
                Ok(Some((api::ReadContentResponse { offset: at as i64, data }, next)))
            }
        });
        Ok(Response::new(chunks.boxed()))
    }

    async fn status(
        &self,
        request: Request<api::StatusRequest>,
    ) -> Result<Response<api::StatusResponse>, Status> {
        Err(Status::not_found(format!("no write `{}` is under way", request.get_ref().r#ref)))
    }

    async fn list_statuses(
        &self,
        _: Request<api::ListStatusesRequest>,
    ) -> Result<Response<api::ListStatusesResponse>, Status> {
        Ok(Response::new(api::ListStatusesResponse::default()))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use tonic::metadata::MetadataValue;

    use super::*;

    fn of_store<T>(store: &'static str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("buildkit-attachable-store-id", MetadataValue::from_static(store));
        request
    }

    #[tokio::test]
    async fn reads_ranges() {
        let stores = ContentStores::default();
        let blob: Vec<u8> = (0..(CHUNK as usize + 1000)).map(|at| (at % 251) as u8).collect();
        let digest = stores.add("oci:x", blob.clone());
        let service = ContentService { stores };
        for (offset, size, expected) in [
            (0, 0, &blob[..]),
            (5, 10, &blob[5..15]),
            (CHUNK as i64 - 1, 3, &blob[CHUNK as usize - 1..CHUNK as usize + 2]),
            (CHUNK as i64, 1 << 40, &blob[CHUNK as usize..]),
            (-1, -1, &blob[..]),
            (blob.len() as i64, 0, &[]),
        ] {
            let wanted = api::ReadContentRequest { digest: digest.clone(), offset, size };
            let chunks = service.read(of_store("oci:x", wanted)).await.expect("readable").into_inner();
            let chunks: Vec<_> = chunks.try_collect().await.expect("no error");
            let read: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
            assert!(read == expected, "offset {offset}, size {size}");
        }
    }

    struct Counted(u64);

    #[tonic::async_trait]
    impl RemoteBlob for Counted {
        fn size(&self) -> u64 {
            self.0
        }

        async fn read(&self, offset: u64, length: u64) -> Result<Bytes, BoxError> {
            if offset > 5 << 20 {
                return Err("it is gone".into());
            }
            // A short read is no end.
            Ok((offset..offset + length.min(300_000)).map(|at| (at % 251) as u8).collect())
        }
    }

    #[tokio::test]
    async fn remote_blobs_are_read_in_ranges() {
        let stores = ContentStores::default();
        stores.add_remote("oci:x", "sha256:1", Arc::new(Counted(1 << 40)));
        let service = ContentService { stores };
        let read = |offset, size| {
            let wanted = api::ReadContentRequest { digest: "sha256:1".to_owned(), offset, size };
            service.read(of_store("oci:x", wanted))
        };
        let chunks: Vec<_> =
            read(7, 2_000_000).await.expect("readable").into_inner().try_collect().await.expect("no error");
        let mut at = 7;
        for chunk in &chunks {
            assert_eq!(chunk.offset, at);
            assert!(chunk.data.iter().zip(at..).all(|(byte, at)| i64::from(*byte) == at % 251));
            at += chunk.data.len() as i64;
        }
        assert_eq!(at, 2_000_007);
        let rest: Result<Vec<_>, Status> =
            read(0, 0).await.expect("readable").into_inner().try_collect().await;
        assert!(rest.expect_err("it ends early").message().contains("it is gone"));
    }

    #[tokio::test]
    async fn refuses_what_it_does_not_hold() {
        let stores = ContentStores::default();
        let digest = stores.add("a", "text");
        let service = ContentService { stores };
        let ask = |store, digest: &str| of_store(store, api::InfoRequest { digest: digest.to_owned() });
        let known = service.info(ask("a", &digest)).await.expect("known").into_inner();
        assert_eq!(known.info.expect("info").size, 4);
        for (store, digest) in [("b", digest.as_str()), ("a", "sha256:00")] {
            let status = service.info(ask(store, digest)).await.expect_err("unknown");
            assert_eq!(status.code(), tonic::Code::NotFound);
        }
        let nameless = Request::new(api::InfoRequest { digest });
        assert_eq!(service.info(nameless).await.expect_err("nameless").code(), tonic::Code::InvalidArgument);
    }
}
