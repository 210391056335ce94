//! Times, and what is made of many of them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Measured values, in the unit of their case.
///
/// **Invariant:** sorted, and not empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// # Errors
    /// When there are none.
    pub(super) fn new(mut values: Vec<f64>) -> Result<Self> {
        anyhow::ensure!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    pub(super) fn one(value: f64) -> Self {
        Self(vec![value])
    }

    pub(super) fn milliseconds(times: &Times) -> Self {
        let mut values: Vec<f64> = times.0.iter().map(|time| milliseconds(*time)).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(super) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The upper one of two in the middle.
    pub(super) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.0
    }
}

/// How long rounds took.
///
/// **Invariant:** not empty.
#[derive(Debug, Clone)]
pub(super) struct Times(Vec<Duration>);

/// What a case measured: in the unit of its aim, in milliseconds where it is a ratio.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) ours: Samples,
    pub(super) theirs: Option<Samples>,
    /// What explains the numbers, a line each.
    pub(super) notes: Vec<String>,
}

impl Measured {
    /// Both sides of a comparison.
    pub(super) fn pair((ours, theirs): &(Times, Times)) -> Self {
        Self {
            ours: Samples::milliseconds(ours),
            theirs: Some(Samples::milliseconds(theirs)),
            notes: Vec::new(),
        }
    }

    /// Ours alone.
    pub(super) fn alone(ours: Samples) -> Self {
        Self { ours, theirs: None, notes: Vec::new() }
    }

    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Runs ours and theirs in turns, each first in every other round; both get the number of the round.
pub(super) fn in_turns(
    rounds: usize,
    mut ours: impl FnMut(usize) -> Result<Duration>,
    mut theirs: impl FnMut(usize) -> Result<Duration>,
) -> Result<(Times, Times)> {
    anyhow::ensure!(rounds > 0, "nothing was measured");
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            our_times.push(ours(round)?);
            their_times.push(theirs(round)?);
        } else {
            their_times.push(theirs(round)?);
            our_times.push(ours(round)?);
        }
    }
    Ok((Times(our_times), Times(their_times)))
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How long a command takes; its output is nobody's.
pub(super) fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    anyhow::ensure!(status.success(), "a measured command ended with {status}: {command:?}");
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_know_their_order() {
        let samples = Samples::new(vec![5.0, 1.0, 9.0]).expect("samples");
        assert_eq!((samples.min(), samples.median(), samples.max()), (1.0, 5.0, 9.0));
        assert!(Samples::new(Vec::new()).is_err());
    }

    #[test]
    fn each_side_is_first_in_every_other_round() {
        let order = std::cell::RefCell::new(String::new());
        let note = |side| {
            let order = &order;
            move |round: usize| {
                order.borrow_mut().push_str(&format!("{side}{round} "));
                Ok(Duration::from_millis(1))
            }
        };
        in_turns(3, note('a'), note('b')).expect("times");
        assert_eq!(order.into_inner(), "a0 b0 b1 a1 a2 b2 ");
    }
}
