//! What is agreed between those who write an exec and the helper that runs inside it.
//!
//! LLB cannot return output, exit codes or standard input, so every command runs under a small static program,
//! seen by processes as `/.init`. The engine builds the helper's command line with [`ExecSpec::to_args`]; the
//! helper reads it back with [`ExecSpec::from_args`], runs the command and leaves these files in a mount at
//! [`OUTPUT_DIR`]:
//!
//! | File | Content |
//! |---|---|
//! | [`STDOUT_FILE`] | all standard output, scrubbed |
//! | [`STDERR_FILE`] | all standard error, scrubbed |
//! | [`COMBINED_FILE`] | both, in the order in which they arrived |
//! | [`EXIT_FILE`] | an [`ExitRecord`] |
//! | `stdout`, `stderr` + [`TAIL_SUFFIX`] | the end of a long output of a failed command |
//!
//! With [`ExecSpec::no_init`] the command takes the helper's place and writes to the files itself: they are not
//! scrubbed (the reader does it, with [`Scrubber`]), [`COMBINED_FILE`] is absent, a redirected stream is in its
//! redirect file only, and [`EXIT_FILE`] is empty unless the command could not be started.
//!
//! Invariant: a command line is part of a cache key. The same [`ExecSpec`] gives the same arguments in every
//! release; what is left at its default leaves no trace in them.
//!
//! Invariant: behaviour belongs to the id. [`secret_id`] changes when, and only when, the helper does something
//! that a cached result can show.

#![forbid(unsafe_code)]

mod expect;
mod record;
mod scrub;
mod spec;

pub use expect::Expect;
pub use record::{ExitRecord, MESSAGE_LIMIT, RecordError};
pub use scrub::{MASK, Scrubber};
pub use spec::{ExecSpec, SpecError, Stdin};

/// Where the helper is mounted, and its `argv[0]`.
///
/// # Source
/// `contract/container.md` 5, "Init behaviour".
pub const HELPER_PATH: &str = "/.init";

/// Permissions of the helper's secret mount: the daemon mounts a secret executable if its mode is.
///
/// # Source
/// BuildKit v0.32.2 `solver/llbsolver/mounts/mount.go`.
pub const HELPER_MODE: u32 = 0o555;

/// Where the mount that receives outputs and exit record is, an empty one owned by root.
pub const OUTPUT_DIR: &str = "/dev/.treenail/out";

/// Where text for standard input is mounted as a file.
pub const STDIN_FILE: &str = "/dev/.treenail/stdin";

/// Name of the file in [`OUTPUT_DIR`] with standard output.
pub const STDOUT_FILE: &str = "stdout";

/// Name of the file in [`OUTPUT_DIR`] with standard error.
pub const STDERR_FILE: &str = "stderr";

/// Name of the file in [`OUTPUT_DIR`] with both streams.
pub const COMBINED_FILE: &str = "combined";

/// Name of the file in [`OUTPUT_DIR`] with the [`ExitRecord`].
pub const EXIT_FILE: &str = "exit";

/// Added to the name of an output file, names a file with its end: present when a command failed after writing
/// more than [`TAIL_LIMIT`] bytes to that stream. It holds the whole size in decimal, a line feed, and the last
/// [`TAIL_LIMIT`] bytes. Daemons answer whole files of a failed exec only, and small ones only.
pub const TAIL_SUFFIX: &str = ".tail";

/// Bytes in a [`TAIL_SUFFIX`] file behind its first line.
///
/// # Source
/// `contract/session.md` 8: what an exec error shows of each output.
pub const TAIL_LIMIT: u64 = 102_400;

/// Bytes of the salt that [`salt_args`] provides.
pub const SALT_LENGTH: usize = 32;

/// The helper's arguments for another job than running a command: random bytes are made in a file at `path` unless
/// they are there, and copied to [`STDOUT_FILE`]. `path` lies in a volume that all sessions of a daemon share.
#[must_use]
pub fn salt_args(path: &str) -> Vec<String> {
    vec![HELPER_PATH.to_owned(), format!("{SALT_OPTION}{path}")]
}

/// Prefix of the one argument of [`salt_args`].
pub const SALT_OPTION: &str = "--salt=";

/// Variables whose names begin with this are ours: the command never sees them.
pub const HIDDEN_ENV_PREFIX: &str = "TREENAIL_";

/// Status of the helper when the command was not run, or its output could not be kept.
pub const FAILED_STATUS: u8 = 125;

/// Status of the helper when the command ended with 0 and that was not expected.
pub const UNEXPECTED_SUCCESS_STATUS: u8 = 1;

/// Version of the helper's behaviour.
const BEHAVIOUR: u32 = 1;

/// Architectures, named as OCI does, for which this release has a helper.
pub const ARCHITECTURES: &[&str] = &["amd64"];

/// Id of the secret whose content is the helper for an architecture, named as OCI does (`amd64`, `arm64`).
///
/// It is in the key of every exec: a release that changes it throws away all that its users have cached.
#[must_use]
pub fn secret_id(architecture: &str) -> String {
    format!("treenail-init-{BEHAVIOUR}-{architecture}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_the_first_behaviour_is_pinned() {
        assert_eq!(secret_id("amd64"), "treenail-init-1-amd64");
    }
}
