//! A file of a web server as a recipe.

use std::collections::BTreeMap;
use std::sync::Arc;

use treenail_llb as llb;

use crate::{File, Invalid, Platform, Tree, paths};

/// Longest address, in bytes.
const LIMIT: usize = 8 << 10;
/// Mode of a file for which none is asked.
const MODE: u32 = 0o600;

/// What is fetched, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    http: llb::Http,
    name: Arc<str>,
}

impl Download {
    /// A file by its address. `name` defaults to the last part of the address's path, `permissions` to 0600; `secret` is
    /// the id of the secret that is the whole `Authorization` header.
    ///
    /// # Errors
    /// The address has another scheme than http and https, or no host; the name is none of a file.
    pub fn new(
        url: &str,
        name: Option<&str>,
        permissions: Option<u32>,
        secret: Option<Arc<str>>,
    ) -> Result<Self, Invalid> {
        let bad = |reason: &str| Invalid::new(format!("failed to parse URL {url:?}: {reason}"));
        if url.len() > LIMIT {
            return Err(Invalid::new(format!("failed to parse URL: longer than {LIMIT} bytes")));
        }
        if url.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(bad("invalid control character in URL"));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let lower = scheme.to_ascii_lowercase();
        if !matches!(lower.as_str(), "http" | "https") {
            return Err(bad(&format!("unsupported protocol scheme {scheme:?}")));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.rsplit_once('@').map_or(authority, |(_, host)| host).is_empty() {
            return Err(bad("no Host in request URL"));
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let name = match name.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => match crate::address::decoded(&last_part(path).replace('+', "%2B")) {
                name if name.is_empty() || !is_name(&name) => "index".to_owned(),
                name => name,
            },
        };
        if !is_name(&name) {
            return Err(Invalid::new(format!("invalid file name {name:?}: it must be one part of a path")));
        }
        if name.len() > paths::MAX_NAME {
            return Err(Invalid::new(paths::NAME_TOO_LONG));
        }
        let mut http = llb::Http::new(format!("{lower}://{rest}"));
        http.filename = Some(name.clone());
        http.permissions = permissions.filter(|mode| !matches!(*mode, 0 | MODE));
        http.auth_header_secret = secret.map(|id| id.to_string());
        Ok(Self { http, name: name.into() })
    }

    /// Permission bits of the file.
    pub fn permissions(&self) -> u32 {
        self.http.permissions.unwrap_or(MODE)
    }

    /// Identifier and attributes of the source.
    pub fn source(&self) -> (String, BTreeMap<String, String>) {
        let source = llb::Source::from(self.http.clone());
        (source.identifier, source.attrs)
    }

    /// The file.
    pub fn file(&self, platform: Platform) -> File {
        let options = llb::OpOptions::named(format!("http {}", self.http.url));
        let tree = Tree::of(Some(self.http.clone().output(options)));
        File { tree, path: format!("/{}", self.name).into(), platform }
    }
}

/// The last part of a path, as Go's `path.Base` has it: a slash at the end is none.
fn last_part(path: &str) -> &str {
    paths::base_name(path.trim_end_matches('/'))
}

/// Does the daemon take it for a file's name as it is?
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains('/')
        && name.trim() == name
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_address() {
        for (url, name, expected) in [
            ("http://h/a/b.txt", None, "/b.txt"),
            ("http://h/a/b.txt?x=/y#z", None, "/b.txt"),
            ("http://h", None, "/index"),
            ("http://h/", None, "/index"),
            ("http://h?x=/y", None, "/index"),
            ("http://h/a/", None, "/a"),
            ("http://h/a%20b+c", None, "/a b+c"),
            ("http://h/%2e%2e", None, "/index"),
            ("http://h/a%2Fb", None, "/index"),
            ("HTTPS://h/a", Some("n"), "/n"),
            ("http://h/a", Some(""), "/a"),
        ] {
            let download = Download::new(url, name, None, None).expect(url);
            assert_eq!(&*download.file(Platform::new("linux", "amd64", "")).path, expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_or_no_name_is_refused() {
        for (url, name, problem) in [
            ("ftp://h/a", None, r#"unsupported protocol scheme "ftp""#),
            ("h/a", None, r#"unsupported protocol scheme """#),
            ("http:///a", None, "no Host"),
            ("http://u@/a", None, "no Host"),
            ("http://h/a\nb", None, "control character"),
            ("http://h/a", Some("a/b"), "invalid file name"),
            ("http://h/a", Some(".."), "invalid file name"),
            ("http://h/a", Some("a\n"), "invalid file name"),
        ] {
            let error = Download::new(url, name, None, None).expect_err(url).0;
            assert!(error.contains(problem), "{url}: {error}");
        }
        assert!(Download::new("http://h/a", Some(&"a".repeat(256)), None, None).is_err());
    }

    #[test]
    fn a_mode_is_told_only_when_it_is_another() {
        let attributes = |permissions| {
            Download::new("http://h/a", None, permissions, Some("id".into())).expect("an address").source().1
        };
        assert_eq!(attributes(None), attributes(Some(0o600)));
        assert_eq!(attributes(Some(0o755))["http.perm"], "0755");
        assert_eq!(attributes(None)["http.authheadersecret"], "id");
    }
}
