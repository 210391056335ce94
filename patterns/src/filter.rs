//! An include and an exclude list over a sorted walk.

use crate::matcher::{Error, MatchInfo, PatternMatcher};

/// What a walk does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The entry is kept, with every directory above it.
    Keep,
    /// The entry is not kept for its own sake; a directory must still be entered.
    Skip,
    /// A directory that nothing below can be kept of.
    Prune,
}

/// Decides over the entries of a walk that visits each directory before its entries.
///
/// With an include list an entry must match it; an exclude list takes entries away, and wins. An empty list
/// is no list. A directory that is skipped but has a kept entry below is part of the result: the walk adds it.
///
/// # Source
/// `github.com/tonistiigi/fsutil` `filterFS.Walk`.
#[derive(Clone, Debug, Default)]
pub struct PathFilter {
    include: Option<List>,
    exclude: Option<List>,
    /// Directories above the present entry, outermost first.
    above: Vec<Above>,
}

#[derive(Clone, Debug)]
struct List {
    matcher: PatternMatcher,
    /// Can the patterns that let a directory be entered be told by their text alone?
    prefixes_only: bool,
}

#[derive(Clone, Debug)]
struct Above {
    /// The directory's path with a slash.
    prefix: String,
    include: MatchInfo,
    exclude: MatchInfo,
}

impl PathFilter {
    /// Compiles both lists.
    ///
    /// # Errors
    /// As [`PatternMatcher::new`].
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Result<Self, Error> {
        let list = |patterns: &[S], opening_negated: bool| -> Result<Option<List>, Error> {
            let matcher = PatternMatcher::new(patterns)?;
            let prefixes_only = !matcher
                .patterns()
                .iter()
                .any(|pattern| pattern.is_negated() == opening_negated && pattern.has_inner_glob());
            // A list of blanks counts as a list in Go: it includes nothing.
            Ok((!patterns.is_empty()).then_some(List { matcher, prefixes_only }))
        };
        Ok(Self { include: list(include, false)?, exclude: list(exclude, true)?, above: Vec::new() })
    }

    /// Does the filter let everything pass?
    pub fn is_empty(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Decides over the next entry of the walk.
    ///
    /// `path` is relative to the root of the tree and separated by slashes.
    pub fn visit(&mut self, path: &str, is_dir: bool) -> Verdict {
        if self.is_empty() {
            return Verdict::Keep;
        }
        while self.above.last().is_some_and(|above| !path.starts_with(&above.prefix)) {
            self.above.pop();
        }
        let mut next = Above {
            prefix: format!("{path}/"),
            include: MatchInfo::default(),
            exclude: MatchInfo::default(),
        };
        let mut skip = false;
        let none = MatchInfo::default();
        if let Some(list) = &self.include {
            let parent = self.above.last().map_or(&none, |above| &above.include);
            let (matched, info) = list.matcher.matches_below(path, parent);
            next.include = info;
            if !matched {
                if is_dir && list.prefixes_only && !list.may_open(&next.prefix, false) {
                    return Verdict::Prune;
                }
                skip = true;
            }
        }
        if let Some(list) = &self.exclude {
            let parent = self.above.last().map_or(&none, |above| &above.exclude);
            let (matched, info) = list.matcher.matches_below(path, parent);
            next.exclude = info;
            if matched {
                if is_dir && list.prefixes_only && !list.may_open(&next.prefix, true) {
                    return Verdict::Prune;
                }
                skip = true;
            }
        }
        if is_dir {
            self.above.push(next);
        }
        if skip { Verdict::Skip } else { Verdict::Keep }
    }

    /// Is `path` itself kept, told without a walk?
    pub fn keeps(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|list| list.matcher.matches_or_parent(path))
            && !self.exclude.as_ref().is_some_and(|list| list.matcher.matches_or_parent(path))
    }
}

impl List {
    /// May a pattern (a negated one or not) name something below the directory `prefix`?
    fn may_open(&self, prefix: &str, negated: bool) -> bool {
        self.matcher.patterns().iter().any(|pattern| {
            pattern.is_negated() == negated
                && format!("{}/", pattern.without_trailing_glob()).starts_with(prefix)
        })
    }
}
