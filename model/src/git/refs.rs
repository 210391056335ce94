//! What a repository calls its commits: branches, tags and the rest, as `git ls-remote --symref` lists them.

use std::sync::Arc;

use crate::Invalid;

/// What stands for the checked out branch.
const HEAD: &str = "HEAD";
const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// A name of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCommit {
    /// Full name (`refs/heads/main`), or the commit itself where it has none.
    pub name: Arc<str>,
    /// The commit, in lower-case hexadecimal. Behind an annotated tag, the commit that it points to.
    pub commit: Arc<str>,
}

/// All names of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRefs {
    /// As listed; an annotated tag stands once.
    named: Vec<NamedCommit>,
    /// The commit of `HEAD`.
    head: Option<Arc<str>>,
    /// The branch that `HEAD` is.
    head_branch: Option<Arc<str>>,
}

impl GitRefs {
    /// Reads the answer of `git ls-remote --symref`. Lines that are no names of commits are left out: what a server
    /// may send is up to the server.
    pub fn parse(listed: &str) -> Self {
        let mut refs = Self::default();
        for line in listed.lines() {
            let Some((left, name)) = line.split_once('\t') else { continue };
            if let Some(target) = left.strip_prefix("ref: ") {
                if name == HEAD && is_ref_name(target) {
                    refs.head_branch = Some(target.into());
                }
                continue;
            }
            if !is_commit(left) {
                continue;
            }
            if name == HEAD {
                refs.head = Some(left.into());
            } else if let Some(tag) = name.strip_suffix("^{}") {
                // What an annotated tag points to follows the tag itself.
                if let Some(last) = refs.named.last_mut().filter(|last| &*last.name == tag) {
                    last.commit = left.into();
                }
            } else if is_ref_name(name) {
                refs.named.push(NamedCommit { name: name.into(), commit: left.into() });
            }
        }
        refs
    }

    /// One text for all names and what they stand for.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        for (name, commit) in self.named.iter().map(|named| (&named.name, &named.commit)) {
            text.extend([commit, " ", name, "\n"]);
        }
        for part in [&self.head, &self.head_branch] {
            text.extend([part.as_deref().unwrap_or_default(), "\n"]);
        }
        text
    }

    fn find(&self, full: &str) -> Option<NamedCommit> {
        self.named.iter().find(|named| &*named.name == full).cloned()
    }

    /// The branch that `HEAD` is, or its commit when it is none.
    ///
    /// # Errors
    /// The repository is empty.
    pub fn head(&self) -> Result<NamedCommit, Invalid> {
        if let Some(found) = self.head_branch.as_deref().and_then(|branch| self.find(branch)) {
            return Ok(found);
        }
        let commit = self.head.clone().ok_or_else(|| missing(HEAD))?;
        Ok(NamedCommit { name: commit.clone(), commit })
    }

    /// What a name stands for: a commit as it is, else the exact full name, `refs/<name>`, a branch, a tag.
    ///
    /// # Errors
    /// Nothing of that name.
    pub fn lookup(&self, name: &str) -> Result<NamedCommit, Invalid> {
        if name == HEAD {
            return self.head();
        }
        if is_commit(name) {
            return Ok(NamedCommit { name: name.into(), commit: name.into() });
        }
        ["", "refs/", BRANCHES, TAGS]
            .iter()
            .find_map(|prefix| self.find(&format!("{prefix}{name}")))
            .ok_or_else(|| missing(name))
    }

    /// A branch, by its short or full name.
    ///
    /// # Errors
    /// No such branch.
    pub fn branch(&self, name: &str) -> Result<NamedCommit, Invalid> {
        self.strict(BRANCHES, name)
    }

    /// A tag, by its short or full name.
    ///
    /// # Errors
    /// No such tag.
    pub fn tag(&self, name: &str) -> Result<NamedCommit, Invalid> {
        self.strict(TAGS, name)
    }

    fn strict(&self, prefix: &str, name: &str) -> Result<NamedCommit, Invalid> {
        let full = format!("{prefix}{}", name.strip_prefix(prefix).unwrap_or(name));
        self.find(&full).ok_or_else(|| missing(&full))
    }

    /// Short names of the branches that match one of the patterns; of all without any.
    pub fn branches(&self, patterns: &[String]) -> Vec<Arc<str>> {
        self.short_names(BRANCHES, patterns)
    }

    /// Short names of the tags that match one of the patterns; of all without any.
    pub fn tags(&self, patterns: &[String]) -> Vec<Arc<str>> {
        self.short_names(TAGS, patterns)
    }

    fn short_names(&self, prefix: &str, patterns: &[String]) -> Vec<Arc<str>> {
        let fits = |full: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| super::pattern::matches_tail(pattern, full))
        };
        let named = self.named.iter().filter(|named| fits(&named.name));
        named.filter_map(|named| named.name.strip_prefix(prefix)).map(Arc::from).collect()
    }

    /// The tag with the highest version.
    ///
    /// # Errors
    /// No tag is one.
    pub fn latest_version(&self) -> Result<NamedCommit, Invalid> {
        let versions = self.named.iter().filter_map(|named| {
            let version = super::version::Version::parse(named.name.strip_prefix(TAGS)?)?;
            Some((version, named))
        });
        versions
            .max_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(_, named)| named.clone())
            .ok_or_else(|| Invalid::new("no valid semver tags found"))
    }
}

