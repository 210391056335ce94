//! A token service: what stands between a client and a registry of the larger kind.
//!
//! # Source
//! The distribution project's token specification: `jwt`, `oauth`, `scope`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{PASSWORD, USER};

/// The identity token that the service takes for [`USER`]'s.
pub(crate) const IDENTITY: &str = "right-identity-token";
pub(super) const SERVICE: &str = "registry of the tests";
pub(super) const ISSUER: &str = "issuer of the tests";

/// A running service. It ends with the process.
pub(crate) struct TokenService {
    address: String,
    signer: Signer,
    _state: tempfile::TempDir,
}

impl TokenService {
    /// Starts one on a free port; nothing where `openssl` is not installed.
    pub(crate) fn start() -> Option<Self> {
        let state = tempfile::tempdir().expect("a folder");
        let signer = Signer::new(state.path())?;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let for_requests = signer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let signer = for_requests.clone();
                // A client that hangs up has seen enough.
                std::thread::spawn(move || drop(answer(stream, &signer)));
            }
        });
        Some(Self { address, signer, _state: state })
    }

    /// Where tokens are asked for.
    pub(super) fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The certificate that tokens are checked with.
    pub(super) fn certificate(&self) -> &Path {
        &self.signer.certificate
    }
}

/// Signs tokens with a key of its own.
#[derive(Clone)]
struct Signer {
    key: PathBuf,
    certificate: PathBuf,
}

impl Signer {
    fn new(folder: &Path) -> Option<Self> {
        let signer = Self { key: folder.join("key.pem"), certificate: folder.join("certificate.pem") };
        let status = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=tokens",
                "-days",
                "2",
                "-keyout",
            ])
            .arg(&signer.key)
            .arg("-out")
            .arg(&signer.certificate)
            .stderr(Stdio::null())
            .status()
            .ok()?;
        assert!(status.success(), "{status}");
        Some(signer)
    }

    fn token(&self, subject: &str, access: Vec<Value>) -> String {
        let pem = std::fs::read_to_string(&self.certificate).expect("the certificate");
        let chain: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [chain] });
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": subject, "jti": uuid::Uuid::new_v4().to_string(),
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut child = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(&self.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was there before");
        child.stdin.take().expect("piped").write_all(signed.as_bytes()).expect("taken");
        let signature = child.wait_with_output().expect("it ends").stdout;
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn answer(mut stream: TcpStream, signer: &Signer) -> std::io::Result<()> {
    let (head, body) = request(&mut stream)?;
    let line = head.lines().next().unwrap_or_default();
    let target = line.split(' ').nth(1).unwrap_or_default();
    let asked = if line.starts_with("POST") {
        body
    } else {
        target.split_once('?').map_or("", |(_, q)| q).to_owned()
    };
    let asked = form(&asked);
    let field = |name: &str| asked.get(name).map_or("", |values| values[0].as_str());
    let granted = if line.starts_with("POST") {
        match field("grant_type") {
            "refresh_token" => field("refresh_token") == IDENTITY,
            _ => field("username") == USER && field("password") == PASSWORD,
        }
    } else {
        head.contains(&format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{USER}:{PASSWORD}"))))
    };
    let (status, text) = if granted && field("service") == SERVICE {
        let scopes = asked.get("scope").into_iter().flatten().flat_map(|scopes| scopes.split(' '));
        let token = signer.token(USER, scopes.filter_map(access).collect());
        ("200 OK", json!({ "token": token, "access_token": token, "expires_in": 300 }))
    } else {
        let refusal = json!({ "code": "UNAUTHORIZED", "message": "the login is not right" });
        ("401 Unauthorized", json!({ "errors": [refusal] }))
    };
    let text = text.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .and_then(|length| length.trim().parse().ok())
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Ok((head, String::from_utf8_lossy(&bytes[end + 4..]).into_owned()));
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            size => bytes.extend_from_slice(&piece[..size]),
        }
    }
}

/// `repository:tests/x:pull,push`
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
}

/// The fields of a form, by name.
fn form(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        fields.entry(decoded(name)).or_default().push(decoded(value));
    }
    fields
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        bytes.push(match first {
            b'+' => b' ',
            b'%' if more.len() >= 2 => {
                rest = &more[2..];
                let digits = std::str::from_utf8(&more[..2]).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn forms_are_read() {
    let fields = form("scope=repository%3Aa%2Fb%3Apull%2Cpush+x&scope=y&service=registry+of");
    assert_eq!(fields["scope"], ["repository:a/b:pull,push x", "y"]);
    assert_eq!(fields["service"], ["registry of"]);
    assert_eq!(access("repository:h:5000/a:pull,push").expect("a scope")["name"], "h:5000/a");
}
