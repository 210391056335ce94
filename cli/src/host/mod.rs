//! The machine that the program runs on, as the engine asks for it: directories, secrets, and where exports go.

mod blobs;
mod git;
mod logins;
mod netrc;
mod paths;
mod receive;
mod secrets;
mod sockets;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use treenail_bridge::socket::Connection;
use treenail_call::hash_strings;
use treenail_engine::{
    ExportTarget, GitFailure, GitRemote, Host, HostError, Ranges, Receiving, SecretValue, SharedDirectory,
    WantedDirectory,
};
use treenail_model::{GitLogin, GitUrl};
use treenail_session::{Connect, ContentStores, LocalRoot, Locals};

pub(crate) use logins::Logins;
pub(crate) use secrets::HostSecrets;
pub(crate) use sockets::HostSockets;

/// Variable with what secrets by URI are hashed with.
const SALT: &str = "TREENAIL_SECRET_SALT";

/// Id of the user's SSH agent among the forwarded sockets, as the daemon's other clients call it.
const AGENT: &str = "default";

/// The client's machine, with a session to the daemon.
pub(crate) struct LocalHost {
    pub(crate) workdir: PathBuf,
    pub(crate) home: Option<PathBuf>,
    pub(crate) identity: Identity,
    /// The session that serves directories and secrets.
    pub(crate) session: String,
    pub(crate) locals: Locals,
    pub(crate) stores: ContentStores,
    pub(crate) secrets: Arc<HostSecrets>,
    pub(crate) sockets: Arc<HostSockets>,
    /// Logins for registries: those of this session, then those of the machine.
    pub(crate) logins: Logins,
    pub(crate) connection: Connection,
    /// Keep files out of reach: `listen --disable-host-read-write`.
    pub(crate) closed: bool,
}

/// Names a machine and a user, the same way in every session, and nothing more about them.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Arc<str>);

impl Identity {
    /// The identity of this machine and user.
    pub(crate) fn of_this_machine() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty());
        let machine = read("/etc/machine-id")
            .or_else(|| read("/var/lib/dbus/machine-id"))
            .or_else(|| read("/proc/sys/kernel/hostname"))
            .unwrap_or_default();
        let user = rustix::process::getuid().as_raw().to_string();
        // machine-id(5): the id is not to be shown as it is.
        Self(hash_strings(&["treenail", machine.trim(), &user]).as_str().into())
    }

    /// The text to present to a daemon.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How sessions reach the daemon: each on a connection of its own.
pub(crate) fn connector(connection: &Connection) -> Connect {
    let connection = connection.clone();
    Arc::new(move || {
        let connection = connection.clone();
        Box::pin(async move { connection.session_channel().await.map_err(Into::into) })
    })
}

impl LocalHost {
    fn check_open(&self) -> Result<(), HostError> {
        if self.closed {
            return Err(HostError("access to the host is disabled (--disable-host-read-write)".to_owned()));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Host for LocalHost {
    fn resolve(&self, path: &str) -> PathBuf {
        paths::resolve(path, &self.workdir, self.home.as_deref())
    }

    async fn share(&self, wanted: WantedDirectory) -> Result<SharedDirectory, HostError> {
        self.check_open()?;
        let asked = wanted.path;
        let path = blocking(move || open_directory(&asked)).await?;
        let text = path.to_string_lossy();
        let gitignore = if wanted.gitignore { "gitignore" } else { "" };
        let shared = SharedDirectory {
            name: if wanted.gitignore { format!("{text} (gitignore)") } else { text.clone().into_owned() },
            session: self.session.clone(),
            shared_key: hash_strings(&[self.identity.as_str(), &text, gitignore]).as_str().to_owned(),
            ..SharedDirectory::default()
        };
        self.locals.share(&shared.name, LocalRoot::new(&path).with_gitignore(wanted.gitignore));
        Ok(shared)
    }

    async fn find_up(&self, name: &str) -> Result<Option<String>, HostError> {
        self.check_open()?;
        let (workdir, name) = (self.workdir.clone(), name.to_owned());
        blocking(move || {
            paths::find_up(&workdir, &name).map_err(|error| HostError(paths::describe(&workdir, &error)))
        })
        .await
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    async fn read_secret(&self, uri: &str) -> Result<Bytes, HostError> {
        self.secrets.read(uri).await
    }

    fn session(&self) -> String {
        self.session.clone()
    }

    fn offer_blob(&self, store: &str, blob: Bytes) {
        // The daemon asks for a store of a layout under this prefix (`mechanisms.md` 10).
        self.stores.add(&format!("oci:{store}"), blob);
    }

    async fn keep(&self, from: Arc<dyn Ranges>) -> Result<Arc<dyn Ranges>, HostError> {
        Ok(Arc::new(blobs::Nameless::copy(from.as_ref()).await?))
    }

    fn offer_ranges(&self, store: &str, digest: &str, blob: Arc<dyn Ranges>) {
        self.stores.add_remote(&format!("oci:{store}"), digest, Arc::new(blobs::Offered(blob)));
    }

    fn offer_secret(&self, id: &str, value: SecretValue) {
        self.secrets.offer(id, value);
    }

    fn log_in(&self, host: &str, username: &str, password: &str) {
        self.logins.log_in(host, username, password);
    }

    fn log_out(&self, host: &str) {
        self.logins.log_out(host);
    }

    async fn git_refs(&self, remote: &GitRemote) -> Result<String, GitFailure> {
        git::refs(remote).await
    }

    async fn git_login(&self, url: &GitUrl) -> Option<GitLogin> {
        self.check_open().ok()?;
        git::login(url, &self.workdir, self.home.as_deref()).await
    }

    fn forward_agent(&self) -> Option<String> {
        self.sockets.share(AGENT, git::agent()?);
        Some(AGENT.to_owned())
    }

    fn secret_salt(&self) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        std::env::var_os(SALT).filter(|salt| !salt.is_empty()).map(OsStringExt::into_vec)
    }

    async fn receive(&self, target: ExportTarget) -> Result<Box<dyn Receiving>, HostError> {
        if !matches!(target, ExportTarget::Registry | ExportTarget::Nameless) {
            self.check_open()?;
        }
        let receiver =
            receive::Receiver::open(&self.connection, &self.identity, &self.logins, target).await?;
        Ok(Box::new(receiver))
    }
}

/// The directory behind a path, if it can be read.
fn open_directory(path: &Path) -> Result<PathBuf, HostError> {
    let fail = |error: io::Error| HostError(paths::describe(path, &error));
    let real = path.canonicalize().map_err(fail)?;
    // A directory that cannot be listed fails here, with its path, rather than in the daemon.
    std::fs::read_dir(&real).map_err(fail)?;
    Ok(real)
}

/// Runs what may block elsewhere.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(HostError(format!("internal error: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_shared_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        std::fs::write(&file, "").expect("written");
        let text = |path: &Path| open_directory(path).expect_err("no directory").0;
        let missing = folder.path().join("nothing");
        assert_eq!(text(&missing), format!("{}: no such file or directory", missing.display()));
        assert_eq!(text(&file), format!("{}: not a directory", file.display()));

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).expect("linked");
        assert_eq!(open_directory(&link).expect("a directory"), folder.path().canonicalize().expect("real"));
    }

    #[test]
    fn the_identity_is_stable_and_tells_nothing() {
        let identity = Identity::of_this_machine();
        assert_eq!(identity.as_str(), Identity::of_this_machine().as_str());
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        assert!(machine.trim().is_empty() || !identity.as_str().contains(machine.trim()));
    }
}
