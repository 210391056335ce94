//! What exporters hand back, and where it goes.
//!
//! An exporter speaks one of two protocols over the same method: a directory is sent as fsutil packets
//! ([`directory`]), an archive as plain bytes ([`file`]). Which one follows from the exporter, so from the
//! target that was registered for it; the messages are therefore taken undecoded ([`raw`]).

mod destination;
mod directory;
mod file;
mod order;
mod raw;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

pub(crate) use raw::FileSendService;

/// Messages on their way to the daemon: more than there are files asked for at once, so that asking never
/// waits and the daemon's bytes are always taken.
const OUTBOUND: usize = 2 * directory::WINDOW;

/// Where one exporter's output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A directory, from the `local` exporter. What is there already stays unless it is in the way.
    Directory {
        /// The directory; it and its parents are made (0700) where missing.
        path: PathBuf,
        /// Delete what the result does not hold.
        wipe: bool,
    },
    /// One file, from a `local` export of a directory that holds just it.
    SingleFile {
        /// The file to write; parents are made (0700) where missing. An existing file keeps its mode.
        path: PathBuf,
    },
    /// A stream of bytes, from the `tar`, `oci` or `docker` exporter.
    Stream {
        /// The file to write, mode 0600; parents are made (0700) where missing.
        path: PathBuf,
    },
    /// A stream of bytes into a file that is open already.
    Open(OpenFile),
}

/// An open file; equal to its clones alone.
#[derive(Clone, Debug)]
pub struct OpenFile(pub Arc<std::fs::File>);

impl PartialEq for OpenFile {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OpenFile {}

/// What arrived for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Entries written: files, links and directories.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Devices, pipes and sockets, which are not recreated.
    pub skipped: u64,
}

/// The targets of a session by exporter: the Nth belongs to the Nth exporter of the solve. Cheap to clone,
/// clones share what was received.
#[derive(Clone, Debug, Default)]
pub struct Receivers(Arc<Vec<Slot>>);

#[derive(Debug)]
struct Slot {
    target: Target,
    received: Outcome,
}

/// What was received, once it is complete.
type Outcome = Arc<Mutex<Option<Received>>>;

impl Receivers {
    /// Targets in the order of the exporters.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let slot = |target| Slot { target, received: Outcome::default() };
        Self(Arc::new(targets.into_iter().map(slot).collect()))
    }

    /// One directory, merged into what is there.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::new([Target::Directory { path: path.into(), wipe: false }])
    }

    /// One directory that will hold nothing but the result.
    pub fn wiped_directory(path: impl Into<PathBuf>) -> Self {
        Self::new([Target::Directory { path: path.into(), wipe: true }])
    }

    /// One file out of a directory that holds just it.
    pub fn single_file(path: impl Into<PathBuf>) -> Self {
        Self::new([Target::SingleFile { path: path.into() }])
    }

    /// One stream of bytes into a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new([Target::Stream { path: path.into() }])
    }

    /// Is there no target?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the exporter with this number has delivered, once it is complete.
    pub fn received(&self, exporter: usize) -> Option<Received> {
        *self.0.get(exporter)?.received.lock()
    }

    /// Takes one exporter's stream.
    fn accept<S>(&self, metadata: &MetadataMap, inbound: S) -> Result<Response<RawStream>, Status>
    where
        S: Stream<Item = Result<Bytes, Status>> + Send + Unpin + 'static,
    {
        let number = metadata.get("buildkit-attachable-exporter-id").and_then(|id| id.to_str().ok());
        let number = number.and_then(|id| id.parse::<usize>().ok()).unwrap_or(0);
        if number >= self.0.len() {
            return Err(Status::not_found(format!("exporter {number} not found")));
        }
        let slots = self.0.clone();
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let slot = &slots[number];
            let outcome = slot.received.clone();
            let end = match slot.target.clone() {
                Target::Directory { path, wipe } => {
                    let into = directory::Into::Directory { path, wipe };
                    directory::receive(into, inbound, outbound.clone(), outcome).await
                }
                Target::SingleFile { path } => {
                    let into = directory::Into::SingleFile(path);
                    directory::receive(into, inbound, outbound.clone(), outcome).await
                }
                Target::Stream { path } => {
                    let received = file::receive(file::Place::Named(path), inbound).await;
                    received.map(|received| *outcome.lock() = Some(received))
                }
                Target::Open(file) => {
                    let received = file::receive(file::Place::Open(file.0), inbound).await;
                    received.map(|received| *outcome.lock() = Some(received))
                }
            };
            if let Err(status) = end {
                // When nobody takes it, the daemon has hung up already.
                drop(outbound.send(Err(status)).await);
            }
        }));
        let messages = ReceiverStream::new(messages).map(move |message| {
            // The transfer ends with its stream.
            let _ = &task;
            message
        });
        Ok(Response::new(messages.boxed()))
    }
}

type RawStream = BoxStream<'static, Result<Bytes, Status>>;
