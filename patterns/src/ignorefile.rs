//! The file that holds a list of patterns.

use crate::gopath;

/// The patterns of a `.dockerignore` file: one a line; empty lines and comments (a `#` at the very start) are none.
///
/// White space around a pattern, `.` and a leading slash mean nothing; `!` stays in front.
///
/// # Source
/// `github.com/moby/patternmatcher` v0.6.1 `ignorefile`: a byte-order mark is dropped, patterns are cleaned as paths.
pub fn ignore_file(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (mark, pattern) = match line.strip_prefix('!') {
                Some(rest) => ("!", rest.trim()),
                None => ("", line),
            };
            if pattern.is_empty() {
                return line.to_owned();
            }
            let cleaned = gopath::clean(pattern);
            let relative =
                if cleaned.len() > 1 { cleaned.strip_prefix('/').unwrap_or(&cleaned) } else { &cleaned };
            format!("{mark}{relative}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_patterns() {
        let text = "\u{feff}# comment\n  # none \n\n*.log\r\n!keep.log\n! /sub/./kept \n/root//file\n./a/../b/\n/\n!\n";
        assert_eq!(
            ignore_file(text),
            ["# none", "*.log", "!keep.log", "!sub/kept", "root/file", "b", "/", "!"]
        );
    }
}
