//! Cases about the program itself: its start, its memory, its size.

use std::fs;

use anyhow::{Context, Result};

use super::measure::{Measured, Samples, milliseconds};
use super::session::Session;
use super::{Aim, Bench, Case, execs};

pub(super) const ALL: &[Case] = &[
    Case { name: "session start to its line", aim: Aim::Most(20.0, "ms"), measure: session_start },
    Case { name: "memory, idle", aim: Aim::Most(25.0, "MB"), measure: idle_memory },
    Case { name: "memory, peak", aim: Aim::Most(60.0, "MB"), measure: peak_memory },
    Case { name: "size of the program", aim: Aim::Most(20.0, "MB"), measure: program_size },
];

/// From starting `treenail session` to the line that tells an SDK port and token.
fn session_start(bench: &Bench) -> Result<Measured> {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds.max(21) {
        let phases = Session::start(bench)?.finish(Some("nothing"))?;
        starts.push(milliseconds(phases.start));
        ends.push(milliseconds(phases.end));
    }
    let ends = Samples::new(ends)?;
    Ok(Measured::alone(Samples::new(starts)?)
        .with_note(format!("and from end of input to end of process {:.1} ms", ends.median())))
}

/// Resident memory of a session that waits.
fn idle_memory(bench: &Bench) -> Result<Measured> {
    let document = execs::chain(100, &bench.salt());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut session = Session::start(bench)?;
        before.push(session.memory("VmRSS:")?);
        session.ask(&document)?;
        after.push(session.memory("VmRSS:")?);
        session.finish(Some("100 execs cached"))?;
    }
    let after = Samples::new(after)?;
    Ok(Measured::alone(Samples::new(before)?)
        .with_note(format!("before the first query; {:.1} MB after 100 execs", after.median())))
}

/// The most that any session of this run had, but for the one that keeps tens of thousands of calls.
fn peak_memory(bench: &Bench) -> Result<Measured> {
    // With a filter there may have been none so far.
    Session::start(bench)?.finish(Some("nothing"))?;
    let peak = bench.peak.borrow().clone();
    let (megabytes, what) = peak.context("no session was measured")?;
    Ok(Measured::alone(Samples::one(megabytes)).with_note(format!("in the session with: {what}")))
}

fn program_size(bench: &Bench) -> Result<Measured> {
    let bytes = fs::metadata(&bench.program).context("cannot read the program")?.len();
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let megabytes = bytes as f64 / 1e6;
    Ok(Measured::alone(Samples::one(megabytes)))
}
