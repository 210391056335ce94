//! Addresses of git repositories, taken apart and judged before any program sees them.
//!
//! Invariant: what comes out cannot be mistaken for an option of a command line: neither host nor user begins with a
//! dash, and there is no space or control character in any part.

use std::fmt;

use crate::Invalid;

/// Longest address, in bytes.
const LIMIT: usize = 8 << 10;

/// How a repository is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GitScheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
    /// `ssh://`, and `user@host:path`.
    Ssh,
    /// `git://`
    Git,
}

impl GitScheme {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Ssh, Self::Git];

    /// Its name in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Git => "git",
        }
    }

    /// Does a request carry an `Authorization` header?
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// A password that stood in an address. It is in no `Debug` text.
#[derive(Clone, PartialEq, Eq)]
pub struct GitLogin {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for GitLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitLogin({}, ***)", self.user)
    }
}

/// What follows the `#` of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitFragment {
    /// Branch, tag or commit; empty is the default one.
    pub reference: String,
    /// Path in the tree, cleaned, without a leading slash; empty is all of it.
    pub subdir: String,
}

/// The address of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitUrl {
    /// What git is given: without fragment, query and password.
    pub remote: String,
    /// How it is spoken to.
    pub scheme: GitScheme,
    /// Host, with the port if one is given.
    pub host: String,
    /// Path on the host, without a leading slash.
    pub path: String,
    /// The user in the address, if it stands there alone.
    pub user: Option<String>,
    /// User and password in the address of an http server.
    pub login: Option<GitLogin>,
    /// What follows the `#`.
    pub fragment: GitFragment,
}

/// An address as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedGitUrl {
    /// It says how the repository is spoken to.
    Known(GitUrl),
    /// `host/owner/repository`: over https, and where that wants a login, over ssh.
    Bare {
        /// Tried first.
        https: GitUrl,
        /// Tried when https is refused.
        ssh: GitUrl,
    },
}

impl ParsedGitUrl {
    /// Takes an address apart.
    ///
    /// # Errors
    /// A scheme that is none of git's; a host, user or path that is none.
    ///
    /// # Source
    /// `contract/sources.md` 2.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fail = |reason: String| Invalid::new(format!("failed to parse Git URL: {reason}"));
        if text.len() > LIMIT {
            return Err(fail(format!("longer than {LIMIT} bytes")));
        }
        if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return Err(fail(format!("{text:?} has a space or a control character in it")));
        }
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let address = address.split('?').next().unwrap_or_default();
        let fragment = parse_fragment(fragment);
        if let Some((scheme, rest)) = address.split_once("://") {
            let lower = scheme.to_ascii_lowercase();
            let known = GitScheme::ALL.into_iter().find(|known| known.as_str() == lower);
            let scheme = known.ok_or_else(|| fail(format!("invalid protocol {scheme:?}")))?;
            return with_scheme(scheme, rest, fragment).map(Self::Known).map_err(fail);
        }
        if let Some((user, rest)) = address.split_once('@')
            && let Some((host, path)) = rest.split_once(':')
            && !user.contains('/')
            && !host.contains('/')
        {
            return scp(user, host, path, fragment).map(Self::Known).map_err(fail);
        }
        let https = with_scheme(GitScheme::Https, address, fragment.clone()).map_err(fail)?;
        if https.path.is_empty() || https.host.is_empty() {
            return Err(fail(format!(
                "{address:?} is no host with a path: give a URL such as https://HOST/PATH"
            )));
        }
        let ssh = with_scheme(GitScheme::Ssh, address, fragment).map_err(fail)?;
        Ok(Self::Bare { https, ssh })
    }
}

impl GitUrl {
    /// Whom a login is for: scheme and host, as git scopes its settings.
    pub fn scope(&self) -> String {
        format!("{}://{}/", self.scheme.as_str(), self.host)
    }
}

fn parse_fragment(text: &str) -> GitFragment {
    let (reference, subdir) = text.split_once(':').unwrap_or((text, ""));
    let subdir = crate::paths::clean(subdir).trim_start_matches('/').to_owned();
    GitFragment { reference: reference.to_owned(), subdir }
}

/// An address after its scheme: `[user[:password]@]host[:port][/path]`.
fn with_scheme(scheme: GitScheme, rest: &str, fragment: GitFragment) -> Result<GitUrl, String> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    check_host(host)?;
    let (mut user, mut login) = (user.filter(|user| !user.is_empty()), None);
    if let Some((name, password)) = user.and_then(|user| user.split_once(':'))
        && scheme.is_http()
    {
        login = Some(GitLogin { user: unescaped(name), password: unescaped(password) });
        user = None;
    }
    if scheme == GitScheme::Ssh {
        user = user.or(Some("git"));
    }
    check_user(user)?;
    let at = user.map(|user| format!("{user}@")).unwrap_or_default();
    Ok(GitUrl {
        remote: format!("{}://{at}{host}{path}", scheme.as_str()),
        scheme,
        host: host.to_owned(),
        path: path.trim_start_matches('/').to_owned(),
        user: user.map(str::to_owned),
        login,
        fragment,
    })
}