/// A commit by its full hash.
///
/// # Errors
/// It is no 40 lower-case hexadecimal digits.
pub fn commit(id: &str) -> Result<NamedCommit, Invalid> {
    if id.len() != 40 || !is_commit(id) {
        return Err(Invalid::new(format!("invalid commit SHA: {id:?}")));
    }
    Ok(NamedCommit { name: id.into(), commit: id.into() })
}

fn missing(name: &str) -> Invalid {
    Invalid::new(format!("repository does not contain ref {name:?}"))
}

/// A full hash, of either length that git has.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name that git itself would take: it becomes a path in a `.git` directory.
///
/// # Source
/// git's `check-ref-format`.
fn is_ref_name(name: &str) -> bool {
    const REFUSED: &[char] = &[' ', '~', '^', ':', '?', '*', '[', '\\'];
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.starts_with("refs/")
        && name.split('/').all(part)
        && !name.contains(REFUSED)
        && !name.chars().any(char::is_control)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn listed() -> GitRefs {
        let lines = [
            "ref: refs/heads/main\tHEAD".to_owned(),
            format!("{}\tHEAD", sha('1')),
            format!("{}\trefs/heads/both", sha('2')),
            format!("{}\trefs/heads/main", sha('1')),
            format!("{}\trefs/pull/7/head", sha('3')),
            format!("{}\trefs/tags/both", sha('4')),
            format!("{}\trefs/tags/sdk/go/v0.1.0", sha('5')),
            format!("{}\trefs/tags/v1.2.0", sha('6')),
            format!("{}\trefs/tags/v1.2.0^{{}}", sha('7')),
            format!("{}\trefs/tags/v1.10.0-rc.1", sha('8')),
            format!("{}\trefs/heads/../../x", sha('9')),
            format!("{}\trefs/heads/a:b", sha('9')),
            "garbage".to_owned(),
            "nothex\trefs/heads/c".to_owned(),
        ];
        GitRefs::parse(&lines.join("\n"))
    }

    #[test]
    fn names_are_found_in_order_of_preference() {
        let refs = listed();
        let found =
            |name: &str| refs.lookup(name).map(|found| (found.name.to_string(), found.commit.to_string()));
        for (name, full, commit) in [
            ("main", "refs/heads/main", '1'),
            ("both", "refs/heads/both", '2'),
            ("refs/tags/both", "refs/tags/both", '4'),
            ("tags/both", "refs/tags/both", '4'),
            ("heads/both", "refs/heads/both", '2'),
            ("pull/7/head", "refs/pull/7/head", '3'),
            ("v1.2.0", "refs/tags/v1.2.0", '7'),
            ("HEAD", "refs/heads/main", '1'),
        ] {
            assert_eq!(found(name), Ok((full.to_owned(), sha(commit))), "{name}");
        }
        assert_eq!(found(&sha('f')), Ok((sha('f'), sha('f'))));
        for name in ["nope", "", "-x", "heads/nope", "a:b", "main\n"] {
            let message = format!("repository does not contain ref {name:?}");
            assert_eq!(found(name), Err(Invalid(message)), "{name}");
        }
    }

    #[test]
    fn branches_and_tags_are_strict() {
        let refs = listed();
        assert_eq!(refs.branch("main"), refs.branch("refs/heads/main"));
        assert_eq!(refs.tag("both").map(|tag| tag.commit.to_string()), Ok(sha('4')));
        let error = |found: Result<NamedCommit, Invalid>| found.expect_err("none").0;
        assert_eq!(error(refs.branch("v1.2.0")), r#"repository does not contain ref "refs/heads/v1.2.0""#);
        assert_eq!(error(refs.tag("main")), r#"repository does not contain ref "refs/tags/main""#);
        assert_eq!(error(commit("ABC")), r#"invalid commit SHA: "ABC""#);
        assert_eq!(error(commit(&"A".repeat(40))), format!("invalid commit SHA: {:?}", "A".repeat(40)));
        assert_eq!(commit(&sha('0')).map(|found| found.name.to_string()), Ok(sha('0')));
        assert_eq!(error(GitRefs::default().head()), r#"repository does not contain ref "HEAD""#);
    }

    #[test]
    fn lists_are_in_the_server_s_order_and_tags_stand_once() {
        let refs = listed();
        assert_eq!(refs.branches(&[]).iter().map(|name| &**name).collect::<Vec<_>>(), ["both", "main"]);
        let tags = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            refs.tags(&patterns).iter().map(ToString::to_string).collect()
        };
        assert_eq!(tags(&[]), ["both", "sdk/go/v0.1.0", "v1.2.0", "v1.10.0-rc.1"]);
        assert_eq!(tags(&["v0.1.0"]), ["sdk/go/v0.1.0"]);
        assert_eq!(tags(&["v*"]), ["sdk/go/v0.1.0", "v1.2.0", "v1.10.0-rc.1"]);
        assert_eq!(tags(&["v1.2.*", "both"]), ["both", "v1.2.0"]);
        assert_eq!(
            refs.latest_version().map(|tag| tag.name.to_string()),
            Ok("refs/tags/v1.10.0-rc.1".to_owned())
        );
        assert_eq!(GitRefs::default().latest_version().unwrap_err().0, "no valid semver tags found");
    }

    #[test]
    fn a_detached_head_is_its_commit() {
        let refs = GitRefs::parse(&format!("{}\tHEAD\n{}\trefs/heads/a", sha('1'), sha('2')));
        assert_eq!(refs.head().map(|head| head.name.to_string()), Ok(sha('1')));
    }
}
