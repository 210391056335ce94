//! What a document offers, for those who choose an operation and fill in its variables by name.

use std::sync::Arc;

use crate::document::{self, Document, Literal, Position, Variable};
use crate::error::RequestError;
use crate::prepare::parse_error;
use crate::sdl::SchemaModel;

/// One operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationOutline {
    /// Its name; empty for one that has none.
    pub name: String,
    /// The comment lines right above it.
    pub description: String,
    /// Where it begins.
    pub position: Position,
    /// What it can be given, as declared.
    pub variables: Vec<VariableOutline>,
}

/// One variable of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableOutline {
    /// Its name, without the dollar.
    pub name: String,
    /// Its type as written: `[String!]`.
    pub ty: String,
    /// Its default as JSON, if it has one; names of enums are strings.
    pub default: Option<String>,
    /// The comment lines right above it.
    pub description: String,
    /// Where it is declared.
    pub position: Position,
}

/// The operations of a document, in its order. Nothing is checked against a schema.
///
/// # Errors
/// [`RequestError::Parse`] when it is no document.
pub fn outline(source: &Arc<str>) -> Result<Vec<OperationOutline>, RequestError> {
    let document = document::parse(Arc::clone(source)).map_err(parse_error)?;
    let operations = document.operations.iter().map(|operation| OperationOutline {
        name: operation.name.map(|name| document.text(name).to_owned()).unwrap_or_default(),
        description: comment_above(source, operation.at as usize),
        position: Position::at(source, operation.at as usize),
        variables: operation.variables.iter().map(|variable| outline_of(&document, variable)).collect(),
    });
    Ok(operations.collect())
}

/// Checks a document against a schema, for all of its operations and without values for variables.
///
/// # Errors
/// [`RequestError`], as when one of its operations is prepared.
pub fn check(schema: &SchemaModel, source: &Arc<str>) -> Result<(), RequestError> {
    let document = document::parse(Arc::clone(source)).map_err(parse_error)?;
    crate::check::check(schema, &document).map(drop)
}

fn outline_of(document: &Document, variable: &Variable) -> VariableOutline {
    // The name's span begins behind the dollar.
    let at = variable.name.start as usize;
    VariableOutline {
        name: document.text(variable.name).to_owned(),
        ty: document.type_text(&variable.ty),
        default: variable.default.as_ref().map(|value| json(document, value).to_string()),
        description: comment_above(&document.source, at.saturating_sub(1)),
        position: Position::at(&document.source, at),
    }
}

/// A default as JSON. Values nest no deeper than [`document::limits::VALUE_DEPTH`].
fn json(document: &Document, value: &Literal) -> serde_json::Value {
    match value {
        Literal::Null => serde_json::Value::Null,
        Literal::Bool(value) => (*value).into(),
        Literal::Int(text) | Literal::Float(text) => {
            let text = document.text(*text);
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        Literal::String(text) => (**text).into(),
        Literal::Enum(name) | Literal::Variable(name) => document.text(*name).into(),
        Literal::List(items) => items.iter().map(|item| json(document, item)).collect(),
        Literal::Object(fields) => serde_json::Value::Object(
            fields
                .iter()
                .map(|(name, value)| (document.text(*name).to_owned(), json(document, value)))
                .collect(),
        ),
    }
}

/// The comment lines that end right above the line of `at`, without their marks. Lines such as `# syntax=` are for
/// others.
fn comment_above(source: &str, at: usize) -> String {
    let line_start = source[..at].rfind('\n').map_or(0, |end| end + 1);
    if !source[line_start..at].trim().is_empty() {
        return String::new();
    }
    let mut lines: Vec<&str> = source[..line_start]
        .lines()
        .rev()
        .map_while(|line| line.trim().strip_prefix('#'))
        .take_while(|line| !line.trim_start().starts_with("syntax="))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_with_what_stands_above_them() {
        let source = "# syntax=x/y\n# Builds it.\n# All of it.\nquery Build(\n  # What to say.\n  \
                      $words: [String!] = [\"a\", \"b\"], $n: Int!\n) { version }\n\n\
                      # Far away.\n\nquery Test { version }\n";
        let found = outline(&source.into()).expect("a document");
        let short: Vec<_> = found
            .iter()
            .map(|operation| {
                (operation.name.as_str(), operation.description.as_str(), operation.position.line)
            })
            .collect();
        assert_eq!(short, [("Build", "Builds it.\nAll of it.", 4), ("Test", "", 11)]);
        let variables: Vec<_> = found[0]
            .variables
            .iter()
            .map(|variable| {
                (
                    variable.name.as_str(),
                    variable.ty.as_str(),
                    variable.default.as_deref(),
                    &*variable.description,
                )
            })
            .collect();
        let words = ("words", "[String!]", Some(r#"["a","b"]"#), "What to say.");
        assert_eq!(variables, [words, ("n", "Int!", None, "")]);
        assert_eq!(found[0].variables[1].position, Position { line: 6, column: 36 });
    }

    #[test]
    fn a_document_without_a_name_is_one_operation() {
        let found = outline(&"# Shows it.\n{ version }".into()).expect("a document");
        assert_eq!(
            (found.len(), found[0].name.as_str(), found[0].description.as_str()),
            (1, "", "Shows it.")
        );
        assert!(matches!(outline(&"{ version".into()), Err(RequestError::Parse(_))));
    }
}
