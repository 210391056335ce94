//! One list of patterns against one path.

use crate::gopath;
use crate::translate;

/// Why a list of patterns was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A lone `!` negates nothing.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneNegation,
    /// A class, a range or an escape is not complete, or means nothing.
    #[error("syntax error in pattern: {pattern:?}")]
    Syntax {
        /// The pattern as cleaned.
        pattern: String,
    },
    /// More patterns than any real list has.
    #[error("pattern list exceeds the limit of {limit} patterns")]
    TooMany {
        /// Patterns allowed.
        limit: usize,
    },
    /// Longer patterns than any real list has.
    #[error("pattern list exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed for the whole list.
        limit: usize,
    },
}

/// Patterns of a list; a compiled one takes tens of kilobytes.
const COUNT_LIMIT: usize = 4096;
/// Bytes of all patterns of a list together.
const LIST_LIMIT: usize = 1 << 20;
/// Bytes of one compiled pattern.
const COMPILED_LIMIT: usize = 4 << 20;

/// One pattern of a list.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exact,
    Prefix,
    Suffix,
    Regex(regex::Regex),
}

impl Pattern {
    /// The cleaned pattern, without its `!`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Does the pattern begin with `!`?
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// The text up to a last component of `*` or `**`.
    pub(crate) fn without_trailing_glob(&self) -> &str {
        let text = self.text.strip_suffix("/**").unwrap_or(&self.text);
        text.strip_suffix("/*").unwrap_or(text)
    }

    /// Has the pattern, apart from a trailing glob, a character with a meaning of its own?
    pub(crate) fn has_inner_glob(&self) -> bool {
        self.without_trailing_glob().contains(['*', '[', ']', '?', '^', '\\'])
    }

    fn matches(&self, path: &str) -> bool {
        match &self.test {
            Test::Exact => path == self.text,
            Test::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Test::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Test::Regex(regex) => regex.is_match(path),
        }
    }

    /// Does the pattern match `path` or a directory above it?
    fn matches_or_above(&self, path: &str) -> bool {
        self.matches(path) || path.match_indices('/').any(|(end, _)| self.matches(&path[..end]))
    }
}

/// Which patterns of a list matched a directory: what a walk carries down instead of asking again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchInfo(Vec<bool>);

/// A compiled list of patterns.
///
/// # Source
/// `github.com/moby/patternmatcher` v0.6.1 `PatternMatcher`.
#[derive(Clone, Debug, Default)]
pub struct PatternMatcher {
    patterns: Vec<Pattern>,
}

