//! What ran and what was cached, at the end.

use std::time::Duration;

use serde::Serialize;

use super::steps::{Fate, Step, Steps};

/// The account of a session. Programs read its JSON.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Commands that were started and not cached.
    pub(super) execs_started_uncached: usize,
    /// Steps that ran or were cached.
    pub(super) vertices: usize,
    /// Those that were cached.
    pub(super) cached: usize,
    /// From the first moment of the session.
    pub(super) seconds: f64,
    pub(super) steps: Vec<Line>,
}

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) cached: bool,
    pub(super) seconds: f64,
}

impl Summary {
    pub(super) fn new(steps: &Steps, took: Duration) -> Self {
        let counted: Vec<&Step> = steps.all().iter().filter(|step| step.fate() != Fate::Waiting).collect();
        let is_cached = |step: &&&Step| step.fate() == Fate::Cached;
        Self {
            execs_started_uncached: counted
                .iter()
                .filter(|step| step.is_exec() && step.number > 0 && step.fate() != Fate::Cached)
                .count(),
            vertices: counted.len(),
            cached: counted.iter().filter(is_cached).count(),
            seconds: took.as_secs_f64(),
            steps: counted
                .iter()
                .map(|step| Line {
                    name: step.name.clone(),
                    cached: step.fate() == Fate::Cached,
                    seconds: Duration::from_nanos(step.spent.try_into().unwrap_or_default()).as_secs_f64(),
                })
                .collect(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Texts and numbers only, and none is NaN: this cannot fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// `7 vertices: 2 run, 5 cached`.
    pub(super) fn line(&self) -> String {
        let noun = if self.vertices == 1 { "vertex" } else { "vertices" };
        format!("{} {noun}: {} run, {} cached", self.vertices, self.vertices - self.cached, self.cached)
    }
}
