//! Git repositories: the client lists what they call their commits, the daemon fetches files by commit.
//!
//! The client lists, since only it has all names at once, the user's logins, and an answer from every daemon. Where
//! the two see different networks, a repository must be within reach of both.

use std::sync::Arc;

use base64::Engine as _;
use futures::FutureExt;
use prost::Message as _;
use treenail_bridge::Error as BridgeError;
use treenail_call::hash_strings;
use treenail_llb as llb;
use treenail_model::{
    Checkout, Directory, GitAuth, GitLogin, GitRef, GitRefs, GitRepository, GitUrl, ParsedGitUrl, Secret,
};
use treenail_protos::pb;

use crate::{Cause, Engine, GitAccess, GitFailure, GitRemote, SecretValue};

/// Who a token is presented for, unless the call says so.
const TOKEN_USER: &str = "x-access-token";
/// The same for a server that wants another word.
const TOKEN_USER_BITBUCKET: &str = "x-token-auth";

/// A repository as a call asks for it.
#[derive(Clone, Debug, Default)]
pub struct GitQuery {
    /// Its address, in any form.
    pub url: String,
    /// Keep `.git` in trees that do not say otherwise.
    pub keep_git_dir: bool,
    /// Lines of a known hosts file; empty accepts every host.
    pub known_hosts: String,
    /// Whom the token is for; empty is the server's usual name.
    pub username: String,
    /// A token.
    pub token: Option<Arc<Secret>>,
    /// A whole `Authorization` header.
    pub header: Option<Arc<Secret>>,
}

impl From<GitFailure> for Cause {
    fn from(failure: GitFailure) -> Self {
        match failure {
            GitFailure::NoProgram => Self::Host(failure.to_string()),
            other => Self::invalid(format!("git error: {other}")),
        }
    }
}

/// How to get in, on both sides.
#[derive(Clone, Default)]
struct Entry {
    /// Of the client's git.
    access: GitAccess,
    /// Of the daemon.
    auth: GitAuth,
}

impl Engine {
    /// Asks a repository for its names. The daemon has nothing to do.
    ///
    /// # Errors
    /// The address is none; the repository cannot be reached, or wants another login.
    ///
    /// # Source
    /// `contract/sources.md` 2.
    pub async fn git(&self, query: &GitQuery) -> Result<GitRepository, Cause> {
        match ParsedGitUrl::parse(&query.url).map_err(Cause::invalid)? {
            ParsedGitUrl::Known(url) => self.ask_git(&url, query).await,
            ParsedGitUrl::Bare { https, ssh } => match self.try_git(&https, query).await {
                Ok(found) => Ok(found),
                Err(GitProblem::Failure(GitFailure::Denied)) => {
                    let refused = || Cause::invalid("failed to determine Git URL protocol");
                    match self.try_git(&ssh, query).await {
                        Ok(found) => Ok(found),
                        Err(GitProblem::Failure(GitFailure::Denied) | GitProblem::NoAgent) => Err(refused()),
                        Err(other) => Err(other.into()),
                    }
                }
                Err(other) => Err(other.into()),
            },
        }
    }

    async fn ask_git(&self, url: &GitUrl, query: &GitQuery) -> Result<GitRepository, Cause> {
        Ok(self.try_git(url, query).await?)
    }

    async fn try_git(&self, url: &GitUrl, query: &GitQuery) -> Result<GitRepository, GitProblem> {
        let (refs, auth) = if url.scheme.is_http() {
            self.list_over_http(url, query).await?
        } else if url.scheme == treenail_model::GitScheme::Ssh {
            let socket = self.0.host.forward_agent().ok_or(GitProblem::NoAgent)?;
            let known_hosts = query.known_hosts.clone();
            let auth = GitAuth::Ssh { socket: socket.into(), known_hosts: query.known_hosts.as_str().into() };
            (self.list(url, &GitAccess::Agent { known_hosts }).await?, auth)
        } else {
            (self.list(url, &GitAccess::Anonymous).await?, GitAuth::None)
        };
        Ok(GitRepository { url: url.remote.as_str().into(), refs, auth, keep_git_dir: query.keep_git_dir })
    }

    /// With what the call gives; without it as nobody, and where that is refused, with what the machine knows.
    async fn list_over_http(
        &self,
        url: &GitUrl,
        query: &GitQuery,
    ) -> Result<(Arc<GitRefs>, GitAuth), GitProblem> {
        let given = match (&query.token, &query.header, &url.login) {
            (Some(token), _, _) => {
                let user = match query.username.as_str() {
                    "" if url.host == "bitbucket.org" => TOKEN_USER_BITBUCKET,
                    "" => TOKEN_USER,
                    user => user,
                };
                let login = GitLogin { user: user.to_owned(), password: self.one_line(token).await? };
                let id = hash_strings(&["git token", &token.id, user]);
                Some(self.entry_by_login(url, &login, id.as_str(), "authToken"))
            }
            (None, Some(header), _) => {
                let value = self.one_line(header).await?;
                let id = hash_strings(&["git header", &header.id]);
                Some(self.entry(url, value, id.as_str(), "authHeader"))
            }
            (None, None, Some(login)) => Some(self.entry_by_known_login(url, login)),
            (None, None, None) => None,
        };
        let entry = given.unwrap_or_default();
        match self.list(url, &entry.access).await {
            Err(GitFailure::Denied) if entry.access == GitAccess::Anonymous => {
                let login = self.0.host.git_login(url).await.ok_or(GitFailure::Denied)?;
                let entry = self.entry_by_known_login(url, &login);
                Ok((self.list(url, &entry.access).await?, entry.auth))
            }
            other => Ok((other?, entry.auth)),
        }
    }

