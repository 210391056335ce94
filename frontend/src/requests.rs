//! Questions about a build file, instead of a build: `docker buildx build --call=NAME`.
//!
//! Three of them buildx would ask an official Dockerfile frontend if this one did not answer, which would read this file
//! as a Dockerfile. So they are here, and say what is true: nothing is left out that they would be believed to have.
//!
//! # Source
//! BuildKit v0.32.2 `frontend/subrequests`: names, versions and the shape of answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use treenail_bridge::Solved;
use treenail_bridge::stdio::Rejection;
use treenail_graphql::document::Position;
use treenail_graphql::outline::{OperationOutline, check, outline};
use treenail_graphql::sdl::SchemaModel;

use crate::evaluate::choose;
use crate::file::BuildFile;
use crate::options::Options;
use crate::rejection;

/// A question, and what it is about.
struct Known {
    name: &'static str,
    description: &'static str,
    answer: fn(&BuildFile, &Options) -> Result<Answer, Rejection>,
}

const KNOWN: &[Known] = &[
    Known {
        name: "frontend.subrequests.describe",
        description: "List the questions that are answered",
        answer: |_, _| Ok(describe()),
    },
    Known { name: "frontend.targets", description: "List the operations of the build file", answer: targets },
    Known { name: "frontend.outline", description: "List the variables of an operation", answer: variables },
    Known { name: "frontend.lint", description: "Check the build file against the schema", answer: lint },
];

const VERSION: &str = "1.0.0";

/// An answer for programs and for people.
struct Answer {
    json: Value,
    text: String,
    /// What buildx exits with.
    status: Option<u8>,
}

/// Answers a question.
///
/// # Errors
/// It is unknown, which is typed, or the build file is none.
pub(crate) fn answer(name: &str, file: &BuildFile, options: &Options) -> Result<Solved, Rejection> {
    let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
        let short = name.trim_start_matches("frontend.");
        return Err(Rejection {
            message: format!(
                "unsupported request {name}: --call={short} is not in this release of the frontend"
            ),
            unknown_request: Some(name.to_owned()),
            ..Rejection::default()
        });
    };
    let Answer { json, text, status } = (known.answer)(file, options)?;
    let mut metadata = BTreeMap::from([
        ("result.json".to_owned(), format!("{json:#}").into()),
        ("result.txt".to_owned(), text.into()),
        ("version".to_owned(), VERSION.into()),
    ]);
    if let Some(status) = status {
        metadata.insert("result.statuscode".to_owned(), status.to_string().into());
    }
    Ok(Solved { metadata, ..Solved::default() })
}

fn describe() -> Answer {
    let list = KNOWN.iter().map(|known| {
        let results = [json!({ "name": "result.json" }), json!({ "name": "result.txt" })];
        json!({
            "name": known.name,
            "version": VERSION,
            "type": "rpc",
            "description": known.description,
            "metadata": results,
        })
    });
    let mut table = vec![["NAME", "VERSION", "DESCRIPTION"].map(str::to_owned)];
    table.extend(KNOWN.iter().map(|known| {
        [known.name.trim_start_matches("frontend."), VERSION, known.description].map(str::to_owned)
    }));
    Answer { json: list.collect(), text: columns(&table), status: None }
}

fn operations(file: &BuildFile) -> Result<Vec<OperationOutline>, Rejection> {
    outline(&file.text).map_err(|error| rejection::of_request(file, &error))
}

fn targets(file: &BuildFile, _: &Options) -> Result<Answer, Rejection> {
    let operations = operations(file)?;
    let list = operations.iter().enumerate().map(|(number, operation)| {
        let mut target = json!({ "location": location(operation.position) });
        if !operation.name.is_empty() {
            target["name"] = operation.name.as_str().into();
        }
        if number == 0 {
            target["default"] = true.into();
        }
        if !operation.description.is_empty() {
            target["description"] = operation.description.as_str().into();
        }
        target
    });
    let list: Vec<Value> = list.collect();
    let mut table = vec![["TARGET", "DESCRIPTION"].map(str::to_owned)];
    table.extend(operations.iter().enumerate().map(|(number, operation)| {
        let name = match (operation.name.as_str(), number) {
            ("", _) => "(default)".to_owned(),
            (name, 0) => format!("{name} (default)"),
            (name, _) => name.to_owned(),
        };
        [name, one_line(&operation.description)]
    }));
    let sources = [base64(&file.source.data)];
    Ok(Answer { json: json!({ "targets": list, "sources": sources }), text: columns(&table), status: None })
}

