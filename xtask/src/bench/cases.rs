//! Cases about commands: the program itself, and execs cold and cached.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use treenail_llb::Output;

use super::session::Session;
use super::{Aim, Bench, Case, Measured, in_turns, median, peer, salt, timed};

pub(super) const ALL: &[Case] = &[
    Case { name: "size of the program", aim: Aim::Most(20.0, "MB"), measure: program_size },
    Case { name: "session start to its line", aim: Aim::Most(20.0, "ms"), measure: session_start },
    Case { name: "one exec, cached, in a fresh session", aim: Aim::Ratio(1.0), measure: one_cached },
    Case { name: "100 execs, cold", aim: Aim::Ratio(1.15), measure: many_cold },
    Case { name: "100 execs, cached, in a fresh session", aim: Aim::Ratio(1.0), measure: many_cached },
];

fn program_size(bench: &Bench) -> Result<Measured> {
    let bytes = fs::metadata(&bench.program).context("cannot read the program")?.len();
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let ours = bytes as f64 / 1e6;
    Ok(Measured { ours, theirs: None })
}

/// From starting `treenail session` to the line that tells an SDK port and token.
fn session_start(bench: &Bench) -> Result<Measured> {
    let ours = median(11, || {
        let start = Instant::now();
        let session = Session::start(bench)?;
        let took = start.elapsed();
        drop(session);
        Ok(took)
    })?;
    Ok(Measured { ours, theirs: None })
}

/// A document of `count` execs in a chain.
pub(super) fn chain(count: usize, salt: &str) -> String {
    let calls: String = (0..count)
        .map(|number| format!("withExec(args:[\"sh\",\"-c\",\"echo {salt} {number}\"]){{"))
        .collect();
    format!("{{container{{from(address:\"{}\"){{{calls}sync{}}}}}}}", peer::IMAGE, "}".repeat(count))
}

/// The same chain as a graph.
fn graph(count: usize, salt: &str) -> Result<Output> {
    (0..count).try_fold(peer::base(), |tree, number| peer::shell(tree, &format!("echo {salt} {number}")))
}

/// A chain on both sides; with `warm`, run once before the clock starts.
fn chains(bench: &Bench, count: usize, salt: &str, warm: bool, rounds: usize) -> Result<Measured> {
    let document = bench.scratch.path().join("chain.graphql");
    fs::write(&document, chain(count, salt)).context("cannot write a document")?;
    let ours = || timed(&mut bench.treenail(&["query", "--doc", &document.to_string_lossy()]));
    let mut build = peer::build(bench, &graph(count, salt)?, &[])?;
    let mut theirs = || timed(&mut build()?);
    if warm {
        ours()?;
        theirs()?;
    }
    in_turns(rounds, ours, theirs)
}

fn one_cached(bench: &Bench) -> Result<Measured> {
    chains(bench, 1, &salt(bench), true, 7)
}

fn many_cold(bench: &Bench) -> Result<Measured> {
    // The image is there on both sides before the clock starts.
    chains(bench, 1, &format!("{} cold", salt(bench)), true, 1)?;
    chains(bench, 100, &format!("{} cold", salt(bench)), false, 1)
}

fn many_cached(bench: &Bench) -> Result<Measured> {
    chains(bench, 100, &format!("{} cached", salt(bench)), true, 5)
}
