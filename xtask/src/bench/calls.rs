//! Cases within one session: work that was done before, and calls that need no work.

use std::time::Duration;

use anyhow::Result;

use super::measure::{Measured, Samples, milliseconds};
use super::session::Session;
use super::{Aim, Bench, Case, execs};

pub(super) const ALL: &[Case] = &[
    Case { name: "100 execs, again in the session", aim: Aim::Most(2.0, "ms"), measure: again },
    Case { name: "one call of a pure chain", aim: Aim::Most(20.0, "us"), measure: pure_call },
];

fn again(bench: &Bench) -> Result<Measured> {
    let document = execs::chain(100, &bench.salt());
    let mut session = Session::start(bench)?;
    session.ask(&document)?;
    let times = (0..bench.rounds.max(21)).map(|_| Ok(milliseconds(session.ask(&document)?)));
    let samples = Samples::new(times.collect::<Result<_>>()?)?;
    session.finish(Some("100 execs cold"))?;
    Ok(Measured::alone(samples))
}

/// Calls in a document whose time is shared out.
const PURE_CALLS: u32 = 2_000;

/// A longer one, to show that time stays linear.
const MANY_PURE_CALLS: u32 = 10_000;

/// A chain of calls that need nothing of the daemon, new to the session in each round.
fn pure_chain(count: u32, round: usize) -> String {
    let calls: String = (0..count)
        .map(|number| format!("withEnvVariable(name:\"N{}\",value:\"{round} {number}\"){{", number % 100))
        .collect();
    format!("{{container{{{calls}envVariable(name:\"N0\"){}}}}}", "}".repeat(count as usize))
}

fn pure_call(bench: &Bench) -> Result<Measured> {
    let mut session = Session::start(bench)?;
    // Loads what the first request loads.
    session.ask(&pure_chain(1, 0))?;
    let each = |took: Duration, count: u32| took.as_secs_f64() * 1e6 / f64::from(count);
    let before = session.memory("VmRSS:")?;
    let (mut round, mut asked) = (0, 0_u32);
    let mut measure = |count: u32| {
        let times = (0..bench.rounds.max(7)).map(|_| {
            round += 1;
            asked += count;
            Ok(each(session.ask(&pure_chain(count, round))?, count))
        });
        Samples::new(times.collect::<Result<_>>()?)
    };
    let ours = measure(PURE_CALLS)?;
    let long = measure(MANY_PURE_CALLS)?;
    let after = session.memory("VmRSS:")?;
    session.finish(None)?;
    Ok(Measured::alone(ours)
        .with_note(format!("of {PURE_CALLS} calls; of {MANY_PURE_CALLS}: {:.1} us", long.median()))
        .with_note(format!(
            "memory of a session that keeps each: {:.1} kB a call",
            (after - before) * 1e3 / f64::from(asked)
        )))
}
