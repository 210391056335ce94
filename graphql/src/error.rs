//! Errors as clients see them: entries of the answer, and refusals before anything ran.

use crate::document::Position;
use crate::json;

/// One step of an error's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    /// A response key or field name.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// A value in an error's extensions.
#[derive(Clone, Debug, PartialEq)]
pub enum Extension {
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A list of strings.
    Texts(Vec<String>),
    /// JSON text, put in as it is. Invariant: it is one valid JSON value.
    Json(String),
}

/// One entry of `errors`.
///
/// # Source
/// `contract/session.md` 8.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorEntry {
    /// What went wrong.
    pub message: String,
    /// The chain of calls that failed; left out when empty.
    pub path: Vec<PathSegment>,
    /// Where in the document; validation errors only.
    pub locations: Vec<Position>,
    /// What programs read; left out when empty.
    pub extensions: Vec<(String, Extension)>,
}

impl ErrorEntry {
    /// An entry with nothing but a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The same with one more extension.
    pub fn with_extension(mut self, name: impl Into<String>, value: Extension) -> Self {
        self.extensions.push((name.into(), value));
        self
    }

    /// Appends the entry as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        json::key(out, "message");
        json::string(out, &self.message);
        if !self.path.is_empty() {
            out.push(b',');
            json::key(out, "path");
            write_list(out, &self.path, |out, segment| match segment {
                PathSegment::Key(key) => json::string(out, key),
                PathSegment::Index(index) => json::int(out, *index as i64),
            });
        }
        if !self.locations.is_empty() {
            out.push(b',');
            json::key(out, "locations");
            write_list(out, &self.locations, |out, at| {
                out.extend_from_slice(
                    format!("{{\"line\":{},\"column\":{}}}", at.line, at.column).as_bytes(),
                );
            });
        }
        if !self.extensions.is_empty() {
            out.push(b',');
            json::key(out, "extensions");
            out.push(b'{');
            let mut first = true;
            for (name, value) in &self.extensions {
                json::comma(out, &mut first);
                json::key(out, name);
                match value {
                    Extension::Text(text) => json::string(out, text),
                    Extension::Int(value) => json::int(out, *value),
                    Extension::Texts(texts) => write_list(out, texts, |out, text| json::string(out, text)),
                    Extension::Json(text) => out.extend_from_slice(text.as_bytes()),
                }
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    let mut first = true;
    for item in items {
        json::comma(out, &mut first);
        write(out, item);
    }
    out.push(b']');
}

/// The body of an answer that failed: `{"errors":[…],"data":null}`.
pub fn write_errors(errors: &[ErrorEntry]) -> Vec<u8> {
    let mut out = b"{\"errors\":".to_vec();
    write_list(&mut out, errors, |out, entry| entry.write(out));
    out.extend_from_slice(b",\"data\":null}");
    out
}

/// Why a request was refused before anything ran.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum RequestError {
    /// The body is not the JSON that it should be.
    #[error("{}", .0.message)]
    Body(ErrorEntry),
    /// The document does not parse, or is beyond a limit.
    #[error("{}", .0.message)]
    Parse(ErrorEntry),
    /// The document does not fit the schema, or a variable is missing. Never empty.
    #[error("{}", first_message(.0))]
    Invalid(Vec<ErrorEntry>),
    /// An argument has a value that cannot be decoded; 0.19 answers this as an execution error.
    #[error("{}", .0.message)]
    Argument(ErrorEntry),
}

fn first_message(errors: &[ErrorEntry]) -> &str {
    errors.first().map_or("", |entry| &entry.message)
}

impl RequestError {
    /// The entries to answer.
    pub fn entries(&self) -> &[ErrorEntry] {
        match self {
            Self::Body(entry) | Self::Parse(entry) | Self::Argument(entry) => std::slice::from_ref(entry),
            Self::Invalid(entries) => entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_written_in_full() {
        let entry = ErrorEntry {
            message: "exit code: 1".into(),
            path: vec!["container".into(), PathSegment::Index(0), "stdout".into()],
            locations: vec![Position { line: 1, column: 2 }],
            extensions: Vec::new(),
        };
        let entry = entry
            .with_extension("_type", Extension::Text("EXEC_ERROR".into()))
            .with_extension("cmd", Extension::Texts(vec!["a".into(), "b\"".into()]))
            .with_extension("exitCode", Extension::Int(1))
            .with_extension("more", Extension::Json("{\"x\":[1]}".into()));
        let text = String::from_utf8(write_errors(&[entry, ErrorEntry::new("plain")])).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"errors":[{"message":"exit code: 1","path":["container",0,"stdout"],"locations":[{"line":1,"column":2}],"extensions":{"_type":"EXEC_ERROR","cmd":["a","b\""],"exitCode":1,"more":{"x":[1]}}},{"message":"plain"}],"data":null}"#
        );
    }
}
