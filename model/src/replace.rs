//! Replacing a text in a file.

use std::fmt::Write as _;

use memchr::memmem::Finder;

use crate::Invalid;

/// Most bytes of a file after a replacement.
pub const REPLACED_LIMIT: usize = 128 << 20;

/// Most places that an error lists.
const LISTED: usize = 20;

/// What to replace, and where.
#[derive(Clone, Debug, Default)]
pub struct Replacement {
    /// Literal text; it may span lines.
    pub search: String,
    /// What stands in its place.
    pub replacement: String,
    /// Every match, not one alone.
    pub all: bool,
    /// First line, from 1, whose matches count.
    pub first_from: Option<i64>,
}

impl Replacement {
    /// The contents after it.
    ///
    /// # Errors
    /// Nothing to search for; no match, unless all are meant; several matches, unless all or the first from a line
    /// are meant; the result is larger than [`REPLACED_LIMIT`].
    ///
    /// # Source
    /// `contract/filesystem.md` 2, `File.withReplaced`.
    pub fn apply(&self, contents: &[u8]) -> Result<Vec<u8>, Invalid> {
        if self.search.is_empty() {
            return Err(Invalid::new("search string cannot be empty"));
        }
        let finder = Finder::new(self.search.as_bytes());
        let start = self.first_from.map_or(0, |line| start_of_line(contents, line));
        let mut matches = finder.find_iter(&contents[start..]).map(|at| start + at);
        let Some(first) = matches.next() else {
            return if self.all {
                Ok(contents.to_vec())
            } else {
                Err(Invalid::new("search string not found"))
            };
        };
        if self.all {
            return self.replaced(contents, std::iter::once(first).chain(matches));
        }
        if self.first_from.is_none() && matches.next().is_some() {
            return Err(self.ambiguous(contents, &finder));
        }
        self.replaced(contents, std::iter::once(first))
    }

    fn replaced(&self, contents: &[u8], matches: impl Iterator<Item = usize>) -> Result<Vec<u8>, Invalid> {
        let mut out = Vec::with_capacity(contents.len());
        let mut copied = 0;
        for at in matches {
            let kept = &contents[copied..at];
            if out.len() + kept.len() + self.replacement.len() > REPLACED_LIMIT {
                return Err(too_large());
            }
            out.extend_from_slice(kept);
            out.extend_from_slice(self.replacement.as_bytes());
            copied = at + self.search.len();
        }
        let rest = &contents[copied..];
        if out.len() + rest.len() > REPLACED_LIMIT {
            return Err(too_large());
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    /// Names the places: the line, and the bytes in it.
    fn ambiguous(&self, contents: &[u8], finder: &Finder<'_>) -> Invalid {
        let mut message = "search string found multiple times: ".to_owned();
        let (mut line, mut counted) = (1, 0);
        for (index, at) in finder.find_iter(contents).enumerate() {
            if index == LISTED {
                message.push_str(", …");
                break;
            }
            line += memchr::memchr_iter(b'\n', &contents[counted..at]).count();
            counted = at;
            let line_start = memchr::memrchr(b'\n', &contents[..at]).map_or(0, |newline| newline + 1);
            let from = at - line_start;
            let separator = if index == 0 { "" } else { ", " };
            let _infallible = write!(message, "{separator}line {line} ({from}-{})", from + self.search.len());
        }
        Invalid(message)
    }
}

fn too_large() -> Invalid {
    Invalid::new(format!("file size exceeds limit {REPLACED_LIMIT}"))
}

/// Where a line starts, counted from 1; the end of the contents when there are fewer.
fn start_of_line(contents: &[u8], line: i64) -> usize {
    let Ok(before @ 1..) = usize::try_from(line.saturating_sub(1)) else { return 0 };
    memchr::memchr_iter(b'\n', contents).nth(before - 1).map_or(contents.len(), |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(contents: &str, search: &str, all: bool, first_from: Option<i64>, expected: Result<&str, &str>) {
        let replacement =
            Replacement { search: search.to_owned(), replacement: "X".to_owned(), all, first_from };
        let found =
            replacement.apply(contents.as_bytes()).map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(found.as_deref().map_err(|invalid| &*invalid.0), expected);
    }

    #[test]
    fn one_match_all_matches_or_from_a_line() {
        let text = "a b\nb a\na\n";
        check(text, "b\nb", false, None, Ok("a X a\na\n"));
        check(text, "z", false, None, Err("search string not found"));
        check(text, "z", true, None, Ok(text));
        check(
            text,
            "a",
            false,
            None,
            Err("search string found multiple times: line 1 (0-1), line 2 (2-3), line 3 (0-1)"),
        );
        check(text, "a", true, None, Ok("X b\nb X\nX\n"));
        check(text, "a", false, Some(1), Ok("X b\nb a\na\n"));
        check(text, "a", false, Some(2), Ok("a b\nb X\na\n"));
        check(text, "a", true, Some(2), Ok("a b\nb X\nX\n"));
        check(text, "a", false, Some(4), Err("search string not found"));
        check(text, "a", true, Some(i64::MAX), Ok(text));
        check(text, "a", false, Some(-1), Ok("X b\nb a\na\n"));
        check("aaa", "aa", true, None, Ok("Xa"));
        check("a", "", true, None, Err("search string cannot be empty"));
        check("", "a", true, None, Ok(""));
    }

    #[test]
    fn a_result_cannot_outgrow_an_answer() {
        let replacement =
            Replacement { search: "a".into(), replacement: "b".repeat(1 << 20), all: true, first_from: None };
        let problem = replacement.apply(&[b'a'; 129]).expect_err("129 MiB").0;
        assert_eq!(problem, "file size exceeds limit 134217728");
    }

    #[test]
    fn the_list_of_places_is_short() {
        let replacement = Replacement { search: "a".into(), ..Replacement::default() };
        let problem = replacement.apply(&[b'a'; 1000]).expect_err("ambiguous").0;
        assert!(problem.ends_with("line 1 (19-20), …"), "{problem}");
    }
}
