//! The pattern language of `.dockerignore`: which paths do include and exclude lists keep?
//!
//! Patterns are relative to the root of a tree: `*`, `?` and `[…]` stay inside one path component,
//! `**` spans any number of them (also none), `!` takes back what an earlier pattern matched, `\`
//! escapes. A pattern that matches a directory covers all below it. There is no implicit match at any
//! depth: `*.go` is the top level only.
//!
//! [`PatternMatcher`] answers for one list, [`PathFilter`] walks a tree with an include and an exclude
//! list and says what to keep and which directories need not be entered.
//!
//! Invariant: the answers are those of Go's `github.com/moby/patternmatcher`, oddities included, because
//! the daemon applies the same lists with it. Pure: no files, no clock, no environment.

mod filter;
mod gopath;
mod ignorefile;
mod matcher;
mod translate;

pub use filter::{PathFilter, Verdict};
pub use ignorefile::ignore_file;
pub use matcher::{Error, MatchInfo, Pattern, PatternMatcher};
