//! A directory as the ordered, filtered list that the daemon is sent.
//!
//! Invariant: entries come in path order (each directory before its entries, names compared as bytes), and
//! every directory above an entry comes before it. The daemon refuses anything else.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use treenail_patterns::{PathFilter, Verdict};
use treenail_protos::fsutil::types::Stat;

use super::gitignore::IgnoreRules;
use super::stat::{self, Kind};

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    #[error("{}: permission denied", .0.display())]
    Denied(PathBuf),
    #[error("{}: the file name is not valid UTF-8", .0.display())]
    Name(PathBuf),
    #[error("{}: {}", .0.display(), .1)]
    Read(PathBuf, String),
    #[error("{0}")]
    Ignore(String),
    /// The receiver takes no more.
    #[error("the transfer has ended")]
    Stopped,
}

impl WalkError {
    fn read(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied(path.to_owned()),
            _ => Self::Read(path.to_owned(), error.to_string()),
        }
    }
}

/// A walk that has not begun.
#[derive(Debug)]
pub(crate) struct Walk {
    root: PathBuf,
    filter: PathFilter,
    ignore: Option<IgnoreRules>,
}

/// A directory that is in the list only if something below it is.
struct Pending {
    path: PathBuf,
    relative: String,
    /// Is its name valid UTF-8? If not, it may not be part of the list.
    valid: bool,
}

impl Walk {
    /// Prepares a walk of `root`, an absolute path without links.
    pub(crate) fn new(root: PathBuf, filter: PathFilter, gitignore: bool) -> Result<Self, WalkError> {
        let ignore = if gitignore {
            IgnoreRules::new(&root).map_err(|error| WalkError::Ignore(error.to_string()))?
        } else {
            None
        };
        Ok(Self { root, filter, ignore })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Calls `emit` for each entry of the list; it says whether to go on. Blocks.
    pub(crate) fn run(mut self, emit: &mut dyn FnMut(Stat) -> bool) -> Result<(), WalkError> {
        let mut pending: Vec<Pending> = Vec::new();
        let mut open = vec![self.entries(&self.root.clone(), "", false)?.into_iter()];
        let mut folders: Vec<(PathBuf, String)> = vec![(self.root.clone(), String::new())];
        while let (Some(entries), Some((folder, prefix))) = (open.last_mut(), folders.last()) {
            let Some((name, file_type)) = entries.next() else {
                open.pop();
                folders.pop();
                continue;
            };
            let Some(kind) = Kind::of(file_type) else { continue };
            let path = folder.join(&name);
            let relative = format!("{prefix}{}", name.to_string_lossy());
            pending.retain(|above| relative.starts_with(&format!("{}/", above.relative)));
            let is_dir = kind == Kind::Directory;
            if self.ignore.as_ref().is_some_and(|ignore| ignore.ignores(&path, is_dir)) {
                continue;
            }
            let verdict = self.filter.visit(&relative, is_dir);
            match verdict {
                Verdict::Prune => continue,
                Verdict::Skip if is_dir => {
                    let valid = name.to_str().is_some();
                    pending.push(Pending { path: path.clone(), relative: relative.clone(), valid });
                }
                Verdict::Skip => continue,
                Verdict::Keep => {
                    if name.to_str().is_none() {
                        return Err(WalkError::Name(path));
                    }
                    for above in pending.drain(..) {
                        if !above.valid {
                            return Err(WalkError::Name(above.path));
                        }
                        offer(&above.path, &above.relative, Kind::Directory, emit)?;
                    }
                    if !offer(&path, &relative, kind, emit)? {
                        continue;
                    }
                }
            }
            if is_dir {
                let below = format!("{relative}/");
                open.push(self.entries(&path, &below, verdict == Verdict::Skip)?.into_iter());
                folders.push((path, below));
            }
        }
        Ok(())
    }

    /// The entries of a directory, sorted; none when it has vanished, or when it cannot be read but is not
    /// wanted for its own sake.
    fn entries(
        &mut self,
        folder: &Path,
        prefix: &str,
        unwanted: bool,
    ) -> Result<Vec<(OsString, FileType)>, WalkError> {
        let list = || -> io::Result<Vec<(OsString, FileType)>> {
            fs::read_dir(folder)?
                .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
                .collect()
        };
        let mut entries = match list() {
            Ok(entries) => entries,
            Err(error) if unwanted && error.kind() == io::ErrorKind::PermissionDenied => Vec::new(),
            Err(error) if !prefix.is_empty() && vanished(&error) => Vec::new(),
            Err(error) => return Err(WalkError::read(folder, &error)),
        };
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if let Some(ignore) = &mut self.ignore {
            ignore.enter(folder).map_err(|error| WalkError::Ignore(error.to_string()))?;
        }
        Ok(entries)
    }
}

/// Hands one entry on. Says no when it has vanished, or is no longer what the directory said it was.
fn offer(
    path: &Path,
    relative: &str,
    kind: Kind,
    emit: &mut dyn FnMut(Stat) -> bool,
) -> Result<bool, WalkError> {
    let described = fs::symlink_metadata(path).and_then(|meta| {
        if Kind::of(meta.file_type()) != Some(kind) {
            return Ok(None);
        }
        stat::describe(path, relative, kind, &meta).map(Some)
    });
    match described {
        Ok(Some(stat)) => {
            if emit(stat) {
                Ok(true)
            } else {
                Err(WalkError::Stopped)
            }
        }
        Ok(None) => Ok(false),
        Err(error) if vanished(&error) => Ok(false),
        Err(error) => Err(WalkError::read(path, &error)),
    }
}

fn vanished(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
