//! `query`: one document, its data on standard output.

use std::io::{BufWriter, Read as _, Write as _};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use treenail_graphql::error::write_errors;
use treenail_graphql::prepare::{Request, prepare};

use crate::args;
use crate::context::Context;
use crate::failure::{ERROR, Failure, INTERRUPTED, Outcome};
use crate::joined::Joined;
use crate::json;
use crate::name;
use crate::signals::Signals;
use crate::ui::{Ending, Ui};

pub(crate) async fn run(context: Context, args: args::Query) -> Outcome {
    if let Some(module) = &args.modules.module {
        return Err(Failure::not_in_this_release(&format!("serving a module (--mod {module})")));
    }
    let mode = context.mode()?;
    let body = body(&args)?;
    if let Some(joined) = Joined::from_environment()? {
        return show(&joined.ask(body).await?, true);
    }
    let request = Request::from_json(&body)?;

    let mut signals = Signals::take().context("cannot take signals")?;
    let mut ui = Ui::new(mode, &context.global);
    let opened = context.open(&name::of_document(args.doc.as_deref()), false, &ui).await?;
    ui.start(&opened);
    let answering = async {
        match prepare(opened.api().schema().clone(), &request) {
            Ok(prepared) => opened.api().run(Arc::new(prepared), None).await,
            Err(refusal) => write_errors(refusal.entries()),
        }
    };
    let answer = tokio::select! {
        answer = answering => Some(answer),
        _ = signals.next() => None,
    };
    opened.close().await;
    ui.finish(Ending::Silent).await?;
    // Results come once progress is over, and nothing but results is on standard output.
    match answer {
        // The display has shown what a failed command wrote.
        Some(answer) => show(&answer, false),
        None => Err(Failure::told(INTERRUPTED)),
    }
}

/// The body of the request, as it would be posted.
fn body(args: &args::Query) -> Result<Vec<u8>, Failure> {
    let document = match &args.doc {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .read_to_string(&mut text)
                .context("cannot read the document from standard input")?;
            text
        }
    };
    let variables = variables(args)?;
    let operation = args.operation.as_deref().unwrap_or_default();
    let body = serde_json::json!({ "query": document, "operationName": operation, "variables": variables });
    Ok(body.to_string().into_bytes())
}

fn variables(args: &args::Query) -> Result<serde_json::Value, Failure> {
    if let Some(json) = &args.var_json {
        let value: serde_json::Value = serde_json::from_str(json).context("--var-json is not JSON")?;
        if !value.is_object() {
            return Err(anyhow::anyhow!("--var-json is not a JSON object").into());
        }
        return Ok(value);
    }
    let mut variables = serde_json::Map::new();
    for pair in &args.var {
        let (name, value) =
            pair.split_once('=').with_context(|| format!("--var is not of the form NAME=VALUE: {pair}"))?;
        variables.insert(name.to_owned(), value.into());
    }
    Ok(variables.into())
}

/// An answer, its data left as it is.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    #[serde(rename = "_type", default)]
    kind: String,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

/// Prints data, or fails with the errors, and with what a failed command wrote where `outputs` asks for it.
fn show(answer: &[u8], outputs: bool) -> Outcome {
    let answer: Answer<'_> = serde_json::from_slice(answer).context("the answer is not JSON")?;
    if let Some(failure) = failure(&answer.errors, outputs) {
        return Err(failure);
    }
    let data = answer.data.map_or("null", RawValue::get);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = json::indent(data.as_bytes(), &mut out)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written {
        // A reader that has seen enough is no error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::from(anyhow::Error::new(error).context("cannot write to standard output")))
        }
        _ => Ok(0),
    }
}

/// The failure that errors amount to: their messages, and the code of a command that failed.
fn failure(errors: &[Entry], outputs: bool) -> Option<Failure> {
    let first = errors.first()?;
    let exec = errors.iter().find(|entry| entry.extensions.kind == "EXEC_ERROR");
    let code = exec
        .and_then(|entry| entry.extensions.exit_code)
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| *code != 0)
        .unwrap_or(ERROR);
    let mut failure = Failure::from(anyhow::anyhow!("{}", without_mark(&first.message))).with_code(code);
    for entry in &errors[1..] {
        failure = failure.with_hint(format!("and: {}", without_mark(&entry.message)));
    }
    if let Some(exec) = exec.filter(|_| outputs) {
        for (title, text) in [("Stdout:", &exec.extensions.stdout), ("Stderr:", &exec.extensions.stderr)] {
            if !text.is_empty() {
                failure = failure.with_block(title, text);
            }
        }
    }
    Some(failure)
}

/// A message without the mark that is for programs.
fn without_mark(message: &str) -> &str {
    match message.rsplit_once("[traceparent:") {
        Some((text, mark)) if mark.ends_with(']') => text.trim_end(),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &str) -> Failure {
        show(answer.as_bytes(), true).expect_err("errors")
    }

    #[test]
    fn a_failed_command_gives_its_code_and_output() {
        let failure = told(
            r#"{"errors":[{"message":"exit code: 7 [traceparent:0-0]","path":["a"],"extensions":{"_type":"EXEC_ERROR",
               "cmd":["x"],"exitCode":7,"stdout":"out","stderr":"err\nmore"}}],"data":null}"#,
        );
        assert_eq!(failure.code(), std::process::ExitCode::from(7));
        assert_eq!(failure.render(), "Error: exit code: 7\nStdout:\nout\nStderr:\nerr\nmore\n");
    }

    #[test]
    fn codes_that_do_not_fit_and_other_errors_are_1() {
        for answer in [
            r#"{"errors":[{"message":"m","extensions":{"_type":"EXEC_ERROR","exitCode":-1}}]}"#,
            r#"{"errors":[{"message":"m","extensions":{"_type":"EXEC_ERROR","exitCode":0}}]}"#,
            r#"{"errors":[{"message":"m","locations":[{"line":1,"column":2}],"extensions":{"code":"X"}}]}"#,
        ] {
            assert_eq!(told(answer).code(), std::process::ExitCode::from(1), "{answer}");
        }
        let failure = told(r#"{"errors":[{"message":"a"},{"message":"b"}],"data":null}"#);
        assert_eq!(failure.render(), "Error: a\n  and: b\n");
    }

    #[test]
    fn deep_data_is_not_decoded() {
        let deep = 1_000;
        let json = format!("{{\"data\":{}1{}}}", "{\"a\":".repeat(deep), "}".repeat(deep));
        let answer: Answer<'_> = serde_json::from_slice(json.as_bytes()).expect("parses");
        assert!(answer.errors.is_empty());
        assert_eq!(answer.data.map(|data| data.get().len()), Some(json.len() - 9));
    }
}
