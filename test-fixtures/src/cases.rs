//! The recorded cases of `contract/vectors.json`, typed.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One recorded question with its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "RawCase")]
pub struct Case {
    /// Unique, in words joined by dashes; names that start with `id-` pin the ID format.
    pub name: String,
    /// Queries to run before, in order and in the same session. The single leaf of each answer is an
    /// ID and becomes the variable of that name.
    pub lets: Vec<Let>,
    /// The query under test.
    pub query: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// What must come back.
    pub expected: Expected,
}

/// A query whose single leaf becomes a variable.
#[derive(Debug, Clone, Deserialize)]
pub struct Let {
    /// Name of the variable, without the dollar sign.
    pub name: String,
    /// The query to run.
    pub query: String,
}

/// The recorded answer.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The whole `data` object, equal as JSON.
    Data(Value),
    /// The first entry of `errors`.
    Error(ExpectedError),
}

/// What is known about the first error of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct ExpectedError {
    /// Must be part of `errors[0].message`.
    pub message_contains: String,
    /// Equal to `errors[0].extensions`, if given.
    #[serde(default)]
    pub extensions: Option<Map<String, Value>>,
    /// Equal to `errors[0].path`, if given.
    #[serde(default)]
    pub path: Option<Vec<Value>>,
    /// How many entries `errors` has.
    #[serde(default = "one")]
    pub count: usize,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    #[serde(default, rename = "let")]
    lets: Vec<Let>,
    query: String,
    status: Option<u16>,
    data: Option<Value>,
    error: Option<ExpectedError>,
}

impl From<RawCase> for Case {
    fn from(raw: RawCase) -> Self {
        let expected = match (raw.data, raw.error) {
            (_, Some(error)) => Expected::Error(error),
            (data, None) => Expected::Data(data.unwrap_or(Value::Null)),
        };
        Self { name: raw.name, lets: raw.lets, query: raw.query, status: raw.status.unwrap_or(200), expected }
    }
}

/// All recorded cases, in their recorded order.
///
/// # Panics
/// When the recorded file does not parse: it is part of this crate.
#[must_use]
pub fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../contract/vectors.json")).expect("the recorded cases are valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn recorded_cases_load_and_are_unique() {
        let cases = cases();
        assert_eq!(cases.len(), 300);
        let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn let_variables_are_used_by_a_later_query() {
        for case in cases() {
            for (index, binding) in case.lets.iter().enumerate() {
                let variable = format!("${}", binding.name);
                let later = case.lets[index + 1..].iter().map(|l| &l.query).chain([&case.query]);
                assert!(
                    later.into_iter().any(|query| query.contains(&variable)),
                    "{}: {variable}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn errors_keep_extensions_and_path() {
        let case = cases().into_iter().find(|case| case.name == "exec-exit1").expect("recorded");
        let Expected::Error(error) = case.expected else { panic!("exec-exit1 is an error") };
        assert_eq!(error.extensions.expect("recorded")["exitCode"], 1);
        assert_eq!(error.path.expect("recorded").len(), 4);
        assert_eq!(error.count, 1);
    }
}
