//! `cargo xtask bench`: treenail beside `buildctl` on the same daemon in the same run.
//!
//! A case measures ours and, where there is something to compare with, theirs; the two are run in
//! turns, so that a busy moment of the machine hits both. The aim is a ratio or a plain limit.
//! With `--check` a case beyond twice its aim fails the run.

mod cases;
mod files;
mod peer;
mod session;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use treenail_test_fixtures::kit::buildkitd::{Daemon, Options};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::{self, Kit, recipe};

use crate::steps;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fail when a case is beyond twice its aim.
    #[arg(long)]
    check: bool,
    /// Only cases whose name has this text.
    filter: Option<String>,
}

/// What a case aims at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// Ours divided by theirs.
    Ratio(f64),
    /// At most so much, in the unit given.
    Most(f64, &'static str),
}

/// What a case measured, in the unit of its aim; for ratios in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) ours: f64,
    pub(crate) theirs: Option<f64>,
}

/// One line of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) aim: Aim,
    pub(crate) measure: fn(&Bench) -> Result<Measured>,
}

/// What cases stand on.
pub(crate) struct Bench {
    pub(crate) program: PathBuf,
    pub(crate) buildctl: PathBuf,
    pub(crate) address: String,
    /// A folder for this run.
    pub(crate) scratch: tempfile::TempDir,
    /// What must live as long; the daemon goes first.
    _own: Option<(Daemon, Registry)>,
}

impl Bench {
    /// `treenail` with its daemon named.
    pub(crate) fn treenail(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--addr", &self.address]).args(arguments).stdin(Stdio::null());
        command
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let kit = Kit::prepare(crate::say())?;
    steps::watch(&mut steps::cargo(&["build", "--release", "--package", "treenail-cli"]))?;
    let registry = Registry::start(&kit)?;
    recipe::ensure(&kit, registry.address(), "alpine")?;
    let options = Options { mirror: Some(registry.address().to_owned()), ..Options::default() };
    let daemon = Daemon::start(&kit, &options)?;
    let bench = Bench {
        program: kit::workspace().join("target/release/treenail"),
        buildctl: kit.buildctl(),
        address: daemon.address(),
        scratch: tempfile::tempdir().context("cannot create a folder for this run")?,
        _own: Some((daemon, registry)),
    };
    println!("{:<44} {:>12} {:>12} {:>8} {:>10}", "case", "treenail", "buildctl", "ratio", "aim");
    let mut beyond = Vec::new();
    for case in cases::ALL.iter().chain(files::ALL).chain(session::ALL) {
        if arguments.filter.as_ref().is_some_and(|text| !case.name.contains(text.as_str())) {
            continue;
        }
        let measured = (case.measure)(&bench).with_context(|| format!("case `{}`", case.name))?;
        let (line, excess) = judge(case.name, case.aim, measured);
        println!("{line}");
        if excess > 2.0 {
            beyond.push(case.name);
        }
    }
    if arguments.check && !beyond.is_empty() {
        bail!("beyond twice the aim: {}", beyond.join(", "));
    }
    Ok(())
}

/// The line of the table, and how many times the aim was needed.
fn judge(name: &str, aim: Aim, measured: Measured) -> (String, f64) {
    let theirs = measured.theirs.map_or_else(|| "-".into(), |theirs| format!("{theirs:.1}"));
    let ratio = measured.theirs.map(|theirs| measured.ours / theirs);
    let shown_ratio = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
    let (unit, shown_aim, excess) = match aim {
        // Without their number there is no ratio, and no aim to be held to.
        Aim::Ratio(aim) => ("ms", format!("{aim:.2}"), ratio.unwrap_or(0.0) / aim),
        Aim::Most(aim, unit) => (unit, format!("{aim} {unit}"), measured.ours / aim),
    };
    let ours = format!("{:.1} {unit}", measured.ours);
    (format!("{name:<44} {ours:>12} {theirs:>12} {shown_ratio:>8} {shown_aim:>10}"), excess)
}

/// Text that makes this run's work new to the daemon.
pub(crate) fn salt(bench: &Bench) -> String {
    let folder = bench.scratch.path().file_name().unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// The median of `rounds` runs, in milliseconds.
pub(crate) fn median(rounds: usize, mut run: impl FnMut() -> Result<Duration>) -> Result<f64> {
    let mut times = (0..rounds).map(|_| run()).collect::<Result<Vec<_>>>()?;
    times.sort();
    times.get(times.len() / 2).map(|time| time.as_secs_f64() * 1e3).context("no rounds")
}

/// Runs ours and theirs in turns and gives both medians, in milliseconds.
pub(crate) fn in_turns(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut theirs: impl FnMut() -> Result<Duration>,
) -> Result<Measured> {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_times.push(ours()?);
        their_times.push(theirs()?);
    }
    let middle = |mut times: Vec<Duration>| {
        median(1, || {
            times.sort();
            times.get(times.len() / 2).copied().context("no rounds")
        })
    };
    Ok(Measured { ours: middle(our_times)?, theirs: Some(middle(their_times)?) })
}

/// How long a command takes; its output is nobody's.
pub(crate) fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status =
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().context("cannot start a command")?;
    anyhow::ensure!(status.success(), "a measured command ended with {status}");
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    mod daemon {
        use super::super::{Bench, files, peer, timed};

        #[test]
        fn the_other_side_builds_what_we_compare_with() {
            let Some(daemon) = treenail_test_fixtures::daemon() else { return };
            let bench = Bench {
                program: "/bin/false".into(),
                buildctl: daemon.buildctl().to_path_buf(),
                address: daemon.address().to_owned(),
                scratch: tempfile::tempdir().expect("a folder"),
                _own: None,
            };
            let graph = peer::shell(peer::base(), "echo hi").expect("a graph");
            let mut build = peer::build(&bench, &graph, &[]).expect("a command");
            timed(&mut build().expect("a command")).expect("an exec is built");
            let tree = format!("tree={}", env!("CARGO_MANIFEST_DIR"));
            let mut build =
                peer::build(&bench, &files::uploaded(), &["--local".into(), tree]).expect("a command");
            timed(&mut build().expect("a command")).expect("a folder is uploaded");
        }
    }

    #[test]
    fn aims_are_judged() {
        let measured = Measured { ours: 30.0, theirs: Some(10.0) };
        let (line, excess) = judge("x", Aim::Ratio(1.0), measured);
        assert!(line.contains("3.00"), "{line}");
        assert!(excess > 2.9 && excess < 3.1);
        let (_, excess) = judge("x", Aim::Most(20.0, "MB"), Measured { ours: 10.0, theirs: None });
        assert!(excess < 0.6);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let mut times = [5, 1, 9].into_iter();
        let median =
            median(3, || Ok(Duration::from_millis(times.next().expect("three rounds")))).expect("a median");
        assert!((median - 5.0).abs() < 1e-9);
    }
}
