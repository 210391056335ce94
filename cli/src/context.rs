//! What every command starts from: the flags, checked, and the progress display.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::args::Global;
use crate::daemon::{Found, ThisMachine, discover};
use crate::failure::Failure;
use crate::opened::{Opened, Options};
use crate::ui::{Mode, Ui};

/// Variables with cache options of 0.19.11.
const CACHE_VARIABLES: [&str; 3] = [
    "_EXPERIMENTAL_DAGGER_CACHE_CONFIG",
    "_EXPERIMENTAL_DAGGER_CACHE_IMPORT_CONFIG",
    "_EXPERIMENTAL_DAGGER_CACHE_EXPORT_CONFIG",
];

/// A command's surroundings.
pub(crate) struct Context {
    /// The flags.
    pub(crate) global: Global,
    /// Where relative paths start; also the process's own directory.
    pub(crate) workdir: PathBuf,
}

impl Context {
    /// Checks the flags and changes to the working directory.
    ///
    /// # Errors
    /// The directory is none.
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        let asked = PathBuf::from(if global.workdir.is_empty() {
            std::env::var_os("DAGGER_WORKDIR").unwrap_or_default()
        } else {
            global.workdir.clone()
        });
        if !asked.as_os_str().is_empty() && asked.as_os_str() != "." {
            std::env::set_current_dir(&asked)
                .with_context(|| format!("cannot change to the directory {}", asked.display()))?;
        }
        let workdir = std::env::current_dir().context("cannot find the current directory")?;
        Ok(Self { global, workdir })
    }

    /// Refuses what is asked for and not built.
    ///
    /// # Errors
    /// Cache options.
    pub(crate) fn refuse_what_is_missing(&self) -> Result<(), Failure> {
        let refuse = |what: &str| {
            Err(Failure::not_in_this_release(&format!("cache import and export ({what})"))
                .with_hint("buildkitd keeps what it has built: leave this out and use the same daemon again"))
        };
        if !self.global.cache_from.is_empty() {
            return refuse("--cache-from");
        }
        if !self.global.cache_to.is_empty() {
            return refuse("--cache-to");
        }
        for name in CACHE_VARIABLES {
            if std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
                return refuse(name);
            }
        }
        Ok(())
    }

    /// The daemon to use.
    ///
    /// # Errors
    /// None is found, with the ways out.
    pub(crate) fn daemon(&self) -> Result<Found, Failure> {
        discover(self.global.addr.as_deref(), self.global.builder.as_deref(), &ThisMachine).map_err(|error| {
            let hints = error.hints();
            hints.into_iter().fold(Failure::from(error), Failure::with_hint)
        })
    }

    /// How progress is to be shown.
    ///
    /// # Errors
    /// An unknown mode, or a terminal that is not there.
    pub(crate) fn mode(&self) -> Result<Mode, Failure> {
        Ok(Mode::choose(&self.global, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?)
    }

    /// Opens a main client on the daemon; `ui` shows what it does from the moment that it is started.
    ///
    /// # Errors
    /// No daemon is found or answers.
    pub(crate) async fn open(&self, name: &str, closed_host: bool, ui: &Ui) -> Result<Opened, Failure> {
        self.refuse_what_is_missing()?;
        let daemon = self.daemon()?;
        let origin = daemon.origin;
        let options = Options {
            daemon,
            workdir: self.workdir.clone(),
            name: name.to_owned(),
            closed_host,
            observer: ui.observer(),
        };
        Opened::open(options).await.map_err(|error| {
            Failure::from(error).with_hint(format!(
                "the address is that of {origin}; is buildkitd running, and may you use its socket?"
            ))
        })
    }
}
