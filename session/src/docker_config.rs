//! Logins from the user's Docker configuration.
//!
//! The order is Docker's: `DOCKER_AUTH_CONFIG`, then the helper of the registry (`credHelpers`), then the
//! general one (`credsStore`), then what the file itself holds. The crate underneath reads entries; helpers are run
//! here, because it takes one that does not read its question for one that cannot be run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{Credential, Credentials, canonical_host};
use crate::error::BoxError;

/// How Docker Hub is called in configurations and by helpers.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other keys that people use for it.
const HUB_KEYS: [&str; 4] = [HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"];
/// Bytes of a configuration file.
const FILE_LIMIT: u64 = 4 << 20;
/// Letters of a helper's complaint that are worth showing.
const COMPLAINT: usize = 200;

/// The Docker configuration of a user, read anew for each question: a login during a session counts.
#[derive(Clone, Default)]
pub struct DockerConfig {
    file: Option<PathBuf>,
    inline: Option<String>,
}

impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DockerConfig").field("file", &self.file).finish_non_exhaustive()
    }
}

impl DockerConfig {
    /// The configuration that the environment names: `DOCKER_CONFIG` or `~/.docker`, and `DOCKER_AUTH_CONFIG`.
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = set("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".docker")));
        Self {
            file: folder.map(|folder| folder.join("config.json")),
            inline: set("DOCKER_AUTH_CONFIG").and_then(|text| text.into_string().ok()),
        }
    }

    /// The configuration file at `path`, which need not exist.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), inline: None }
    }

    /// Adds a configuration given as text, which comes first (the content of `DOCKER_AUTH_CONFIG`).
    pub fn with_inline(mut self, text: impl Into<String>) -> Self {
        self.inline = Some(text.into());
        self
    }

    /// The login for `host`. Blocks, on a helper as long as that takes.
    fn look_up(&self, host: &str) -> Result<Option<Credential>, Failure> {
        let server = if canonical_host(host) == "docker.io" { HUB_KEY } else { host };
        if let Some(text) = &self.inline {
            let config = File::parse(text.as_bytes(), "DOCKER_AUTH_CONFIG")?;
            if let Some(found) = config.in_entries(server)? {
                return Ok(Some(found));
            }
        }
        let Some(path) = &self.file else { return Ok(None) };
        let shown = path.display().to_string();
        let failed = |source| Failure::Read { path: shown.clone(), source };
        let bytes = match fs::metadata(path) {
            Ok(meta) if meta.len() > FILE_LIMIT => return Err(failed(io::ErrorKind::FileTooLarge.into())),
            Ok(_) => fs::read(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let config = File::parse(&bytes, &shown)?;
        if let Some(helper) = config.helper(server)
            && let Some(found) = from_helper(helper, server)?
        {
            return Ok(Some(found));
        }
        config.in_entries(server)
    }
}

#[tonic::async_trait]
impl Credentials for DockerConfig {
    async fn credential(&self, host: &str) -> Result<Option<Credential>, BoxError> {
        let (config, host) = (self.clone(), host.to_owned());
        Ok(tokio::task::spawn_blocking(move || config.look_up(&host)).await??)
    }
}

/// Why a configuration gave no answer. No text holds a secret.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{place} is not a Docker configuration")]
    Malformed { place: String },
    #[error("the entry for `{server}` cannot be decoded")]
    Entry { server: String },
    #[error("cannot run `docker-credential-{helper}`")]
    Helper { helper: String },
    #[error("`docker-credential-{helper}` failed: {complaint}")]
    Complaint { helper: String, complaint: String },
    #[error("`docker-credential-{helper}` gave no sensible answer")]
    Nonsense { helper: String },
}

/// What matters of `config.json`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Value>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

impl File {
    fn parse(bytes: &[u8], place: &str) -> Result<Self, Failure> {
        // The parser's message could quote the content.
        serde_json::from_slice(bytes).map_err(|_| Failure::Malformed { place: place.to_owned() })
    }

