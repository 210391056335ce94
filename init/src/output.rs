//! Where a command's output goes: the files of the output mount, redirect files and the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

use treenail_init::{COMBINED_FILE, EXIT_FILE, ExitRecord, OUTPUT_DIR, Scrubber, TAIL_LIMIT, TAIL_SUFFIX};

use crate::account::Identity;
use crate::errno;

/// Creates a file of the output mount, owned by root and readable by all.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(libc::O_TRUNC | libc::O_NOFOLLOW);
    options.open(Path::new(OUTPUT_DIR).join(name))
}

/// The file for the exit record, opened before the command runs: afterwards there may be no right to, or no room.
pub(crate) struct Record(File);

impl Record {
    pub(crate) fn create() -> io::Result<Self> {
        create(EXIT_FILE).map(Self)
    }

    /// Writes the record. If the disk is full, room is made: how it ended is worth more than the second copy of
    /// what it said.
    pub(crate) fn write(&mut self, record: &ExitRecord) -> io::Result<()> {
        let bytes = record.encode();
        self.0.write_all(&bytes).or_else(|_| {
            OpenOptions::new().write(true).truncate(true).open(Path::new(OUTPUT_DIR).join(COMBINED_FILE))?;
            self.0.set_len(0)?;
            io::Seek::rewind(&mut self.0)?;
            self.0.write_all(&bytes)
        })
    }
}

/// Keeps the end of a long output in a small file of its own.
pub(crate) fn keep_tail(name: &str) -> io::Result<()> {
    let mut whole = File::open(Path::new(OUTPUT_DIR).join(name))?;
    let size = whole.metadata()?.len();
    if size <= TAIL_LIMIT {
        return Ok(());
    }
    let mut tail = create(&format!("{name}{TAIL_SUFFIX}"))?;
    writeln!(tail, "{size}")?;
    io::Seek::seek(&mut whole, io::SeekFrom::Start(size - TAIL_LIMIT))?;
    io::copy(&mut whole, &mut tail).map(drop)
}

/// Opens a redirect file: created 0600 or emptied, and given to the user.
///
/// Appending keeps both streams whole where they go to the same file.
///
/// # Source
/// `contract/container.md` 5, point 7.
pub(crate) fn open_redirect(stream: &str, path: &Path, owner: Option<&Identity>) -> Result<File, String> {
    let open = || {
        // A truncating open cannot be combined with an appending one in std's options.
        let flags = libc::O_TRUNC;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        // Devices such as /dev/null are everybody's.
        if file.metadata()?.is_file() {
            let (uid, gid) = owner.map_or((0, 0), |owner| (owner.uid, owner.gid));
            fchown(&file, Some(uid), Some(gid))?;
        }
        Ok(file)
    };
    open().map_err(|error: io::Error| {
        format!("open redirect {stream} file: open {}: {}", path.display(), errno::text(&error))
    })
}

/// One of the two output streams of a command.
pub(crate) struct Stream {
    /// `stdout` or `stderr`.
    pub(crate) name: &'static str,
    /// Until its end is reached.
    pub(crate) pipe: Option<PipeReader>,
    pub(crate) scrubber: Scrubber,
    pub(crate) file: File,
    pub(crate) redirect: Option<File>,
    /// The helper's own stream of this name, until its reader is gone.
    pub(crate) log: Option<File>,
}

impl Stream {
    /// Keeps scrubbed bytes in all files.
    pub(crate) fn keep(&mut self, bytes: &[u8], combined: &mut File) -> Result<(), String> {
        let name = self.name;
        let failed =
            |what: &str, error: io::Error| format!("write {what} {name} file: {}", errno::text(&error));
        self.file.write_all(bytes).map_err(|error| failed("output", error))?;
        combined.write_all(bytes).map_err(|error| failed("combined", error))?;
        if let Some(redirect) = &mut self.redirect {
            redirect.write_all(bytes).map_err(|error| failed("redirect", error))?;
        }
        Ok(())
    }

    /// The descriptor to poll for more, negative at the end.
    pub(crate) fn descriptor(&self) -> i32 {
        self.pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// Another name of a standard stream, closed on exec. `None` if it cannot be had: a log is a courtesy.
pub(crate) fn log_of(stream: impl AsFd) -> Option<File> {
    stream.as_fd().try_clone_to_owned().ok().map(File::from)
}

/// Tells the log why a command was not run.
pub(crate) fn complain(log: Option<&File>, text: &str) {
    if let Some(mut log) = log {
        // Nobody listens: then nobody misses it.
        let _ = log.write_all(format!("{text}\n").as_bytes());
    }
}

/// Creates a working directory and what leads to it, 0755 and owned by the user, where missing.
pub(crate) fn enter(directory: &Path, owner: Option<&Identity>) -> Result<(), String> {
    let mut result = std::env::set_current_dir(directory);
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        result = create_directories(directory, owner).and_then(|()| std::env::set_current_dir(directory));
    }
    result.map_err(|error| {
        format!("enter working directory: chdir {}: {}", directory.display(), errno::text(&error))
    })
}

fn create_directories(directory: &Path, owner: Option<&Identity>) -> io::Result<()> {
    let mut ancestors: Vec<&Path> = directory.ancestors().collect();
    ancestors.reverse();
    for ancestor in ancestors {
        match fs::create_dir(ancestor) {
            Ok(()) => {
                let (uid, gid) = owner.map_or((0, 0), |owner| (owner.uid, owner.gid));
                fs::set_permissions(ancestor, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
                std::os::unix::fs::lchown(ancestor, Some(uid), Some(gid))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
