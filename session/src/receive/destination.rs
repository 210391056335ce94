//! A directory that is written to by relative paths which never leave it.
//!
//! Invariant: below the root no link is ever followed. Each directory on the way to an entry is opened by
//! itself, refusing links, so neither a path, nor a link that was sent, nor a link that lies there already
//! leads out.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The root of a tree being written.
#[derive(Debug)]
pub(super) struct Destination {
    root: OwnedFd,
}

/// A file being written, under a name of ours until it is complete. Dropped before that, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    parent: OwnedFd,
    temporary: String,
    pub(super) file: File,
    placed: bool,
}

impl Destination {
    /// Opens a directory. A link as the root itself is followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::openat(CWD, path, flags, Mode::empty())? })
    }

    /// Opens a directory below the root, or the root itself for an empty path.
    pub(super) fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = rustix::fs::openat(&folder, name, DIRECTORY, Mode::empty())?;
        }
        Ok(folder)
    }

    fn parent<'path>(&self, path: &'path str) -> io::Result<(OwnedFd, &'path str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(parent)?, name))
    }

    /// Makes a directory, or takes the one that is there; anything else that is there goes.
    pub(super) fn make_directory(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        if let Some(kind) = kind(&parent, name)? {
            if kind == FileType::Directory {
                return make_writable(&rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty())?);
            }
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
        }
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
        Ok(())
    }

    /// Gives a directory its final mode and time (nanoseconds since 1970).
    pub(super) fn finish_directory(&self, path: &str, mode: u32, mtime: i64) -> io::Result<()> {
        let folder = self.directory(path)?;
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(&folder, &times(mtime))?;
        Ok(())
    }

    /// Makes a link; what is there goes.
    pub(super) fn make_link(&self, path: &str, target: &str, mtime: i64) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let temporary = temporary();
        rustix::fs::symlinkat(target, &parent, &temporary)?;
        // A file system may have no times for links; the link itself is what counts.
        let _ = rustix::fs::utimensat(&parent, &temporary, &times(mtime), AtFlags::SYMLINK_NOFOLLOW);
        place(&parent, &temporary, name)
    }

    /// Makes a second name for the file at `existing`; where that cannot be, a copy of it.
    pub(super) fn make_hard_link(&self, path: &str, existing: &str, mode: u32, mtime: i64) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let (from, original) = self.parent(existing)?;
        let temporary = temporary();
        if rustix::fs::linkat(&from, original, &parent, &temporary, AtFlags::empty()).is_ok() {
            return place(&parent, &temporary, name);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut source = File::from(rustix::fs::openat(&from, original, flags, Mode::empty())?);
        let mut draft = Draft::create(parent)?;
        io::copy(&mut source, &mut draft.file)?;
        draft.place(name, mode, Some(mtime))
    }

    /// Begins a file next to where it will be.
    pub(super) fn draft(&self, path: &str) -> io::Result<Draft> {
        let (parent, _) = self.parent(path)?;
        Draft::create(parent)
    }

    /// The permissions of the regular file at `name` in the root.
    pub(super) fn file_mode(&self, name: &str) -> Option<u32> {
        let stat = rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat.st_mode & 0o7777)
    }

    /// Removes every entry of a directory that `keep` does not want.
    pub(super) fn sweep(&self, path: &str, keep: impl Fn(&str) -> bool) -> io::Result<()> {
        let folder = self.directory(path)?;
        for name in names(&folder)? {
            if !name.to_str().is_ok_and(&keep) {
                remove(folder.as_fd(), &name)?;
            }
        }
        Ok(())
    }
}

impl Draft {
    fn create(parent: OwnedFd) -> io::Result<Self> {
        let temporary = temporary();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &temporary, flags, Mode::from_raw_mode(0o600))?;
        Ok(Self { parent, temporary, file: File::from(file), placed: false })
    }

    /// Gives the file its name, mode and time; what is there goes.
    pub(super) fn place(mut self, name: &str, mode: u32, mtime: Option<i64>) -> io::Result<()> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))?;
        if let Some(mtime) = mtime {
            rustix::fs::futimens(&self.file, &times(mtime))?;
        }
        place(&self.parent, &self.temporary, name)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // The transfer has failed already; a left-over is all that this can add.
            let _ = rustix::fs::unlinkat(&self.parent, &self.temporary, AtFlags::empty());
        }
    }
}

/// Lets us write into a directory that an earlier export has closed; it gets its mode in the end.
fn make_writable(folder: &OwnedFd) -> io::Result<()> {
    let mode = rustix::fs::fstat(folder)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        rustix::fs::fchmod(folder, Mode::from_raw_mode(mode | 0o700))?;
    }
    Ok(())
}

fn temporary() -> String {
    format!(".treenail.{:016x}", rand::random::<u64>())
}

/// Renames within one directory, over what is there; a directory in the way is removed first.
fn place(parent: &OwnedFd, temporary: &str, name: &str) -> io::Result<()> {
    if kind(parent, name)? == Some(FileType::Directory) {
        remove(parent.as_fd(), &CString::new(name)?)?;
    }
    Ok(rustix::fs::renameat(parent, temporary, parent, name)?)
}

fn kind(parent: &OwnedFd, name: &str) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn names(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Removes an entry and all below it, without following links.
fn remove(parent: BorrowedFd<'_>, name: &CString) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    for below in names(&folder)? {
        remove(folder.as_fd(), &below)?;
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn times(mtime: i64) -> Timestamps {
    let time =
        Timespec { tv_sec: mtime.div_euclid(1_000_000_000), tv_nsec: mtime.rem_euclid(1_000_000_000) as _ };
    Timestamps { last_access: time, last_modification: time }
}
