//! A running `treenail session` and the few lines of HTTP that a client needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};
use treenail_test_fixtures::TestDaemon;

/// A session of the program under test. Dropping it closes its standard input and waits.
pub(crate) struct Service {
    child: Child,
    port: u16,
    token: String,
}

/// Status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Service {
    /// Starts a session in `workdir`.
    pub(crate) fn start(daemon: &TestDaemon, workdir: &Path) -> Self {
        Self::start_with(daemon, workdir, |_| {})
    }

    /// Starts a session whose command `change` has seen.
    pub(crate) fn start_with(daemon: &TestDaemon, workdir: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_treenail"));
        command
            .args(["session", "--workdir"])
            .arg(workdir)
            .env("BUILDKIT_HOST", daemon.address())
            .env("TREENAIL_SECRET_SALT", "salt of the tests")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        change(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line of parameters");
        let parameters: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self {
            child,
            port: parameters["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port"),
            token: parameters["session_token"].as_str().expect("a token").to_owned(),
        }
    }

    /// Process id of the session.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port that it listens at.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The token that it wants.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Posts a document without variables.
    pub(crate) fn query(&self, document: &str) -> Answer {
        self.post(&json!({ "query": document }))
    }

    /// Posts a body.
    pub(crate) fn post(&self, body: &Value) -> Answer {
        let body = body.to_string();
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{}:", self.token));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the session listens");
        write!(
            stream,
            "POST /query HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {login}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .expect("the request is taken");
        stream.write_all(body.as_bytes()).expect("the body is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        parse(&answer)
    }
}

/// A text that no other run has used, for what must not be in the daemon's cache.
pub(crate) fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Takes an answer apart: a length or chunks, as the server likes.
fn parse(answer: &[u8]) -> Answer {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut rest = &answer[split + 4..];
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
            let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..end]).trim(), 16)
                .expect("a chunk size");
            if size == 0 {
                break;
            }
            body.extend_from_slice(&rest[end + 2..end + 2 + size]);
            rest = &rest[end + 4 + size..];
        }
    } else {
        body.extend_from_slice(rest);
    }
    Answer { status, body: String::from_utf8(body).expect("answers are UTF-8") }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The session ends by itself when its standard input does.
        let _ = self.child.wait();
    }
}
