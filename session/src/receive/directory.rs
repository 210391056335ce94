//! The receiver's half of fsutil's protocol, into a directory.
//!
//! Entries are made as they are listed; contents are asked for a few files at a time; modes and times of
//! directories come last, since writing into a directory changes its time and may need its permission.
//!
//! # Source
//! `github.com/tonistiigi/fsutil` `receive.go`, `diskwriter.go`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;
use treenail_protos::fsutil::types::packet::PacketType;
use treenail_protos::fsutil::types::{Packet, Stat};

use super::destination::{Destination, Draft};
use super::file::{failed, make_parent};
use super::order::Order;
use super::{Outcome, Received};
use crate::filesync::stat::mode;

/// Files asked for at once. Each is an open file here; the sender queues up to twice as many.
pub(super) const WINDOW: usize = 64;
/// Packets on their way to the disk.
const WAITING: usize = 32;

type Outbound = mpsc::Sender<Result<Bytes, Status>>;

/// What a tree is received into.
#[derive(Clone, Debug)]
pub(super) enum Into {
    Directory { path: PathBuf, wipe: bool },
    SingleFile(PathBuf),
}

/// Writes the tree that `inbound` lists. What was received is noted in `outcome` before the sender is told of
/// the end, so whoever hears of the end from the daemon finds it there.
pub(super) async fn receive<S>(
    into: Into,
    mut inbound: S,
    outbound: Outbound,
    outcome: Outcome,
) -> Result<(), Status>
where
    S: Stream<Item = Result<Bytes, Status>> + Unpin,
{
    let (packets, waiting) = mpsc::channel::<Packet>(WAITING);
    let answers = outbound.clone();
    let mut writer = tokio::task::spawn_blocking(move || {
        let mut receiver = Receiver::new(into, answers, outcome)?;
        receiver.run(waiting)
    });
    let mut broken = None;
    let written = loop {
        tokio::select! {
            written = &mut writer => break written,
            message = inbound.next() => {
                let packet = match message {
                    Some(Ok(message)) => {
                        Packet::decode(message).map_err(|error| Status::invalid_argument(error.to_string()))
                    }
                    Some(Err(status)) => Err(status),
                    None => Err(Status::aborted("the sender hung up before the end of the transfer")),
                };
                let sent = match packet {
                    Ok(packet) => packets.send(packet).await.is_ok(),
                    Err(status) => {
                        broken = Some(status);
                        false
                    }
                };
                if !sent {
                    drop(packets);
                    break writer.await;
                }
            }
        }
    };
    let written = written.map_err(|error| Status::internal(error.to_string()))?;
    match (written, broken) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(status)) => Err(status),
        (Err(status), None) => {
            let text = Bytes::from(status.message().to_owned());
            let packet = Packet { r#type: PacketType::PacketErr as i32, data: text, ..Packet::default() };
            // Best effort: the status says the same.
            let _ = outbound.send(Ok(packet.encode_to_vec().into())).await;
            Err(status)
        }
    }
}

/// A regular file of the list.
#[derive(Debug)]
struct Wanted {
    path: String,
    mode: u32,
    mtime: i64,
}

struct Receiver {
    /// For messages only.
    shown: PathBuf,
    root: Destination,
    /// The name of the one file that is wanted.
    single: Option<String>,
    wipe: bool,
    outbound: Outbound,
    order: Order,
    number: u32,
    listed: bool,
    /// Listed, not yet asked for.
    queue: VecDeque<(u32, Wanted)>,
    open: HashMap<u32, (Wanted, Draft)>,
    files: HashSet<String>,
    hard_links: Vec<(Wanted, String)>,
    directories: Vec<Wanted>,
    /// When sweeping: what the list holds, by directory.
    names: HashMap<String, HashSet<String>>,
    received: Received,
    outcome: Outcome,
}

impl Receiver {
    fn new(into: Into, outbound: Outbound, outcome: Outcome) -> Result<Self, Status> {
        let (shown, wipe, single) = match into {
            Into::Directory { path, wipe } => {
                make_parent(&path.join("entry")).map_err(|error| failed(&path, &error))?;
                (path, wipe, None)
            }
            Into::SingleFile(path) => {
                // A link as the destination is followed, as any program that opens it would.
                let path = path.canonicalize().unwrap_or(path);
                let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                let name = name.ok_or_else(|| {
                    Status::invalid_argument(format!("{}: not a file name", path.display()))
                })?;
                if path.is_dir() {
                    return Err(failed(&path, &io::ErrorKind::IsADirectory.into()));
                }
                let parent = make_parent(&path).map_err(|error| failed(&path, &error))?;
                (parent, false, Some(name))
            }
        };
        let root = Destination::open(&shown).map_err(|error| failed(&shown, &error))?;
        Ok(Self {
            shown,
            root,
            single,
            wipe,
            outbound,
            order: Order::default(),
            number: 0,
            listed: false,
            queue: VecDeque::new(),
            open: HashMap::new(),
            files: HashSet::new(),
            hard_links: Vec::new(),
            directories: Vec::new(),
            names: HashMap::new(),
            received: Received::default(),
            outcome,
        })
    }

