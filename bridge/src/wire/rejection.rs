//! From a [`Rejection`] to the status that a build's client decodes.
//!
//! BuildKit puts typed details into a status as JSON; clients find a source excerpt, a vertex or an exit code there
//! by type, so nothing has to be read out of the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_types::Any;
use serde_json::{Map, Value, json};
use tonic::Code;
use treenail_protos::google::rpc;
use treenail_protos::pb;

use crate::stdio::{Excerpt, Rejection};

/// Names of the details.
///
/// # Source
/// BuildKit v0.32.2 `solver/errdefs/*.go`, `frontend/gateway/pb/exit.go`, `util/grpcerrors/grpcerrors.go`.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";
const VERTEX: &str = "github.com/moby/buildkit/errdefs.Vertex+json";
const SUBREQUEST: &str = "github.com/moby/buildkit/errdefs.Subrequest+json";
const EXIT: &str = "github.com/moby/buildkit/gatewayapi.ExitMessage+json";

/// The status of a build that ends without a result.
pub(crate) fn encode(rejection: &Rejection) -> rpc::Status {
    let code = match rejection.unknown_request {
        Some(_) => Code::Unimplemented,
        None => Code::Unknown,
    };
    let mut details = Vec::new();
    if let Some(name) = &rejection.unknown_request {
        details.push(detail(SUBREQUEST, &json!({ "name": name })));
    }
    if let Some(exit_code) = rejection.exit_code {
        details.push(detail(EXIT, &json!({ "Code": exit_code })));
    }
    if let Some(vertex) = &rejection.vertex {
        details.push(detail(VERTEX, &json!({ "digest": &**vertex })));
    }
    details.extend(rejection.excerpts.iter().map(|excerpt| detail(SOURCE, &source(excerpt))));
    rpc::Status { code: code as i32, message: rejection.message.clone(), details }
}

fn detail(name: &str, value: &Value) -> Any {
    Any { type_url: name.to_owned(), value: value.to_string().into_bytes() }
}

fn source(excerpt: &Excerpt) -> Value {
    let ranges: Vec<Value> = excerpt.ranges.iter().map(range).collect();
    json!({ "info": info(&excerpt.file), "ranges": ranges })
}

fn info(file: &pb::SourceInfo) -> Value {
    json!({
        "filename": file.filename,
        "data": STANDARD.encode(&file.data),
        "language": file.language,
    })
}

fn range(range: &pb::Range) -> Value {
    let position = |position: &Option<pb::Position>| {
        let position = position.unwrap_or_default();
        json!({ "line": position.line, "character": position.character })
    };
    Value::Object(Map::from_iter([
        ("start".to_owned(), position(&range.start)),
        ("end".to_owned(), position(&range.end)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_told_by_typed_details() {
        let position = |line, character| Some(pb::Position { line, character });
        let rejection = Rejection {
            message: "exit code: 3".to_owned(),
            vertex: Some("sha256:v".into()),
            exit_code: Some(3),
            excerpts: vec![Excerpt {
                file: pb::SourceInfo {
                    filename: "build.graphql".to_owned(),
                    data: b"{ a }".as_slice().into(),
                    language: "GraphQL".to_owned(),
                    ..pb::SourceInfo::default()
                },
                ranges: vec![pb::Range { start: position(1, 2), end: position(1, 3) }],
            }],
            ..Rejection::default()
        };
        let status = encode(&rejection);
        assert_eq!((status.code, status.message.as_str()), (Code::Unknown as i32, "exit code: 3"));
        let details: Vec<(String, String)> = status
            .details
            .iter()
            .map(|any| {
                let name = any.type_url.trim_start_matches("github.com/moby/buildkit/");
                (name.to_owned(), String::from_utf8_lossy(&any.value).into_owned())
            })
            .collect();
        let expected = [
            ("gatewayapi.ExitMessage+json", r#"{"Code":3}"#),
            ("errdefs.Vertex+json", r#"{"digest":"sha256:v"}"#),
            (
                "errdefs.Source+json",
                r#"{"info":{"filename":"build.graphql","data":"eyBhIH0=","language":"GraphQL"},"ranges":[{"start":{"line":1,"character":2},"end":{"line":1,"character":3}}]}"#,
            ),
        ];
        assert_eq!(details, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn an_unknown_request_is_typed() {
        let rejection = Rejection { unknown_request: Some("frontend.x".to_owned()), ..Rejection::default() };
        let status = encode(&rejection);
        assert_eq!(status.code, Code::Unimplemented as i32);
        assert_eq!(&*status.details[0].value, br#"{"name":"frontend.x"}"#.as_slice());
    }
}
