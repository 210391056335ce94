//! What the engine asks of the machine that its client runs on. The command line implements it with a session to
//! the daemon; a frontend with what its build was given.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use treenail_call::Digest;
use treenail_llb as llb;
use treenail_model::{GitLogin, GitUrl};
use treenail_model::{Helper, INLINE_LIMIT, Reference};

/// Something on the client's machine failed. The text is shown to the user.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// A host directory wanted as a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WantedDirectory {
    /// Absolute path, links in it resolved by the host.
    pub path: PathBuf,
    /// Let `.gitignore` files decide.
    pub gitignore: bool,
}

/// How the daemon asks for a shared directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedDirectory {
    /// Name of the local source, stable between sessions.
    pub name: String,
    /// Session that serves it.
    pub session: String,
    /// Hint under which the daemon keeps what it already has, stable between sessions.
    pub shared_key: String,
    /// Where the wanted directory is in what the name stands for; empty for all of it.
    pub below: String,
    /// Patterns of what is not to be sent, relative to all of it. They go before those of the call.
    pub exclude: Vec<String>,
}

/// Where an export goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportTarget {
    /// Into a directory, merged, or emptied of everything else first.
    Directory {
        /// Absolute path.
        path: PathBuf,
        /// Remove what the export does not hold.
        wipe: bool,
    },
    /// One file out of an exported tree. The tree holds exactly this file.
    File {
        /// Absolute path of the file to write.
        path: PathBuf,
    },
    /// A byte stream (an archive) into a file.
    Stream {
        /// Absolute path of the file to write.
        path: PathBuf,
    },
    /// A registry: nothing comes back, but the daemon asks for logins.
    Registry,
    /// A byte stream into a file without a name, for [`Receiving::received`]. It is no file of the user's.
    Nameless,
}

/// Bytes that are kept elsewhere and read in ranges.
#[async_trait::async_trait]
pub trait Ranges: Send + Sync + 'static {
    /// How many there are.
    fn size(&self) -> u64;

    /// Reads at most `length` bytes from `offset` on; fewer only at the end.
    ///
    /// # Errors
    /// They cannot be read any more.
    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, HostError>;
}

/// A short-lived session that receives one export.
#[async_trait::async_trait]
pub trait Receiving: Send + Sync {
    /// Session to name in the export.
    fn session(&self) -> String;

    /// What arrives for [`ExportTarget::Nameless`]: to be asked for before the end, and complete after it.
    fn received(&self) -> Option<Arc<dyn Ranges>> {
        None
    }

    /// Ends it; everything is on disk when this returns.
    ///
    /// # Errors
    /// What kept the bytes from reaching the disk.
    async fn finish(self: Box<Self>) -> Result<(), HostError>;
}

/// A secret's value, or where to read it at each use.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// The value itself, held in memory only.
    Plaintext(Bytes),
    /// `scheme://rest`, read when asked for.
    Uri(String),
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plaintext(_) => f.write_str("Plaintext(***)"),
            Self::Uri(uri) => write!(f, "Uri({uri})"),
        }
    }
}

/// The document that a client's calls stand in, for errors that show its lines.
pub trait Document: Send + Sync + 'static {
    /// Where a call stands; `None` for a call that is not in it.
    fn location(&self, call: &Digest) -> Option<llb::SourceLocation>;
}

/// A git repository that is asked for its names, and how to prove who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRemote {
    /// What git is given: one of the addresses that `treenail_model::GitUrl` lets through.
    pub url: String,
    /// How.
    pub access: GitAccess,
}

/// How to prove who asks for a git repository. Values are in no `Debug` text.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum GitAccess {
    /// Not at all.
    #[default]
    Anonymous,
    /// By a header.
    Header {
        /// Scheme and host that get it: `https://example.com/`.
        scope: String,
        /// What follows `Authorization: `.
        value: String,
    },
    /// By the keys of the agent.
    Agent {
        /// Lines of a known hosts file; empty accepts every host.
        known_hosts: String,
    },
}

impl std::fmt::Debug for GitAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Header { scope, .. } => write!(f, "Header({scope}, ***)"),
            Self::Agent { .. } => f.write_str("Agent"),
        }
    }
}

/// Why a git repository gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitFailure {
    /// The program is not there.
    #[error("git is not installed on this machine: install it, or put it into PATH")]
    NoProgram,
    /// The server wants a login, or another one.
    #[error("git authentication failed")]
    Denied,
    /// Nothing of git's is there.
    #[error("not a git repository")]
    NotARepository,
    /// It lists more than is taken in.
    #[error("the repository lists more than {limit} bytes of names")]
    TooLarge {
        /// Bytes taken in.
        limit: usize,
    },
    /// Anything else.
    #[error("{status}{}{said}", if .said.is_empty() { "" } else { ": " })]
    Failed {
        /// How the program ended: `exit status 128`.
        status: String,
        /// The last thing that it said.
        said: String,
    },
}

