//! `cargo xtask daemon`: a stock daemon in the foreground.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use treenail_test_fixtures::kit::buildkitd::{Daemon, Network, Options};
use treenail_test_fixtures::kit::registry::Registry;
use treenail_test_fixtures::kit::{Kit, recipe};

/// Options of `cargo xtask daemon`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Path of the socket.
    #[arg(long)]
    socket: Option<PathBuf>,
    /// Keep the daemon's state in this folder for the next time.
    #[arg(long)]
    root: Option<PathBuf>,
    /// Give containers a bridge network with addresses of their own.
    #[arg(long)]
    bridge: bool,
    /// Names go to the real registries only.
    #[arg(long)]
    no_mirror: bool,
    /// Images to make at the start, besides `alpine`.
    #[arg(long = "image", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(recipe::NAMES))]
    images: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let kit = Kit::prepare(crate::say())?;
    let mut interrupts = Interrupts::watch()?;
    let registry = Registry::start(&kit)?;
    for name in std::iter::once("alpine").chain(arguments.images.iter().map(String::as_str)) {
        recipe::ensure(&kit, registry.address(), name)?;
    }
    let options = Options {
        network: if arguments.bridge { Network::Bridge } else { Network::Host },
        root: arguments.root.clone(),
        socket: arguments.socket.clone(),
        mirror: (!arguments.no_mirror).then(|| registry.address().to_owned()),
        ..Options::default()
    };
    let daemon = Daemon::start(&kit, &options)?;
    println!("address   {}", daemon.address());
    println!("registry  {} (plain HTTP, stands in for docker.io)", registry.address());
    println!("buildctl  {}", kit.buildctl().display());
    println!("log       {}", daemon.log().display());
    println!();
    println!("export BUILDKIT_HOST={}", daemon.address());
    println!();
    println!(
        "Stop it with an interrupt; what it stored goes with it{}.",
        match arguments.root {
            Some(_) => " only if you remove its folder",
            None => "",
        }
    );
    interrupts.wait();
    eprintln!("xtask: stopping");
    Ok(())
}

/// Interrupts are watched from the first moment, so that none is lost or ends us out of order.
struct Interrupts {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn watch() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot watch for interrupts")?;
        let guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).context("cannot watch for interrupts")?;
        let terminate = signal(SignalKind::terminate()).context("cannot watch for interrupts")?;
        drop(guard);
        Ok(Self { runtime, interrupt, terminate })
    }

    fn wait(&mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}
