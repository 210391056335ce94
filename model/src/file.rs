//! A file: a snapshot and the path of one file in it.

use std::sync::Arc;

use crate::{Invalid, Owner, Platform, Tree, paths};

/// A file inside a snapshot.
#[derive(Clone, Debug)]
pub struct File {
    /// The snapshot.
    pub tree: Tree,
    /// Absolute, cleaned path in it.
    pub path: Arc<str>,
    /// Platform of what it came from.
    pub platform: Platform,
}

impl File {
    /// A new file on its own.
    ///
    /// # Errors
    /// None at the call: a name with a directory in it is an error when the file is needed.
    ///
    /// # Source
    /// `contract/filesystem.md` 2, `Query.file`.
    pub fn new(name: &str, contents: &str, permissions: u32, platform: Platform) -> Self {
        let tree = if name.contains('/') {
            Tree::poisoned(format!("file name {name:?} must not contain a directory"))
        } else if name.len() > paths::MAX_NAME {
            Tree::poisoned(paths::NAME_TOO_LONG)
        } else {
            Tree::scratch().with_new_file(&format!("/{name}"), contents.as_bytes(), permissions, None)
        };
        Self { tree, path: format!("/{name}").into(), platform }
    }

    /// Base name.
    pub fn name(&self) -> &str {
        paths::base_name(&self.path)
    }

    /// The same bytes under another name of the same snapshot.
    ///
    /// # Errors
    /// The name is empty.
    pub fn with_name(&self, name: &str) -> Result<Self, Invalid> {
        let path = paths::clean(name);
        if path == "/" {
            return Err(Invalid::new("file name cannot be empty"));
        }
        let tree = Tree::scratch().with_copied_file(&self.tree, &self.path, &path, None, None);
        Ok(Self { tree, path: path.into(), platform: self.platform.clone() })
    }

    /// The same file with another time (seconds since 1970).
    #[must_use]
    pub fn with_timestamps(&self, timestamp: i64) -> Self {
        let path = format!("/{}", self.name());
        let tree = Tree::scratch().with_timestamps(&self.tree, &self.path, &path, timestamp, false);
        Self { tree, path: path.into(), platform: self.platform.clone() }
    }

    /// The same file with another owner.
    #[must_use]
    pub fn with_owner(&self, owner: Owner) -> Self {
        let path = format!("/{}", self.name());
        let tree = Tree::scratch().with_copied_file(&self.tree, &self.path, &path, None, Some(owner));
        Self { tree, path: path.into(), platform: self.platform.clone() }
    }
}