/// `user@host:path`. The text is kept: a path without a leading slash starts at the user's home.
fn scp(user: &str, host: &str, path: &str, fragment: GitFragment) -> Result<GitUrl, String> {
    check_host(host)?;
    check_user(Some(user))?;
    if path.is_empty() || path.starts_with('-') {
        return Err(format!("invalid path {path:?}"));
    }
    Ok(GitUrl {
        remote: format!("{user}@{host}:{path}"),
        scheme: GitScheme::Ssh,
        host: host.to_owned(),
        path: path.trim_start_matches('/').to_owned(),
        user: Some(user.to_owned()),
        login: None,
        fragment,
    })
}

fn check_host(host: &str) -> Result<(), String> {
    let fits = |letter: char| letter.is_alphanumeric() || "-._:[]%".contains(letter);
    if host.is_empty() || host.starts_with('-') || !host.chars().all(fits) {
        return Err(format!("invalid host {host:?}"));
    }
    Ok(())
}

fn check_user(user: Option<&str>) -> Result<(), String> {
    match user {
        // A user that is an option would be one of ssh.
        Some(user) if user.is_empty() || user.starts_with('-') || user.contains(['@', '/', '\\']) => {
            Err("invalid user".to_owned())
        }
        _ => Ok(()),
    }
}

/// Undoes `%XX`.
fn unescaped(text: &str) -> String {
    crate::address::decoded(&text.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> GitUrl {
        match ParsedGitUrl::parse(text).expect(text) {
            ParsedGitUrl::Known(url) => url,
            ParsedGitUrl::Bare { .. } => panic!("{text} is bare"),
        }
    }

    #[test]
    fn all_forms_are_read() {
        for (text, remote, host, path) in [
            ("https://h.example/o/r.git", "https://h.example/o/r.git", "h.example", "o/r.git"),
            ("HTTPS://h.example:8/o/r#main:a/../b", "https://h.example:8/o/r", "h.example:8", "o/r"),
            ("http://u@h/r?x=1", "http://u@h/r", "h", "r"),
            ("http://u:p%40%2B+@h/r", "http://h/r", "h", "r"),
            ("ssh://h/r", "ssh://git@h/r", "h", "r"),
            ("ssh://me@h:22/~/r", "ssh://me@h:22/~/r", "h:22", "~/r"),
            ("git://h/r", "git://h/r", "h", "r"),
            ("git@h.example:o/r.git#v1", "git@h.example:o/r.git", "h.example", "o/r.git"),
        ] {
            let url = known(text);
            assert_eq!(
                (url.remote.as_str(), url.host.as_str(), url.path.as_str()),
                (remote, host, path),
                "{text}"
            );
        }
        let login = known("http://u:p%40%2B+@h/r").login.expect("a login");
        assert_eq!((login.user.as_str(), login.password.as_str()), ("u", "p@++"));
        assert_eq!(format!("{login:?}"), "GitLogin(u, ***)");
        assert_eq!(
            known("https://h/r#main:/a/../b/").fragment,
            GitFragment { reference: "main".to_owned(), subdir: "b".to_owned() }
        );
        let ParsedGitUrl::Bare { https, ssh } = ParsedGitUrl::parse("h.example/o/r").expect("an address")
        else {
            panic!("it is bare")
        };
        assert_eq!(
            (https.remote.as_str(), ssh.remote.as_str()),
            ("https://h.example/o/r", "ssh://git@h.example/o/r")
        );
    }

    #[test]
    fn what_could_be_an_option_or_another_protocol_is_refused() {
        for (text, problem) in [
            ("ftp://x/y", r#"invalid protocol "ftp""#),
            ("file:///etc", r#"invalid protocol "file""#),
            ("ext::sh -c x", "control character"),
            ("ext::sh", "no host with a path"),
            ("git+ssh://h/r", r#"invalid protocol "git+ssh""#),
            ("ssh://-oProxyCommand=x/r", "invalid host"),
            ("ssh://-o@h/r", "invalid user"),
            ("-u@h:r", "invalid user"),
            ("u@-oProxyCommand=x:r", "invalid host"),
            ("u@h:-r", "invalid path"),
            ("--upload-pack=x", "invalid host"),
            ("https://h/r\nx", "control character"),
            ("https://h/a b", "space"),
            ("https:///r", "invalid host"),
            ("host", "no host with a path"),
            ("/abs/path", "invalid host"),
            ("", "invalid host"),
        ] {
            let error = ParsedGitUrl::parse(text).expect_err(text).0;
            assert!(
                error.starts_with("failed to parse Git URL: ") && error.contains(problem),
                "{text}: {error}"
            );
        }
        let long = format!("https://h/{}", "a".repeat(LIMIT));
        assert!(ParsedGitUrl::parse(&long).is_err());
    }
}
