//! Build arguments, which are text, as values of an operation's variables, which have types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use treenail_bridge::stdio::Rejection;
use treenail_graphql::outline::{OperationOutline, VariableOutline};

use crate::file::BuildFile;
use crate::rejection;

/// Arguments that say something to tools, whether a build uses them or not.
const WELL_KNOWN: &[&str] =
    &["SOURCE_DATE_EPOCH", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// The values of an operation's variables.
///
/// # Errors
/// An argument does not fit the type of its variable, or one that is needed is missing.
pub(crate) fn variables(
    file: &BuildFile,
    operation: &OperationOutline,
    arguments: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, Rejection> {
    let mut values = Map::new();
    for variable in &operation.variables {
        let place = [(variable.position, variable.position)];
        match arguments.get(&variable.name) {
            Some(text) => {
                let value = value(&variable.ty, text).ok_or_else(|| {
                    let VariableOutline { name, ty, .. } = variable;
                    rejection::at(file, place, format!("--build-arg {name}={text:?} is no {ty}"))
                })?;
                values.insert(variable.name.clone(), value);
            }
            None if variable.ty.ends_with('!') && variable.default.is_none() => {
                let VariableOutline { name, ty, .. } = variable;
                let message =
                    format!("the variable ${name} has no value: give --build-arg {name}=VALUE ({ty})");
                return Err(rejection::at(file, place, message));
            }
            None => {}
        }
    }
    Ok(values)
}

/// The names of arguments that no operation has a variable for.
pub(crate) fn unused(operations: &[OperationOutline], arguments: &BTreeMap<String, String>) -> Vec<String> {
    let declared = |name: &str| {
        operations.iter().flat_map(|operation| &operation.variables).any(|variable| variable.name == name)
    };
    let known = |name: &str| WELL_KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
    arguments.keys().filter(|name| !declared(name) && !known(name)).cloned().collect()
}

/// A text as a value of a type. Lists and objects are JSON; a list may also be one text without brackets.
fn value(ty: &str, text: &str) -> Option<Value> {
    let ty = ty.trim_end_matches('!');
    if let Some(element) = ty.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match serde_json::from_str(text) {
            Ok(list @ Value::Array(_)) => Some(list),
            _ => Some(Value::Array(vec![value(element, text)?])),
        };
    }
    match ty {
        "Int" => text.trim().parse::<i64>().ok().map(Value::from),
        "Float" => {
            let number: f64 = text.trim().parse().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
        "Boolean" => match text.trim() {
            "true" | "1" => Some(true.into()),
            "false" | "0" => Some(false.into()),
            _ => None,
        },
        // Names of enums are texts as well.
        _ => match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) if ty != "String" && ty != "JSON" => Some(object),
            _ => Some(text.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn texts_become_values_of_their_type() {
        for (ty, text, expected) in [
            ("String!", "1", Some(r#""1""#)),
            ("String", "{\"a\":1}", Some(r#""{\"a\":1}""#)),
            ("Int", " 7 ", Some("7")),
            ("Int", "7.5", None),
            ("Float", "7.5", Some("7.5")),
            ("Float", "NaN", None),
            ("Boolean!", "true", Some("true")),
            ("Boolean", "0", Some("false")),
            ("Boolean", "yes", None),
            ("[String!]!", "[\"a\",\"b\"]", Some(r#"["a","b"]"#)),
            ("[String!]", "a b", Some(r#"["a b"]"#)),
            ("[Int]", "3", Some("[3]")),
            ("[Int]", "x", None),
            ("ReturnType", "ANY", Some(r#""ANY""#)),
            ("BuildArg", r#"{"name":"a","value":"b"}"#, Some(r#"{"name":"a","value":"b"}"#)),
        ] {
            assert_eq!(value(ty, text).map(|value| value.to_string()).as_deref(), expected, "{ty} {text}");
        }
    }
}