impl GitFailure {
    /// What a complaint of git means, which has no other words for its reasons. `status` is how the program ended.
    pub fn judge(status: &str, complaint: &str) -> Self {
        const DENIED: &[&str] = &[
            "authentication failed",
            "could not read username",
            "could not read password",
            "terminal prompts disabled",
            "permission denied",
            "access denied",
            "invalid username or password",
            "returned error: 401",
            "returned error: 403",
        ];
        const NO_REPOSITORY: &[&str] = &["not a git repository", "does not appear to be a git repository"];
        /// Letters that are shown.
        const SHOWN: usize = 400;
        let lower = complaint.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if has(DENIED) {
            return Self::Denied;
        }
        if has(NO_REPOSITORY) {
            return Self::NotARepository;
        }
        let mut lines = complaint.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.clone().find(|line| line.starts_with("fatal: "));
        let said = first.or_else(|| lines.next_back()).unwrap_or_default().trim_start_matches("fatal: ");
        let said = said.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
        Self::Failed { status: status.to_owned(), said }
    }
}

/// The client's machine.
#[async_trait::async_trait]
pub trait Host: Send + Sync + 'static {
    /// Where commands get their helper from.
    fn helper(&self) -> Helper {
        Helper::Secret
    }

    /// The document whose lines belong into definitions, if there is one.
    fn document(&self) -> Option<Arc<dyn Document>> {
        None
    }

    /// Another address to use for an image: the user may have put one in the place of another.
    fn replaced_image(&self, address: &Reference) -> Option<String> {
        let _ = address;
        None
    }

    /// How images are resolved.
    fn resolve_mode(&self) -> Option<llb::ResolveMode> {
        None
    }

    /// Bytes of a file's contents that may stand in a definition; longer ones are offered as blobs.
    fn inline_limit(&self) -> usize {
        INLINE_LIMIT
    }

    /// Absolute path for a path of the client: relative ones start at its working directory, `~` is its home.
    fn resolve(&self, path: &str) -> PathBuf;

    /// Shares a directory with the daemon.
    ///
    /// # Errors
    /// The directory does not exist, or cannot be opened.
    async fn share(&self, wanted: WantedDirectory) -> Result<SharedDirectory, HostError>;

    /// Path of the first entry called `name` in the working directory or above it, relative to it.
    ///
    /// # Errors
    /// What the file system said.
    async fn find_up(&self, name: &str) -> Result<Option<String>, HostError>;

    /// A variable of the client's environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// Reads a secret from its provider.
    ///
    /// # Errors
    /// The texts of `contract/sources.md` 6.
    async fn read_secret(&self, uri: &str) -> Result<Bytes, HostError>;

    /// The session that serves directories, secrets and blobs to the daemon.
    fn session(&self) -> String;

    /// Makes a blob known to the daemon, by its digest within a store, for as long as the client lives.
    fn offer_blob(&self, store: &str, blob: Bytes);

    /// The same for a blob that is kept elsewhere, under its digest (`sha256:…`).
    fn offer_ranges(&self, store: &str, digest: &str, blob: Arc<dyn Ranges>);

    /// Copies bytes to a file without a name, to be read from there.
    ///
    /// # Errors
    /// They cannot be read, or there is no room for them.
    async fn keep(&self, from: Arc<dyn Ranges>) -> Result<Arc<dyn Ranges>, HostError>;

    /// Makes a secret known to the daemon under an id, for as long as the client lives.
    fn offer_secret(&self, id: &str, value: SecretValue);

    /// Uses a login for a registry host (`docker.io`, `localhost:5000`) from now on, for as long as the client lives.
    /// It goes before what the machine knows.
    fn log_in(&self, host: &str, username: &str, password: &str);

    /// Forgets the login that [`Host::log_in`] gave for a host; none is no error.
    fn log_out(&self, host: &str);

    /// What a git repository calls its commits, in the words of `git ls-remote --symref`.
    ///
    /// Neither settings nor keys nor logins of the machine take part, but those given; nobody is asked anything.
    ///
    /// # Errors
    /// The repository, or the way to it, failed.
    async fn git_refs(&self, remote: &GitRemote) -> Result<String, GitFailure>;

    /// User and password that the machine has for a git server, if any.
    async fn git_login(&self, url: &GitUrl) -> Option<GitLogin>;

    /// Forwards the client's SSH agent to the daemon, under the id that is answered; nothing where there is no agent.
    fn forward_agent(&self) -> Option<String>;

    /// What secrets by URI are hashed with, if the user has chosen something: then equal values are equal secrets
    /// in all sessions that share it.
    fn secret_salt(&self) -> Option<Vec<u8>>;

    /// Opens a receiver for one export.
    ///
    /// # Errors
    /// The target cannot be written.
    async fn receive(&self, target: ExportTarget) -> Result<Box<dyn Receiving>, HostError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_git_are_judged() {
        let failed =
            |said: &str| GitFailure::Failed { status: "exit status 128".to_owned(), said: said.to_owned() };
        for (complaint, expected) in [
            ("fatal: Authentication failed for 'https://h/r/'", GitFailure::Denied),
            ("fatal: could not read Username for 'https://h': terminal prompts disabled", GitFailure::Denied),
            ("git@h: Permission denied (publickey).\nfatal: Could not read", GitFailure::Denied),
            ("fatal: '/x' does not appear to be a git repository\nfatal: no", GitFailure::NotARepository),
            (
                "remote: a\nfatal: repository 'http://h/r/' not found\n",
                failed("repository 'http://h/r/' not found"),
            ),
            ("warning\n\nsomething\u{1b}[31m\n", failed("something[31m")),
            ("", failed("")),
        ] {
            assert_eq!(GitFailure::judge("exit status 128", complaint), expected, "{complaint}");
        }
        assert_eq!(failed("").to_string(), "exit status 128");
        assert_eq!(failed("x").to_string(), "exit status 128: x");
    }
}