    /// Takes packets until the sender has confirmed the end. Blocks.
    fn run(&mut self, mut packets: mpsc::Receiver<Packet>) -> Result<(), Status> {
        let mut finished = false;
        while let Some(packet) = packets.blocking_recv() {
            match PacketType::try_from(packet.r#type) {
                Ok(PacketType::PacketStat) if !self.listed => match packet.stat {
                    Some(stat) => self.entry(stat)?,
                    None => self.listed = true,
                },
                Ok(PacketType::PacketData) => self.data(packet.id, &packet.data)?,
                Ok(PacketType::PacketFin) if finished => return Ok(()),
                Ok(PacketType::PacketErr) => {
                    let text = String::from_utf8_lossy(&packet.data);
                    return Err(Status::aborted(format!("error from sender: {text}")));
                }
                _ => return Err(Status::invalid_argument("the sender sent a packet out of turn")),
            }
            self.ask()?;
            if self.listed && !finished && self.open.is_empty() && self.queue.is_empty() {
                self.finish()?;
                *self.outcome.lock() = Some(self.received);
                self.send(PacketType::PacketFin, 0)?;
                finished = true;
            }
        }
        Err(Status::aborted("the stream ended early"))
    }

    fn entry(&mut self, stat: Stat) -> Result<(), Status> {
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        let kind = stat.mode & mode::TYPE;
        let refused = |error: super::order::Refused| Status::invalid_argument(error.to_string());
        self.order.check(&stat.path, kind == mode::DIR).map_err(refused)?;
        let wanted =
            Wanted { path: stat.path, mode: mode::permissions_to_unix(stat.mode), mtime: stat.mod_time };
        if self.single.is_some() && (kind != 0 || number != 0) {
            return Err(Status::failed_precondition("the result is not one single file"));
        }
        let path = wanted.path.clone();
        if self.wipe {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            self.names.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
        let made = match kind {
            mode::DIR => {
                let made = self.root.make_directory(&path);
                self.directories.push(wanted);
                made
            }
            mode::SYMLINK => self.root.make_link(&path, &stat.linkname, wanted.mtime),
            0 if !stat.linkname.is_empty() => {
                if !self.files.contains(&stat.linkname) {
                    return Err(Status::invalid_argument(format!(
                        "{path:?} links to a file that is not in the list"
                    )));
                }
                self.hard_links.push((wanted, stat.linkname));
                Ok(())
            }
            0 => {
                self.files.insert(path.clone());
                self.queue.push_back((number, wanted));
                Ok(())
            }
            _ => {
                self.received.skipped += 1;
                return Ok(());
            }
        };
        self.received.entries += 1;
        made.map_err(|error| self.failed(&path, &error))
    }

    /// Asks for files while there is room.
    fn ask(&mut self) -> Result<(), Status> {
        while self.open.len() < WINDOW {
            let Some((number, wanted)) = self.queue.pop_front() else { return Ok(()) };
            let draft = self.root.draft(&wanted.path).map_err(|error| self.failed(&wanted.path, &error))?;
            self.open.insert(number, (wanted, draft));
            self.send(PacketType::PacketReq, number)?;
        }
        Ok(())
    }

    fn data(&mut self, number: u32, data: &Bytes) -> Result<(), Status> {
        if data.is_empty() {
            let (wanted, draft) = self.open.remove(&number).ok_or_else(|| not_asked(number))?;
            let placed = match &self.single {
                Some(name) => draft.place(name, self.root.file_mode(name).unwrap_or(wanted.mode), None),
                None => {
                    let name = wanted.path.rsplit_once('/').map_or(wanted.path.as_str(), |(_, name)| name);
                    draft.place(name, wanted.mode, Some(wanted.mtime))
                }
            };
            return placed.map_err(|error| self.failed(&wanted.path, &error));
        }
        let (wanted, draft) = self.open.get_mut(&number).ok_or_else(|| not_asked(number))?;
        if let Err(error) = draft.file.write_all(data) {
            let path = wanted.path.clone();
            return Err(self.failed(&path, &error));
        }
        self.received.bytes += data.len() as u64;
        Ok(())
    }

    /// What must wait until all contents are there.
    fn finish(&mut self) -> Result<(), Status> {
        for (link, existing) in &self.hard_links {
            self.root
                .make_hard_link(&link.path, existing, link.mode, link.mtime)
                .map_err(|error| self.failed(&link.path, &error))?;
        }
        if self.wipe {
            self.sweep()?;
        }
        for folder in self.directories.iter().rev() {
            self.root
                .finish_directory(&folder.path, folder.mode, folder.mtime)
                .map_err(|error| self.failed(&folder.path, &error))?;
        }
        Ok(())
    }

    /// Removes what the list does not hold.
    fn sweep(&self) -> Result<(), Status> {
        let nothing = HashSet::new();
        let folders = self.directories.iter().map(|folder| folder.path.as_str());
        for folder in std::iter::once("").chain(folders) {
            let keep = self.names.get(folder).unwrap_or(&nothing);
            self.root
                .sweep(folder, |name| keep.contains(name))
                .map_err(|error| self.failed(folder, &error))?;
        }
        Ok(())
    }

    fn send(&self, kind: PacketType, id: u32) -> Result<(), Status> {
        let packet = Packet { r#type: kind as i32, id, ..Packet::default() };
        let sent = self.outbound.blocking_send(Ok(packet.encode_to_vec().into()));
        sent.map_err(|_| Status::cancelled("the stream was closed"))
    }

    fn failed(&self, path: &str, error: &io::Error) -> Status {
        failed(&self.shown.join(Path::new(path)), error)
    }
}

fn not_asked(number: u32) -> Status {
    Status::invalid_argument(format!("content of file {number} was not asked for"))
}
