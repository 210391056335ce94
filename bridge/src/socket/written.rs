//! What ran, and what failed commands wrote, remembered from the daemon's progress.
//!
//! Only commands that nothing of ours runs inside of need the latter: what they write reaches us as progress and no other
//! way. Invariant: bounded, whatever is written: the end of each stream, of a limited number of commands.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use crate::{StatusEvent, Tail, Written};

/// Bytes kept of each stream.
const TAIL: usize = 102_400;
/// Commands that may be running; what further ones write is not kept.
const RUNNING: usize = 256;
/// Failed commands kept; the oldest goes first.
const FAILED: usize = 32;
/// How long progress may lag behind the answer that a command has failed.
const LAG: Duration = Duration::from_secs(1);

/// Follows the progress of a bridge as long as there is any.
pub(super) struct Recorder {
    records: Arc<Mutex<Records>>,
    /// Changes with each failed command.
    failures: watch::Receiver<()>,
}

#[derive(Default)]
struct Records {
    running: HashMap<Arc<str>, [End; 2]>,
    failed: VecDeque<(Arc<str>, Written)>,
    /// Vertices that have run and not failed.
    ran: HashSet<Arc<str>>,
}

/// The end of a stream.
#[derive(Default)]
struct End {
    bytes: VecDeque<u8>,
    size: u64,
}

impl Recorder {
    pub(super) fn start(mut events: broadcast::Receiver<StatusEvent>) -> Self {
        let records = Arc::<Mutex<Records>>::default();
        let (failed, failures) = watch::channel(());
        let recorded = records.clone();
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => {
                        if recorded.lock().unwrap_or_else(PoisonError::into_inner).take(event) {
                            failed.send_replace(());
                        }
                    }
                    // What was missed is missing in an error's text.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { records, failures }
    }

    /// Whether the progress has told that a vertex ran and did not fail.
    pub(super) fn has_run(&self, vertex: &str) -> bool {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).ran.contains(vertex)
    }

    /// What a failed command wrote; nothing for one that the progress does not tell of.
    pub(super) async fn written(&self, vertex: &str) -> Written {
        let mut failures = self.failures.clone();
        let told = async {
            loop {
                let found = self.records.lock().unwrap_or_else(PoisonError::into_inner).find(vertex);
                match found {
                    Some(written) => return written,
                    None if failures.changed().await.is_err() => return Written::default(),
                    None => {}
                }
            }
        };
        tokio::time::timeout(LAG, told).await.unwrap_or_default()
    }
}

impl Records {
    /// Takes an event in. Answers whether a command has failed.
    fn take(&mut self, event: StatusEvent) -> bool {
        match event {
            StatusEvent::Log { vertex, stream, data, .. } => {
                if self.running.len() < RUNNING || self.running.contains_key(&vertex) {
                    let [stdout, stderr] = self.running.entry(vertex).or_default();
                    if stream == 1 { stdout } else { stderr }.push(&data);
                }
                false
            }
            StatusEvent::Vertex { digest, completed: Some(_), cached, error, .. } => {
                let written = self.running.remove(&digest);
                if error.is_empty() {
                    if !cached {
                        self.ran.insert(digest);
                    }
                    return false;
                }
                let written =
                    written.map(|[stdout, stderr]| Written { stdout: stdout.tail(), stderr: stderr.tail() });
                let known = self.failed.iter().position(|(vertex, _)| *vertex == digest);
                match known {
                    // The daemon tells an old failure again, and has not run anything for it.
                    Some(_) if written.is_none() => return true,
                    Some(at) => drop(self.failed.remove(at)),
                    None if self.failed.len() == FAILED => drop(self.failed.pop_front()),
                    None => {}
                }
                self.failed.push_back((digest, written.unwrap_or_default()));
                true
            }
            _ => false,
        }
    }

    fn find(&self, vertex: &str) -> Option<Written> {
        self.failed.iter().find(|(digest, _)| **digest == *vertex).map(|(_, written)| written.clone())
    }
}

impl End {
    fn push(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        let data = &data[data.len().saturating_sub(TAIL)..];
        let surplus = (self.bytes.len() + data.len()).saturating_sub(TAIL);
        self.bytes.drain(..surplus);
        self.bytes.extend(data);
    }

    fn tail(self) -> Tail {
        Tail { bytes: Vec::from(self.bytes).into(), size: self.size }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn log(vertex: &str, stream: i64, data: impl Into<Bytes>) -> StatusEvent {
        StatusEvent::Log { vertex: vertex.into(), stream, data: data.into(), time: 0 }
    }

    fn ended(vertex: &str, error: &str) -> StatusEvent {
        StatusEvent::Vertex {
            digest: vertex.into(),
            name: String::new(),
            inputs: Vec::new(),
            started: Some(1),
            completed: Some(2),
            cached: false,
            error: error.to_owned(),
            group: None,
        }
    }

    #[test]
    fn only_failed_commands_are_kept_and_only_their_end() {
        let mut records = Records::default();
        for event in
            [log("a", 1, "out"), log("a", 2, "er"), log("b", 1, "fine"), log("a", 2, "ror"), ended("b", "")]
        {
            assert!(!records.take(event));
        }
        assert!(records.take(ended("a", "exit code: 1")));
        let written = records.find("a").expect("kept");
        assert_eq!((&written.stdout.bytes[..], &written.stderr.bytes[..]), (&b"out"[..], &b"error"[..]));
        assert!(records.find("b").is_none() && records.running.is_empty());
        // Told again without a run.
        assert!(records.take(ended("a", "exit code: 1")));
        assert_eq!(records.find("a"), Some(written));

        for _ in 0..3 {
            records.take(log("long", 1, vec![b'x'; 60_000]));
        }
        records.take(log("long", 1, "end"));
        records.take(ended("long", "exit code: 1"));
        let Tail { bytes, size } = records.find("long").expect("kept").stdout;
        assert_eq!((bytes.len(), size), (TAIL, 180_003));
        assert!(bytes.ends_with(b"xend"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut records = Records::default();
        for number in 0..1000 {
            records.take(log(&number.to_string(), 1, "x"));
        }
        assert_eq!(records.running.len(), RUNNING);
        for number in 0..1000 {
            records.take(ended(&number.to_string(), "error"));
        }
        assert_eq!((records.running.len(), records.failed.len()), (0, FAILED));
        assert!(records.find("999").is_some() && records.find("0").is_none());
    }

    #[tokio::test]
    async fn an_answer_waits_for_the_progress() {
        let (events, receiver) = broadcast::channel(8);
        let recorder = Recorder::start(receiver);
        let (written, ()) = tokio::join!(recorder.written("a"), async {
            events.send(log("a", 2, "late")).expect("followed");
            events.send(ended("a", "exit code: 1")).expect("followed");
        });
        assert_eq!(&written.stderr.bytes[..], b"late");
        drop(events);
        assert_eq!(recorder.written("b").await, Written::default());
    }
}
