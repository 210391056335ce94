//! Blobs in memory, read by the daemon through containerd's content API.
//!
//! The daemon names the store in a header and the blob by digest.

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

/// Bytes of one message towards the daemon.
const CHUNK: usize = 1 << 20;

/// Named stores of blobs; cheap to clone, clones share.
///
/// The daemon asks for the store `oci:X` when a source's attribute `oci.store` is `X`: the name here is the
/// full one.
#[derive(Clone, Default)]
pub struct ContentStores(Arc<RwLock<BTreeMap<String, BTreeMap<String, Bytes>>>>);

impl ContentStores {
    /// Adds a blob and returns its digest (`sha256:…`).
    pub fn add(&self, store: &str, blob: impl Into<Bytes>) -> String {
        let blob = blob.into();
        let digest = digest(&blob);
        self.0.write().entry(store.to_owned()).or_default().insert(digest.clone(), blob);
        digest
    }

    /// Forgets a blob.
    pub fn remove(&self, store: &str, digest: &str) {
        if let Some(blobs) = self.0.write().get_mut(store) {
            blobs.remove(digest);
        }
    }

    fn blob(&self, metadata: &MetadataMap, digest: &str) -> Result<Bytes, Status> {
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

fn info(digest: &str, blob: &Bytes) -> api::Info {
    api::Info { digest: digest.to_owned(), size: blob.len() as i64, ..api::Info::default() }
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
        let start = usize::try_from(wanted.offset.max(0)).unwrap_or(usize::MAX);
        if start > blob.len() {
            return Err(Status::out_of_range(format!("read past object length {} bytes", blob.len())));
        }
        let size = usize::try_from(wanted.size).ok().filter(|&size| size > 0).unwrap_or(usize::MAX);
        let rest = blob.slice(start..start.saturating_add(size).min(blob.len()));
        let chunks = (0..rest.len()).step_by(CHUNK).map(move |at| {
            let data = rest.slice(at..(at + CHUNK).min(rest.len()));
            Ok(api::ReadContentResponse { offset: (start + at) as i64, data })
        });
        Ok(Response::new(stream::iter(chunks).boxed()))
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
        let blob: Vec<u8> = (0..(CHUNK + 1000)).map(|at| (at % 251) as u8).collect();
        let digest = stores.add("oci:x", blob.clone());
        let service = ContentService { stores };
        for (offset, size, expected) in [
            (0, 0, &blob[..]),
            (5, 10, &blob[5..15]),
            (CHUNK as i64 - 1, 3, &blob[CHUNK - 1..CHUNK + 2]),
            (CHUNK as i64, 1 << 40, &blob[CHUNK..]),
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
