//! Appends JSON to bytes.
//!
//! Answers are written straight into one buffer and never built as nested values: a chain of 10 000 calls is an answer 10 000
//! levels deep, which a tree of values could neither serialize nor drop without as much stack.

use std::io::Write as _;

/// Appends `null`.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

/// Appends `true` or `false`.
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a whole number.
pub fn int(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").expect("writing to memory does not fail");
}

/// Appends a number; what JSON cannot hold (infinities, NaN) becomes `null`.
pub fn float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return null(out);
    }
    // Go, which 0.19 is written in, shows integral floats without a fraction.
    if value.fract() == 0.0 && value.abs() < 1e21 {
        write!(out, "{value:.0}").expect("writing to memory does not fail");
    } else {
        write!(out, "{value:?}").expect("writing to memory does not fail");
    }
}

/// Appends a quoted string. Only what JSON demands is escaped.
pub fn string(out: &mut Vec<u8>, value: &str) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => write!(out, "\\u{byte:04x}").expect("writing to memory does not fail"),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends `"key":`.
pub fn key(out: &mut Vec<u8>, key: &str) {
    string(out, key);
    out.push(b':');
}

/// Appends a comma unless `first`, which it clears: for the members of an object or list.
pub fn comma(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
    }

    #[test]
    fn strings_read_back() {
        let all: String = (0..0x80u8).map(char::from).chain("é😀\u{2028}".chars()).collect();
        for value in ["", "plain", "q\"b\\s/\n\r\t\u{0}\u{1f}\u{7f}", &all] {
            let text = written(|out| super::string(out, value));
            assert_eq!(serde_json::from_str::<String>(&text).expect("valid JSON"), value);
        }
    }

    #[test]
    fn numbers_read_back() {
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| super::int(out, value)), value.to_string());
        }
        for (value, expected) in
            [(1.0, "1"), (-0.5, "-0.5"), (1e300, "1e300"), (f64::NAN, "null"), (f64::INFINITY, "null")]
        {
            assert_eq!(written(|out| super::float(out, value)), expected);
        }
    }

    #[test]
    fn members_are_separated() {
        let text = written(|out| {
            let mut first = true;
            for (name, value) in [("a", true), ("b", false)] {
                super::comma(out, &mut first);
                super::key(out, name);
                super::bool(out, value);
            }
        });
        assert_eq!(text, "\"a\":true,\"b\":false");
    }
}
