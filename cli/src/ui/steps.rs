//! What is known of the daemon's steps (vertices), from its events.
//!
//! The daemon tells of a vertex again and again: when it is announced, each time it starts (loading from a cache and running
//! are two starts), when it ends, and again in another build of the same session. Invariant: a step that has run stays run,
//! whatever is said of it later.

use std::collections::HashMap;
use std::sync::Arc;

use treenail_bridge::StatusEvent;

/// One vertex.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Place in the order of first starts, from 1; 0 until it starts.
    pub(super) number: usize,
    pub(super) name: String,
    /// Start of the present or last interval of work.
    pub(super) started: Option<i64>,
    /// End of the last interval; nothing while it runs.
    pub(super) completed: Option<i64>,
    /// Nanoseconds of the intervals that are over.
    pub(super) spent: i64,
    /// It was found in the cache.
    pub(super) cached: bool,
    /// It has done work of its own.
    pub(super) ran: bool,
    /// Why it failed; empty if it did not.
    pub(super) error: String,
    /// Bytes of its transfers: so far, and in all (0 is unknown).
    pub(super) transfers: HashMap<String, (i64, i64)>,
}

/// What an event did to the steps; the number is an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A step started, for the first time or again.
    Started(usize),
    /// A step ended.
    Ended(usize),
    /// A step wrote something.
    Log(usize),
    /// A step warned.
    Warned(usize),
    /// A transfer went on.
    Moved(usize),
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waiting,
    Running,
    Ran,
    Cached,
    Failed,
}

impl Step {
    pub(super) fn fate(&self) -> Fate {
        match (self.started, self.completed) {
            _ if !self.error.is_empty() => Fate::Failed,
            (_, Some(_)) if self.ran => Fate::Ran,
            (_, Some(_)) => Fate::Cached,
            (Some(_), None) => Fate::Running,
            (None, None) => Fate::Waiting,
        }
    }

    /// Why it failed. The daemon quotes the whole command line, helper included; the name has said it already.
    pub(super) fn reason(&self) -> &str {
        match self.error.rsplit_once("did not complete successfully: ") {
            Some((start, reason)) if start.starts_with("process \"") => reason,
            _ => &self.error,
        }
    }

    /// Is it a command of the pipeline?
    pub(super) fn is_exec(&self) -> bool {
        self.name.starts_with("withExec")
    }

    /// Is it one that the daemon marks as its own?
    pub(super) fn is_internal(&self) -> bool {
        self.name.starts_with("[internal]")
    }
}

/// All steps of a session.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: Vec<Step>,
    by_digest: HashMap<Arc<str>, usize>,
    started: usize,
}

impl Steps {
    /// All that have been heard of, in that order.
    pub(super) fn all(&self) -> &[Step] {
        &self.all
    }

    /// The step at an index that a [`Change`] gave.
    pub(super) fn at(&self, index: usize) -> &Step {
        &self.all[index]
    }

    /// Takes an event in.
    pub(super) fn apply(&mut self, event: &StatusEvent) -> Option<Change> {
        match event {
            StatusEvent::Vertex { digest, name, started, completed, cached, error, .. } => {
                let index = self.index(digest);
                let next_number = self.started + 1;
                let step = &mut self.all[index];
                if !name.is_empty() {
                    step.name.clone_from(name);
                }
                let was = (step.started, step.completed);
                let mut change = None;
                if let Some(start) = *started
                    && step.started.is_none_or(|known| start > known)
                {
                    step.started = Some(start);
                    step.completed = None;
                    if step.number == 0 {
                        step.number = next_number;
                        self.started += 1;
                    }
                    change = Some(Change::Started(index));
                }
                let step = &mut self.all[index];
                if let Some(end) = *completed
                    && step.completed.is_none_or(|known| end > known)
                {
                    step.completed = Some(end);
                    step.spent += end - step.started.unwrap_or(end);
                    step.cached |= *cached;
                    step.ran |= !*cached;
                    if was != (step.started, step.completed) {
                        change = Some(Change::Ended(index));
                    }
                }
                if !error.is_empty() {
                    step.error.clone_from(error);
                }
                change
            }
            StatusEvent::Log { vertex, .. } => self.known(vertex).map(Change::Log),
            StatusEvent::Warning { vertex, .. } => self.known(vertex).map(Change::Warned),
            StatusEvent::Transfer { vertex, id, current, total, .. } => {
                let index = self.known(vertex)?;
                self.all[index].transfers.insert(id.clone(), (*current, *total));
                Some(Change::Moved(index))
            }
        }
    }

    fn known(&self, digest: &Arc<str>) -> Option<usize> {
        self.by_digest.get(digest).copied()
    }

    fn index(&mut self, digest: &Arc<str>) -> usize {
        *self.by_digest.entry(digest.clone()).or_insert_with(|| {
            self.all.push(Step::default());
            self.all.len() - 1
        })
    }
}