fn variables(file: &BuildFile, options: &Options) -> Result<Answer, Rejection> {
    let operations = operations(file)?;
    let operation = choose(file, &operations, &options.target)?;
    let described = |variable: &treenail_graphql::outline::VariableOutline| {
        let ty = &variable.ty;
        match variable.description.as_str() {
            "" => ty.clone(),
            text => format!("{ty}: {text}"),
        }
    };
    let value = |variable: &treenail_graphql::outline::VariableOutline| {
        options
            .arguments
            .get(&variable.name)
            .cloned()
            .or_else(|| variable.default.clone())
            .unwrap_or_default()
    };
    let arguments = operation.variables.iter().map(|variable| {
        json!({
            "name": variable.name,
            "description": described(variable),
            "value": value(variable),
            "location": location(variable.position),
        })
    });
    let arguments: Vec<Value> = arguments.collect();
    let json = json!({
        "name": operation.name,
        "description": operation.description,
        "args": arguments,
        "sources": [base64(&file.source.data)],
    });
    let mut text = String::new();
    let name = if operation.name.is_empty() { "(default)" } else { &operation.name };
    // Writing to a text cannot fail.
    let _ = writeln!(text, "TARGET: {name}");
    if !operation.description.is_empty() {
        let _ = writeln!(text, "DESCRIPTION: {}", one_line(&operation.description));
    }
    if !operation.variables.is_empty() {
        let mut table = vec![["BUILD ARG", "VALUE", "DESCRIPTION"].map(str::to_owned)];
        table.extend(
            operation
                .variables
                .iter()
                .map(|variable| [variable.name.clone(), value(variable), one_line(&described(variable))]),
        );
        let _ = write!(text, "\n{}", columns(&table));
    }
    Ok(Answer { json, text, status: None })
}

fn lint(file: &BuildFile, _: &Options) -> Result<Answer, Rejection> {
    let sources = json!([{
        "filename": file.source.filename,
        "language": file.source.language,
        "data": base64(&file.source.data),
    }]);
    let (error, text) = match check(&SchemaModel::core(), &file.text) {
        Ok(()) => (None, "Check complete, no warnings found.\n".to_owned()),
        Err(error) => {
            let told = rejection::of_request(file, &error);
            let ranges: Vec<Value> = error
                .entries()
                .iter()
                .flat_map(|entry| entry.locations.iter().map(|place| range(*place)))
                .collect();
            let error = json!({ "message": told.message, "location": { "ranges": ranges } });
            (Some(error), format!("{}\n", told.message))
        }
    };
    let mut json = json!({ "warnings": [], "sources": sources });
    let status = u8::from(error.is_some());
    if let Some(error) = error {
        json["buildError"] = error;
    }
    Ok(Answer { json, text, status: Some(status) })
}

fn location(position: Position) -> Value {
    json!({ "ranges": [range(position)] })
}

fn range(position: Position) -> Value {
    let place = json!({ "line": position.line, "character": position.column.saturating_sub(1) });
    json!({ "start": place, "end": place })
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// Rows as columns, each as wide as its widest cell.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Arc<[usize]> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&*widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("   ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Bytes as JSON of Go's has them.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use treenail_llb as llb;

    use super::*;

    const FILE: &str = "# syntax=x/y\n# Builds it.\nquery Build($key: String! = \"1\") { cacheVolume(key: $key) { id } }\n\
                        query Test { version }\n";

    fn ask(name: &str, text: &str, target: &str) -> Result<Solved, Rejection> {
        let source = llb::SourceFile {
            filename: "build.graphql".to_owned(),
            data: text.to_owned().into(),
            ..llb::SourceFile::default()
        };
        let file =
            BuildFile { source: source.into(), text: text.into(), vertex: String::new(), ignore: None };
        answer(name, &file, &Options { target: target.to_owned(), ..Options::default() })
    }

    fn text(solved: &Solved, key: &str) -> String {
        String::from_utf8(solved.metadata[key].to_vec()).expect("text")
    }

    #[test]
    fn targets_are_operations() {
        let solved = ask("frontend.targets", FILE, "").expect("an answer");
        assert_eq!(
            text(&solved, "result.txt"),
            "TARGET            DESCRIPTION\nBuild (default)   Builds it.\nTest\n"
        );
        let json: Value = serde_json::from_slice(&solved.metadata["result.json"]).expect("JSON");
        assert_eq!(json["targets"][0]["name"], "Build");
        assert_eq!(json["targets"][1]["location"]["ranges"][0]["start"]["line"], 4);
    }

    #[test]
    fn an_outline_lists_variables() {
        let solved = ask("frontend.outline", FILE, "").expect("an answer");
        assert_eq!(
            text(&solved, "result.txt"),
            "TARGET: Build\nDESCRIPTION: Builds it.\n\nBUILD ARG   VALUE   DESCRIPTION\nkey         \"1\"     String!\n"
        );
        let refused = ask("frontend.outline", FILE, "Deploy").expect_err("no such target");
        assert_eq!(refused.message, "no such target: \"Deploy\", there are: Build, Test");
        assert_eq!(refused.excerpts[0].ranges.len(), 2);
    }

    #[test]
    fn a_check_tells_what_is_wrong_by_its_status() {
        let fine = ask("frontend.lint", FILE, "").expect("an answer");
        assert_eq!(text(&fine, "result.statuscode"), "0");
        let wrong = ask("frontend.lint", "{\n  nothing\n}\n", "").expect("an answer");
        assert_eq!(text(&wrong, "result.statuscode"), "1");
        let json: Value = serde_json::from_slice(&wrong.metadata["result.json"]).expect("JSON");
        assert_eq!(json["buildError"]["location"]["ranges"][0]["start"]["line"], 2);
    }

    #[test]
    fn all_questions_are_described_and_others_refused_by_type() {
        let solved = ask("frontend.subrequests.describe", FILE, "").expect("an answer");
        assert!(text(&solved, "result.txt").contains("subrequests.describe   1.0.0"));
        let refused = ask("frontend.plan", FILE, "").expect_err("unknown");
        assert_eq!(refused.unknown_request.as_deref(), Some("frontend.plan"));
    }
}