impl PatternMatcher {
    /// Compiles a list. Blank patterns are dropped, the others cleaned as paths.
    ///
    /// # Errors
    /// See [`Error`]. Where the Go module reports some broken patterns only when a path reaches them, this
    /// does at once.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, Error> {
        if patterns.iter().map(|pattern| pattern.as_ref().len()).sum::<usize>() > LIST_LIMIT {
            return Err(Error::TooLarge { limit: LIST_LIMIT });
        }
        if patterns.len() > COUNT_LIMIT {
            return Err(Error::TooMany { limit: COUNT_LIMIT });
        }
        let mut compiled = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let trimmed = pattern.as_ref().trim();
            if trimmed.is_empty() {
                continue;
            }
            let cleaned = gopath::clean(trimmed);
            let (negated, text) = match cleaned.strip_prefix('!') {
                Some("") => return Err(Error::LoneNegation),
                Some(text) => (true, text.to_owned()),
                None => (false, cleaned),
            };
            let syntax = || Error::Syntax { pattern: text.clone() };
            if !gopath::well_formed(&text) {
                return Err(syntax());
            }
            let test = compile(&text).ok_or_else(syntax)?;
            compiled.push(Pattern { text, negated, test });
        }
        Ok(Self { patterns: compiled })
    }

    /// The patterns in use, in order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Is the list empty? An empty list matches nothing.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Does any pattern begin with `!`?
    pub fn has_negations(&self) -> bool {
        self.patterns.iter().any(Pattern::is_negated)
    }

    /// Does the list match `path` or a directory above it, later patterns winning?
    ///
    /// `path` is relative, cleaned and separated by slashes.
    pub fn matches_or_parent(&self, path: &str) -> bool {
        let mut matched = false;
        for pattern in &self.patterns {
            // A pattern that could not change the answer is not asked.
            if pattern.negated == matched && pattern.matches_or_above(path) {
                matched = !pattern.negated;
            }
        }
        matched
    }

    /// Does the list match `path` itself, whatever it says of the directories above it?
    pub fn matches_exactly(&self, path: &str) -> bool {
        self.patterns.iter().fold(false, |matched, pattern| {
            if pattern.negated == matched && pattern.matches(path) { !pattern.negated } else { matched }
        })
    }

    /// As [`Self::matches_or_parent`], given what its directory's own call returned; the root's entries take
    /// [`MatchInfo::default`].
    pub fn matches_below(&self, path: &str, parent: &MatchInfo) -> (bool, MatchInfo) {
        let mut matched = false;
        let mut info = vec![false; self.patterns.len()];
        let known = parent.0.len() == self.patterns.len();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let mut hit = known && parent.0[index];
            if !hit {
                if pattern.negated != matched {
                    continue;
                }
                hit = if known { pattern.matches(path) } else { pattern.matches_or_above(path) };
            }
            info[index] = hit;
            if hit {
                matched = !pattern.negated;
            }
        }
        (matched, MatchInfo(info))
    }
}

/// Chooses the cheapest test for a pattern and builds it; nothing when the pattern has no meaning.
///
/// # Source
/// `github.com/moby/patternmatcher` v0.6.1 `Pattern.compile`.
fn compile(pattern: &str) -> Option<Test> {
    #[derive(PartialEq)]
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Regex,
    }
    let mut kind = Kind::Exact;
    let mut source = String::from("^");
    let mut rest = pattern.chars().peekable();
    let mut first = true;
    while let Some(char) = rest.next() {
        match char {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_none() {
                    if kind == Kind::Exact {
                        kind = Kind::Prefix;
                    } else {
                        source.push_str(".*");
                        kind = Kind::Regex;
                    }
                } else {
                    source.push_str("(.*/)?");
                    kind = Kind::Regex;
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                source.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                source.push_str("[^/]");
                kind = Kind::Regex;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                source.push('\\');
                source.push(char);
            }
            '\\' => {
                source.push('\\');
                if let Some(escaped) = rest.next() {
                    source.push(escaped);
                    kind = Kind::Regex;
                }
            }
            '[' | ']' => {
                source.push(char);
                kind = Kind::Regex;
            }
            other => source.push(other),
        }
        first = false;
    }
    Some(match kind {
        Kind::Exact => Test::Exact,
        Kind::Prefix => Test::Prefix,
        Kind::Suffix => Test::Suffix,
        Kind::Regex => {
            source.push('$');
            let regex = regex::RegexBuilder::new(&translate::to_rust(&source)?)
                .size_limit(COMPILED_LIMIT)
                .dfa_size_limit(COMPILED_LIMIT)
                .build()
                .ok()?;
            Test::Regex(regex)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_lists_are_refused() {
        let many = vec!["a*"; COUNT_LIMIT + 1];
        assert_eq!(PatternMatcher::new(&many).err(), Some(Error::TooMany { limit: COUNT_LIMIT }));
        let long = ["a".repeat(LIST_LIMIT + 1)];
        assert_eq!(PatternMatcher::new(&long).err(), Some(Error::TooLarge { limit: LIST_LIMIT }));
        // A pattern whose automaton would be too large is no pattern.
        let deep = ["[^a]?".repeat(100_000)];
        assert!(PatternMatcher::new(&deep).is_err());
    }
}
