//! A git server for tests: `git http-backend` behind [`WebServer`], with repositories made by the tests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::web::{WebRequest, WebResponse, WebServer};

/// Repositories on loopback, over http.
pub struct GitServer {
    folder: tempfile::TempDir,
    web: WebServer,
    /// The `Authorization` header that a repository wants, by its name.
    guarded: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A repository of a [`GitServer`], with a work tree to make commits in.
pub struct GitRepo {
    name: String,
    work: PathBuf,
    served: PathBuf,
    url: String,
}

impl GitServer {
    /// Starts one without repositories.
    ///
    /// # Panics
    /// The machine has no git, or no free port.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let guarded: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let (root, guards) = (folder.path().join("served"), guarded.clone());
        std::fs::create_dir_all(&root).expect("made");
        let web = WebServer::start(move |request| {
            let name = request.path.split('/').nth(1).unwrap_or_default().trim_end_matches(".git").to_owned();
            let wanted = guards.lock().expect("no test panics while it holds this").get(&name).cloned();
            let given = request.headers.get("authorization");
            match wanted {
                Some(wanted) if given != Some(&wanted) => {
                    WebResponse::status("401 Unauthorized").with("WWW-Authenticate", "Basic realm=\"test\"")
                }
                _ => backend(&root, request),
            }
        });
        Self { folder, web, guarded }
    }

    /// Makes a repository with a first commit of `README` on `main`.
    ///
    /// # Panics
    /// git fails.
    #[must_use]
    pub fn repository(&self, name: &str, readme: &str) -> GitRepo {
        let repo = GitRepo {
            name: name.to_owned(),
            work: self.folder.path().join("work").join(name),
            served: self.folder.path().join("served").join(format!("{name}.git")),
            url: format!("{}/{name}.git", self.web.url()),
        };
        std::fs::create_dir_all(&repo.work).expect("made");
        std::fs::create_dir_all(&repo.served).expect("made");
        run(&repo.served, &["init", "-q", "--bare", "-b", "main"]);
        repo.git(&["init", "-q", "-b", "main"]);
        repo.git(&["remote", "add", "origin", &repo.served.to_string_lossy()]);
        repo.commit("README", readme);
        repo
    }

    /// Lets in only who sends this `Authorization` header.
    ///
    /// # Panics
    /// A test has panicked while it held the lock.
    pub fn guard(&self, repo: &GitRepo, authorization: &str) {
        let mut guarded = self.guarded.lock().expect("no test panics while it holds this");
        guarded.insert(repo.name.clone(), authorization.to_owned());
    }

    /// How many requests there were so far for a repository.
    #[must_use]
    pub fn requests(&self, repo: &GitRepo) -> usize {
        let prefix = format!("/{}.git/", repo.name);
        self.web.requests().iter().filter(|request| request.path.starts_with(&prefix)).count()
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn host(&self) -> String {
        self.web.url().trim_start_matches("http://").to_owned()
    }
}

impl GitRepo {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs git in the work tree and answers what it says.
    ///
    /// # Panics
    /// It fails.
    pub fn git(&self, args: &[&str]) -> String {
        run(&self.work, args)
    }

    /// Writes a file, commits it, publishes all branches and tags, and answers the commit.
    ///
    /// # Panics
    /// git fails.
    pub fn commit(&self, file: &str, content: &str) -> String {
        let path = self.work.join(file);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("made");
        std::fs::write(path, content).expect("written");
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "-m", &format!("change {file}")]);
        self.publish();
        self.git(&["rev-parse", "HEAD"])
    }

    /// Publishes all branches and tags.
    ///
    /// # Panics
    /// git fails.
    pub fn publish(&self) {
        self.git(&[
            "push",
            "-q",
            "--force",
            "origin",
            "refs/heads/*:refs/heads/*",
            "refs/tags/*:refs/tags/*",
        ]);
    }

    /// Runs git in the published repository.
    ///
    /// # Panics
    /// It fails.
    pub fn git_served(&self, args: &[&str]) -> String {
        run(&self.served, args)
    }
}

/// git with nothing of the machine's settings.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("HOME", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command
}

fn run(folder: &Path, args: &[&str]) -> String {
    let output = git(folder).args(args).output().expect("git starts");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// # Source
/// The CGI protocol (RFC 3875), as `git http-backend` reads it.
fn backend(root: &Path, request: &WebRequest) -> WebResponse {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let mut child = git(root)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git starts");
    let mut stdin = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        // One that has read enough hangs up.
        scope.spawn(move || drop(stdin.write_all(&request.body)));
        child.wait_with_output().expect("it ends")
    });
    let split = output.stdout.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(split) = split else { return WebResponse::status("500 Internal Server Error") };
    let mut response = WebResponse::ok(&output.stdout[split + 4..]);
    for line in String::from_utf8_lossy(&output.stdout[..split]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => status.clone_into(&mut response.status),
            Some((name, value)) => response.headers.push((name.to_owned(), value.to_owned())),
            None => {}
        }
    }
    response
}
