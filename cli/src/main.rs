//! The `treenail` program: reads the command line, runs the command, exits with its code. Everything else is elsewhere:
//! `args` (flags), one file a command, `daemon` (which one), `opened` (connections and session), `host` (this machine),
//! `ui` (progress).
//!
//! Invariant: standard output carries results only; all else goes to standard error.

mod args;
mod context;
mod daemon;
mod doctor;
mod failure;
mod host;
mod joined;
mod json;
mod listen;
mod name;
mod opened;
mod query;
mod run;
mod session;
mod signals;
mod ui;
mod version;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, Command, Global};
use crate::context::Context;
use crate::failure::{ERROR, Outcome};

/// Stack of the threads that do the work; musl's own choice is small.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match command(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Nothing is left to tell when standard error is gone.
            let _ = std::io::stderr().write_all(failure.render().as_bytes());
            failure.code()
        }
    }
}

/// Shows help, or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    // As above.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp => ExitCode::SUCCESS,
        _ => ExitCode::from(ERROR),
    }
}

fn command(cli: Cli) -> Outcome {
    log(&cli.global);
    let context = Context::new(cli.global)?;
    if let Command::Version(_) = cli.command {
        return version::run(&context, called_dagger());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(context, args).await,
            Command::Query(args) => query::run(context, args).await,
            Command::Session(args) => session::run(context, args).await,
            Command::Listen(args) => listen::run(context, args).await,
            Command::Doctor(args) => doctor::run(context, args).await,
            Command::Version(_) => version::run(&context, called_dagger()),
        }
    });
    // What still blocks, blocks nobody.
    runtime.shutdown_background();
    outcome
}

/// Is the program called by the name that SDKs and CI files know?
fn called_dagger() -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|name| Path::new(&name).file_stem().is_some_and(|stem| stem == "dagger"))
}

/// A log of what the program does, for those who ask for it.
fn log(global: &Global) {
    let filter = match std::env::var("TREENAIL_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ if global.debug => "debug,h2=info,hyper=info,hyper_util=info,tower=info".to_owned(),
        _ => return,
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}
