//! The `# syntax=` frontend beside the daemon's own Dockerfile frontend, both under buildx.
//!
//! The other side runs inside the daemon; ours is a container that is started for each build, as every frontend that
//! is named by a build file.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use treenail_test_fixtures::kit::frontend::{self, Build};
use treenail_test_fixtures::kit::{Kit, buildx};

use super::measure::{Measured, in_turns, timed};
use super::{Aim, Bench, Case, peer};

pub(super) const ALL: &[Case] =
    &[Case { name: "# syntax=, 3 steps, cached", aim: Aim::Ratio(2.0), measure: three_cached }];

/// A name that no registry has: the layout is put in its place.
const NAME: &str = "treenail.invalid/frontend:bench";

/// buildx with a builder on the daemon, and a folder to build in.
struct Buildx {
    program: PathBuf,
    folder: PathBuf,
    layout: String,
}

impl Buildx {
    fn new(bench: &Bench) -> Result<Self> {
        let kit = Kit::open(crate::say())?;
        buildx::ensure(&kit)?;
        kit.say("building the frontend's image");
        let folder = bench.scratch.path().join(bench.salt());
        std::fs::create_dir_all(folder.join("context")).context("cannot create a folder to build in")?;
        let layout = folder.join("frontend");
        let digest = frontend::make(&kit, Build::Release)?.write_layout(&layout)?;
        let layout = format!("{NAME}=oci-layout://{}@{digest}", layout.display());
        let buildx = Self { program: buildx::path(&kit), folder, layout };
        timed(&mut buildx.command(&[
            "create",
            "--name",
            "bench",
            "--driver",
            "remote",
            "--use",
            &bench.address,
        ]))?;
        Ok(buildx)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("BUILDX_CONFIG", self.folder.join("buildx"))
            .env("DOCKER_CONFIG", self.folder.join("docker"))
            .env_remove("BUILDX_BUILDER")
            .stdin(Stdio::null());
        command
    }

    /// Builds a file of the folder to nowhere.
    fn build(&self, file: &str, arguments: &[&str]) -> Result<Duration> {
        let mut all = vec!["build", "--progress=plain", "-f", file];
        all.extend(arguments);
        all.push("context");
        timed(&mut self.command(&all))
    }
}

fn three_cached(bench: &Bench) -> Result<Measured> {
    let buildx = Buildx::new(bench)?;
    let salt = bench.salt();
    let steps: Vec<String> = (0..3).map(|number| format!("echo {salt} {number}")).collect();
    let document: String =
        steps.iter().map(|step| format!("withExec(args: [\"/bin/sh\", \"-c\", \"{step}\"]) {{ ")).collect();
    let document = format!(
        "# syntax={NAME}\n{{ container {{ from(address: \"{}\") {{ {document} id {} }} }} }}\n",
        peer::IMAGE,
        "} ".repeat(steps.len())
    );
    let dockerfile: String = steps.iter().map(|step| format!("RUN {step}\n")).collect();
    let dockerfile = format!("FROM {}\n{dockerfile}", peer::IMAGE);
    let write = |name: &str, text: String| {
        std::fs::write(buildx.folder.join(name), text).with_context(|| format!("cannot write `{name}`"))
    };
    write("build.graphql", document)?;
    write("Dockerfile", dockerfile)?;
    let ours = |_| buildx.build("build.graphql", &["--build-context", &buildx.layout]);
    let theirs = |_| buildx.build("Dockerfile", &[]);
    ours(0)?;
    theirs(0)?;
    let times = in_turns(bench.rounds.max(9), ours, theirs)?;
    Ok(Measured::pair(&times).with_note("the other side is dockerfile.v0 under the same buildx"))
}
