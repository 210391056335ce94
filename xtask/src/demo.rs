//! `cargo xtask demo`: a real pipeline on real input, from nothing.
//!
//! The input is the source of a published Go module, fetched as anyone would. The pipeline is an
//! ordinary program of the unmodified Python SDK. The account at the end is the daemon's own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use treenail_test_fixtures::kit::buildkitd::{Daemon, Options, answers};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::{self, Kit, buildkit, host, recipe};

use crate::history::{self, Vertex};
use crate::{sdk, steps};

/// The pipeline's program.
const PIPELINE: &str = "examples/python/ci.py";

/// How long a daemon may take to write a finished build into its history.
const HISTORY_LIMIT: Duration = Duration::from_secs(10);

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Use the daemon at this address.
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// Start a private daemon even if one is running.
    #[arg(long, conflicts_with = "addr")]
    private: bool,
    /// How treenail shows progress; without it, a terminal is drawn on and anything else is left quiet.
    #[arg(long, value_name = "MODE")]
    progress: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let kit = Kit::open(crate::say())?;
    buildkit::ensure(&kit)?;
    if host::is_root() {
        // Elsewhere the build itself says what it misses.
        host::ensure(&kit, host::MUSL)?;
    }
    kit.say("building treenail, minutes the first time");
    steps::watch(&mut steps::cargo_build(&["--release", "--package", "treenail-cli"]))?;
    let python = sdk::python(&kit)?;
    kit.say(&format!("fetching the source of {}", sdk::MODULE));
    let source = sdk::source(&kit)?;
    let place = Place::find_or_start(arguments, &kit)?;
    let output = kit.root().join("demo-output").join(sdk::COMMAND);
    std::fs::create_dir_all(output.parent().context("the output has a folder")?)
        .context("cannot create the output's folder")?;

    let before = history::builds(&kit.buildctl(), &place.address)?.finished;
    let start = Instant::now();
    kit.say(&format!("running the pipeline {PIPELINE} on {}", place.description));
    let progress = match &arguments.progress {
        Some(mode) => mode,
        None if std::io::stderr().is_terminal() => "auto",
        None => "quiet",
    };
    let mut command = Command::new(kit::workspace().join("target/release/treenail"));
    command
        .args(["--addr", &place.address, "--progress", progress, "run", "--"])
        .arg(&python)
        .arg(kit::workspace().join(PIPELINE))
        .args([&source, &output])
        .env("GO_IMAGE", &place.image);
    println!();
    steps::watch(&mut command).context("the pipeline failed")?;
    let took = start.elapsed();
    try_binary(&output)?;
    let vertices = new_vertices(&kit, &place.address, &before)?;
    print!("\n{}", account(&vertices, took));
    Ok(())
}

/// A daemon, the image to build in, and what must live as long.
struct Place {
    address: String,
    image: String,
    description: String,
    /// Dropped in this order; the lock keeps a second demo from the same state.
    _own: Option<(Daemon, Registry, File)>,
}

impl Place {
    fn find_or_start(arguments: &Arguments, kit: &Kit) -> Result<Self> {
        let buildctl = kit.buildctl();
        let running = |address: String| answers(&buildctl, &address).then_some(address);
        let found = if let Some(address) = &arguments.addr {
            Some(running(address.clone()).with_context(|| format!("no daemon answers at: `{address}`"))?)
        } else if arguments.private {
            None
        } else {
            let named = std::env::var("BUILDKIT_HOST").ok();
            named.into_iter().chain(["unix:///run/buildkit/buildkitd.sock".into()]).find_map(running)
        };
        if let Some(address) = found {
            let description = format!("the buildkitd found at {address}");
            return Ok(Self { address, image: "golang:1.26-alpine".into(), description, _own: None });
        }
        let kit = Kit::prepare(crate::say())?;
        let registry = Registry::start(&kit)?;
        let image = recipe::ensure(&kit, registry.address(), "golang")?;
        let lock = kit.lock("demo")?;
        let options = Options {
            // Kept, so that a second run shows what the cache does.
            root: Some(kit.root().join("demo")),
            mirror: Some(registry.address().to_owned()),
            ..Options::default()
        };
        let daemon = Daemon::start(&kit, &options)?;
        let address = daemon.address();
        let description = format!("a private stock buildkitd {}", buildkit::VERSION);
        Ok(Self { address, image, description, _own: Some((daemon, registry, lock)) })
    }
}

