//! A failed call as a person reads it: the chain of calls, and the end of what its command wrote.

use std::fmt::Write as _;

use treenail_call::{CallId, Literal};
use treenail_engine::{Cause, ExecError, Failed};

use super::style::{Style, Tone, one_line};

/// Lines of each output that are shown.
const TAIL: usize = 20;
/// Calls of a chain that are shown, those next to the failure.
const CALLS: usize = 30;

/// The whole text, in lines.
pub(super) fn render(failed: &Failed, style: Style) -> String {
    let mut text = String::new();
    let exec = match failed.cause() {
        Cause::Exec(exec) => Some(&**exec),
        _ => None,
    };
    // Writing into a string cannot fail, here and below.
    let _ = writeln!(text, "{} {}", style.paint("!", Tone::Bad), failed.to_string().trim_end());
    if let Some(exec) = exec {
        let _ = writeln!(text, "  command: {}", one_line(&exec.command.join(" ")));
    }
    if let Some(call) = failed.call() {
        chain(&mut text, call, exec, style);
    }
    if let Some(exec) = exec {
        tail(&mut text, "stdout", &exec.stdout);
        tail(&mut text, "stderr", &exec.stderr);
    }
    text
}

fn chain(text: &mut String, call: &CallId, exec: Option<&ExecError>, style: Style) {
    let mut calls: Vec<&CallId> = call.chain().collect();
    calls.reverse();
    let guilty = exec.and_then(|exec| calls.iter().rposition(|call| runs(call, exec)));
    let last = guilty.map_or(calls.len(), |guilty| guilty + 1);
    let first = last.saturating_sub(CALLS);
    let _ = writeln!(text, "  in the chain of calls");
    if first > 0 {
        let _ = writeln!(text, "    … {first} more");
    }
    for (place, call) in calls.iter().enumerate().skip(first) {
        if place >= last + CALLS {
            let _ = writeln!(text, "    … {} more", calls.len() - place);
            break;
        }
        let mark = if guilty == Some(place) { style.paint("  ← failed", Tone::Bad) } else { String::new() };
        let dot = if place > 0 { "." } else { "" };
        let _ = writeln!(text, "    {dot}{}{mark}", call.selection());
    }
}

/// Is this the call that ran the failed command?
fn runs(call: &CallId, exec: &ExecError) -> bool {
    if **call.field() != *"withExec" {
        return false;
    }
    let Some(Literal::List(args)) = call.arg("args") else { return false };
    // An entrypoint may stand in front.
    exec.command.len() >= args.len()
        && args
            .iter()
            .rev()
            .zip(exec.command.iter().rev())
            .all(|(arg, run)| matches!(arg, Literal::String(text) if **text == **run))
}

fn tail(text: &mut String, title: &str, output: &str) {
    if output.is_empty() {
        return;
    }
    let lines: Vec<&str> = output.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL);
    if skipped > 0 {
        let _ = writeln!(text, "  {title} (last {TAIL} of {} lines)", lines.len());
    } else {
        let _ = writeln!(text, "  {title}");
    }
    for line in &lines[skipped..] {
        let _ = writeln!(text, "    {line}");
    }
}
