//! JSON as bytes: answers may nest as deep as the chains that made them, so they are never decoded into a tree.

use std::io::{self, Write};

/// Spaces for each level.
const INDENT: usize = 4;
const SPACES: [u8; 256] = [b' '; 256];

/// Lays out valid JSON with 4 spaces a level, every member and element on a line of its own.
///
/// A loop over the bytes: depth costs no stack. Strings and numbers stay byte for byte. Nothing is kept: the space
/// before deep lines alone may be far larger than the answer.
///
/// # Errors
/// What the writer says.
pub(crate) fn indent(json: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    // Invariant: set right after an opening bracket, until something stands inside.
    let mut fresh = false;
    for &byte in json {
        if in_string {
            out.write_all(&[byte])?;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        if matches!(byte, b'}' | b']') {
            depth = depth.saturating_sub(1);
            if !fresh {
                new_line(out, depth)?;
            }
            fresh = false;
            out.write_all(&[byte])?;
            continue;
        }
        if fresh {
            new_line(out, depth)?;
            fresh = false;
        }
        out.write_all(&[byte])?;
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                fresh = true;
            }
            b',' => new_line(out, depth)?,
            b':' => out.write_all(b" ")?,
            _ => {}
        }
    }
    Ok(())
}

fn new_line(out: &mut impl Write, depth: usize) -> io::Result<()> {
    out.write_all(b"\n")?;
    let mut left = depth * INDENT;
    while left > 0 {
        let now = left.min(SPACES.len());
        out.write_all(&SPACES[..now])?;
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let mut out = Vec::new();
        indent(json.as_bytes(), &mut out).expect("memory takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn lays_out() {
        assert_eq!(
            text(r#"{"a":{"b":[1, 2,{"c":"x{,:\"]\\"}],"d":{},"e":[]},"f":null}"#),
            "{\n    \"a\": {\n        \"b\": [\n            1,\n            2,\n            {\n                \
             \"c\": \"x{,:\\\"]\\\\\"\n            }\n        ],\n        \"d\": {},\n        \"e\": []\n    },\n    \
             \"f\": null\n}"
        );
        assert_eq!(text("{}"), "{}");
        assert_eq!(text(r#""s""#), r#""s""#);
    }

    #[test]
    fn agrees_with_another_printer() {
        let value = serde_json::json!({"a": [[], {}, [1.5, true, "é\n"]], "b": {"c": {"d": null}}});
        let mut expected = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut expected, formatter);
        serde::Serialize::serialize(&value, &mut serializer).expect("written");
        assert_eq!(text(&value.to_string()).as_bytes(), expected);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = 2_000;
        let json = format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep));
        assert_eq!(text(&json).lines().count(), 2 * deep + 1);
    }
}
