//! `cargo xtask`: the one entry point of development.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people watch")]

mod bench;
mod daemon;
mod demo;
mod history;
mod image;
mod sdk;
mod steps;
mod test;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use treenail_test_fixtures::kit::Say;

/// Development tasks of Treenail.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything from nothing: build treenail, find or start a daemon, run a real pipeline.
    Demo(demo::Arguments),
    /// Everything that CI checks: format, lints, tests, then the layers with daemon and SDK.
    Test(test::Arguments),
    /// A stock buildkitd in the foreground, with a registry that stands in for Docker Hub.
    Daemon(daemon::Arguments),
    /// Make the image of the `# syntax=` frontend, or one of the kit for a running `cargo xtask daemon`.
    Image(image::Arguments),
    /// Measure treenail beside buildctl on the same daemon.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Daemon(arguments) => daemon::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says on standard error what takes time.
fn say() -> Say {
    Arc::new(|line| eprintln!("xtask: {line}"))
}
