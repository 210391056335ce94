//! Git repositories.

use crate::caps;
use crate::options::OpOptions;
use crate::output::Output;
use crate::source::Source;

/// A checkout of one commit.
///
/// The vertex names the repository by host, path, ref and directory alone, so the same commit over
/// https and ssh shares its cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    /// `https://…`, `ssh://…`, `git://…`, `user@host:path`; without any of these, https is meant.
    /// Everything from `?` or `#` on is left out.
    pub remote: String,
    /// Branch, tag or commit; `None` is the remote's `HEAD`.
    pub reference: Option<String>,
    /// Directory inside the repository.
    pub subdir: Option<String>,
    /// Keeps `.git`.
    pub keep_git_dir: bool,
    /// The secret with a token; asks for its capability when it is not the default name.
    pub auth_token_secret: Option<String>,
    /// The secret with an `Authorization` header; asks for its capability when it is not the default name.
    pub auth_header_secret: Option<String>,
    /// Lines of a known hosts file; read for ssh only.
    pub known_ssh_hosts: Option<String>,
    /// The forwarded agent; read for ssh only, `None` is `default`.
    pub mount_ssh_sock: Option<String>,
    /// The commit it must be.
    pub checksum: Option<String>,
    /// Leaves submodules out.
    pub skip_submodules: bool,
    /// Where file times come from: `checkout` or `commit`.
    pub mtime: Option<String>,
    /// Fetches the commit of `checksum` without asking the remote for the ref.
    pub fetch_by_commit: bool,
    /// A bundle to read instead of the remote.
    pub bundle: Option<String>,
    /// Session and store of a bundle in an OCI layout.
    pub bundle_store: Option<(String, String)>,
    /// Gives a bundle instead of files.
    pub checkout_bundle: bool,
}

/// Name of the default token secret.
const AUTH_TOKEN: &str = "GIT_AUTH_TOKEN";
/// Name of the default header secret.
const AUTH_HEADER: &str = "GIT_AUTH_HEADER";

impl Git {
    /// The head of a repository, with the secret names that BuildKit's own client gives.
    pub fn new(remote: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            reference: None,
            subdir: None,
            keep_git_dir: false,
            auth_token_secret: Some(AUTH_TOKEN.to_owned()),
            auth_header_secret: Some(AUTH_HEADER.to_owned()),
            known_ssh_hosts: None,
            mount_ssh_sock: None,
            checksum: None,
            skip_submodules: false,
            mtime: None,
            fetch_by_commit: false,
            bundle: None,
            bundle_store: None,
            checkout_bundle: false,
        }
    }

    /// The checkout's tree.
    pub fn output(self, options: OpOptions) -> Output {
        Source::from(self).output(options)
    }
}

