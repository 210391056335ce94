//! What the engine asks of the machine that its client runs on. The command line implements it with a session to
//! the daemon; a frontend with what its build was given.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDirectory {
    /// Name of the local source, stable between sessions.
    pub name: String,
    /// Session that serves it.
    pub session: String,
    /// Hint under which the daemon keeps what it already has, stable between sessions.
    pub shared_key: String,
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

/// The client's machine.
#[async_trait::async_trait]
pub trait Host: Send + Sync + 'static {
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

    /// What secrets by URI are hashed with, if the user has chosen something: then equal values are equal secrets
    /// in all sessions that share it.
    fn secret_salt(&self) -> Option<Vec<u8>>;

    /// Opens a receiver for one export.
    ///
    /// # Errors
    /// The target cannot be written.
    async fn receive(&self, target: ExportTarget) -> Result<Box<dyn Receiving>, HostError>;
}
