//! A directory: a snapshot and a path inside it. Selecting a sub-directory keeps the snapshot and moves the path.

use std::sync::Arc;

use crate::{File, Invalid, Owner, Platform, Tree, paths};

/// A directory inside a snapshot.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The snapshot.
    pub tree: Tree,
    /// Absolute, cleaned path in it.
    pub path: Arc<str>,
    /// Platform of what it came from.
    pub platform: Platform,
}

/// Which entries a copy takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFilter {
    /// Patterns of entries to take; empty takes all.
    pub include: Vec<String>,
    /// Patterns of entries to leave; they win.
    pub exclude: Vec<String>,
}

impl CopyFilter {
    /// Does it let everything through?
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl Directory {
    /// A whole snapshot as a directory.
    pub fn whole(tree: Tree, platform: Platform) -> Self {
        Self { tree, path: "/".into(), platform }
    }

    /// A sub-directory, unchecked: the engine looks whether it is there.
    pub fn sub(&self, path: &str) -> Self {
        Self { path: self.inside(path).into(), ..self.clone() }
    }

    /// A file, unchecked.
    pub fn file(&self, path: &str) -> File {
        File { tree: self.tree.clone(), path: self.inside(path).into(), platform: self.platform.clone() }
    }

    /// Absolute path in the snapshot of a path in this directory.
    pub fn inside(&self, path: &str) -> String {
        paths::in_directory(&self.path, path)
    }

    /// Base name with a slash; `/` for the root.
    pub fn name(&self) -> String {
        format!("{}/", paths::base_name(&self.path))
    }

    /// The same content as a snapshot of its own.
    #[must_use]
    pub fn rebased(&self) -> Self {
        if &*self.path == "/" {
            return self.clone();
        }
        let tree =
            Tree::scratch().with_copied_directory(&self.tree, &self.path, "/", &CopyFilter::default(), None);
        Self::whole(tree, self.platform.clone())
    }

    fn replaced(&self, tree: Tree) -> Self {
        Self { tree, ..self.clone() }
    }

    /// Copies a directory's content into `path`.
    #[must_use]
    pub fn with_directory(
        &self,
        path: &str,
        source: &Self,
        filter: &CopyFilter,
        owner: Option<Owner>,
    ) -> Self {
        let target = self.inside(path);
        self.replaced(self.tree.with_copied_directory(&source.tree, &source.path, &target, filter, owner))
    }

    /// Copies a file to `path`; into it when a directory is there.
    #[must_use]
    pub fn with_file(
        &self,
        path: &str,
        source: &File,
        permissions: Option<u32>,
        owner: Option<Owner>,
    ) -> Self {
        let target = self.inside(path);
        // The root is always a directory: naming the file here saves the daemon a guess.
        let target = if target == "/" { format!("/{}", source.name()) } else { target };
        self.replaced(self.tree.with_copied_file(&source.tree, &source.path, &target, permissions, owner))
    }

    /// Writes a new file. A name that is too long is an error when the directory is needed.
    #[must_use]
    pub fn with_new_file(&self, path: &str, contents: &[u8], permissions: u32, owner: Option<Owner>) -> Self {
        let target = self.inside(path);
        if paths::base_name(&target).len() > paths::MAX_NAME {
            return self.replaced(Tree::poisoned(paths::NAME_TOO_LONG));
        }
        self.replaced(self.tree.with_new_file(&target, contents, permissions, owner))
    }

    /// Creates a directory and its missing parents, all with the same mode; 0 means 0755.
    #[must_use]
    pub fn with_new_directory(&self, path: &str, permissions: u32) -> Self {
        if paths::escapes(path) {
            return self.replaced(Tree::poisoned(format!("cannot create directory outside parent: {path}")));
        }
        let mode = if permissions == 0 { 0o755 } else { permissions };
        self.replaced(self.tree.with_new_directory(&self.inside(path), mode))
    }

    /// Removes paths; missing ones are no error. `*`, `?` and `[` count as patterns only in a path with a `*`.
    ///
    /// # Errors
    /// The root cannot be removed.
    pub fn without(&self, path: &str) -> Result<Self, Invalid> {
        let target = self.inside(path);
        if target == "/" {
            return Err(Invalid::new(format!(
                "failed to remove path {path:?}: cannot remove the root directory"
            )));
        }
        Ok(self.replaced(self.tree.without(&target)))
    }

    /// Makes a symbolic link; its text is `target` as given.
    #[must_use]
    pub fn with_symlink(&self, target: &str, link_name: &str) -> Self {
        self.replaced(self.tree.with_symlink(target, &self.inside(link_name)))
    }

    /// Sets the times of everything in it (seconds since 1970).
    #[must_use]
    pub fn with_timestamps(&self, timestamp: i64) -> Self {
        let tree = Tree::scratch().with_timestamps(&self.tree, &self.path, "/", timestamp, true);
        Self::whole(tree, self.platform.clone())
    }

    /// The same directory with only the entries that pass.
    #[must_use]
    pub fn filter(&self, filter: &CopyFilter) -> Self {
        if filter.is_empty() {
            return self.clone();
        }
        let tree = Tree::scratch().with_copied_directory(&self.tree, &self.path, &self.path, filter, None);
        self.replaced(tree)
    }

    /// The directory as what a Dockerfile copies from, without what patterns exclude. The second value says that the client's
    /// machine is read for it, once more where there are patterns.
    pub fn build_context(&self, exclude: Vec<String>) -> (Self, bool) {
        let source = (&*self.path == "/").then(|| self.tree.host_source(&exclude)).flatten();
        match source {
            Some(tree) => (Self::whole(tree, self.platform.clone()), true),
            None => {
                let filter = CopyFilter { exclude, ..CopyFilter::default() };
                (
                    Self::whole(Tree::scratch(), self.platform.clone())
                        .with_directory("/", self, &filter, None),
                    false,
                )
            }
        }
    }

    /// Entries of `other` that are new or changed against this directory.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Self {
        let tree = other.rebased().tree.difference(&self.rebased().tree);
        Self::whole(tree, other.platform.clone())
    }

    /// Gives a path in it, and all below, another owner.
    #[must_use]
    pub fn chown(&self, path: &str, owner: Owner) -> Self {
        self.replaced(self.tree.chowned(&self.inside(path), owner))
    }
}
