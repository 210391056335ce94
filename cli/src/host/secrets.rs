//! Secrets of this machine: read from their provider each time, kept nowhere else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use treenail_engine::{HostError, SecretValue};
use treenail_session::{BoxError, SecretSource};

use super::{blocking, paths};

/// The helper that runs inside execs, for x86_64.
static HELPER_AMD64: &[u8] = include_bytes!(env!("TREENAIL_INIT_X86_64"));

/// Largest secret in bytes; the daemon takes no larger ones.
const LIMIT: u64 = 15 << 20;

/// Answers the daemon's requests for secrets: those that the engine has offered, and the helper.
pub(crate) struct HostSecrets {
    offered: RwLock<HashMap<String, SecretValue>>,
    helper: String,
    workdir: PathBuf,
    home: Option<PathBuf>,
}

impl HostSecrets {
    /// Nothing but the helper. Relative paths of providers start at `workdir`.
    pub(crate) fn new(workdir: PathBuf, home: Option<PathBuf>) -> Self {
        Self { offered: RwLock::default(), helper: treenail_init::secret_id("amd64"), workdir, home }
    }

    pub(super) fn offer(&self, id: &str, value: SecretValue) {
        self.offered.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), value);
    }

    /// Reads a secret from its provider.
    ///
    /// # Source
    /// `contract/sources.md` 6 has the texts.
    pub(super) async fn read(&self, uri: &str) -> Result<Bytes, HostError> {
        let (scheme, rest) =
            uri.split_once("://").ok_or_else(|| HostError(format!("parse {}: malformed id", quoted(uri))))?;
        match scheme {
            "env" => from_variable(rest),
            "file" => {
                let path = paths::resolve(rest, &self.workdir, self.home.as_deref());
                let name = rest.to_owned();
                blocking(move || from_file(&name, path)).await
            }
            "cmd" => self.run_command(rest).await,
            other => Err(HostError(format!("unsupported secret provider: {}", quoted(other)))),
        }
    }

    async fn run_command(&self, line: &str) -> Result<Bytes, HostError> {
        let fail =
            |reason: String| HostError(format!("failed to run secret command {}: {reason}", quoted(line)));
        let output = tokio::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.workdir)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| fail(paths::words(&error)))?;
        match (output.status.success(), output.status.code()) {
            (true, _) => Ok(output.stdout.into()),
            (false, Some(code)) => Err(fail(format!("exit status {code}"))),
            (false, None) => Err(fail(output.status.to_string())),
        }
    }
}

#[async_trait::async_trait]
impl SecretSource for HostSecrets {
    async fn secret(&self, id: &str) -> Result<Option<Bytes>, BoxError> {
        if id == self.helper {
            return Ok(Some(Bytes::from_static(HELPER_AMD64)));
        }
        let value = self.offered.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        match value {
            None => Ok(None),
            Some(SecretValue::Plaintext(bytes)) => Ok(Some(bytes)),
            Some(SecretValue::Uri(uri)) => Ok(Some(self.read(&uri).await?)),
        }
    }
}

fn from_variable(name: &str) -> Result<Bytes, HostError> {
    match std::env::var_os(name) {
        Some(value) => Ok(value.into_vec().into()),
        None => {
            // The name may be the secret itself, put there by mistake.
            let shown: String = name.chars().take(3).collect();
            let dots = if name.chars().count() > 3 { "..." } else { "" };
            Err(HostError(format!("secret env var not found: {}", quoted(&format!("{shown}{dots}")))))
        }
    }
}

fn from_file(name: &str, path: PathBuf) -> Result<Bytes, HostError> {
    let fail = |reason: String| HostError(format!("failed to read secret file {}: {reason}", quoted(name)));
    let file = std::fs::File::open(&path)
        .map_err(|error| fail(format!("open {}: {}", path.display(), paths::words(&error))))?;
    let mut value = Vec::new();
    let size = file
        .take(LIMIT + 1)
        .read_to_end(&mut value)
        .map_err(|error| fail(format!("read {}: {}", path.display(), paths::words(&error))))?;
    if size as u64 > LIMIT {
        return Err(fail(format!("larger than {LIMIT} bytes")));
    }
    Ok(value.into())
}

/// A text in quotes, with what would move a cursor escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Writing into a string cannot fail.
            letter if letter.is_control() => drop(write!(out, "\\x{:02x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(workdir: &std::path::Path) -> HostSecrets {
        HostSecrets::new(workdir.to_owned(), None)
    }

    #[tokio::test]
    async fn providers_give_values_untrimmed_and_errors_in_the_contract_s_words() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), b"a\xffb\n").expect("written");
        let secrets = secrets(folder.path());
        let read = async |uri: &str| secrets.read(uri).await.map_err(|error| error.0);
        assert_eq!(read("file://token").await, Ok(Bytes::from_static(b"a\xffb\n")));
        assert_eq!(read("cmd://printf 'x\\n'; pwd >/dev/null").await, Ok(Bytes::from_static(b"x\n")));
        assert!(read("env://PATH").await.is_ok());

        let path = folder.path().join("none");
        let table = [
            ("env://TREENAIL_NOT_SET", r#"secret env var not found: "TRE...""#.to_owned()),
            ("env://TN_", r#"secret env var not found: "TN_""#.to_owned()),
            (
                "file://none",
                format!(
                    r#"failed to read secret file "none": open {}: no such file or directory"#,
                    path.display()
                ),
            ),
            ("cmd://exit 3", r#"failed to run secret command "exit 3": exit status 3"#.to_owned()),
            ("nothing", r#"parse "nothing": malformed id"#.to_owned()),
            ("ftp://x", r#"unsupported secret provider: "ftp""#.to_owned()),
        ];
        for (uri, expected) in table {
            assert_eq!(read(uri).await, Err(expected), "{uri}");
        }
    }

    #[tokio::test]
    async fn the_daemon_gets_the_helper_and_what_was_offered() {
        let secrets = secrets(std::path::Path::new("/"));
        let ask = async |id: &str| secrets.secret(id).await.expect("answered");
        let helper = ask(&treenail_init::secret_id("amd64")).await.expect("the helper");
        assert!(helper.starts_with(b"\x7fELF"), "the helper is a program");
        assert_eq!(ask("x").await, None);
        secrets.offer("x", SecretValue::Plaintext(Bytes::from_static(b"1")));
        assert_eq!(ask("x").await, Some(Bytes::from_static(b"1")));
        secrets.offer("x", SecretValue::Uri("cmd://printf 2".to_owned()));
        assert_eq!(ask("x").await, Some(Bytes::from_static(b"2")));
    }
}
