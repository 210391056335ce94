//! The other side of a comparison: the same graph, handed to the daemon by its own client.

use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context, Result};
use prost::Message as _;
use treenail_llb::{Exec, Image, MarshalOptions, OpOptions, Output, Platform};
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

/// `buildctl build` of a graph, with further arguments.
pub(super) fn build(
    bench: &Bench,
    graph: &Output,
    arguments: &[String],
) -> Result<impl FnMut() -> Result<Command> + use<>> {
    let options = MarshalOptions::new(Platform::new("linux", architecture()));
    let bytes = graph.marshal(&options).definition.encode_to_vec();
    let folder = bench.scratch.path().join("graphs");
    fs::create_dir_all(&folder).context("cannot create a folder for graphs")?;
    let file = tempfile::NamedTempFile::new_in(&folder).context("cannot create a file for a graph")?;
    fs::write(file.path(), bytes).context("cannot write a graph")?;
    let (buildctl, address, arguments) = (bench.buildctl.clone(), bench.address.clone(), arguments.to_vec());
    Ok(move || {
        let mut command = Command::new(&buildctl);
        command.args(["--addr", &address, "build", "--progress=plain"]).args(&arguments);
        // The client reads the graph from its standard input.
        command.stdin(File::open(file.path()).context("cannot read a graph")?);
        Ok(command)
    })
}
