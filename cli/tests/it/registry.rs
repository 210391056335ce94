//! Registries that want a login, and the requests that look into any registry on this machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) mod faulty;
pub(crate) mod token;

pub(crate) use token::TokenService;

/// Manifests of images and of several platforms, by all their names.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// User and password of [`Guarded`].
pub(crate) const USER: &str = "someone";
pub(crate) const PASSWORD: &str = "right-password";
/// bcrypt of [`PASSWORD`].
const HASH: &str = "$2b$05$v55Qv3AcF9GEOqh9MgQ2QumAoxt.IYMh.slB53pLTuVs9xiKaIu9u";

/// A registry of its own. Dropping it ends it.
pub(crate) struct Guarded {
    child: Child,
    address: String,
    state: tempfile::TempDir,
}

impl Guarded {
    /// Starts one behind a password on a free port; nothing where the program is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|state| {
            let users = state.join("users");
            fs::write(&users, format!("{USER}:{HASH}\n")).expect("written");
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())
        })
    }

    /// The same behind a token service.
    pub(crate) fn behind(tokens: &TokenService) -> Option<Self> {
        Self::start_with(|_| {
            format!(
                "auth:\n  token:\n    realm: {}\n    service: {}\n    issuer: {}\n    rootcertbundle: {}\n",
                tokens.realm(),
                token::SERVICE,
                token::ISSUER,
                tokens.certificate().display()
            )
        })
    }

    /// The same, open to everybody.
    pub(crate) fn open() -> Option<Self> {
        Self::start_with(|_| String::new())
    }

    fn start_with(auth: impl FnOnce(&Path) -> String) -> Option<Self> {
        let state = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let config = state.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\n{}http:\n  addr: {address}\n",
            state.path().join("storage").display(),
            auth(state.path())
        );
        fs::write(&config, text).expect("written");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let started = Self { child, address, state };
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
        let tags = format!(
            "storage/docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
        );
        self.state.path().join(tags).exists()
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
    let (status, body) = get(registry, &format!("/v2/{repository}/manifests/{reference}"));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}

/// A blob.
pub(crate) fn blob(registry: &str, repository: &str, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let (status, body) = get(registry, &format!("/v2/{repository}/blobs/{digest}"));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    body
}

/// Pushes an image with one plain layer past the daemon, and answers its digest.
pub(crate) fn push(registry: &str, repository: &str, tag: &str, layer: &[u8]) -> String {
    let upload = |bytes: &[u8]| {
        let digest = sha256(bytes);
        let (status, head, _) = send(registry, "POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        assert_eq!(status, 202, "{head}");
        let place = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place");
        let path = place.trim_start_matches(&format!("http://{registry}"));
        let (status, head, _) =
            send(registry, "PUT", &format!("{path}&digest={digest}"), "application/octet-stream", bytes);
        assert_eq!(status, 201, "{head}");
        digest
    };
    let config = json!({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [sha256(layer)] }
    })
    .to_string();
    let part = |kind: &str, bytes: &[u8]| {
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": media_type, "digest": upload(bytes), "size": bytes.len() })
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": part("config.v1+json", config.as_bytes()), "layers": [part("layer.v1.tar", layer)]
    })
    .to_string();
    let path = format!("/v2/{repository}/manifests/{tag}");
    let (status, head, _) = send(registry, "PUT", &path, media_type, manifest.as_bytes());
    assert_eq!(status, 201, "{head}");
    sha256(manifest.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is on every Linux");
    child.stdin.take().expect("piped").write_all(bytes).expect("taken");
    let output = child.wait_with_output().expect("it ends");
    format!("sha256:{}", String::from_utf8_lossy(&output.stdout[..64]))
}

fn get(registry: &str, path: &str) -> (u16, Vec<u8>) {
    let (status, _, body) = send(registry, "GET", path, "", b"");
    (status, body)
}

/// Sends a request and answers status, head and body.
fn send(registry: &str, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(registry).expect("the registry listens");
    // HTTP/1.0: the body ends with the connection.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {registry}\r\nAccept: {MANIFESTS}\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head.replace('\r', ""), answer[split + 4..].to_vec())
}
