//! The sender's half of fsutil's protocol.
//!
//! We list the tree as STAT packets, numbered from 0, and an empty one; the receiver asks by number for the
//! contents it lacks; each is sent as DATA packets and an empty one; FIN from the receiver is answered by FIN.
//! ERR with a text ends the transfer from either side.
//!
//! # Source
//! `github.com/tonistiigi/fsutil` `send.go`, `receive.go`.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc;
use tonic::Status;
use treenail_protos::fsutil::types::packet::PacketType;
use treenail_protos::fsutil::types::{Packet, Stat};

use super::SendTotals;
use super::stat::mode;
use super::walk::{Walk, WalkError};

/// Bytes of content in one packet.
const CHUNK: usize = 128 << 10;
/// Files read at once.
const READERS: usize = 4;
/// Content of a file that claims to be empty but is not (those of `/proc`): this much and no more.
const CLAIMED_EMPTY_LIMIT: u64 = 16 << 20;

type Outbound = mpsc::Sender<Result<Packet, Status>>;

/// Sends the list of `walk` and what `inbound` asks for. Says how much content went out, and how it ended.
pub(crate) async fn send<S>(
    walk: Walk,
    mut inbound: S,
    outbound: Outbound,
) -> (SendTotals, Result<(), Status>)
where
    S: Stream<Item = Result<Packet, Status>> + Unpin,
{
    let (failed, mut failures) = mpsc::unbounded_channel();
    let transfer = Arc::new(Transfer {
        root: walk.root().to_owned(),
        outbound,
        files: Mutex::default(),
        queue: Mutex::default(),
        sent_files: AtomicU64::new(0),
        sent_bytes: AtomicU64::new(0),
        failed,
    });
    let lister = transfer.clone();
    tokio::task::spawn_blocking(move || lister.list(walk));
    let end = loop {
        tokio::select! {
            packet = inbound.next() => match packet {
                Some(Ok(packet)) => match transfer.answer(&packet) {
                    Ok(Next::More) => {}
                    Ok(Next::Finish) => break transfer.send(PacketType::PacketFin, 0, Bytes::new()).await,
                    Err(status) => break Err(status),
                },
                Some(Err(status)) => break Err(status),
                None => break Err(Status::aborted("the receiver hung up before the end of the transfer")),
            },
            Some(message) = failures.recv() => {
                let text = Bytes::from(message.clone());
                // Best effort: the status says the same.
                let _ = transfer.send(PacketType::PacketErr, 0, text).await;
                break Err(Status::aborted(message));
            }
        }
    };
    (transfer.totals(), end)
}

enum Next {
    More,
    Finish,
}

/// A file that the receiver may ask for.
struct Offered {
    path: String,
    size: u64,
}

struct Transfer {
    root: PathBuf,
    outbound: Outbound,
    /// By number. Each may be asked for once.
    files: Mutex<HashMap<u32, Offered>>,
    queue: Mutex<Queue>,
    sent_files: AtomicU64,
    sent_bytes: AtomicU64,
    failed: mpsc::UnboundedSender<String>,
}

/// Files asked for. Bounded by the list: a number can be asked for once.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u32, Offered)>,
    readers: usize,
}

impl Transfer {
    fn totals(&self) -> SendTotals {
        SendTotals {
            files: self.sent_files.load(Ordering::Relaxed),
            bytes: self.sent_bytes.load(Ordering::Relaxed),
        }
    }

