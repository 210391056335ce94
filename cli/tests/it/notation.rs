//! Chains of calls as the contract writes them, made into GraphQL documents.
//!
//! `C.withExec(args: ["true"]).stdout` asks for `stdout` of a container from `alpine:3.20`; `D` is an empty directory.
//! The last part may be a selection of its own: `D.{entries name}`.

use serde_json::{Map, Value, json};

use crate::service::{Answer, Service};

/// What `C` stands for.
const CONTAINER: &str = r#"container.from(address: "alpine:3.20")"#;

/// A value that a chain refers to as `$name`: its name, the type it has, and the chain that gives its ID.
pub(crate) type Let = (&'static str, &'static str, &'static str);

/// IDs by name, with their types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(String, String, Value)>);

impl Values {
    /// The same with one more.
    pub(crate) fn with(mut self, name: &str, kind: &str, id: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), kind.to_owned(), id.into()));
        self
    }
}

/// Asks for the value of a chain.
pub(crate) fn ask(service: &Service, chain: &str, values: &Values) -> Answer {
    let used: Vec<_> = values.0.iter().filter(|(name, ..)| chain.contains(&format!("${name}"))).collect();
    let mut document = String::new();
    if !used.is_empty() {
        let declared: Vec<String> =
            used.iter().map(|(name, kind, _)| format!("${name}: {kind}ID!")).collect();
        document = format!("query({})", declared.join(", "));
    }
    document.push_str(&selection(chain));
    let variables: Map<String, Value> = used.iter().map(|(name, _, id)| (name.clone(), id.clone())).collect();
    service.post(&json!({ "query": document, "variables": variables }))
}

/// Asks for the value of a chain that must have one.
pub(crate) fn value(service: &Service, chain: &str, values: &Values) -> Value {
    let answer = ask(service, chain, values);
    leaf(&answer).unwrap_or_else(|| panic!("{chain}\n  answered {}", shortened(&answer.body)))
}

/// The same for a text.
pub(crate) fn text(service: &Service, chain: &str, values: &Values) -> String {
    match value(service, chain, values) {
        Value::String(text) => text,
        other => panic!("{chain}\n  is no text: {other}"),
    }
}

/// The first error of a chain that must have one.
pub(crate) fn error(service: &Service, chain: &str, values: &Values) -> Value {
    let answer = ask(service, chain, values);
    assert_eq!(answer.status, 200, "{chain}\n  answered {}", shortened(&answer.body));
    let error = answer.json()["errors"][0].clone();
    assert!(error.is_object(), "{chain}\n  is no error: {}", shortened(&answer.body));
    error
}

/// Evaluates `lets` in order.
pub(crate) fn evaluate(service: &Service, lets: &[Let]) -> Result<Values, String> {
    let mut values = Values::default();
    for (name, kind, chain) in lets {
        let answer = ask(service, &format!("{chain}.id"), &values);
        let id = leaf(&answer).ok_or_else(|| format!("{name}: {}", shortened(&answer.body)))?;
        values = values.with(name, kind, id);
    }
    Ok(values)
}

/// The value at the end of an answer: what is below all members that stand alone.
pub(crate) fn leaf(answer: &Answer) -> Option<Value> {
    if answer.status != 200 {
        return None;
    }
    let json = answer.json();
    if json.get("errors").is_some() {
        return None;
    }
    let mut value = &json["data"];
    while let Value::Object(members) = value
        && members.len() == 1
    {
        value = members.values().next()?;
    }
    Some(value.clone())
}

/// The beginning of a long text.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(600).collect()
}

/// A chain as a selection set.
pub(crate) fn selection(chain: &str) -> String {
    let chain = match chain.strip_prefix('C') {
        Some(rest) if rest.starts_with('.') => format!("{CONTAINER}{rest}"),
        _ => match chain.strip_prefix('D') {
            Some(rest) if rest.starts_with('.') => format!("directory{rest}"),
            _ => chain.to_owned(),
        },
    };
    let parts = parts(&chain);
    let mut document = String::new();
    let mut open = 0;
    for part in &parts {
        if part.starts_with('{') {
            document.push_str(part);
        } else {
            document.push('{');
            document.push_str(part);
            open += 1;
        }
    }
    document.extend(std::iter::repeat_n('}', open));
    document
}

/// Splits at the dots that are in no bracket and no text.
fn parts(chain: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, letter) in chain.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '.' if depth == 0 => {
                parts.push(&chain[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&chain[start..]);
    parts
}

#[test]
fn chains_become_documents() {
    assert_eq!(selection("version"), "{version}");
    assert_eq!(selection("D.{entries name}"), "{directory{entries name}}");
    assert_eq!(
        selection(r#"C.withExec(args: ["a.b", "\".("]).stdout"#),
        r#"{container{from(address: "alpine:3.20"){withExec(args: ["a.b", "\".("]){stdout}}}}"#
    );
}
