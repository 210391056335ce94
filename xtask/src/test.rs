//! `cargo xtask test`: everything that CI checks, from nothing.
//!
//! First the kit: packages, the daemon's program, Go modules that tests compare with, images, the SDK. Then the layers,
//! told apart by the names of test modules:
//! * `pure`: format, lints, and every test but those in modules named `daemon` or `sdk`; doc tests.
//! * `daemon`: tests in modules named `daemon`, with a stock daemon and a registry started here.
//! * `sdk`: tests in modules named `sdk`, with programs of the four published SDKs besides.
//!
//! **Invariant:** within a layer a missing daemon or SDK is a failure, never a silent skip; with `CI` set any skip is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use treenail_test_fixtures::kit::buildkitd::{Daemon, Options};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::sdks::Sdks;
use treenail_test_fixtures::kit::{Kit, buildkit, buildx, frontend, host, recipe};
use treenail_test_fixtures::shared;

use crate::sdk;
use crate::steps::{Report, cargo, watch, watch_tests};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these layers; all when none is named.
    #[arg(long = "layer", value_enum)]
    layers: Vec<Layer>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layer {
    /// Format, lints, tests without a daemon.
    Pure,
    /// Tests with a stock daemon.
    Daemon,
    /// Tests with the published SDKs.
    Sdk,
}

/// Every kind of target but documentation, which has a step of its own.
const TARGETS: &[&str] = &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wants = |layer| arguments.layers.is_empty() || arguments.layers.contains(&layer);
    let scratch = tempfile::tempdir().context("cannot create a folder for this run")?;
    let skips = scratch.path().join("skips");
    let mut report = Report::default();
    let kit = prepare(&mut report, wants(Layer::Sdk));
    if wants(Layer::Pure) {
        pure(&mut report, &skips);
    }
    if let Some((kit, sdks)) = &kit
        && (wants(Layer::Daemon) || wants(Layer::Sdk))
    {
        with_daemon(&mut report, kit, &skips, wants(Layer::Daemon), sdks.as_ref());
    }
    let mut skipped: Vec<String> =
        fs::read_to_string(&skips).unwrap_or_default().lines().map(str::to_owned).collect();
    skipped.sort();
    skipped.dedup();
    println!("{}", report.summary(&skipped, is_ci()));
    if report.has_failed(&skipped, is_ci()) {
        bail!("the tests have failed");
    }
    Ok(())
}

/// A Python that has the SDK, and the programs of the others.
type Prepared = (PathBuf, Sdks);

/// The kit, and the SDKs where they are wanted.
fn prepare(report: &mut Report, sdk: bool) -> Option<(Kit, Option<Prepared>)> {
    if !host::is_root() && !is_ci() {
        report.skip("kit", "private daemons need root, so the layers that need one are left out".into());
        return None;
    }
    let mut made = None;
    report.step("kit", |_| {
        let kit = Kit::prepare(crate::say())?;
        host::ensure(&kit, host::MUSL)?;
        buildkit::download(&kit)?;
        buildx::ensure(&kit)?;
        frontend::make(&kit, frontend::Build::Development)?.write_layout(&kit.root().join("frontend"))?;
        let registry = Registry::start(&kit)?;
        recipe::ensure(&kit, registry.address(), "alpine")?;
        let sdks = sdk.then(|| sdk::prepare(&kit)).transpose()?;
        made = Some((kit, sdks));
        Ok(())
    });
    made
}

fn pure(report: &mut Report, skips: &Path) {
    report.step("format", |_| {
        watch(&mut cargo(&["fmt", "--all", "--", "--check", "--files-with-diff"]))
            .context("`cargo fmt --all` mends it")
    });
    report.step("lints", |_| {
        watch(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    report.step("pure", |counts| {
        let mut tests = cargo(TARGETS);
        tests.args(["--", "--skip", "daemon::", "--skip", "sdk::"]);
        watch_tests(tests.env(shared::ADDRESS, "none").env(shared::SKIPS, skips), counts)
    });
    report.step("docs", |counts| {
        watch_tests(cargo(&["test", "--workspace", "--doc"]).env(shared::ADDRESS, "none"), counts)
    });
}

/// The layers that need a daemon, and its end. The SDKs are there where their layer is wanted.
fn with_daemon(report: &mut Report, kit: &Kit, skips: &Path, daemon: bool, sdks: Option<&Prepared>) {
    let mut started = None;
    report.step("start", |_| {
        started = Some(Ground::lay(kit)?);
        Ok(())
    });
    let Some(ground) = started else { return };
    if daemon {
        report.step("daemon", |counts| watch_tests(&mut ground.layer(kit, skips, "daemon::"), counts));
    }
    if let Some((python, sdks)) = sdks {
        report.step("sdk", |counts| {
            let mut tests = ground.layer(kit, skips, "sdk::");
            watch_tests(tests.env(shared::PYTHON, python).env(shared::SDKS, sdks.root()), counts)
        });
    }
    report.step("stop", |_| ground.end());
}

/// What the upper layers stand on.
struct Ground {
    // Dropped in this order: the daemon first.
    daemon: Daemon,
    registry: Registry,
}

impl Ground {
    fn lay(kit: &Kit) -> Result<Self> {
        let registry = Registry::start(kit)?;
        let options = Options { mirror: Some(registry.address().to_owned()), ..Options::default() };
        let daemon = Daemon::start(kit, &options)?;
        Ok(Self { daemon, registry })
    }

    /// Ends everything, and looks whether something stays behind.
    fn end(self) -> Result<()> {
        let state = self.daemon.state().to_path_buf();
        drop(self);
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
        let processes = processes_that_name(&state)?;
        if state.exists() || mounts.contains(&*state.to_string_lossy()) || !processes.is_empty() {
            bail!("something of the daemon is left behind: `{}`, processes {processes:?}", state.display());
        }
        Ok(())
    }

    /// The tests whose path has `filter`, with everything named in their environment.
    fn layer(&self, kit: &Kit, skips: &Path, filter: &str) -> Command {
        let mut tests = cargo(TARGETS);
        tests
            .args(["--", filter])
            .env(shared::ADDRESS, self.daemon.address())
            .env(shared::REGISTRY, self.registry.address())
            .env(shared::BUILDCTL, kit.buildctl())
            .env(shared::BUILDX, buildx::path(kit))
            .env(shared::FRONTEND, kit.root().join("frontend"))
            .env(shared::LOG, self.daemon.log())
            .env(shared::SKIPS, skips)
            .env(shared::REQUIRE, "1");
        tests
    }
}

/// Ids of the processes with a path on their command line.
fn processes_that_name(path: &Path) -> Result<Vec<String>> {
    let path = path.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list the processes")? {
        let folder = entry.context("cannot list the processes")?.path();
        // A process may end while we look; most entries are none.
        let Ok(line) = fs::read(folder.join("cmdline")) else { continue };
        if String::from_utf8_lossy(&line).contains(&*path) {
            found.extend(folder.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(found)
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}
