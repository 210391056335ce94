//! An address: a text that names something elsewhere. What it names is decided by what is asked of it.

use std::sync::Arc;

use crate::{GitFragment, Invalid, ParsedGitUrl};

/// A text that names an image, a directory, a repository, a secret, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As given.
    pub value: Arc<str>,
}

/// What names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretAddress {
    /// `scheme://rest`.
    pub uri: String,
    /// What its uses are cached by instead of its value.
    pub cache_key: Option<String>,
}

/// What names a git repository, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitAddress {
    /// The repository's own address.
    pub repository: Arc<str>,
    /// What follows the `#`.
    pub fragment: GitFragment,
}

impl GitAddress {
    /// The repository alone.
    ///
    /// # Errors
    /// It names a ref or a directory as well.
    ///
    /// # Source
    /// `contract/sources.md` 9.
    pub fn only_repository(&self) -> Result<(), Invalid> {
        if !self.fragment.reference.is_empty() {
            return Err(Invalid::new("git repository address cannot contain ref"));
        }
        if !self.fragment.subdir.is_empty() {
            return Err(Invalid::new("git repository address cannot contain subdir"));
        }
        Ok(())
    }

    /// The ref alone.
    ///
    /// # Errors
    /// It names a directory as well.
    pub fn only_ref(&self) -> Result<(), Invalid> {
        if !self.fragment.subdir.is_empty() {
            return Err(Invalid::new("git ref address cannot contain subdir"));
        }
        Ok(())
    }

    /// Path of a file in it.
    ///
    /// # Errors
    /// It names none.
    pub fn file_path(&self) -> Result<&str, Invalid> {
        match self.fragment.subdir.as_str() {
            "" => Err(Invalid::new("no file path specified within git repository")),
            path => Ok(path),
        }
    }
}

/// Schemes that make an address a git URL; a bare `host/owner/repo` is a path of the client.
const GIT_SCHEMES: &[&str] = &["http://", "https://", "ssh://", "git://"];

/// Query parameter of a secret's address.
const CACHE_KEY: &str = "cacheKey";

impl Address {
    /// An address.
    ///
    /// # Errors
    /// It is empty.
    pub fn new(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::new("resource cannot have empty address"));
        }
        Ok(Self { value: value.into() })
    }

    /// Does it name a git repository: by its scheme, or as `user@host:path`?
    ///
    /// # Source
    /// `contract/sources.md` 9.
    pub fn is_git(&self) -> bool {
        GIT_SCHEMES.iter().any(|scheme| self.value.starts_with(scheme)) || is_scp_style(&self.value)
    }

    /// The repository, and what of it, that it names when it is a git URL.
    ///
    /// # Errors
    /// It is one, and cannot be read.
    pub fn git(&self) -> Result<Option<GitAddress>, Invalid> {
        if !self.is_git() {
            return Ok(None);
        }
        let parsed = ParsedGitUrl::parse(&self.value)?;
        let (ParsedGitUrl::Known(url) | ParsedGitUrl::Bare { https: url, .. }) = parsed;
        let repository = self.value.split('#').next().unwrap_or_default().into();
        Ok(Some(GitAddress { repository, fragment: url.fragment }))
    }

    /// Path and ref of a repository on the client: `path#ref`.
    pub fn host_repository(&self) -> (&str, &str) {
        self.host_path().split_once('#').unwrap_or((self.host_path(), ""))
    }

    /// The path of the client that it names when it is no git URL.
    pub fn host_path(&self) -> &str {
        self.value.strip_prefix("file://").unwrap_or(&self.value)
    }

    /// The secret that it names: without a colon an environment variable; `scheme:rest` is `scheme://rest`.
    pub fn secret(&self) -> SecretAddress {
        let uri = match self.value.split_once(':') {
            None => format!("env://{}", self.value),
            Some((_, rest)) if rest.starts_with("//") => self.value.to_string(),
            Some((scheme, rest)) => format!("{scheme}://{rest}"),
        };
        let Some((base, query)) = uri.split_once('?') else {
            return SecretAddress { uri, cache_key: None };
        };
        let mut cache_key = None;
        let mut others = Vec::new();
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some((CACHE_KEY, value)) => cache_key = Some(decoded(value)),
                _ => others.push(parameter),
            }
        }
        if cache_key.is_none() {
            return SecretAddress { uri, cache_key };
        }
        let uri = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        SecretAddress { uri, cache_key }
    }

    /// Refuses what cannot be the address of a service.
    ///
    /// # Errors
    /// No port; another scheme than `tcp` or `udp`.
    ///
    /// # Source
    /// `contract/sources.md` 9: the port is checked first.
    pub fn check_service(&self) -> Result<(), Invalid> {
        let (scheme, rest) = self.value.split_once("://").unwrap_or(("", &self.value));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // A colon inside the brackets of an IPv6 address starts no port.
        let after_host = host_and_port.rsplit_once(']').map_or(host_and_port, |(_, after)| after);
        if !after_host.contains(':') {
            return Err(Invalid::new(format!("address {host_and_port}: missing port in address")));
        }
        if !matches!(scheme, "tcp" | "udp") {
            return Err(Invalid::new(format!(
                "unsupported service address: {scheme:?}. Must be a valid tcp:// or udp:// URL"
            )));
        }
        Ok(())
    }
}

