//! A stream of bytes into a file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;
use treenail_protos::moby::filesync::v1::BytesMessage;

use super::Received;

/// Chunks on their way to the disk.
const WAITING: usize = 16;

/// Where a stream goes.
pub(super) enum Place {
    /// A file that appears only when it is complete.
    Named(PathBuf),
    /// An open one.
    Open(Arc<File>),
}

/// Writes the stream.
pub(super) async fn receive<S>(place: Place, mut inbound: S) -> Result<Received, Status>
where
    S: Stream<Item = Result<Bytes, Status>> + Unpin,
{
    let (chunks, waiting) = mpsc::channel::<Bytes>(WAITING);
    let writer = tokio::task::spawn_blocking(move || match place {
        Place::Named(path) => Output::create(&path)
            .and_then(|output| write(output, waiting))
            .map_err(|error| failed(&path, &error)),
        Place::Open(file) => {
            let output = file.try_clone().map(|file| Output { file, names: None });
            output
                .and_then(|output| write(output, waiting))
                .map_err(|error| failed(Path::new("a temporary file"), &error))
        }
    });
    let mut end = Ok(());
    while let Some(message) = inbound.next().await {
        let data = message.and_then(|message| {
            BytesMessage::decode(message).map_err(|error| Status::invalid_argument(error.to_string()))
        });
        match data {
            Ok(message) if message.data.is_empty() => {}
            Ok(message) => {
                if chunks.send(message.data).await.is_err() {
                    // The writer has failed, and says why below.
                    break;
                }
            }
            Err(status) => {
                end = Err(status);
                break;
            }
        }
    }
    if end.is_ok() {
        // An empty chunk says that the stream is complete; without it the writer drops what it has.
        let _ = chunks.send(Bytes::new()).await;
    }
    drop(chunks);
    let written = writer.await.map_err(|error| Status::internal(error.to_string()))?;
    end.and(written)
}

fn write(mut output: Output, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<Received> {
    let mut received = Received { entries: 1, ..Received::default() };
    while let Some(chunk) = chunks.blocking_recv() {
        if chunk.is_empty() {
            output.finish()?;
            return Ok(received);
        }
        received.bytes += chunk.len() as u64;
        output.file.write_all(&chunk)?;
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended early"))
}

/// The file being written, under another name until it is complete; a pipe or a device is written at once.
struct Output {
    file: File,
    /// The present name and the final one.
    names: Option<(PathBuf, PathBuf)>,
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        // A link as the destination is followed, as any program that opens it would.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => {
                return Ok(Self { file: OpenOptions::new().write(true).open(&path)?, names: None });
            }
            _ => {}
        }
        let parent = make_parent(&path)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = parent.join(format!(".{}.{:08x}", name.to_string_lossy(), rand::random::<u32>()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, names: Some((temporary, path)) })
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some((temporary, path)) = &self.names {
            fs::rename(temporary, path)?;
        }
        self.names = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.names {
            // The transfer has failed already; a left-over is all that this can add.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Makes the directory that `path` is in, and those above it, for the user alone.
pub(super) fn make_parent(path: &Path) -> io::Result<PathBuf> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    Ok(parent.to_owned())
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Status {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Status::permission_denied(format!("{path}: permission denied")),
        io::ErrorKind::IsADirectory => Status::failed_precondition(format!("{path}: is a directory")),
        _ => Status::aborted(format!("{path}: {error}")),
    }
}
