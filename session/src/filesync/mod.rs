//! File sync: host directories on their way to the daemon.
//!
//! [`walk`] lists a directory in path order, filtered at the source; [`send`] speaks fsutil's protocol: the
//! list goes out, the daemon asks for the contents it lacks, and those follow.

mod follow;
mod gitignore;
pub(crate) mod locals;
mod send;
pub(crate) mod stat;
mod walk;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use treenail_patterns::PathFilter;
use treenail_protos::fsutil::types::Packet;
use treenail_protos::moby::filesync::v1::file_sync_server::FileSync;

use locals::Locals;
use walk::Walk;

/// Packets on their way to the daemon; with full chunks, 4 MiB.
const OUTBOUND: usize = 32;

/// How much file content was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendTotals {
    /// Files whose content the daemon asked for.
    pub files: u64,
    /// Bytes of content, without names and attributes.
    pub bytes: u64,
}

pub(crate) struct FileSyncService {
    pub(crate) locals: Locals,
}

#[tonic::async_trait]
impl FileSync for FileSyncService {
    type DiffCopyStream = BoxStream<'static, Result<Packet, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let walk = prepare(&self.locals, request.metadata()).await?;
        let (outbound, packets) = mpsc::channel(OUTBOUND);
        let inbound = request.into_inner();
        let locals = self.locals.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let (sent, end) = send::send(walk, inbound, outbound.clone()).await;
            locals.count(sent);
            if let Err(status) = end {
                // When nobody takes it, the daemon has hung up already.
                let _ = outbound.send(Err(status)).await;
            }
        }));
        let packets = ReceiverStream::new(packets).map(move |packet| {
            // The transfer ends with its stream.
            let _ = &task;
            packet
        });
        Ok(Response::new(packets.boxed()))
    }

    type TarStreamStream = BoxStream<'static, Result<Packet, Status>>;

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("only DiffCopy is served"))
    }
}

/// Checks a request and finds the root of its walk.
async fn prepare(locals: &Locals, metadata: &MetadataMap) -> Result<Walk, Status> {
    let name = values(metadata, "dir-name").into_iter().next().unwrap_or_default();
    let root = locals
        .get(&name)
        .ok_or_else(|| Status::not_found(format!("local {name:?} is not shared with this session")))?;
    let include = values(metadata, "include-patterns");
    let exclude = values(metadata, "exclude-patterns");
    let follow = values(metadata, "followpaths");
    let open = move || -> Result<Walk, Status> {
        let path = root.path.canonicalize().map_err(|error| unreadable(&root.path, &error))?;
        let meta = path.metadata().map_err(|error| unreadable(&path, &error))?;
        if !meta.is_dir() {
            return Err(Status::failed_precondition(format!("{}: not a directory", root.path.display())));
        }
        let include = follow::extend(&path, include, &follow).map_err(|error| unreadable(&path, &error))?;
        let filter = PathFilter::new(&include, &exclude)
            .map_err(|error| Status::invalid_argument(format!("local {name:?}: {error}")))?;
        Walk::new(path, filter, root.gitignore).map_err(|error| Status::aborted(error.to_string()))
    };
    tokio::task::spawn_blocking(open).await.map_err(|error| Status::internal(error.to_string()))?
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Status {
    use std::io::ErrorKind;
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => Status::not_found(format!("{path}: no such file or directory")),
        ErrorKind::PermissionDenied => Status::permission_denied(format!("{path}: permission denied")),
        _ => Status::aborted(format!("{path}: {error}")),
    }
}

/// All values of a header; those with a twin header `KEY-encoded` are query-escaped.
///
/// # Source
/// BuildKit v0.32.2 `session/filesync/filesync.go` `decodeOpts`.
fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let encoded = metadata.get(format!("{key}-encoded").as_str()).and_then(|flag| flag.to_str().ok());
    let encoded = matches!(encoded, Some("1" | "t" | "T" | "true" | "TRUE" | "True"));
    let texts =
        metadata.get_all(key).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if encoded { texts.map(|text| unescape(&text)).collect() } else { texts.collect() }
}

/// Undoes query escaping. A broken escape gives an empty text, as in Go.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                    _ => return String::new(),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn decodes_escaped_headers_only_when_told() {
        let mut metadata = MetadataMap::new();
        for value in ["a%2Bb", "gr%C3%BC+n", "100%"] {
            metadata.append("include-patterns", MetadataValue::from_static(value));
        }
        assert_eq!(values(&metadata, "include-patterns"), ["a%2Bb", "gr%C3%BC+n", "100%"]);
        metadata.insert("include-patterns-encoded", MetadataValue::from_static("1"));
        assert_eq!(values(&metadata, "include-patterns"), ["a+b", "grü n", ""]);
        assert!(values(&metadata, "exclude-patterns").is_empty());
    }

    #[tokio::test]
    async fn refuses_names_that_are_not_shared() {
        let mut metadata = MetadataMap::new();
        metadata.insert("dir-name", MetadataValue::from_static("x"));
        let locals = Locals::default();
        let status = prepare(&locals, &metadata).await.expect_err("refused");
        assert_eq!(status.message(), "local \"x\" is not shared with this session");
        locals.share("x", locals::LocalRoot::new("/nowhere/at/all"));
        let status = prepare(&locals, &metadata).await.expect_err("refused");
        assert_eq!(status.message(), "/nowhere/at/all: no such file or directory");
    }
}