/// `user@host:path`, without a scheme.
fn is_scp_style(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', ' ', ':']);
    plain(user) && plain(host) && !path.is_empty() && !path.starts_with("//")
}

/// Undoes the escapes of a query parameter: `+` and `%XX`. What is no escape stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
                continue;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::new(text).expect("not empty")
    }

    #[test]
    fn an_empty_address_is_refused() {
        assert_eq!(Address::new("").unwrap_err().0, "resource cannot have empty address");
    }

    #[test]
    fn git_urls_are_told_from_paths() {
        for (text, is_git) in [
            ("https://example.com/o/r", true),
            ("http://example.com/o/r.git#main:dir", true),
            ("ssh://git@example.com/o/r", true),
            ("git://example.com/o/r", true),
            ("git@example.com:o/r.git", true),
            ("example.com/o/r", false),
            ("./a@b:c/d", false),
            ("dir/with@sign", false),
            ("file:///srv", false),
            ("/abs", false),
            (".", false),
        ] {
            assert_eq!(address(text).is_git(), is_git, "{text}");
        }
        assert_eq!(address("file:///srv/x").host_path(), "/srv/x");
        assert_eq!(address("a/b").host_path(), "a/b");
    }

    #[test]
    fn git_urls_say_what_they_name() {
        let git = |text: &str| address(text).git().expect("readable").expect("a git URL");
        let whole = git("https://h/o/r");
        assert_eq!(&*whole.repository, "https://h/o/r");
        assert!(whole.only_repository().is_ok() && whole.only_ref().is_ok() && whole.file_path().is_err());
        let part = git("git@h:o/r.git#v1:a/../b");
        assert_eq!(&*part.repository, "git@h:o/r.git");
        assert_eq!(part.only_repository().unwrap_err().0, "git repository address cannot contain ref");
        assert_eq!(part.only_ref().unwrap_err().0, "git ref address cannot contain subdir");
        assert_eq!(part.file_path(), Ok("b"));
        let subdir = git("https://h/o/r#:a").only_repository().unwrap_err().0;
        assert_eq!(subdir, "git repository address cannot contain subdir");
        assert!(address("https://-h/r").git().is_err());
        assert_eq!(address("./a#b").git(), Ok(None));
        assert_eq!(address("file:///a#b").host_repository(), ("/a", "b"));
    }

    #[test]
    fn secrets_by_address() {
        for (text, uri, cache_key) in [
            ("FOO", "env://FOO", None),
            ("op:a/b/c", "op://a/b/c", None),
            ("env://FOO", "env://FOO", None),
            ("env://FOO?cacheKey=k&a=b", "env://FOO?a=b", Some("k")),
            ("env://FOO?a=b&cacheKey=k%20%2B+x", "env://FOO?a=b", Some("k + x")),
            ("env://FOO?cacheKey=%zz%", "env://FOO", Some("%zz%")),
            ("file:./a?b", "file://./a?b", None),
            ("cmd:echo ? & true", "cmd://echo ? & true", None),
        ] {
            let expected = SecretAddress { uri: uri.to_owned(), cache_key: cache_key.map(str::to_owned) };
            assert_eq!(address(text).secret(), expected, "{text}");
        }
    }

    #[test]
    fn services_need_a_port_and_a_known_scheme() {
        let scheme = r#"unsupported service address: "http". Must be a valid tcp:// or udp:// URL"#;
        for (text, problem) in [
            ("http://x", Some("address x: missing port in address")),
            ("tcp://x/80", Some("address x: missing port in address")),
            ("tcp://[::1]", Some("address [::1]: missing port in address")),
            ("http://x:80", Some(scheme)),
            ("tcp://x:80", None),
            ("udp://[::1]:53", None),
        ] {
            assert_eq!(address(text).check_service().err().map(|e| e.0).as_deref(), problem, "{text}");
        }
    }
}
