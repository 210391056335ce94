//! Image references as Docker writes them.
//!
//! Parsed by hand: the grammar is small, and the first use of the usual regular expression for it costs more than
//! all the rest of a cached run.

use std::fmt;

/// A reference in canonical parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Longest repository name, registry included, in bytes.
const LONGEST_NAME: usize = 255;

/// Longest tag, in bytes.
const LONGEST_TAG: usize = 128;

impl Reference {
    /// Reads `[registry/]repository[:tag][@digest]`. Docker Hub and its `library/` are filled in; a tag is not.
    ///
    /// # Errors
    /// What is wrong, in the words of Docker's parser.
    ///
    /// # Source
    /// `github.com/distribution/reference`: grammar in its package documentation, normalisation in `normalize.go`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || "invalid reference format".to_owned();
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            // A colon before a slash belongs to a port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid());
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path),
            _ => ("docker.io", name),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("{}: repository name must be lowercase", invalid()));
        }
        if !registry_is_valid(registry) || !path.split('/').all(is_component) {
            return Err(invalid());
        }
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let repository = if registry == "docker.io" && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(format!("repository name must not be more than {LONGEST_NAME} characters"));
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// Host, and port if given: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path in the registry: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was given.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Is the first part of a name a registry, rather than a folder of Docker Hub?
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn registry_is_valid(registry: &str) -> bool {
    // An address of the sixth version stands in brackets.
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            if !host.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => ("v6", Some(port)),
                None if rest.is_empty() => ("v6", None),
                None => return false,
            }
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Letters and digits, with single separators between them: `.`, `_`, `__`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = component;
    loop {
        let letters = rest.bytes().take_while(word).count();
        if letters == 0 {
            return false;
        }
        rest = &rest[letters..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.bytes().take_while(|byte| matches!(byte, b'.' | b'_' | b'-')).count();
        if !separator_is_valid(&rest[..separator]) {
            return false;
        }
        rest = &rest[separator..];
    }
}

fn separator_is_valid(separator: &str) -> bool {
    match separator {
        "." | "_" | "__" => true,
        dashes => !dashes.is_empty() && dashes.bytes().all(|byte| byte == b'-'),
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// Only the algorithms that registries use.
fn is_digest(digest: &str) -> bool {
    let (hex, length) = match digest.split_once(':') {
        Some(("sha256", hex)) => (hex, 64),
        Some(("sha384", hex)) => (hex, 96),
        Some(("sha512", hex)) => (hex, 128),
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_take_their_canonical_form() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, expected) in [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("a/b", "docker.io/a/b"),
            ("index.docker.io/alpine", "docker.io/library/alpine"),
            ("localhost/x", "localhost/x"),
            ("localhost:5000/x:y", "localhost:5000/x:y"),
            ("127.0.0.1:5000/a/b-c__d.e", "127.0.0.1:5000/a/b-c__d.e"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("ghcr.io/A", "!"),
            ("HOST/x", "HOST/x"),
            ("a--b", "docker.io/library/a--b"),
            (&format!("alpine:1@{digest}"), &format!("docker.io/library/alpine:1@{digest}")),
            (&format!("alpine@{digest}"), &format!("docker.io/library/alpine@{digest}")),
        ] {
            match Reference::parse(text) {
                Ok(reference) => assert_eq!(reference.to_string(), expected, "{text}"),
                Err(error) => assert_eq!("!", expected, "{text}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":",
            "@",
            "a b",
            "a:",
            "a:/x",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a/",
            "/a",
            "a//b",
            "a@sha256:00",
            "a@md5:0",
            "x.y:port/a",
            "é",
            "a:-t",
            "[::1/x",
            "x.-y/z",
            "a.-b",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse("Alpine").unwrap_err().ends_with("repository name must be lowercase"));
        assert!(Reference::parse(&format!("a:{}", "t".repeat(129))).is_err());
        assert!(Reference::parse(&"a".repeat(300)).is_err());
    }
}
