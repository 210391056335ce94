//! From the regular expressions that the Go module builds to the dialect of the `regex` crate.
//!
//! The Go module pastes a pattern's character classes and escapes into the expression as they are, so a
//! pattern means what Go's expression syntax says. The two dialects differ inside classes (set operations,
//! nested brackets) and in what an escaped letter is.

/// Translates an expression; nothing when Go would refuse it, or when it uses an escape that makes no sense
/// in a path (`\p`, `\x`, `\Q`, octal numbers).
pub(crate) fn to_rust(source: &str) -> Option<String> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len() + 8);
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        match char {
            '\\' => {
                escape(*chars.get(at + 1)?, &mut out)?;
                at += 2;
            }
            '[' => at = class(&chars, at + 1, &mut out)?,
            // These come from our own building blocks alone, but for `^`, which no text in the middle matches.
            '(' | ')' | '.' | '*' | '?' | '^' | '$' => {
                out.push(char);
                at += 1;
            }
            literal => {
                push_literal(literal, &mut out);
                at += 1;
            }
        }
    }
    Some(out)
}

fn push_literal(char: char, out: &mut String) {
    if char.is_ascii_punctuation() && !matches!(char, '<' | '>') {
        out.push('\\');
    }
    out.push(char);
}

/// An escape outside a class.
fn escape(char: char, out: &mut String) -> Option<()> {
    match char {
        'A' => out.push_str("\\A"),
        'z' => out.push_str("\\z"),
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        _ => match set(char) {
            Some(set) => {
                out.push('[');
                if char.is_ascii_uppercase() {
                    out.push('^');
                }
                out.push_str(set);
                out.push(']');
            }
            None => push_literal(escaped_literal(char)?, out),
        },
    }
    Some(())
}

/// The members of a Perl class, which in Go are ASCII only.
fn set(char: char) -> Option<&'static str> {
    match char {
        'd' | 'D' => Some("0-9"),
        's' | 'S' => Some("\\t\\n\\x0C\\r\\x20"),
        'w' | 'W' => Some("0-9A-Za-z_"),
        _ => None,
    }
}

/// The character that an escape stands for.
fn escaped_literal(char: char) -> Option<char> {
    match char {
        'a' => Some('\x07'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(other),
        _ => None,
    }
}

/// A class whose `[` stands before `at`; returns the position after its `]`.
fn class(chars: &[char], mut at: usize, out: &mut String) -> Option<usize> {
    out.push('[');
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let mut first = true;
    loop {
        let char = *chars.get(at)?;
        if char == ']' && !first {
            out.push(']');
            return Some(at + 1);
        }
        // A bare dash is a member only at the ends of a class.
        if char == '-' && !first && chars.get(at + 1) != Some(&']') {
            return None;
        }
        first = false;
        if char == '['
            && chars.get(at + 1) == Some(&':')
            && let Some((end, name)) = posix(chars, at)
        {
            out.push_str(&name?);
            at = end;
            continue;
        }
        if char == '\\' {
            let escaped = *chars.get(at + 1)?;
            if let Some(set) = set(escaped) {
                if escaped.is_ascii_uppercase() {
                    out.push_str("[^");
                    out.push_str(set);
                    out.push(']');
                } else {
                    out.push_str(set);
                }
                at += 2;
                continue;
            }
        }
        let (low, next) = member(chars, at)?;
        at = next;
        push_literal(low, out);
        if chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|&after| after != ']') {
            let (high, next) = member(chars, at + 1)?;
            if high < low {
                return None;
            }
            out.push('-');
            push_literal(high, out);
            at = next;
        }
    }
}

/// One character of a class, perhaps escaped, and the position after it.
fn member(chars: &[char], at: usize) -> Option<(char, usize)> {
    match *chars.get(at)? {
        '\\' => Some((escaped_literal(*chars.get(at + 1)?)?, at + 2)),
        other => Some((other, at + 1)),
    }
}

/// `[:name:]` at `at`: the position after it and its translation, which is missing for an unknown name.
fn posix(chars: &[char], at: usize) -> Option<(usize, Option<String>)> {
    let end =
        (at + 2..chars.len().saturating_sub(1)).find(|&end| chars[end] == ':' && chars[end + 1] == ']')?;
    let text: String = chars[at..end + 2].iter().collect();
    let name = text[2..text.len() - 2].trim_start_matches('^');
    let known = matches!(
        name,
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    );
    Some((end + 2, known.then_some(text)))
}
