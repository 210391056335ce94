//! The other side of a comparison: the same graph, handed to the daemon by its own client.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prost::Message as _;
use treenail_llb::{Exec, Image, MarshalOptions, OpOptions, Output, Platform};
use treenail_test_fixtures::kit::host;
use treenail_test_fixtures::kit::image::architecture;

use super::Bench;

/// The image that both sides start from.
pub(super) const IMAGE: &str = "alpine:3.20";

/// The same image as the daemon names it.
pub(super) fn base() -> Output {
    Image::new(format!("docker.io/library/{IMAGE}")).output(OpOptions::default())
}

/// A shell command on a tree.
pub(super) fn shell(tree: Output, script: &str) -> Result<Output> {
    let run = Exec::new(tree, ["/bin/sh", "-c", script]).run().context("cannot build an exec")?;
    run.root().context("the root mount is writable")
}

/// `buildctl build` of a graph.
pub(super) struct Build {
    buildctl: PathBuf,
    arguments: Vec<String>,
    graph: PathBuf,
    log: PathBuf,
}

impl Build {
    pub(super) fn new(bench: &Bench, graph: &Output, arguments: &[String]) -> Result<Self> {
        let options = MarshalOptions::new(Platform::new("linux", architecture()));
        let definition = graph.marshal(&options).definition;
        let file = bench.scratch.path().join(format!("{}.llb", bench.salt()));
        fs::write(&file, definition.encode_to_vec()).context("cannot write a graph")?;
        let mut all: Vec<String> =
            ["--addr", &bench.address, "build", "--progress=plain"].map(str::to_owned).into();
        all.extend_from_slice(arguments);
        Ok(Self {
            buildctl: bench.buildctl.clone(),
            arguments: all,
            graph: file,
            log: bench.scratch.path().join("buildctl.log"),
        })
    }

    /// Builds, and tells how long that took; the client reads the graph from its standard input.
    pub(super) fn run(&self) -> Result<Duration> {
        // Both sides write their progress to a file.
        let log = File::create(&self.log).context("cannot create a log")?;
        let graph = File::open(&self.graph).context("cannot read a graph")?;
        let mut command = Command::new(&self.buildctl);
        command.args(&self.arguments).stdin(graph).stdout(Stdio::null()).stderr(log);
        let start = Instant::now();
        let status = command.status().context("cannot start buildctl")?;
        let took = start.elapsed();
        if !status.success() {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            anyhow::bail!("buildctl ended with {status}: {}", host::tail(&said, 8));
        }
        Ok(took)
    }
}