impl From<Git> for Source {
    /// # Source
    /// BuildKit v0.32.2 `client/llb/source.go`, `Git`. Unlike there, no host is asked for its keys.
    fn from(git: Git) -> Self {
        let remote = Remote::parse(&git.remote);
        let mut id = remote.id.clone();
        let reference = git.reference.unwrap_or_default();
        let subdir = git.subdir.unwrap_or_default();
        if remote.is_known && !(reference.is_empty() && subdir.is_empty()) {
            id.push('#');
            id.push_str(&reference);
            if !subdir.is_empty() {
                id.push(':');
                id.push_str(&subdir);
            }
        }
        let flag = |set: bool| set.then(|| "true".to_owned());
        let mut source = Self::new(format!("git://{id}"));
        source.cap(caps::SOURCE_GIT);
        source.optional("git.keepgitdir", flag(git.keep_git_dir), Some(caps::SOURCE_GIT_KEEP_DIR));
        source.optional("git.fullurl", Some(remote.url), Some(caps::SOURCE_GIT_FULL_URL));
        for (name, secret, default) in [
            ("git.authtokensecret", git.auth_token_secret, AUTH_TOKEN),
            ("git.authheadersecret", git.auth_header_secret, AUTH_HEADER),
        ] {
            let is_own = secret.as_deref() != Some(default);
            source.optional(name, secret, is_own.then_some(caps::SOURCE_GIT_HTTP_AUTH));
        }
        if remote.is_ssh {
            source.optional("git.knownsshhosts", git.known_ssh_hosts, None);
            source.cap(caps::SOURCE_GIT_KNOWN_SSH_HOSTS);
            let socket = git.mount_ssh_sock.unwrap_or_else(|| "default".to_owned());
            source.attr("git.mountsshsock", socket);
            source.cap(caps::SOURCE_GIT_MOUNT_SSH_SOCK);
        }
        source.optional("git.checksum", git.checksum, Some(caps::SOURCE_GIT_CHECKSUM));
        source.optional(
            "git.skipsubmodules",
            flag(git.skip_submodules),
            Some(caps::SOURCE_GIT_SKIP_SUBMODULES),
        );
        source.optional("git.mtime", git.mtime, Some(caps::SOURCE_GIT_MTIME));
        source.optional(
            "git.fetchbycommit",
            flag(git.fetch_by_commit),
            Some(caps::SOURCE_GIT_FETCH_BY_COMMIT),
        );
        source.optional("git.bundle", git.bundle, Some(caps::SOURCE_GIT_BUNDLE));
        if let Some((session, store)) = git.bundle_store {
            source.attr("oci.session", session);
            source.attr("oci.store", store);
        }
        source.optional(
            "git.checkoutbundle",
            flag(git.checkout_bundle),
            Some(caps::SOURCE_GIT_CHECKOUT_BUNDLE),
        );
        source
    }
}

/// A repository's address, taken apart.
struct Remote {
    /// What git is given.
    url: String,
    /// Host and cleaned path; the address itself where it is of no known form.
    id: String,
    is_ssh: bool,
    is_known: bool,
}

impl Remote {
    fn parse(text: &str) -> Self {
        let bare = &text[..text.find(['?', '#']).unwrap_or(text.len())];
        if let Some((scheme, rest)) = split_scheme(bare) {
            let scheme = scheme.to_ascii_lowercase();
            if !["http", "https", "ssh", "git"].contains(&scheme.as_str()) {
                return Self { url: text.to_owned(), id: text.to_owned(), is_ssh: false, is_known: false };
            }
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            return Self {
                url: format!("{scheme}://{rest}"),
                id: format!("{host}{}", clean(path)),
                is_ssh: scheme == "ssh",
                is_known: true,
            };
        }
        if let Some((host, path)) = split_scp(bare) {
            return Self {
                url: bare.to_owned(),
                id: format!("{host}{}", clean(path)),
                is_ssh: true,
                is_known: true,
            };
        }
        Self::parse(&format!("https://{text}"))
    }
}

/// `scheme` and `rest` of `scheme://rest`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some((scheme, rest))
}

/// `host` and `path` of `user@host:path`.
fn split_scp(text: &str) -> Option<(&str, &str)> {
    let (user, rest) = text.split_once('@')?;
    let (host, path) = rest.split_once(':')?;
    let is_name = |text: &str, extra: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || extra.contains(&byte);
        !text.is_empty() && text.bytes().all(fits)
    };
    (is_name(user, b"-_") && is_name(host, b"-.")).then_some((host, path))
}

/// The path without `.`, `..` and empty parts, from the root.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, url: &str, id: &str, is_ssh: bool) {
        let remote = Remote::parse(text);
        assert_eq!((remote.url.as_str(), remote.id.as_str(), remote.is_ssh), (url, id, is_ssh), "{text}");
    }

    #[test]
    fn addresses_of_all_forms_name_host_and_path() {
        check(
            "https://u:p@h.example:8/a/../b.git#main:x",
            "https://u:p@h.example:8/a/../b.git",
            "h.example:8/b.git",
            false,
        );
        check("git@h.example:o/r.git", "git@h.example:o/r.git", "h.example/o/r.git", true);
        check("ssh://git@h.example/o/r", "ssh://git@h.example/o/r", "h.example/o/r", true);
        check("h.example/o/r", "https://h.example/o/r", "h.example/o/r", false);
        check("https://h.example", "https://h.example", "h.example/", false);
        check("ftp://h.example/r", "ftp://h.example/r", "ftp://h.example/r", false);
    }
}
