//! `cargo xtask test`: everything that CI checks, from nothing.
//!
//! Layers, told apart by the names of test modules:
//! * `pure`: format, lints, and every test but those in modules named `daemon` or `sdk`; doc tests.
//! * `daemon`: tests in modules named `daemon`, with a stock daemon and a registry started here.
//! * `sdk`: tests in modules named `sdk`, with the published Python SDK besides.
//!
//! **Invariant:** within a layer a missing daemon or SDK is a failure, never a silent skip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use treenail_test_fixtures::kit::buildkitd::{Daemon, Options};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::{self, Kit, host, recipe};
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
    /// Tests with the published Python SDK.
    Sdk,
}

/// Every kind of target but documentation, which has a step of its own.
const TARGETS: &[&str] = &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wants = |layer| arguments.layers.is_empty() || arguments.layers.contains(&layer);
    let scratch = tempfile::tempdir().context("cannot create a folder for this run")?;
    let skips = scratch.path().join("skips");
    let mut report = Report::default();
    if wants(Layer::Pure) {
        pure(&mut report, &skips);
    }
    if wants(Layer::Daemon) || wants(Layer::Sdk) {
        if host::is_root() || is_ci() {
            let (daemon, sdk) = (wants(Layer::Daemon), wants(Layer::Sdk));
            with_daemon(&mut report, &skips, daemon, sdk);
        } else {
            report.skip("daemon", "private daemons need root".into());
        }
    }
    let skipped: Vec<String> =
        fs::read_to_string(&skips).unwrap_or_default().lines().map(str::to_owned).collect();
    println!("{}", report.summary(&skipped));
    if report.has_failed() {
        bail!("the tests have failed");
    }
    Ok(())
}

fn pure(report: &mut Report, skips: &Path) {
    report.step("format", |_| watch(&mut cargo(&["fmt", "--all", "--check"])));
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

/// What the upper layers stand on.
struct Ground {
    program: PathBuf,
    kit: Kit,
    // Dropped in this order: the daemon first.
    daemon: Daemon,
    registry: Registry,
}

fn with_daemon(report: &mut Report, skips: &Path, daemon: bool, sdk: bool) {
    let mut ground = None;
    report.step("kit", |_| {
        ground = Some(lay_ground()?);
        Ok(())
    });
    let Some(ground) = ground else { return };
    if daemon {
        report.step("daemon", |counts| watch_tests(&mut layer(&ground, skips, "daemon::"), counts));
    }
    if sdk {
        report.step("sdk", |counts| {
            let python = sdk::python(&ground.kit)?;
            watch_tests(layer(&ground, skips, "sdk::").env(shared::PYTHON, python), counts)
        });
    }
}

fn lay_ground() -> Result<Ground> {
    let kit = Kit::prepare(crate::say())?;
    host::ensure(&kit, host::MUSL)?;
    watch(&mut cargo(&["build", "--package", "treenail-cli"]))?;
    let registry = Registry::start(&kit)?;
    recipe::ensure(&kit, registry.address(), "alpine")?;
    let options = Options { mirror: Some(registry.address().to_owned()), ..Options::default() };
    let daemon = Daemon::start(&kit, &options)?;
    Ok(Ground { program: kit::workspace().join("target/debug/treenail"), kit, daemon, registry })
}

/// The tests whose path has `filter`, with everything named in their environment.
fn layer(ground: &Ground, skips: &Path, filter: &str) -> Command {
    let mut tests = cargo(TARGETS);
    tests
        .args(["--", filter])
        .env(shared::ADDRESS, ground.daemon.address())
        .env(shared::REGISTRY, ground.registry.address())
        .env(shared::BUILDCTL, ground.kit.buildctl())
        .env(shared::LOG, ground.daemon.log())
        .env(shared::PROGRAM, &ground.program)
        .env(shared::SKIPS, skips)
        .env(shared::REQUIRE, "1");
    tests
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}
