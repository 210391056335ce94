//! The client's git: what repositories call their commits, and the logins that the user has for their servers.
//!
//! Invariant: an address comes after `--`, and `treenail_model::GitUrl` has judged it before; headers travel in the
//! environment, where other users do not see them; no answer is taken in beyond a limit.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use treenail_engine::{GitAccess, GitFailure, GitRemote};
use treenail_model::{GitLogin, GitUrl};

use super::netrc;

/// Bytes of names that are taken in.
const ANSWER_LIMIT: usize = 32 << 20;
/// Bytes of complaints that are looked at.
const COMPLAINT_LIMIT: u64 = 64 << 10;
/// Bytes of a login.
const LOGIN_LIMIT: u64 = 64 << 10;
/// How long a credential helper may take.
///
/// # Source
/// `contract/sources.md` 2.
const HELPER_PATIENCE: Duration = Duration::from_secs(30);

/// Variables that say how servers are reached.
const PASSED: &[&str] = &[
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What a repository calls its commits.
///
/// The program runs in an empty folder: a repository around the working directory would have settings.
pub(super) async fn refs(remote: &GitRemote) -> Result<String, GitFailure> {
    let broken = |error: std::io::Error| GitFailure::Failed {
        status: "cannot run git".to_owned(),
        said: super::paths::words(&error),
    };
    let folder = tempfile::Builder::new().prefix("treenail-git-").tempdir().map_err(broken)?;
    let mut command = Command::new("git");
    command.args(["ls-remote", "--symref", "--", &remote.url]).current_dir(folder.path());
    isolate(&mut command, folder.path());
    let ssh = "ssh -F /dev/null -o BatchMode=yes";
    let mut checked = format!("{ssh} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null");
    match &remote.access {
        GitAccess::Anonymous => {}
        GitAccess::Header { scope, value } => {
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{scope}.extraheader"))
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: {value}"));
        }
        GitAccess::Agent { known_hosts } => {
            if let Some(agent) = std::env::var_os(AGENT) {
                command.env(AGENT, agent);
            }
            if !known_hosts.is_empty() {
                std::fs::write(folder.path().join("known_hosts"), known_hosts).map_err(broken)?;
                checked = format!("{ssh} -o StrictHostKeyChecking=yes -o UserKnownHostsFile=known_hosts");
            }
        }
    }
    command.env("GIT_SSH_COMMAND", checked);
    let child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => GitFailure::NoProgram,
        _ => broken(error),
    })?;
    let (status, answer, complaint) = listen(child, ANSWER_LIMIT as u64 + 1).await.map_err(broken)?;
    if answer.len() > ANSWER_LIMIT {
        return Err(GitFailure::TooLarge { limit: ANSWER_LIMIT });
    }
    if !status.success() {
        return Err(GitFailure::judge(&ended(status), &String::from_utf8_lossy(&complaint)));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The variable that names the agent's socket.
const AGENT: &str = "SSH_AUTH_SOCK";

/// The socket of the user's SSH agent.
pub(super) fn agent() -> Option<PathBuf> {
    std::env::var_os(AGENT).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// No settings of the machine, no questions, the same words everywhere.
fn isolate(command: &mut Command, folder: &Path) {
    command.env_clear();
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
        .env("LC_ALL", "C")
        .env("HOME", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "http:https:ssh:git")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
}

/// Waits for a program and takes in what it says. One that says more than `limit` is ended.
async fn listen(mut child: Child, limit: u64) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(limit).read_to_end(&mut bytes).await?;
        }
        Ok::<_, std::io::Error>(bytes)
    };
    let complaint = async {
        let mut bytes = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(COMPLAINT_LIMIT).read_to_end(&mut bytes).await?;
            // The rest is read and forgotten: a full pipe would hold the program up.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        Ok::<_, std::io::Error>(bytes)
    };
    tokio::pin!(answer, complaint);
    let mut said = None;
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer?,
            complained = &mut complaint, if said.is_none() => said = Some(complained?),
        }
    };
    if answer.len() as u64 >= limit {
        child.start_kill()?;
    }
    let said = match said {
        Some(said) => said,
        None => complaint.await?,
    };
    Ok((child.wait().await?, answer, said))
}

/// How a program ended, in the words of a shell.
fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// What the user has for a server: a credential helper's answer, else a line of `.netrc`.
pub(super) async fn login(url: &GitUrl, workdir: &Path, home: Option<&Path>) -> Option<GitLogin> {
    let asked = tokio::time::timeout(HELPER_PATIENCE, ask_helper(url, workdir)).await;
    if let Ok(Some(login)) = asked {
        return Some(login);
    }
    let path = home?.join(".netrc");
    let host = url.host.rsplit_once(':').map_or(url.host.as_str(), |(host, _)| host).to_owned();
    let user = url.user.clone();
    let read = tokio::task::spawn_blocking(move || {
        let size = std::fs::metadata(&path).ok()?.len();
        (size <= LOGIN_LIMIT).then(|| std::fs::read_to_string(&path).ok())?
    });
    netrc::find(&read.await.ok()??, &host, user.as_deref())
}

/// Asks the helpers that the user has set up, who may ask nobody.
async fn ask_helper(url: &GitUrl, workdir: &Path) -> Option<GitLogin> {
    let mut child = Command::new("git")
        .args(["-c", "core.askPass=", "credential", "fill"])
        .current_dir(workdir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GCM_INTERACTIVE", "never")
        .env_remove("GIT_ASKPASS")
        .env_remove("SSH_ASKPASS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    // No part of an address has a line end in it.
    let mut question = format!("protocol={}\nhost={}\npath={}\n", url.scheme.as_str(), url.host, url.path);
    if let Some(user) = &url.user {
        question.push_str(&format!("username={user}\n"));
    }
    question.push('\n');
    child.stdin.take()?.write_all(question.as_bytes()).await.ok()?;
    let (status, answer, _) = listen(child, LOGIN_LIMIT).await.ok()?;
    if !status.success() {
        return None;
    }
    let answer = String::from_utf8(answer).ok()?;
    let value = |name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    Some(GitLogin { user: value("username")?, password: value("password")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_never_stops_talking_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do echo much; echo more >&2; done"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let (status, answer, complaint) =
            listen(command.spawn().expect("it starts"), 1 << 20).await.expect("it ends");
        assert!(!status.success());
        assert_eq!(answer.len(), 1 << 20);
        assert!(complaint.len() as u64 <= COMPLAINT_LIMIT);
    }
}