    fn helper(&self, server: &str) -> Option<&str> {
        let keys = if server == HUB_KEY { &HUB_KEYS[..] } else { &[server] };
        let own = keys.iter().find_map(|&key| self.cred_helpers.get(key));
        own.or(Some(&self.creds_store)).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    fn in_entries(&self, server: &str) -> Result<Option<Credential>, Failure> {
        // A credsStore leaves entries without content behind, which say nothing.
        let auths: BTreeMap<_, _> = self
            .auths
            .iter()
            .filter(|(_, entry)| {
                entry.as_object().is_some_and(|entry| entry.values().any(|value| !is_blank(value)))
            })
            .collect();
        match ask(&json!({ "auths": auths }), server) {
            Ok(found) => Ok(found),
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            Err(_) => Err(Failure::Entry { server: server.to_owned() }),
        }
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// Asks a helper. It may answer, or fail, without having read the question.
///
/// # Source
/// docker-credential-helpers: `get` takes the server on standard input; `<token>` is the user of an identity token.
fn from_helper(helper: &str, server: &str) -> Result<Option<Credential>, Failure> {
    let helper = helper.to_owned();
    let run = || {
        let mut child = Command::new(format!("docker-credential-{helper}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(server.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait_with_output()
    };
    let Ok(output) = run() else { return Err(Failure::Helper { helper }) };
    if !output.status.success() {
        let said = if output.stdout.trim_ascii().is_empty() { &output.stderr } else { &output.stdout };
        let complaint = String::from_utf8_lossy(said);
        if complaint.contains("credentials not found") || complaint.contains("no credentials") {
            return Ok(None);
        }
        let complaint = complaint.trim().chars().take(COMPLAINT).collect();
        return Err(Failure::Complaint { helper, complaint });
    }
    let Ok(answer) = serde_json::from_slice::<HelperAnswer>(&output.stdout) else {
        return Err(Failure::Nonsense { helper });
    };
    Ok(match answer {
        HelperAnswer { secret, .. } if secret.is_empty() => None,
        HelperAnswer { username, secret } if username == "<token>" => Some(Credential::IdentityToken(secret)),
        HelperAnswer { username, secret } => Some(Credential::Password { username, password: secret }),
    })
}

/// What a helper says of a server.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Puts one question to the crate, with a configuration that leaves it no choice.
fn ask(config: &Value, server: &str) -> Result<Option<Credential>, CredentialRetrievalError> {
    let found = docker_credential::get_credential_from_reader(config.to_string().as_bytes(), server)?;
    Ok(match found {
        DockerCredential::IdentityToken(token) if !token.is_empty() => Some(Credential::IdentityToken(token)),
        DockerCredential::UsernamePassword(username, password) if !password.is_empty() => {
            Some(Credential::Password { username, password })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { username: username.to_owned(), password: password.to_owned() })
    }

    fn look_up(config: &str, host: &str) -> Result<Option<Credential>, Failure> {
        DockerConfig::default().with_inline(config).look_up(host)
    }

    #[test]
    fn finds_entries_by_host() {
        // "dTpw" is "u:p".
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "dTpw"},
            "quay.io": {"username": "a", "password": "b"},
            "https://ghcr.io": {"identitytoken": "t"},
            "localhost:5000": {"auth": "dTpw"},
            "empty.example": {}, "blank.example": {"auth": ""}
        }}"#;
        for (host, expected) in [
            ("registry-1.docker.io", password("u", "p")),
            ("index.docker.io", password("u", "p")),
            ("docker.io", password("u", "p")),
            ("quay.io", password("a", "b")),
            ("ghcr.io", Some(Credential::IdentityToken("t".to_owned()))),
            ("localhost:5000", password("u", "p")),
            ("localhost:5001", None),
            ("empty.example", None),
            ("blank.example", None),
        ] {
            assert_eq!(look_up(config, host).expect(host), expected, "{host}");
        }
    }

    #[test]
    fn broken_configurations_are_named_and_not_quoted() {
        for config in ["", "7", r#"{"auths": "hunter2"}"#, r#"{"auths": {"quay.io": {"auth": "hunter2!"}}}"#]
        {
            let error = look_up(config, "quay.io").expect_err(config).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_anonymous() {
        let config = DockerConfig::from_file("/nowhere/config.json");
        assert_eq!(config.look_up("quay.io").expect("no file"), None);
    }

    #[test]
    fn debug_texts_hide_passwords() {
        let config = DockerConfig::default().with_inline(r#"{"auths": {"q": {"auth": "hunter2"}}}"#);
        let credential = Credential::Password { username: "u".to_owned(), password: "hunter2".to_owned() };
        let token = Credential::IdentityToken("hunter2".to_owned());
        let text = format!("{config:?} {credential:?} {token:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_helper_comes_before_the_general_one() {
        let config = File {
            cred_helpers: [("docker.io", "hub"), ("quay.io", "quay")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            creds_store: "general".into(),
            ..File::default()
        };
        assert_eq!(config.helper(HUB_KEY), Some("hub"));
        assert_eq!(config.helper("quay.io"), Some("quay"));
        assert_eq!(config.helper("ghcr.io"), Some("general"));
        assert_eq!(File::default().helper("ghcr.io"), None);
    }
}
