//! Which host directories a session shares, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::SendTotals;

/// A shared directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRoot {
    /// The directory. A link as the path itself is followed when the daemon asks.
    pub path: PathBuf,
    /// Leave out what git would ignore. Without a `.git` in the directory or above it nothing is ignored.
    pub gitignore: bool,
}

impl LocalRoot {
    /// Shares all of `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), gitignore: false }
    }

    /// Leaves out what git would ignore.
    pub fn with_gitignore(mut self, gitignore: bool) -> Self {
        self.gitignore = gitignore;
        self
    }
}

/// The shared directories of a session, by the name that definitions use; cheap to clone, clones share.
#[derive(Clone, Debug, Default)]
pub struct Locals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    roots: RwLock<BTreeMap<String, LocalRoot>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Locals {
    /// Shares a directory under `name`, replacing an earlier one.
    pub fn share(&self, name: impl Into<String>, root: LocalRoot) {
        self.0.roots.write().insert(name.into(), root);
    }

    /// Stops sharing. Transfers under way go on.
    pub fn unshare(&self, name: &str) {
        self.0.roots.write().remove(name);
    }

    /// The directory shared under `name`.
    pub fn get(&self, name: &str) -> Option<LocalRoot> {
        self.0.roots.read().get(name).cloned()
    }

    /// What was sent so far, over all transfers: only what the daemon asked for, not what it had.
    pub fn totals(&self) -> SendTotals {
        SendTotals {
            files: self.0.files.load(Ordering::Relaxed),
            bytes: self.0.bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count(&self, sent: SendTotals) {
        self.0.files.fetch_add(sent.files, Ordering::Relaxed);
        self.0.bytes.fetch_add(sent.bytes, Ordering::Relaxed);
    }
}