/// Runs the exported binary on real input.
fn try_binary(binary: &Path) -> Result<()> {
    let file = kit::workspace().join("Cargo.toml");
    let answer =
        host::run(Command::new(binary).arg("-json").arg(&file)).context("the exported binary fails")?;
    let parsed: Value = serde_json::from_str(&answer).context("the exported binary does not print JSON")?;
    if parsed["workspace"]["members"].as_array().is_none_or(Vec::is_empty) {
        bail!("the exported binary does not understand `{}`", file.display());
    }
    let size = std::fs::metadata(binary).context("cannot read the exported binary")?.len();
    println!(
        "ran the exported binary ({:.1} MB) on this workspace's Cargo.toml: it reads it",
        megabytes(size)
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The vertices of the builds that are new, once the daemon has written them down.
fn new_vertices(kit: &Kit, address: &str, before: &BTreeSet<String>) -> Result<Vec<Vertex>> {
    let start = Instant::now();
    let builds = loop {
        let builds = history::builds(&kit.buildctl(), address)?;
        // A daemon of the user's may be busy with builds of others, so this waits only so long.
        let is_settled = builds.running.is_empty() && builds.finished.difference(before).next().is_some();
        if is_settled || start.elapsed() > HISTORY_LIMIT {
            break builds.finished;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut vertices = Vec::new();
    for build in builds.difference(before) {
        vertices.extend(history::vertices(&kit.buildctl(), address, build)?);
    }
    if vertices.is_empty() {
        bail!("the daemon has no record of what the pipeline did");
    }
    Ok(vertices)
}

/// What ran, what was cached and how long it took; commands one by one, the rest in sum.
fn account(vertices: &[Vertex], took: Duration) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("what the daemon's history says of it:\n");
    let (execs, others): (Vec<&Vertex>, Vec<&Vertex>) = vertices.iter().partition(|vertex| vertex.is_exec());
    for exec in &execs {
        let outcome = match (exec.cached, exec.started) {
            (true, _) => "cached",
            (false, true) => "ran",
            (false, false) => "shared",
        };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "  {outcome:<8} {:>7.1} s  {}", seconds(exec.took), exec.name);
    }
    let sum = |vertices: &[&Vertex]| {
        let ran = vertices.iter().filter(|vertex| vertex.ran()).count();
        (ran, vertices.iter().filter(|vertex| vertex.cached).count())
    };
    let (commands, cached) = sum(&execs);
    let _ = writeln!(text, "  commands: {commands} started and not cached, {cached} cached");
    let (ran, cached) = sum(&others);
    let _ = writeln!(text, "  other steps (image, upload, copies, export): {ran} ran, {cached} cached");
    let _ = writeln!(text, "the pipeline took {:.1} s", took.as_secs_f64());
    if commands > 0 {
        text.push_str("run `cargo xtask demo` again: no command will run\n");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_counts_commands_apart() {
        let vertex = |name: &str, cached, started| Vertex { name: name.into(), cached, started, took: 1500 };
        let vertices = [
            vertex("withExec go test", false, true),
            vertex("withExec go vet", true, true),
            vertex("withExec go vet again", false, false),
            vertex("upload", false, true),
        ];
        let text = account(&vertices, Duration::from_millis(4200));
        assert_eq!(
            text,
            "what the daemon's history says of it:\n\
             \x20 ran          1.5 s  withExec go test\n\
             \x20 cached       1.5 s  withExec go vet\n\
             \x20 shared       1.5 s  withExec go vet again\n\
             \x20 commands: 1 started and not cached, 1 cached\n\
             \x20 other steps (image, upload, copies, export): 1 ran, 0 cached\n\
             the pipeline took 4.2 s\n\
             run `cargo xtask demo` again: no command will run\n"
        );
        let again = account(&vertices[1..], Duration::ZERO);
        assert!(
            again.contains("commands: 0 started and not cached") && !again.contains("again: no"),
            "{again}"
        );
    }
}
