//! The values that must not be seen, collected before the command starts.

use std::env;
use std::fs::File;
use std::io::{self, Read};

use treenail_init::ExecSpec;

use crate::errno;

/// Largest file taken for a secret, in bytes. No transport carries a larger one, so this is another file that was
/// mounted over it.
const SECRET_LIMIT: u64 = 32 * 1024 * 1024;

/// Values of the variables and files that a command line names.
///
/// # Errors
/// A file that is there but cannot be read: better no run than one that shows a secret.
pub(crate) fn collect(spec: &ExecSpec) -> Result<Vec<Vec<u8>>, String> {
    let mut values = Vec::new();
    for name in &spec.scrub_env {
        if let Some(value) = env::var_os(name) {
            values.push(std::os::unix::ffi::OsStringExt::into_vec(value));
        }
    }
    for path in &spec.scrub_files {
        match read(path) {
            Ok(Some(value)) => values.push(value),
            Ok(None) => {}
            Err(error) => return Err(format!("read secret file: open {path}: {}", errno::text(&error))),
        }
    }
    Ok(values)
}

/// The content of a secret's file, unless something else lies over it.
fn read(path: &str) -> io::Result<Option<Vec<u8>>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let data = match std::fs::metadata(path) {
        Ok(data) => data,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !data.is_file() || data.len() > SECRET_LIMIT {
        return Ok(None);
    }
    let mut value = Vec::new();
    File::open(path)?.take(SECRET_LIMIT).read_to_end(&mut value)?;
    Ok(Some(value))
}
