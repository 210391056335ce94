//! `expand: true`: `$VAR` and `${VAR}` from a container's configured environment.

/// Why an expansion was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expand cannot be used with secret env variable {0:?}")]
pub struct SecretInExpansion(pub String);

/// Replaces `$NAME` and `${NAME}` by what `look_up` answers. There are no escapes and no `:-` forms; a single
/// special character after `$` is a name too. A `$` without a name stays out of the result as an empty name does.
///
/// # Errors
/// Whatever `look_up` answers.
///
/// # Source
/// `contract/core.md` 6; the rules of Go's `os.Expand`.
pub fn expand<E>(text: &str, mut look_up: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let bytes = text.as_bytes();
    let mut expanded = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'$' || at + 1 == bytes.len() {
            at += 1;
            continue;
        }
        expanded.push_str(&text[copied..at]);
        let (name, width) = name_after_dollar(&text[at + 1..]);
        match name {
            Some("") if width == 0 => expanded.push('$'),
            Some(name) => expanded.push_str(&look_up(name)?),
            None => {}
        }
        at += 1 + width;
        copied = at;
    }
    expanded.push_str(&text[copied..]);
    Ok(expanded)
}

/// The name at the start of `rest` and its width in bytes. `None` is bad syntax that is swallowed.
fn name_after_dollar(rest: &str) -> (Option<&str>, usize) {
    let bytes = rest.as_bytes();
    if bytes[0] == b'{' {
        if bytes.len() > 2 && is_special(bytes[1]) && bytes[2] == b'}' {
            return (Some(&rest[1..2]), 3);
        }
        return match rest.find('}') {
            Some(1) => (None, 2),
            Some(end) => (Some(&rest[1..end]), end + 1),
            None => (None, 1),
        };
    }
    if is_special(bytes[0]) {
        return (Some(&rest[..1]), 1);
    }
    let width = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    (Some(&rest[..width]), width)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let value = |name: &str| -> Result<String, std::convert::Infallible> {
            Ok(match name {
                "P" => "bar".to_owned(),
                "PATH" => "/bin".to_owned(),
                _ => String::new(),
            })
        };
        assert_eq!(expand(text, value).unwrap(), expected, "{text}");
    }

    #[test]
    fn names_are_replaced() {
        check("/s/${P}/x", "/s/bar/x");
        check("f:$PATH", "f:/bin");
        check("/a/$NONE/b", "/a//b");
        check("$P$P", "barbar");
        check("$Pé", "baré");
        check("a$", "a$");
        check("$$x $1y $* ${", "x y  ");
        check("$ x", "$ x");
        check("${}", "");
    }

    #[test]
    fn a_refused_name_ends_the_expansion() {
        let error = expand("/$T", |name| Err::<String, _>(SecretInExpansion(name.to_owned()))).unwrap_err();
        assert_eq!(error.to_string(), "expand cannot be used with secret env variable \"T\"");
    }
}