    /// Sends every STAT packet. Blocks.
    fn list(&self, walk: Walk) {
        let mut number = 0_u32;
        let end = walk.run(&mut |stat: Stat| {
            if stat.mode & mode::TYPE == 0 {
                let size = u64::try_from(stat.size).unwrap_or(0);
                self.files.lock().insert(number, Offered { path: stat.path.clone(), size });
            }
            number = number.wrapping_add(1);
            self.outbound.blocking_send(Ok(Packet { stat: Some(stat), ..Packet::default() })).is_ok()
        });
        match end {
            // An empty STAT ends the list. A receiver that has gone is noticed by its own stream.
            Ok(()) => drop(self.outbound.blocking_send(Ok(Packet::default()))),
            Err(WalkError::Stopped) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn answer(self: &Arc<Self>, packet: &Packet) -> Result<Next, Status> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketReq) => {
                let file = self.files.lock().remove(&packet.id);
                let file =
                    file.ok_or_else(|| Status::invalid_argument(format!("invalid file id {}", packet.id)))?;
                self.enqueue(packet.id, file);
                Ok(Next::More)
            }
            Ok(PacketType::PacketFin) => Ok(Next::Finish),
            Ok(PacketType::PacketErr) => {
                let text = String::from_utf8_lossy(&packet.data);
                Err(Status::aborted(format!("error from receiver: {text}")))
            }
            Ok(PacketType::PacketStat | PacketType::PacketData) | Err(_) => {
                Err(Status::invalid_argument("the receiver sent a packet that only senders send"))
            }
        }
    }

    /// Queues a file and makes sure that somebody reads it.
    fn enqueue(self: &Arc<Self>, number: u32, file: Offered) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back((number, file));
        if queue.readers < READERS {
            queue.readers += 1;
            let reader = self.clone();
            tokio::task::spawn_blocking(move || reader.read_queued());
        }
    }

    /// Sends queued files until there are none. Blocks.
    fn read_queued(&self) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.waiting.pop_front();
                if next.is_none() {
                    queue.readers -= 1;
                }
                next
            };
            let Some((number, file)) = next else { return };
            match self.read(number, &file) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let path = self.root.join(&file.path);
                    return self.fail(match error.kind() {
                        io::ErrorKind::PermissionDenied => format!("{}: permission denied", path.display()),
                        _ => format!("{}: {error}", path.display()),
                    });
                }
            }
        }
    }

    /// Sends one file; says no when nobody listens any more.
    ///
    /// Invariant: exactly as many bytes go out as the list said, because the daemon hashes both. What was
    /// added since is left out; what is missing fails the transfer.
    fn read(&self, number: u32, offered: &Offered) -> io::Result<bool> {
        let mut file = open(&self.root.join(&offered.path))?;
        let claims_nothing = offered.size == 0 && file.metadata()?.len() == 0;
        let size = if claims_nothing { CLAIMED_EMPTY_LIMIT } else { offered.size };
        let mut left = size;
        while left > 0 {
            let wanted = left.min(CHUNK as u64);
            let mut chunk = Vec::with_capacity(if claims_nothing { 0 } else { wanted as usize });
            file.by_ref().take(wanted).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            left -= chunk.len() as u64;
            self.sent_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if !self.send_blocking(number, chunk.into()) {
                return Ok(false);
            }
        }
        if left > 0 && !claims_nothing {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file shrank while it was being read",
            ));
        }
        self.sent_files.fetch_add(1, Ordering::Relaxed);
        Ok(self.send_blocking(number, Bytes::new()))
    }

    fn send_blocking(&self, id: u32, data: Bytes) -> bool {
        let packet = Packet { r#type: PacketType::PacketData as i32, id, data, stat: None };
        self.outbound.blocking_send(Ok(packet)).is_ok()
    }

    async fn send(&self, kind: PacketType, id: u32, data: Bytes) -> Result<(), Status> {
        let packet = Packet { r#type: kind as i32, id, data, stat: None };
        self.outbound.send(Ok(packet)).await.map_err(|_| Status::cancelled("the stream was closed"))
    }

    fn fail(&self, message: String) {
        // Nobody listens when the transfer has ended for another reason.
        let _ = self.failed.send(message);
    }
}

/// Opens a regular file and nothing else: the entry may have become a link or a pipe since it was listed.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::LOOP) => return Err(changed()),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file vanished while it was being read"));
        }
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(changed()) }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file was replaced while it was being read")
}
