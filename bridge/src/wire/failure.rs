//! From a gRPC status to an [`Error`].
//!
//! Decisions go by typed detail first, by status code second. The daemon sends three things as text alone, and
//! only for them the text decides: a missing path, a path through something that is no directory (both the
//! system's own words at the end of the message), and a session that is not there.

use std::sync::Arc;

use prost::Message;
use serde::Deserialize;
use tonic::{Code, Status};
use treenail_protos::moby::buildkit::v1::frontend::ExitMessage;
use treenail_protos::{errdefs, google::rpc, pb};

use super::op_json;
use crate::{Error, ExecFailure};

/// What the details of a status say, as far as it is of use.
#[derive(Default)]
struct Details {
    vertex: Option<Arc<str>>,
    exit: Option<u32>,
    solve: Option<errdefs::Solve>,
}

/// What the status of `operation` means.
///
/// # Source
/// BuildKit v0.32.2 `util/grpcerrors/grpcerrors.go` (details are JSON), `solver/errdefs/*.go`,
/// `frontend/gateway/pb/exit.go`, `session/manager.go` ("no active session").
pub(crate) fn decode(operation: &'static str, status: &Status) -> Error {
    let details = Details::read(status);
    let message = status.message().to_owned();
    if let Some(exit_code) = details.exit {
        let solve = details.solve.unwrap_or_default();
        return Error::Exec(Box::new(ExecFailure {
            vertex: details.vertex.unwrap_or_else(|| Arc::from("")),
            exit_code,
            mount_ids: solve.mount_i_ds,
            input_ids: solve.input_i_ds,
            op: Box::new(solve.op.unwrap_or_default()),
            message,
        }));
    }
    if is_broken_transport(status) {
        return Error::Unavailable { operation, message: with_sources(status) };
    }
    if message.contains("no active session") {
        return Error::SessionLost { operation, message };
    }
    if let Some(vertex) = details.vertex {
        // Our own cancellation travels through the vertex and comes back with its name.
        return match status.code() {
            Code::Cancelled => Error::Cancelled { operation },
            _ => Error::Vertex { vertex: Some(vertex), message },
        };
    }
    match status.code() {
        Code::Cancelled => Error::Cancelled { operation },
        Code::Unavailable => Error::Unavailable { operation, message },
        Code::DeadlineExceeded => Error::SessionLost { operation, message },
        _ => Error::Refused { operation, message },
    }
}

/// The same for a call that names a path inside a result.
pub(crate) fn decode_path(operation: &'static str, path: &str, status: &Status) -> Error {
    match decode(operation, status) {
        Error::Refused { message, .. } if message.ends_with("no such file or directory") => {
            Error::NotFound { path: path.to_owned() }
        }
        Error::Refused { message, .. } if message.ends_with("not a directory") => {
            Error::NotDirectory { path: path.to_owned() }
        }
        other => other,
    }
}

/// The same for a call that asks the world behind the daemon: what the daemon has no other word for is the
/// source's failure, and may pass.
pub(crate) fn decode_source(operation: &'static str, status: &Status) -> Error {
    match decode(operation, status) {
        Error::Refused { message, .. } => Error::Vertex { vertex: None, message },
        other => other,
    }
}

/// Does the daemon not know the build the call named?
///
/// # Source
/// BuildKit v0.32.2 `solver/errdefs/jobs.go`: `NotFound` without any detail of a vertex.
pub(crate) fn is_unknown_build(status: &Status) -> bool {
    status.code() == Code::NotFound && Details::read(status).vertex.is_none()
}

/// Statuses made on this side carry the transport's error; a daemon's carry none.
fn is_broken_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

fn with_sources(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

impl Details {
    fn read(status: &Status) -> Self {
        let mut details = Self::default();
        // Whatever cannot be read is as good as absent: the status still has its code and its words.
        let Ok(proto) = rpc::Status::decode(status.details()) else { return details };
        for detail in proto.details {
            let value = detail.value.as_ref();
            let name = detail.type_url.rsplit('/').next().unwrap_or_default();
            match name {
                "errdefs.Vertex+json" => {
                    details.set_vertex(json::<VertexJson>(value).map(|vertex| vertex.digest));
                }
                "errdefs.Vertex" => {
                    details.set_vertex(errdefs::Vertex::decode(value).ok().map(|vertex| vertex.digest));
                }
                "errdefs.Solve+json" => {
                    details.set_solve(json::<SolveJson>(value).map(SolveJson::into_message))
                }
                "errdefs.Solve" => details.set_solve(errdefs::Solve::decode(value).ok()),
                "gatewayapi.ExitMessage+json" => {
                    details.set_exit(json::<ExitJson>(value).map(|exit| exit.code))
                }
                "gatewayapi.ExitMessage" | "moby.buildkit.v1.frontend.ExitMessage" => {
                    details.set_exit(ExitMessage::decode(value).ok().map(|exit| exit.code));
                }
                _ => {}
            }
        }
        details
    }

    // Details come outermost first. A build of a build names two vertices: the inner one is at fault.
    fn set_vertex(&mut self, digest: Option<String>) {
        if let Some(digest) = digest.filter(|digest| !digest.is_empty()) {
            self.vertex = Some(digest.into());
        }
    }

    // Wrapping at the door adds an outer one without an op; the one with an op counts.
    fn set_solve(&mut self, solve: Option<errdefs::Solve>) {
        if let Some(solve) = solve
            && (self.solve.is_none() || solve.op.is_some())
        {
            self.solve = Some(solve);
        }
    }

    fn set_exit(&mut self, code: Option<u32>) {
        self.exit = self.exit.or(code);
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

#[derive(Deserialize)]
struct VertexJson {
    #[serde(default)]
    digest: String,
}

#[derive(Deserialize)]
struct ExitJson {
    #[serde(default, rename = "Code", alias = "code")]
    code: u32,
}

#[derive(Deserialize)]
struct SolveJson<'a> {
    #[serde(default, rename = "inputIDs")]
    input_ids: Vec<String>,
    #[serde(default, rename = "mountIDs")]
    mount_ids: Vec<String>,
    #[serde(borrow)]
    op: Option<&'a serde_json::value::RawValue>,
}

impl SolveJson<'_> {
    fn into_message(self) -> errdefs::Solve {
        errdefs::Solve {
            input_i_ds: self.input_ids,
            mount_i_ds: self.mount_ids,
            op: self.op.and_then(op_json::decode).or_else(|| self.op.map(|_| pb::Op::default())),
            ..errdefs::Solve::default()
        }
    }
}
