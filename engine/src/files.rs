//! Reading what was solved: directories, files, whole trees.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use treenail_bridge::{Error as BridgeError, Ref};
use treenail_model::{Directory, File, FileType, Owner, Stat, paths};

use crate::{Cause, Engine};

/// Most bytes of one file in one answer.
///
/// # Source
/// `contract/core.md` 9.
pub const ANSWER_LIMIT: u64 = 128 << 20;

/// Most directory listings asked for at a time while a tree is walked.
const WALK_WIDTH: usize = 16;

/// One entry of a walked tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path below the walked directory, without a leading slash.
    pub path: String,
    /// What is known of it.
    pub stat: Stat,
}

impl Engine {
    /// Stats a path of a directory, following links. `None`: nothing there, or a broken link.
    ///
    /// # Errors
    /// What evaluating the directory gives.
    pub async fn stat(&self, directory: &Directory, path: &str) -> Result<Option<Stat>, Cause> {
        let inside = directory.inside(path);
        let Some(reference) = self.solve(&directory.tree).await? else {
            return Ok((inside == "/").then(empty_root));
        };
        self.stat_at(&reference, &inside).await
    }

    /// Stats a path without following a link at its end.
    ///
    /// # Errors
    /// What evaluating the directory gives.
    pub async fn stat_link(&self, directory: &Directory, path: &str) -> Result<Option<Stat>, Cause> {
        let inside = directory.inside(path);
        let Some(reference) = self.solve(&directory.tree).await? else {
            return Ok((inside == "/").then(empty_root));
        };
        if inside == "/" {
            return self.stat_at(&reference, "/").await;
        }
        // The daemon stats through links only; a listing shows the link itself.
        let name = paths::base_name(&inside);
        match self.0.bridge.read_dir(&reference, paths::parent(&inside)).await {
            Ok(entries) => {
                Ok(entries.iter().find(|entry| entry.path == name).map(|entry| described(entry, name)))
            }
            Err(BridgeError::NotFound { .. } | BridgeError::NotDirectory { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    async fn stat_at(&self, reference: &Ref, path: &str) -> Result<Option<Stat>, Cause> {
        match self.0.bridge.stat_file(reference, path).await {
            // The daemon names what a link leads to; what it calls the root is a folder of its own.
            Ok(stat) if path == "/" => Ok(Some(described(&stat, ""))),
            Ok(stat) => Ok(Some(described(&stat, paths::base_name(&stat.path)))),
            Err(BridgeError::NotFound { .. } | BridgeError::NotDirectory { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Entries of a directory, links as links, sorted by name.
    ///
    /// # Errors
    /// A missing path, with 0.19.11's words; what evaluating gives.
    pub async fn read_dir(&self, directory: &Directory, path: &str) -> Result<Vec<Stat>, Cause> {
        let inside = directory.inside(path);
        let Some(reference) = self.solve(&directory.tree).await? else {
            return if inside == "/" {
                Ok(Vec::new())
            } else {
                Err(Cause::invalid(format!("{path}: file does not exist")))
            };
        };
        match self.0.bridge.read_dir(&reference, &inside).await {
            Ok(entries) => {
                let mut entries: Vec<Stat> =
                    entries.iter().map(|entry| described(entry, &entry.path)).collect();
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(entries)
            }
            Err(BridgeError::NotFound { .. }) => {
                Err(Cause::invalid(format!("readdir {path}: no such file or directory")))
            }
            Err(BridgeError::NotDirectory { .. }) => {
                Err(Cause::invalid(format!("readdir {path}: not a directory")))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// The file is missing or larger than an answer may be; what evaluating gives.
    pub async fn read_file(&self, file: &File) -> Result<Bytes, Cause> {
        self.read_path(&file.tree, &file.path, file.name()).await
    }

    async fn read_path(&self, tree: &treenail_model::Tree, path: &str, shown: &str) -> Result<Bytes, Cause> {
        let missing = || Cause::invalid(format!("open {shown}: no such file or directory"));
        let Some(reference) = self.solve(tree).await? else { return Err(missing()) };
        match self.0.bridge.read_file(&reference, path, None, ANSWER_LIMIT).await {
            Ok(bytes) => Ok(bytes),
            Err(BridgeError::NotFound { .. }) => Err(missing()),
            Err(BridgeError::TooLarge { size, limit }) => {
                Err(Cause::invalid(format!("file size {size} exceeds limit {limit}")))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Permission bits and owner of a file.
    ///
    /// # Errors
    /// The file is missing; what evaluating gives.
    pub async fn mode_and_owner(&self, file: &File) -> Result<(u32, Owner), Cause> {
        let missing = || Cause::invalid(format!("stat {}: no such file or directory", file.name()));
        let reference = self.solve(&file.tree).await?.ok_or_else(missing)?;
        match self.0.bridge.stat_file(&reference, &file.path).await {
            Ok(stat) => Ok((stat.permissions(), Owner { uid: stat.uid, gid: stat.gid })),
            Err(BridgeError::NotFound { .. }) => Err(missing()),
            Err(other) => Err(other.into()),
        }
    }

    /// Text of a file below a directory; empty when there is none.
    ///
    /// # Errors
    /// What evaluating gives.
    pub async fn read_text_if_any(&self, directory: &Directory, path: &str) -> Result<Option<String>, Cause> {
        let Some(reference) = self.solve(&directory.tree).await? else { return Ok(None) };
        match self.0.bridge.read_file(&reference, &directory.inside(path), None, ANSWER_LIMIT).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(BridgeError::NotFound { .. } | BridgeError::NotDirectory { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Everything below a directory, links not followed, in lexical order of the whole paths' parts.
    ///
    /// # Errors
    /// What evaluating gives.
    pub async fn walk(&self, directory: &Directory) -> Result<Vec<Entry>, Cause> {
        let Some(reference) = self.solve(&directory.tree).await? else { return Ok(Vec::new()) };
        let root: Arc<str> = directory.path.clone();
        let list = |below: String| {
            let (bridge, reference, root) = (self.0.bridge.clone(), reference.clone(), root.clone());
            async move {
                let at = paths::in_directory(&root, &below);
                bridge.read_dir(&reference, &at).await.map(|entries| (below, entries))
            }
        };
        let mut found = Vec::new();
        let mut waiting = vec![String::new()];
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < WALK_WIDTH
                && let Some(below) = waiting.pop()
            {
                running.push(list(below));
            }
            let Some(listed) = running.next().await else { break };
            let (below, entries) = listed?;
            for entry in entries {
                let stat = described(&entry, &entry.path);
                let path = if below.is_empty() { entry.path } else { format!("{below}/{}", entry.path) };
                if stat.file_type == FileType::Directory {
                    waiting.push(path.clone());
                }
                found.push(Entry { path, stat });
            }
        }
        found.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        Ok(found)
    }
}

/// What is said of the root of the empty tree.
fn empty_root() -> Stat {
    Stat { name: "".into(), size: 0, file_type: FileType::Directory, permissions: 0o755 }
}

fn described(stat: &treenail_bridge::Stat, name: &str) -> Stat {
    let file_type = if stat.is_dir() {
        FileType::Directory
    } else if stat.is_symlink() {
        FileType::Symlink
    } else if stat.is_regular() {
        FileType::Regular
    } else {
        FileType::Unknown
    };
    Stat { name: name.into(), size: stat.size, file_type, permissions: stat.permissions() }
}