    /// A login whose secret has no name: the id tells the place and the user, and nothing of the password.
    fn entry_by_known_login(&self, url: &GitUrl, login: &GitLogin) -> Entry {
        let id = hash_strings(&["git login", &url.scope(), &login.user]);
        self.entry_by_login(url, login, id.as_str(), "authToken")
    }

    fn entry_by_login(&self, url: &GitUrl, login: &GitLogin, id: &str, mark: &'static str) -> Entry {
        let pair = format!("{}:{}", login.user, login.password);
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        self.entry(url, value, id, mark)
    }

    fn entry(&self, url: &GitUrl, value: String, id: &str, mark: &'static str) -> Entry {
        self.0.host.offer_secret(id, SecretValue::Plaintext(value.clone().into()));
        Entry {
            access: GitAccess::Header { scope: url.scope(), value },
            auth: GitAuth::Header { secret: id.into(), mark },
        }
    }

    /// A secret that becomes a part of a header. What a file has at its end is none of it.
    async fn one_line(&self, secret: &Secret) -> Result<String, Cause> {
        let value = String::from_utf8_lossy(&self.plaintext(secret).await?).into_owned();
        let value = value.trim_end_matches(['\r', '\n']);
        if value.contains(['\r', '\n', '\0']) {
            return Err(Cause::invalid("the secret for a git server has more than one line"));
        }
        Ok(value.to_owned())
    }

    /// All names of a repository, once a session and login.
    async fn list(&self, url: &GitUrl, access: &GitAccess) -> Result<Arc<GitRefs>, GitFailure> {
        let login = match access {
            GitAccess::Anonymous => String::new(),
            GitAccess::Header { value, .. } => hash_strings(&["header", value]).as_str().to_owned(),
            GitAccess::Agent { known_hosts } => hash_strings(&["agent", known_hosts]).as_str().to_owned(),
        };
        let host = self.0.host.clone();
        let remote = GitRemote { url: url.remote.clone(), access: access.clone() };
        let run = move || {
            async move { host.git_refs(&remote).await.map(|listed| Arc::new(GitRefs::parse(&listed))) }
                .boxed()
        };
        self.0.git_refs.run((url.remote.clone(), login), run).await
    }

    /// The files of a commit. Nothing is fetched before they are needed.
    pub fn git_tree(&self, reference: &GitRef, discard_git_dir: bool) -> Directory {
        let known = &self.0.bridge.capabilities().llb;
        let by_commit = known.is_empty() || known.contains(llb::caps::SOURCE_GIT_FETCH_BY_COMMIT);
        let tree = reference.tree(Checkout { discard_git_dir, by_commit });
        Directory::whole(tree, self.default_platform())
    }
}

/// A checkout that failed in the daemon, in 0.19.11's words; nothing for failures of anything else.
///
/// # Source
/// `contract/sources.md` 2 and 3. The daemon has git's complaint as text alone.
pub(crate) fn fetch_failure(definition: &pb::Definition, error: &BridgeError) -> Option<Cause> {
    let BridgeError::Vertex { vertex: Some(vertex), message } = error else { return None };
    let bytes = definition.def.iter().find(|bytes| llb::Digest::of(bytes).as_str() == &**vertex)?;
    let Some(pb::op::Op::Source(source)) = pb::Op::decode(bytes.clone()).ok()?.op else { return None };
    let identifier = source.identifier.strip_prefix("git://")?;
    let url = source.attrs.get("git.fullurl").map_or(identifier, String::as_str);
    let (_, complaint) = message.split_once("git stderr:\n")?;
    let (complaint, status) = complaint.rsplit_once(": exit status ").unwrap_or((complaint, "128"));
    let failure = GitFailure::judge(&format!("exit status {status}"), complaint);
    Some(Cause::invalid(format!("failed to fetch remote {url}: git error: {failure}")))
}

/// Why a repository cannot be asked.
enum GitProblem {
    Failure(GitFailure),
    NoAgent,
    Cause(Cause),
}

impl From<GitFailure> for GitProblem {
    fn from(failure: GitFailure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Cause> for GitProblem {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

impl From<GitProblem> for Cause {
    fn from(problem: GitProblem) -> Self {
        match problem {
            GitProblem::Failure(failure) => failure.into(),
            GitProblem::NoAgent => {
                Self::invalid("git authentication failed: SSH URLs are not supported without an SSH socket")
            }
            GitProblem::Cause(cause) => cause,
        }
    }
}
