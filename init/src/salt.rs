//! The daemon's salt: random bytes that all sessions of one daemon share.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use treenail_init::{SALT_LENGTH, STDOUT_FILE};

use crate::output;

/// Makes the salt at `path` if there is none, and copies it to the output mount.
///
/// Several execs may do this at once: the file appears whole, under its name, or not at all, and the first wins.
pub(crate) fn provide(path: &Path) -> io::Result<()> {
    if !path.exists() {
        make(path)?;
    }
    let salt = fs::read(path)?;
    if salt.len() != SALT_LENGTH {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the salt has {} bytes", salt.len())));
    }
    output::create(STDOUT_FILE)?.write_all(&salt)
}

fn make(path: &Path) -> io::Result<()> {
    let mut bytes = [0; SALT_LENGTH + 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let (salt, name) = bytes.split_at(SALT_LENGTH);
    // Process ids are equal in all containers.
    let draft = path.with_extension(name.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&draft)?;
    file.write_all(salt)?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
