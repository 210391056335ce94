//! Cases about commands: one and a hundred, cold and cached.

use anyhow::{Context as _, Result};
use treenail_llb::Output;

use super::counter::Counter;
use super::measure::{Measured, Samples, in_turns, milliseconds};
use super::session::{Phases, Session, whole};
use super::{Aim, Bench, Case, peer};

pub(super) const ALL: &[Case] = &[
    Case { name: "one exec, cached, fresh session", aim: Aim::Ratio(1.0), measure: one_cached },
    Case { name: "100 execs, cold", aim: Aim::Ratio(1.15), measure: many_cold },
    Case { name: "100 execs, cached, fresh session", aim: Aim::Ratio(1.0), measure: many_cached },
    Case { name: "100 execs, cached, solves", aim: Aim::Most(1.0, "solve"), measure: many_counted },
];

/// A document of `count` execs in a chain.
pub(super) fn chain(count: usize, salt: &str) -> String {
    let calls: String = (0..count)
        .map(|number| format!("withExec(args:[\"/bin/sh\",\"-c\",\"echo {salt} {number}\"]){{"))
        .collect();
    format!("{{container{{from(address:\"{}\"){{{calls}sync{}}}}}}}", peer::IMAGE, "}".repeat(count))
}

/// The same chain as a graph.
fn graph(count: usize, salt: &str) -> Result<Output> {
    (0..count).try_fold(peer::base(), |tree, number| peer::shell(tree, &format!("echo {salt} {number}")))
}

/// A chain on both sides, run once before the clock starts.
fn cached(bench: &Bench, count: usize, rounds: usize) -> Result<Measured> {
    let (our_salt, their_salt) = (bench.salt(), bench.salt());
    let document = chain(count, &our_salt);
    let build = peer::Build::new(bench, &graph(count, &their_salt)?, &[])?;
    let what = format!("execs cached: {count}");
    whole(bench, &what, &document)?;
    build.run()?;
    let mut phases = Vec::new();
    let times = in_turns(
        rounds,
        |_| {
            let took = whole(bench, &what, &document)?;
            phases.push(took);
            Ok(took.total())
        },
        |_| build.run(),
    )?;
    Ok(Measured::pair(&times).with_note(Phases::note(&phases)))
}

fn one_cached(bench: &Bench) -> Result<Measured> {
    cached(bench, 1, bench.rounds.max(11))
}

fn many_cached(bench: &Bench) -> Result<Measured> {
    cached(bench, 100, bench.rounds.max(9))
}

fn many_cold(bench: &Bench) -> Result<Measured> {
    // The image is there on both sides before the clock starts.
    cached(bench, 1, 1)?;
    let mut phases = Vec::new();
    // What people do next is to run the same again; the daemon may still be busy with what it has just stored.
    let (mut our_next, mut their_next) = (Vec::new(), Vec::new());
    let times = in_turns(
        bench.rounds,
        |_| {
            let document = chain(100, &bench.salt());
            let took = whole(bench, "100 execs cold", &document)?;
            phases.push(took);
            our_next.push(milliseconds(whole(bench, "100 execs cached", &document)?.total()));
            Ok(took.total())
        },
        |_| {
            let build = peer::Build::new(bench, &graph(100, &bench.salt())?, &[])?;
            let took = build.run()?;
            their_next.push(milliseconds(build.run()?));
            Ok(took)
        },
    )?;
    let (ours, theirs) = (Samples::new(our_next)?.median(), Samples::new(their_next)?.median());
    Ok(Measured::pair(&times).with_note(Phases::note(&phases)).with_note(format!(
        "the same at once after: treenail {ours:.1} ms, buildctl {theirs:.1} ms, ratio {:.2}",
        ours / theirs
    )))
}

/// How many solves a fresh session needs for a chain that the daemon has.
fn many_counted(bench: &Bench) -> Result<Measured> {
    let document = chain(100, &bench.salt());
    whole(bench, "100 execs cold", &document)?;
    let counter = Counter::start(&bench.address, &bench.scratch.path().join("counted.sock"))?;
    let mut session = Session::start_at(bench, counter.address())?;
    let before = counter.count("Solve");
    session.ask(&document)?;
    // Opening the session is a solve without a definition, and not counted.
    let solves = counter.count("Solve") - before;
    session.finish(Some("100 execs cached"))?;
    if bench.trace {
        crate::say()(&format!("requests of one session with 100 cached execs\n{}", counter.timeline()));
    }
    let solves = u32::try_from(solves).context("a number of solves")?;
    Ok(Measured::alone(Samples::one(f64::from(solves)))
        .with_note(format!("all requests of the session: {}", counter.summary())))
}
