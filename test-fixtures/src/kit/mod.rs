//! A stock daemon, a registry and images, made from nothing and kept under `target/kit`.
//!
//! | Module | Makes |
//! |---|---|
//! | [`host`] | what the machine must have: Debian packages, by apt as root |
//! | [`buildkit`] | `buildkitd` and `buildctl` of the pinned Go module |
//! | [`buildx`] | Docker's build client, for tests of what people run |
//! | [`frontend`] | the image of our `# syntax=` frontend |
//! | [`registry`] | a loopback registry on kept storage |
//! | [`image`], [`recipe`] | images, each on first request |
//! | [`sdks`] | where the programs of the published SDKs are |
//! | [`buildkitd`] | private daemons that leave nothing behind |
//!
//! **Invariant:** each step is skipped when its result is in place, and two processes may run any
//! step at once: a file lock lets the second one wait and find the result.

pub mod buildkit;
pub mod buildkitd;
pub mod buildx;
pub mod frontend;
pub mod host;
pub mod image;
mod keeper;
pub mod recipe;
pub mod registry;
pub mod sdks;
mod upload;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

/// Where the kit says what it does: one short line per step that takes time.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The folder that holds everything the kit made.
#[derive(Clone)]
pub struct Kit {
    root: PathBuf,
    say: Say,
}

impl Kit {
    /// The kit of this checkout, as it is: nothing is made yet.
    ///
    /// # Errors
    /// When its folder cannot be created.
    pub fn open(say: Say) -> Result<Self> {
        let root = workspace().join("target/kit");
        fs::create_dir_all(root.join("bin"))
            .with_context(|| format!("cannot create the kit's folder: `{}`", root.display()))?;
        Ok(Self { root, say })
    }

    /// The kit with everything a daemon needs in place: packages, `buildkitd` and `buildctl`.
    ///
    /// # Errors
    /// When something is missing that cannot be installed here; the text is the line to run.
    pub fn prepare(say: Say) -> Result<Self> {
        let kit = Self::open(say)?;
        host::ensure(&kit, host::DAEMON)?;
        buildkit::ensure(&kit)?;
        Ok(kit)
    }

    /// Whether [`Kit::prepare`] would find everything in place.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        host::missing(host::DAEMON).is_empty() && buildkit::is_built(self)
    }

    /// The kit's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The daemon's program.
    #[must_use]
    pub fn buildkitd(&self) -> PathBuf {
        self.root.join("bin/buildkitd")
    }

    /// The daemon's own client.
    #[must_use]
    pub fn buildctl(&self) -> PathBuf {
        self.root.join("bin/buildctl")
    }

    /// Says one line about what is being done.
    pub fn say(&self, line: &str) {
        (self.say)(line);
    }

    /// Waits for and takes the lock of that name; it is released when the value is dropped.
    ///
    /// # Errors
    /// When its file cannot be created or locked.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.root.join(format!("{name}.lock"));
        let file =
            File::create(&path).with_context(|| format!("cannot create lock: `{}`", path.display()))?;
        file.lock().with_context(|| format!("cannot take lock: `{}`", path.display()))?;
        Ok(file)
    }

    /// A new folder for something that runs.
    pub(crate) fn scratch(&self, prefix: &str) -> Result<PathBuf> {
        let runs = self.root.join("run");
        fs::create_dir_all(&runs).with_context(|| format!("cannot create folder: `{}`", runs.display()))?;
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(&runs)
            .with_context(|| format!("cannot create a folder in: `{}`", runs.display()))?;
        Ok(folder.keep())
    }
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kit").field("root", &self.root).finish_non_exhaustive()
    }
}

/// The root folder of this checkout.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is a folder of the workspace")
        .to_path_buf()
}

/// Hands the kit's lines to nobody.
#[must_use]
pub fn silent() -> Say {
    Arc::new(|_| {})
}
