//! A registry that wants a password, and the requests that look into any registry on this machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Manifests of images and of several platforms, by all their names.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// User and password of [`Guarded`].
pub(crate) const USER: &str = "someone";
pub(crate) const PASSWORD: &str = "right-password";
/// bcrypt of [`PASSWORD`].
const HASH: &str = "$2b$05$v55Qv3AcF9GEOqh9MgQ2QumAoxt.IYMh.slB53pLTuVs9xiKaIu9u";

/// A registry behind a password. Dropping it ends it.
pub(crate) struct Guarded {
    child: Child,
    address: String,
    _state: tempfile::TempDir,
}

impl Guarded {
    /// Starts one on a free port; nothing where the program is not installed.
    pub(crate) fn start() -> Option<Self> {
        let state = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let (users, config) = (state.path().join("users"), state.path().join("config.yml"));
        fs::write(&users, format!("{USER}:{HASH}\n")).expect("written");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\nauth:\n  htpasswd:\n    realm: test\n    path: {}\nhttp:\n  addr: {address}\n",
            state.path().join("storage").display(),
            users.display()
        );
        fs::write(&config, text).expect("written");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let started = Self { child, address, _state: state };
        let begun = Instant::now();
        while TcpStream::connect(&started.address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the registry does not listen");
            std::thread::yield_now();
        }
        Some(started)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Is there a manifest under this name?
    pub(crate) fn holds(&self, repository: &str, tag: &str) -> bool {
        let (status, _) = get(&self.address, &format!("/v2/{repository}/manifests/{tag}"), true);
        assert!(status == 200 || status == 404, "status {status}");
        status == 200
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A manifest or an index.
pub(crate) fn manifest(registry: &str, repository: &str, reference: &str) -> Value {
    let (status, body) = get(registry, &format!("/v2/{repository}/manifests/{reference}"), false);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}

/// A blob.
pub(crate) fn blob(registry: &str, repository: &str, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let (status, body) = get(registry, &format!("/v2/{repository}/blobs/{digest}"), false);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    body
}

fn get(registry: &str, path: &str, login: bool) -> (u16, Vec<u8>) {
    use base64::Engine as _;
    let mut stream = TcpStream::connect(registry).expect("the registry listens");
    let login = if login {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        format!("Authorization: Basic {pair}\r\n")
    } else {
        String::new()
    };
    // HTTP/1.0: the body ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {registry}\r\nAccept: {MANIFESTS}\r\n{login}\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let status =
        String::from_utf8_lossy(&answer[..split]).split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.expect("a status"), answer[split + 4..].to_vec())
}
