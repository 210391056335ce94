//! Private stock daemons.
//!
//! Each has its own state folder, socket, log and, through the keeper, its own process and mount
//! namespaces. **Invariant:** dropping the value, or the death of its process by whatever means,
//! ends the daemon with all its containers; nothing is left but what [`Options::root`] keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::keeper::{Fate, Kept};
use super::{Kit, host};

/// How long a daemon may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Longest path of a unix socket, less the ending zero byte.
const MAX_SOCKET_PATH: usize = 107;

/// The network that a daemon gives its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// The daemon's own.
    #[default]
    Host,
    /// A bridge with an address per container. Needs `host::BRIDGE`.
    Bridge,
}

/// What may differ between daemons.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The network of containers.
    pub network: Network,
    /// Where the state is kept for later runs; without it the state is removed at the end.
    pub root: Option<PathBuf>,
    /// Path of the socket; without it a short one is chosen.
    pub socket: Option<PathBuf>,
    /// `host:port` of the registry that stands in for Docker Hub; names it does not have are asked for there.
    pub mirror: Option<String>,
    /// `host:port` of further registries that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// Entitlements that solves may ask for, such as `security.insecure`.
    pub entitlements: Vec<String>,
    /// Most vertices at once; 0 is no limit.
    pub max_parallelism: u32,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    socket: PathBuf,
    state: PathBuf,
    process: Kept,
    /// The socket's own folder, when the state folder's path is too long for a socket.
    _short: Option<tempfile::TempDir>,
}

impl Daemon {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// When not root, when the daemon does not start (the text has the end of its log), and when
    /// the socket's path is too long.
    pub fn start(kit: &Kit, options: &Options) -> Result<Self> {
        if !host::is_root() {
            bail!(
                "a private daemon needs root; as another user start buildkitd yourself and name it with `--addr`"
            );
        }
        if options.network == Network::Bridge {
            host::ensure(kit, host::BRIDGE)?;
        }
        let (state, fate) = match &options.root {
            Some(root) => {
                fs::create_dir_all(root)
                    .with_context(|| format!("cannot create folder: `{}`", root.display()))?;
                (root.clone(), Fate::Keep)
            }
            None => (kit.scratch("bk-")?, Fate::Remove),
        };
        let (socket, short) = choose_socket(options, &state)?;
        let command = prepare(kit, options, &state, &socket)?;
        let process = Kept::start(&state, fate, true, &command)?;
        let daemon = Self { socket, state, process, _short: short };
        let address = daemon.address();
        daemon.process.wait_until("buildkitd", START_LIMIT, || answers(&kit.buildctl(), &address))?;
        Ok(daemon)
    }

    /// The address that clients take: `unix://` and the socket's path.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.process.log()
    }

    /// The folder that holds `root/` (snapshots, databases), the configuration and the log.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }
}

/// Whether a daemon answers at an address.
#[must_use]
pub fn answers(buildctl: &Path, address: &str) -> bool {
    Command::new(buildctl)
        .args(["--addr", address, "--timeout", "5", "debug", "workers"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn choose_socket(options: &Options, state: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    let fits = |path: &Path| path.as_os_str().len() <= MAX_SOCKET_PATH;
    if let Some(socket) = &options.socket {
        if !fits(socket) {
            bail!("path is too long for a socket: `{}`", socket.display());
        }
        return Ok((socket.clone(), None));
    }
    let beside = state.join("buildkitd.sock");
    if fits(&beside) {
        return Ok((beside, None));
    }
    let folder = tempfile::Builder::new().prefix("treenail-").tempdir().context("cannot create a folder")?;
    Ok((folder.path().join("buildkitd.sock"), Some(folder)))
}

/// Writes the daemon's configuration and gives its command line.
fn prepare(kit: &Kit, options: &Options, state: &Path, socket: &Path) -> Result<Vec<String>> {
    let runc = host::find("runc").context("no such program: `runc`")?;
    let config = state.join("buildkitd.toml");
    fs::write(&config, config_text(options)).context("cannot write the daemon's configuration")?;
    let mut command = vec![
        kit.buildkitd().display().to_string(),
        format!("--addr=unix://{}", socket.display()),
        format!("--root={}", state.join("root").display()),
        format!("--config={}", config.display()),
        format!("--otel-socket-path={}", state.join("otel.sock").display()),
        "--containerd-worker=false".into(),
        "--oci-worker=true".into(),
        format!("--oci-worker-binary={}", runc.display()),
    ];
    match options.network {
        Network::Host => command.push("--oci-worker-net=host".into()),
        Network::Bridge => {
            command.push("--oci-worker-net=bridge".into());
            command.push("--oci-cni-binary-dir=/usr/lib/cni".into());
        }
    }
    command.extend(options.entitlements.iter().map(|name| format!("--allow-insecure-entitlement={name}")));
    // A private socket in `/tmp` that is too long to sit beside the state has no room for a second one.
    if state.join("otel.sock").as_os_str().len() > MAX_SOCKET_PATH {
        let beside = socket.with_extension("otel");
        command.retain(|word| !word.starts_with("--otel-socket-path="));
        command.push(format!("--otel-socket-path={}", beside.display()));
    }
    Ok(command)
}

fn config_text(options: &Options) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        writeln!(text, "{words}").expect("writing to a string cannot fail");
    };
    // No collection: a test that counts cache hits must not race with it.
    line(format_args!("[worker.oci]\n  gc = false"));
    if options.max_parallelism > 0 {
        line(format_args!("  max-parallelism = {}", options.max_parallelism));
    }
    if let Some(mirror) = &options.mirror {
        line(format_args!("[registry.\"docker.io\"]\n  mirrors = [\"{mirror}\"]"));
    }
    for plain in options.mirror.iter().chain(&options.plain_http) {
        line(format_args!("[registry.\"{plain}\"]\n  http = true"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_names_the_mirror_and_its_protocol() {
        let options = Options { mirror: Some("127.0.0.1:5000".into()), ..Options::default() };
        assert_eq!(
            config_text(&options),
            "[worker.oci]\n  gc = false\n[registry.\"docker.io\"]\n  mirrors = [\"127.0.0.1:5000\"]\n\
             [registry.\"127.0.0.1:5000\"]\n  http = true\n"
        );
    }

    #[test]
    fn parallelism_belongs_to_the_worker() {
        let options = Options { max_parallelism: 1, plain_http: vec!["r:1".into()], ..Options::default() };
        assert_eq!(
            config_text(&options),
            "[worker.oci]\n  gc = false\n  max-parallelism = 1\n[registry.\"r:1\"]\n  http = true\n"
        );
    }

    #[test]
    fn long_state_paths_get_a_short_socket() {
        let long = PathBuf::from("/").join("x".repeat(120));
        let (socket, folder) = choose_socket(&Options::default(), &long).expect("a socket");
        assert!(socket.as_os_str().len() <= MAX_SOCKET_PATH && folder.is_some());
        let options = Options { socket: Some(long), ..Options::default() };
        assert!(choose_socket(&options, Path::new("/tmp")).is_err());
    }
}
