//! Two functions of Go's `path/filepath` on Unix that the pattern language is defined by.

/// The shortest path equal to `path` by text alone: no `.`, no doubled slash, no inner `..`.
///
/// # Source
/// Go `path/filepath.Clean`, Unix.
pub(crate) fn clean(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Is `pattern` well formed for Go's `filepath.Match`?
///
/// # Source
/// Go `path/filepath.Match`, Unix: the part of it that reports `ErrBadPattern`.
pub(crate) fn well_formed(pattern: &str) -> bool {
    let mut rest = pattern.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\\' if rest.next().is_none() => {
                return false;
            }
            '[' => {
                rest.next_if_eq(&'^');
                let mut ranges = 0;
                loop {
                    if ranges > 0 && rest.next_if_eq(&']').is_some() {
                        break;
                    }
                    if class_char(&mut rest).is_none() || rest.peek().is_none() {
                        return false;
                    }
                    if rest.next_if_eq(&'-').is_some()
                        && (class_char(&mut rest).is_none() || rest.peek().is_none())
                    {
                        return false;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    true
}

/// One end of a range in a character class; nothing when the class is broken.
fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_as_go_does() {
        for (input, expected) in [
            ("", "."),
            (".", "."),
            ("./a", "a"),
            ("a/", "a"),
            ("a//b", "a/b"),
            ("a/../b", "b"),
            ("a/../../b", "../b"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("!./a/.", "!./a"),
            ("**/./x", "**/x"),
        ] {
            assert_eq!(clean(input), expected, "{input:?}");
        }
    }

    #[test]
    fn knows_broken_patterns() {
        for broken in ["[", "[]", "[a", "[-a]", "[a-]", "[a-", "a\\", "[^]", "[\\", "[]a]", "[a-b-c]"] {
            assert!(!well_formed(broken), "{broken:?}");
        }
        for fine in ["", "a", "]", "[a]", "[^a]", "[a-z]", "[\\]]", "\\[", "**", "[[]", "[a^]"] {
            assert!(well_formed(fine), "{fine:?}");
        }
    }
}
