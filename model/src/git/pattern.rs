//! The patterns of `git ls-remote`.

/// Does the end of `/name` match? A pattern without a slash matches the last part, one with slashes that many.
///
/// # Source
/// git's `ls-remote`: `*/pattern` over `/name`, without a special meaning of slashes.
pub(super) fn matches_tail(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = "*/".chars().chain(pattern.chars()).collect();
    let text: Vec<char> = "/".chars().chain(name.chars()).collect();
    matches(&pattern, &text)
}

/// `*`, `?`, classes and escapes; a star that failed is tried one letter further on, and only the last star is, so the
/// cost is at most the product of the lengths.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, position));
            at += 1;
            continue;
        }
        if let Some(next) = one(pattern, at, text[position]) {
            at = next;
            position += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            at = after;
            position = from + 1;
        } else {
            return false;
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|letter| *letter == '*')
}

/// The place after the pattern's element at `at` when it matches the letter.
fn one(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => class(pattern, at + 1, letter),
        '\\' => (pattern.get(at + 1) == Some(&letter)).then_some(at + 2),
        plain => (*plain == letter).then_some(at + 1),
    }
}

/// A class from after its bracket on. One that does not end matches nothing.
fn class(pattern: &[char], start: usize, letter: char) -> Option<usize> {
    let negated = matches!(pattern.get(start), Some('!' | '^'));
    let first = start + usize::from(negated);
    let (mut at, mut found) = (first, false);
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > first {
            break;
        }
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let end = (at + 2..pattern.len())
                .find(|end| pattern[*end] == ':' && pattern.get(end + 1) == Some(&']'))?;
            let name: String = pattern[at + 2..end].iter().collect();
            found |= is_in(&name, letter);
            at = end + 2;
            continue;
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                found |= (low..=*high).contains(&letter);
                at += 3;
            }
            _ => {
                found |= low == letter;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at + 1)
}

fn is_in(name: &str, letter: char) -> bool {
    match name {
        "alnum" => letter.is_ascii_alphanumeric(),
        "alpha" => letter.is_ascii_alphabetic(),
        "digit" => letter.is_ascii_digit(),
        "lower" => letter.is_ascii_lowercase(),
        "upper" => letter.is_ascii_uppercase(),
        "punct" => letter.is_ascii_punctuation(),
        "space" => letter.is_ascii_whitespace(),
        "xdigit" => letter.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches_tail;

    #[test]
    fn patterns_match_from_the_end() {
        for (pattern, name, expected) in [
            ("v0.1", "refs/tags/sdk/go/v0.1", true),
            ("go/v0.1", "refs/tags/sdk/go/v0.1", true),
            ("o/v0.1", "refs/tags/sdk/go/v0.1", false),
            ("v0", "refs/tags/v0.1", false),
            ("v*", "refs/tags/v0/x", true),
            ("sdk*v0.1", "refs/tags/sdk/go/v0.1", true),
            ("v?.1", "refs/tags/v0.1", true),
            ("v[0-9].1", "refs/tags/v7.1", true),
            ("v[!0-9].1", "refs/tags/v7.1", false),
            ("v[^0-9].1", "refs/tags/vx.1", true),
            ("v[[:digit:]x].1", "refs/tags/vx.1", true),
            ("v[]a]", "refs/tags/v]", true),
            ("v[a-", "refs/tags/va", false),
            ("v[", "refs/tags/v[", false),
            (r"v\*", "refs/tags/v*", true),
            (r"v\", "refs/tags/v", false),
            ("", "refs/tags/v", false),
            ("*", "refs/tags/v", true),
            ("refs/tags/v", "refs/tags/v", true),
        ] {
            assert_eq!(matches_tail(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "*a".repeat(2000);
        assert!(!matches_tail(&pattern, &"a".repeat(1500)));
        assert!(matches_tail(&pattern, &"a".repeat(2500)));
    }
}
