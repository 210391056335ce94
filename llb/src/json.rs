//! The one bit of JSON that attributes need.

use std::fmt::Write as _;

/// A list of texts, byte for byte as Go's `encoding/json` writes it, since it ends in digests:
/// the HTML characters and the two line separators of Unicode are escaped.
pub(crate) fn string_list(items: &[String]) -> String {
    let mut out = String::from("[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push('"');
        for character in item.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    write!(out, "\\u{:04x}", u32::from(character)).expect("a String takes all text");
                }
                other => out.push(other),
            }
        }
        out.push('"');
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_escaped_as_go_does() {
        let items = ["a\"b\\c", "<&>", "\u{1}\u{7f}\u{2028}é", "\t\n\r\u{8}\u{c}"].map(String::from);
        assert_eq!(
            string_list(&items),
            "[\"a\\\"b\\\\c\",\"\\u003c\\u0026\\u003e\",\"\\u0001\u{7f}\\u2028é\",\"\\t\\n\\r\\b\\f\"]"
        );
    }
}
