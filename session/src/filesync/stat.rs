//! What the daemon is told of a file.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use treenail_protos::fsutil::types::Stat;

/// Bits of Go's `os.FileMode`, which fsutil puts on the wire.
///
/// # Source
/// Go `io/fs.FileMode`.
pub(crate) mod mode {
    pub(crate) const DIR: u32 = 1 << 31;
    pub(crate) const SYMLINK: u32 = 1 << 27;
    pub(crate) const DEVICE: u32 = 1 << 26;
    pub(crate) const FIFO: u32 = 1 << 25;
    pub(crate) const SOCKET: u32 = 1 << 24;
    pub(crate) const SETUID: u32 = 1 << 23;
    pub(crate) const SETGID: u32 = 1 << 22;
    pub(crate) const CHAR_DEVICE: u32 = 1 << 21;
    pub(crate) const STICKY: u32 = 1 << 20;
    pub(crate) const IRREGULAR: u32 = 1 << 19;
    /// What makes an entry anything but a regular file.
    pub(crate) const TYPE: u32 = DIR | SYMLINK | DEVICE | FIFO | SOCKET | CHAR_DEVICE | IRREGULAR;

    /// Permissions of a Unix mode with its three special bits.
    pub(crate) fn permissions_from_unix(unix: u32) -> u32 {
        let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
        special.iter().filter(|(bit, _)| unix & bit != 0).fold(unix & 0o777, |mode, (_, go)| mode | go)
    }

    /// The inverse of [`permissions_from_unix`].
    pub(crate) fn permissions_to_unix(mode: u32) -> u32 {
        let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
        special.iter().filter(|(_, go)| mode & go != 0).fold(mode & 0o777, |unix, (bit, _)| unix | bit)
    }
}

/// Kinds of entries that travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Link,
    Fifo,
}

impl Kind {
    /// Nothing for sockets and devices, which mean nothing on another machine.
    pub(crate) fn of(file_type: std::fs::FileType) -> Option<Self> {
        use std::os::unix::fs::FileTypeExt;
        if file_type.is_dir() {
            Some(Self::Directory)
        } else if file_type.is_file() {
            Some(Self::File)
        } else if file_type.is_symlink() {
            Some(Self::Link)
        } else if file_type.is_fifo() {
            Some(Self::Fifo)
        } else {
            None
        }
    }
}

/// Describes an entry. The owner is always root: host owners mean nothing to the daemon, and would make
/// equal content unequal. Extended attributes stay behind for the same reason.
pub(crate) fn describe(path: &Path, relative: &str, kind: Kind, meta: &Metadata) -> io::Result<Stat> {
    let permissions = mode::permissions_from_unix(meta.mode());
    let mut stat = Stat {
        path: relative.to_owned(),
        mod_time: nanoseconds(meta.mtime(), meta.mtime_nsec()),
        ..Stat::default()
    };
    match kind {
        Kind::Directory => stat.mode = permissions | mode::DIR,
        Kind::File => {
            stat.mode = permissions;
            stat.size = i64::try_from(meta.len()).unwrap_or(i64::MAX);
            stat.mod_time = honest_mtime(meta);
        }
        Kind::Link => {
            stat.mode = permissions | mode::SYMLINK;
            let target = std::fs::read_link(path)?;
            stat.linkname = target.into_os_string().into_string().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, "the target of the link is not valid UTF-8")
            })?;
            stat.size = stat.linkname.len() as i64;
        }
        Kind::Fifo => stat.mode = permissions | mode::FIFO,
    }
    Ok(stat)
}

/// The modification time that the daemon compares.
///
/// The daemon takes equal size and time for equal content. A tool that sets times (an archiver, a cache, a
/// reproducible checkout) breaks that, and leaves a change time that differs. Then the fraction of the second
/// is replaced by a digest of change time and inode, so that other content never looks the same. Ordinary
/// files, whose two times agree, keep theirs.
fn honest_mtime(meta: &Metadata) -> i64 {
    if (meta.mtime(), meta.mtime_nsec()) == (meta.ctime(), meta.ctime_nsec()) {
        return nanoseconds(meta.mtime(), meta.mtime_nsec());
    }
    let mut identity = [0; 24];
    identity[..8].copy_from_slice(&meta.ctime().to_le_bytes());
    identity[8..16].copy_from_slice(&meta.ctime_nsec().to_le_bytes());
    identity[16..].copy_from_slice(&meta.ino().to_le_bytes());
    let fraction = xxhash_rust::xxh3::xxh3_64(&identity) % 1_000_000_000;
    nanoseconds(meta.mtime(), fraction as i64)
}

fn nanoseconds(seconds: i64, fraction: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(fraction)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn modes_survive_both_ways() {
        for unix in 0..=0o7777 {
            assert_eq!(mode::permissions_to_unix(mode::permissions_from_unix(unix)), unix);
        }
    }

    #[test]
    fn a_set_mtime_shows_in_its_fraction_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "one").expect("written");
        let pinned = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let reported = |content: &str| {
            fs::write(&path, content).expect("written");
            let file = File::options().write(true).open(&path).expect("open");
            file.set_times(FileTimes::new().set_modified(pinned)).expect("times");
            let meta = fs::symlink_metadata(&path).expect("stat");
            (describe(&path, "file", Kind::File, &meta).expect("described").mod_time, meta)
        };
        let (time, meta) = reported("one");
        assert_eq!(time / 1_000_000_000, 1_000_000_000);
        // The same state is the same report; another change time is another.
        assert_eq!(honest_mtime(&meta), time);
        fs::rename(&path, folder.path().join("old")).expect("renamed");
        let (other, _) = reported("two");
        assert_ne!(other, time);
    }
}
