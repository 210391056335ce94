//! From a failure to what the client of the build is told, with the lines of the build file at fault.

use treenail_bridge::Error as BridgeError;
use treenail_bridge::stdio::Rejection;
use treenail_engine::{Cause, Engine, ExecError, Failed};
use treenail_graphql::document::Position;
use treenail_graphql::error::{ErrorEntry, RequestError};

use crate::calls::Calls;
use crate::file::BuildFile;

/// The text of an error with its causes.
pub(crate) fn of_error(error: &dyn std::error::Error) -> Rejection {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    Rejection { message, ..Rejection::default() }
}

/// An error that belongs to places of the build file.
pub(crate) fn at(
    file: &BuildFile,
    places: impl IntoIterator<Item = (Position, Position)>,
    message: impl Into<String>,
) -> Rejection {
    let excerpt = file.excerpt(places);
    let excerpts = if excerpt.ranges.is_empty() { Vec::new() } else { vec![excerpt] };
    Rejection { message: message.into(), excerpts, ..Rejection::default() }
}

/// A build file that is refused before anything runs.
pub(crate) fn of_request(file: &BuildFile, error: &RequestError) -> Rejection {
    let entries = error.entries();
    let lines: Vec<String> = entries.iter().map(|entry| line(file, entry)).collect();
    let places = entries.iter().flat_map(|entry| entry.locations.iter().map(|place| (*place, *place)));
    at(file, places, lines.join("\n"))
}

/// `file:line:column: message`.
fn line(file: &BuildFile, entry: &ErrorEntry) -> String {
    // The API's text repeats the whole document in front of what is wrong.
    let message = entry.message.rsplit_once("\n\nerror: ").map_or(&*entry.message, |(_, cause)| cause);
    let path = entry.path.iter().map(|segment| match segment {
        treenail_graphql::error::PathSegment::Key(key) => key.clone(),
        treenail_graphql::error::PathSegment::Index(index) => index.to_string(),
    });
    let path: Vec<String> = path.collect();
    let about = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
    match entry.locations.first() {
        Some(at) => format!("{}:{}:{}: {about}{message}", file.source.filename, at.line, at.column),
        None => format!("{about}{message}"),
    }
}

/// A call that failed.
pub(crate) fn of_failed(file: &BuildFile, engine: &Engine, calls: &Calls, failed: &Failed) -> Rejection {
    let cause = failed.cause();
    let vertex = match cause {
        Cause::Exec(exec) => Some(exec.vertex.clone()),
        Cause::Daemon(BridgeError::Vertex { vertex, .. }) => vertex.clone(),
        _ => None,
    };
    let message = match cause {
        Cause::Exec(exec) => of_exec(exec),
        other => other.to_string(),
    };
    let by_vertex = vertex.as_ref().map(|vertex| engine.excerpts(vertex)).unwrap_or_default();
    let excerpts = if by_vertex.is_empty() {
        let place = failed.call().and_then(|call| calls.place(call));
        place.map(|place| file.excerpt([place])).into_iter().collect()
    } else {
        by_vertex
    };
    Rejection { message, excerpts, vertex, exit_code: exit_code(cause), ..Rejection::default() }
}

/// What ran and how it ended. What it wrote the client has seen already, as the step's log.
fn of_exec(exec: &ExecError) -> String {
    let command = exec.command.join(" ");
    match &exec.reason {
        Some(reason) => format!("the command `{command}` did not run: {reason}"),
        None => format!("the command `{command}` failed: exit code: {}", exec.exit_code),
    }
}

fn exit_code(cause: &Cause) -> Option<u32> {
    match cause {
        Cause::Exec(exec) => u32::try_from(exec.exit_code).ok(),
        _ => None,
    }
}
