//! One daemon for all tests of a run.
//!
//! `cargo xtask test` starts a registry and a daemon and names them in the environment; every test
//! binary finds them there. A test binary run alone starts its own pair, if the kit is built. Where
//! neither is possible the test is skipped: the reason is printed and counted, and where a daemon
//! was promised (`CI` or `TREENAIL_TEST_REQUIRE` is set) a skip is a failure.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::kit::buildkitd::{Daemon, Options};
use crate::kit::registry::Registry;
use crate::kit::sdks::Sdks;
use crate::kit::{Kit, buildx, recipe, silent};

/// Address of the daemon of this run, or `none`.
pub const ADDRESS: &str = "TREENAIL_TEST_ADDR";
/// `host:port` of the registry of this run.
pub const REGISTRY: &str = "TREENAIL_TEST_REGISTRY";
/// Path of `buildctl`.
pub const BUILDCTL: &str = "TREENAIL_TEST_BUILDCTL";
/// Path of `buildx`.
pub const BUILDX: &str = "TREENAIL_TEST_BUILDX";
/// Folder with the image of our `# syntax=` frontend, as an OCI layout.
pub const FRONTEND: &str = "TREENAIL_TEST_FRONTEND";
/// The daemon's log file, where it is known.
pub const LOG: &str = "TREENAIL_TEST_LOG";
/// Path of a Python with the published SDK.
pub const PYTHON: &str = "TREENAIL_TEST_PYTHON";
/// Folder of the programs of the published SDKs, see [`Sdks`].
pub const SDKS: &str = "TREENAIL_TEST_SDKS";
/// File that collects one line per skipped test.
pub const SKIPS: &str = "TREENAIL_TEST_SKIPS";
/// Set where a skip is a failure.
pub const REQUIRE: &str = "TREENAIL_TEST_REQUIRE";

/// The daemon that tests use.
#[derive(Debug)]
pub struct TestDaemon {
    address: String,
    registry: Option<String>,
    buildctl: PathBuf,
    log: Option<PathBuf>,
    kit: Kit,
    /// The pair that this process started itself. Their keepers end them with this process, since
    /// statics are not dropped.
    _own: Option<(Daemon, Registry)>,
}

impl TestDaemon {
    /// The address for `--addr`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The daemon's own client.
    #[must_use]
    pub fn buildctl(&self) -> &Path {
        &self.buildctl
    }

    /// `host:port` of the registry that the daemon uses as mirror, to push to and pull from over plain HTTP.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The daemon's log, for tests that look for what must not be in it.
    #[must_use]
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Makes sure that an image of the kit is there and gives its reference. See [`recipe::NAMES`].
    ///
    /// # Panics
    /// When the image cannot be made.
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        let registry = self.registry.as_deref().expect("the daemon has a mirror of ours");
        match recipe::ensure(&self.kit, registry, name) {
            Ok(reference) => reference,
            Err(error) => panic!("{error:#}"),
        }
    }
}

/// The daemon of this run, or nothing after the reason was printed and counted. It has `alpine` in its mirror.
///
/// # Panics
/// When there is none although one was promised.
#[must_use]
pub fn daemon() -> Option<&'static TestDaemon> {
    static DAEMON: OnceLock<Result<TestDaemon, String>> = OnceLock::new();
    match DAEMON.get_or_init(|| find_or_start().map_err(|error| format!("{error:#}"))) {
        Ok(daemon) => Some(daemon),
        Err(reason) => {
            skip(reason);
            None
        }
    }
}

/// Docker's build client, or nothing after the reason was printed and counted.
///
/// # Panics
/// When there is none although one was promised.
#[must_use]
pub fn buildx() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(BUILDX).map(PathBuf::from).filter(|path| path.is_file()) {
        return Some(path);
    }
    let kit = Kit::open(silent()).ok().filter(buildx::is_built);
    if kit.is_none() {
        skip(&format!("buildx is not named by {BUILDX} and not built; `cargo xtask test` does both"));
    }
    kit.as_ref().map(buildx::path)
}

/// A Python that has the published SDK, or nothing after the reason was printed and counted.
///
/// # Panics
/// When there is none although one was promised.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let path = std::env::var_os(PYTHON).map(PathBuf::from).filter(|path| path.is_file());
    if path.is_none() {
        skip(&format!("a Python with the SDK is not named by {PYTHON}; `cargo xtask test` does that"));
    }
    path
}

/// The programs of the published SDKs, or nothing after the reason was printed and counted.
///
/// # Panics
/// When there are none although they were promised.
#[must_use]
pub fn sdks() -> Option<Sdks> {
    let path = std::env::var_os(SDKS).map(PathBuf::from).filter(|path| path.is_dir());
    if path.is_none() {
        skip(&format!("the SDKs' programs are not named by {SDKS}; `cargo xtask test` does that"));
    }
    path.map(Sdks::at)
}

fn find_or_start() -> Result<TestDaemon> {
    let kit = Kit::open(silent())?;
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if let Some(address) = variable(ADDRESS) {
        if address == "none" {
            bail!("this run has no daemon");
        }
        let registry = variable(REGISTRY);
        if let Some(registry) = &registry {
            recipe::ensure(&kit, registry, "alpine")?;
        }
        let buildctl = variable(BUILDCTL).map_or_else(|| kit.buildctl(), PathBuf::from);
        let log = variable(LOG).map(PathBuf::from);
        return Ok(TestDaemon { address, registry, buildctl, log, kit, _own: None });
    }
    // Building the daemon inside one test would look like a test that hangs.
    if !kit.is_prepared() && !is_promised() {
        bail!("the kit is not built; `cargo xtask daemon` or `cargo xtask test` builds it");
    }
    let kit = Kit::prepare(silent())?;
    let registry = Registry::start(&kit)?;
    recipe::ensure(&kit, registry.address(), "alpine")?;
    let options = Options { mirror: Some(registry.address().to_owned()), ..Options::default() };
    let daemon = Daemon::start(&kit, &options).context("cannot start a daemon for tests")?;
    Ok(TestDaemon {
        address: daemon.address(),
        registry: Some(registry.address().to_owned()),
        buildctl: kit.buildctl(),
        log: Some(daemon.log()),
        kit,
        _own: Some((daemon, registry)),
    })
}

fn is_promised() -> bool {
    ["CI", REQUIRE].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Counts and prints a skip.
#[expect(clippy::print_stderr, reason = "a skip that nobody sees is a test that lies")]
fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(!is_promised(), "cannot run `{test}`: {reason}");
    eprintln!("skipped `{test}`: {reason}");
    if let Some(path) = std::env::var_os(SKIPS)
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
    {
        // One write per line, so that parallel tests do not mix; a lost line costs a count, not a result.
        drop(file.write_all(format!("{test}: {reason}\n").as_bytes()));
    }
}
