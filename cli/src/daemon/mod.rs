//! Which daemon to use: found, never started.
//!
//! Named ones come first (flags, then variables), then the builder selected in buildx, then the usual sockets. What is
//! named and out of reach is an error; what is only lying about is passed over. Buildx's state is read and never written.

mod buildx;

use std::fmt;
use std::path::{Path, PathBuf};

/// Where the address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Builder,
    Variable(&'static str),
    SelectedBuilder,
    UsualSocket,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Flag => "--addr",
            Self::Builder => "--builder",
            Self::Variable(name) => name,
            Self::SelectedBuilder => "the builder selected in buildx",
            Self::UsualSocket => "the usual socket",
        })
    }
}

/// A daemon's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) address: String,
    pub(crate) origin: Origin,
}

/// Why there is no daemon to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing is named and nothing is there.
    #[error("no buildkitd found")]
    Nothing {
        /// Why what was selected in buildx does not count, if something was.
        passed_over: Option<buildx::Unusable>,
    },
    /// An address of a kind that is not supported.
    #[error("the scheme `{scheme}` of {origin} is not in this release; unix:// and tcp:// are: {address}")]
    Scheme { scheme: String, origin: Origin, address: String },
    /// An address without a scheme.
    #[error("{origin} has no scheme such as unix:// or tcp://: {address}")]
    NoScheme { origin: Origin, address: String },
    /// A builder that was named cannot be used.
    #[error("cannot use the builder named by {origin}")]
    Builder {
        origin: Origin,
        #[source]
        cause: buildx::Unusable,
    },
}

impl Error {
    /// What the user can do.
    pub(crate) fn hints(&self) -> Vec<String> {
        let Self::Nothing { passed_over } = self else { return Vec::new() };
        let mut hints = vec![
            "name one that runs:    treenail --addr unix:///path/to/buildkitd.sock …  (or BUILDKIT_HOST)".to_owned(),
            "start one here:        sudo buildkitd &".to_owned(),
            "start one in Docker:   docker run -d --privileged -p 127.0.0.1:1234:1234 moby/buildkit --addr tcp://0.0.0.0:1234"
                .to_owned(),
            "                       export BUILDKIT_HOST=tcp://127.0.0.1:1234".to_owned(),
        ];
        if let Some(reason) = passed_over {
            hints.push(format!("(the builder selected in buildx does not count: {reason})"));
        }
        hints
    }
}

/// What discovery looks at. A trait, so that tests can make up a machine.
pub(crate) trait Surroundings {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file that can be read.
    fn read(&self, path: &Path) -> Option<String>;
    /// Is there anything at a path?
    fn exists(&self, path: &Path) -> bool;
}

/// The machine that the program runs on.
pub(crate) struct ThisMachine;

/// Larger files are not buildx's.
const STATE_LIMIT: u64 = 1 << 20;

impl Surroundings for ThisMachine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn read(&self, path: &Path) -> Option<String> {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path).ok()?.take(STATE_LIMIT).read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

/// Variables that name a daemon, in order.
const VARIABLES: [&str; 2] = ["BUILDKIT_HOST", "_EXPERIMENTAL_DAGGER_RUNNER_HOST"];

/// Finds the daemon to use. Nothing is connected to.
///
/// # Errors
/// [`Error`].
pub(crate) fn discover(
    addr: Option<&str>,
    builder: Option<&str>,
    around: &dyn Surroundings,
) -> Result<Found, Error> {
    if let Some(address) = addr.filter(|address| !address.is_empty()) {
        return usable(address, Origin::Flag);
    }
    if let Some(name) = builder.filter(|name| !name.is_empty()) {
        return named_builder(name, Origin::Builder, around);
    }
    for name in VARIABLES {
        if let Some(address) = around.variable(name) {
            return usable(&address, Origin::Variable(name));
        }
    }
    if let Some(name) = around.variable("BUILDX_BUILDER") {
        return named_builder(&name, Origin::Variable("BUILDX_BUILDER"), around);
    }
    let mut passed_over = None;
    if let Some(name) = buildx::selected(around) {
        match buildx::address(&name, around) {
            Ok(address) => return Ok(Found { address, origin: Origin::SelectedBuilder }),
            Err(reason) => passed_over = Some(reason),
        }
    }
    usual_sockets(around)
        .into_iter()
        .find(|path| around.exists(path))
        .map(|path| Found { address: format!("unix://{}", path.display()), origin: Origin::UsualSocket })
        .ok_or(Error::Nothing { passed_over })
}

fn named_builder(name: &str, origin: Origin, around: &dyn Surroundings) -> Result<Found, Error> {
    match buildx::address(name, around) {
        Ok(address) => Ok(Found { address, origin }),
        Err(cause) => Err(Error::Builder { origin, cause }),
    }
}

fn usual_sockets(around: &dyn Surroundings) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/run/buildkit/buildkitd.sock")];
    if let Some(folder) = around.variable("XDG_RUNTIME_DIR") {
        paths.push(Path::new(&folder).join("buildkit/buildkitd.sock"));
    }
    paths
}

/// Schemes that can be dialled.
pub(super) fn is_supported(scheme: &str) -> bool {
    matches!(scheme, "unix" | "tcp")
}

fn usable(address: &str, origin: Origin) -> Result<Found, Error> {
    match address.split_once("://") {
        Some((scheme, _)) if is_supported(scheme) => Ok(Found { address: address.to_owned(), origin }),
        Some((scheme, _)) => {
            Err(Error::Scheme { scheme: scheme.to_owned(), origin, address: without_password(address) })
        }
        None => Err(Error::NoScheme { origin, address: address.to_owned() }),
    }
}

/// An address for an error text: what stands before an `@` may be a password.
fn without_password(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests;
