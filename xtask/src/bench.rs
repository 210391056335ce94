//! `cargo xtask bench`: treenail beside `buildctl` on the same daemon in the same run.
//!
//! A case measures ours and, where there is something to compare with, theirs. Rounds of the two
//! alternate and change places, so that a busy moment of the machine hits both. What is compared is
//! what a user waits for: from the start of a process to its end. The column `net` leaves out what
//! starting either program costs before it does anything.
//! **Invariant:** what is called new is new to the daemon: its key has a text of this run in it.

mod calls;
mod counter;
mod execs;
mod files;
mod http;
mod measure;
mod peer;
mod process;
mod report;
mod session;
mod syntax;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use treenail_test_fixtures::kit::buildkitd::{Daemon, Options, answers};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::{self, Kit, recipe};

use crate::steps;
use measure::{Measured, Samples, timed};
use report::{Aim, Report};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fail when a case is beyond twice its aim.
    #[arg(long)]
    check: bool,
    /// Write all samples, as JSON, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Use the daemon at this address, which must know `alpine:3.20`, instead of a private one.
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// Rounds of each comparison.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Tell every request to the daemon, with times, in the cases that count them.
    #[arg(long)]
    trace: bool,
    /// Measure this program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Only cases whose name has one of these texts.
    filter: Vec<String>,
}

/// One line of the table.
struct Case {
    name: &'static str,
    aim: Aim,
    measure: fn(&Bench) -> Result<Measured>,
}

/// What cases stand on.
struct Bench {
    program: PathBuf,
    buildctl: PathBuf,
    address: String,
    rounds: usize,
    trace: bool,
    /// A folder for this run.
    scratch: tempfile::TempDir,
    /// How many folders have been named.
    named: Cell<usize>,
    /// The most memory that a session of ours has had, in megabytes, and what it did.
    peak: RefCell<Option<(f64, String)>>,
    /// What must live as long; the daemon goes first.
    _own: Option<(Daemon, Registry)>,
}

impl Bench {
    /// `treenail` with its daemon named, on no session of others.
    fn treenail(&self, address: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--addr", address, "--progress", "plain"])
            .args(arguments)
            .env_remove("DAGGER_SESSION_PORT")
            .env_remove("DAGGER_SESSION_TOKEN")
            .stdin(Stdio::null());
        command
    }

    /// Text that no earlier key of the daemon has, another one each time.
    fn salt(&self) -> String {
        let number = self.named.get();
        self.named.set(number + 1);
        let folder = self.scratch.path().file_name().unwrap_or_default();
        format!("{}-{number}", folder.to_string_lossy())
    }

    /// Remembers the memory of a session if it is the most so far.
    fn note_peak(&self, megabytes: f64, what: &str) {
        let mut peak = self.peak.borrow_mut();
        if peak.as_ref().is_none_or(|(most, _)| megabytes > *most) {
            *peak = Some((megabytes, what.to_owned()));
        }
    }

    /// What starting each program costs, in milliseconds: ours, theirs.
    fn process_starts(&self) -> Result<(Samples, Samples)> {
        let (ours, theirs) = measure::in_turns(
            self.rounds.max(9),
            |_| timed(Command::new(&self.program).arg("version").stdin(Stdio::null())),
            |_| timed(Command::new(&self.buildctl).arg("--version").stdin(Stdio::null())),
        )?;
        Ok((Samples::milliseconds(&ours), Samples::milliseconds(&theirs)))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bench = prepare(arguments)?;
    let starts = bench.process_starts()?;
    let mut report = Report::new(bench.address.clone(), starts);
    print!("{}", report.heading());
    for case in cases() {
        let is_asked = arguments.filter.is_empty()
            || arguments.filter.iter().any(|text| case.name.contains(text.as_str()));
        if !is_asked {
            continue;
        }
        crate::say()(&format!("measuring: {}", case.name));
        let measured = (case.measure)(&bench).with_context(|| format!("case `{}`", case.name))?;
        print!("{}", report.add(case.name, case.aim, measured));
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, format!("{:#}\n", report.json()))
            .with_context(|| format!("cannot write file: `{}`", file.display()))?;
    }
    let beyond = report.beyond();
    if arguments.check && !beyond.is_empty() {
        bail!("beyond twice the aim: {}", beyond.join(", "));
    }
    Ok(())
}

/// All cases, in the order of the table. The peak of memory is known last.
fn cases() -> impl Iterator<Item = &'static Case> {
    execs::ALL.iter().chain(files::ALL).chain(calls::ALL).chain(syntax::ALL).chain(process::ALL)
}

fn prepare(arguments: &Arguments) -> Result<Bench> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => {
            steps::watch(&mut steps::cargo(&["build", "--release", "--package", "treenail-cli"]))?;
            kit::workspace().join("target/release/treenail")
        }
    };
    let kit = Kit::prepare(crate::say())?;
    let (address, own) = match &arguments.addr {
        Some(address) => {
            anyhow::ensure!(answers(&kit.buildctl(), address), "no daemon answers at: `{address}`");
            (address.clone(), None)
        }
        None => {
            let registry = Registry::start(&kit)?;
            recipe::ensure(&kit, registry.address(), "alpine")?;
            let options = Options { mirror: Some(registry.address().to_owned()), ..Options::default() };
            let daemon = Daemon::start(&kit, &options)?;
            (daemon.address(), Some((daemon, registry)))
        }
    };
    Ok(Bench {
        program,
        buildctl: kit.buildctl(),
        address,
        rounds: arguments.rounds as usize,
        trace: arguments.trace,
        scratch: tempfile::tempdir().context("cannot create a folder for this run")?,
        named: Cell::default(),
        peak: RefCell::default(),
        _own: own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_names_of_their_own() {
        let mut names: Vec<_> = cases().map(|case| case.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    mod daemon {
        use super::super::*;

        #[test]
        fn the_other_side_builds_what_we_compare_with() {
            let Some(daemon) = treenail_test_fixtures::daemon() else { return };
            let bench = Bench {
                program: "/bin/false".into(),
                buildctl: daemon.buildctl().to_path_buf(),
                address: daemon.address().to_owned(),
                rounds: 1,
                trace: false,
                scratch: tempfile::tempdir().expect("a folder"),
                named: Cell::default(),
                peak: RefCell::default(),
                _own: None,
            };
            let graph = peer::shell(peer::base(), "echo hi").expect("a graph");
            peer::Build::new(&bench, &graph, &[]).expect("a command").run().expect("an exec is built");
            let tree = format!("tree={}", env!("CARGO_MANIFEST_DIR"));
            peer::Build::new(&bench, &files::uploaded("tree"), &["--local".into(), tree])
                .expect("a command")
                .run()
                .expect("a folder is uploaded");
        }

        #[test]
        fn requests_to_the_daemon_are_counted_by_name() {
            let Some(daemon) = treenail_test_fixtures::daemon() else { return };
            let folder = tempfile::tempdir().expect("a folder");
            let counter = counter::Counter::start(daemon.address(), &folder.path().join("counted.sock"))
                .expect("a counter");
            assert!(answers(daemon.buildctl(), counter.address()));
            assert_eq!(counter.count("ListWorkers"), 1);
            assert_eq!(counter.count("Solve"), 0);
        }
    }
}
