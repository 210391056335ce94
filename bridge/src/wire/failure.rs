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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use prost_types::Any;
    use tonic::{Code, Status};
    use treenail_protos::{errdefs, google::rpc, moby::buildkit::v1::frontend::ExitMessage, pb};

    use super::{decode, decode_path, decode_source, is_unknown_build};
    use crate::Error;

    const PREFIX: &str = "github.com/moby/buildkit";

    fn status(code: Code, message: &str, details: &[(&str, Vec<u8>)]) -> Status {
        let details = details
            .iter()
            .map(|(name, value)| Any { type_url: format!("{PREFIX}/{name}"), value: value.clone() });
        let proto =
            rpc::Status { code: code as i32, message: message.to_owned(), details: details.collect() };
        Status::with_details(code, message, Bytes::from(proto.encode_to_vec()))
    }

    fn json(name: &'static str, text: &str) -> (&'static str, Vec<u8>) {
        (name, text.as_bytes().to_vec())
    }

    #[test]
    fn an_exit_code_with_its_op_in_json() {
        // Every field of an exec, spelt as `protojson` does.
        let solve = r#"{
            "inputIDs": ["in"], "mountIDs": ["root", "", "out"], "unknown": {"x": [1]},
            "op": {
                "inputs": [{"digest": "sha256:1"}, {"digest": "sha256:2", "index": "1"}],
                "exec": {
                    "meta": {
                        "args": ["sh", "-c", "exit 4"], "env": ["A=b"], "cwd": "/w", "user": "u",
                        "proxyEnv": {"httpProxy": "p", "allProxy": "q"},
                        "extraHosts": [{"Host": "h", "IP": "1.2.3.4"}], "hostname": "n",
                        "ulimit": [{"Name": "nofile", "Soft": "5", "Hard": "6"}],
                        "cgroupParent": "c", "removeMountStubsRecursive": true, "validExitCodes": [0, 3]
                    },
                    "mounts": [
                        {"dest": "/", "contentCache": "ON"},
                        {"input": "-1", "dest": "/c", "output": "-1", "mountType": "CACHE",
                         "cacheOpt": {"ID": "cid", "sharing": "LOCKED"}},
                        {"input": "1", "selector": "/s", "dest": "/r", "output": "1", "readonly": true},
                        {"input": "-1", "dest": "/t", "output": "-1", "mountType": "TMPFS", "TmpfsOpt": {"size": "9"}},
                        {"input": "-1", "dest": "/k", "output": "-1", "mountType": "SECRET",
                         "secretOpt": {"ID": "sid", "uid": 1, "gid": 2, "mode": 256, "optional": true}},
                        {"input": "-1", "dest": "/a", "output": "-1", "mountType": "SSH", "SSHOpt": {"ID": "aid"}}
                    ],
                    "network": "NONE", "security": "INSECURE",
                    "secretenv": [{"ID": "e", "name": "E", "optional": true}]
                },
                "platform": {"Architecture": "arm64", "OS": "linux", "Variant": "v8"}
            }}"#;
        let status = status(
            Code::Unknown,
            "exit code: 4",
            &[
                json("stack.Stack+json", r#"{"frames": []}"#),
                json("errdefs.Solve+json", r#"{"mountIDs": ["outer"]}"#),
                json("errdefs.Vertex+json", r#"{"digest": "sha256:outer"}"#),
                json("errdefs.Solve+json", solve),
                json("errdefs.Vertex+json", r#"{"digest": "sha256:inner"}"#),
                json("gatewayapi.ExitMessage+json", r#"{"Code": 4}"#),
            ],
        );
        let Error::Exec(failure) = decode("solve", &status) else { panic!("an exit code is an exec's") };
        assert_eq!((failure.exit_code, &*failure.vertex), (4, "sha256:inner"));
        assert_eq!(failure.mount_ids, ["root", "", "out"]);
        assert_eq!(failure.input_ids, ["in"]);
        assert_eq!(failure.message, "exit code: 4");
        let mount = |input, dest: &str, output, mount_type: pb::MountType| pb::Mount {
            input,
            dest: dest.to_owned(),
            output,
            mount_type: mount_type.into(),
            ..pb::Mount::default()
        };
        let expected = pb::ExecOp {
            meta: Some(pb::Meta {
                args: ["sh", "-c", "exit 4"].map(str::to_owned).to_vec(),
                env: vec!["A=b".to_owned()],
                cwd: "/w".to_owned(),
                user: "u".to_owned(),
                proxy_env: Some(pb::ProxyEnv {
                    http_proxy: "p".to_owned(),
                    all_proxy: "q".to_owned(),
                    ..pb::ProxyEnv::default()
                }),
                extra_hosts: vec![pb::HostIp { host: "h".to_owned(), ip: "1.2.3.4".to_owned() }],
                hostname: "n".to_owned(),
                ulimit: vec![pb::Ulimit { name: "nofile".to_owned(), soft: 5, hard: 6 }],
                cgroup_parent: "c".to_owned(),
                remove_mount_stubs_recursive: true,
                valid_exit_codes: vec![0, 3],
            }),
            mounts: vec![
                pb::Mount {
                    content_cache: pb::MountContentCache::On.into(),
                    ..mount(0, "/", 0, pb::MountType::Bind)
                },
                pb::Mount {
                    cache_opt: Some(pb::CacheOpt {
                        id: "cid".to_owned(),
                        sharing: pb::CacheSharingOpt::Locked.into(),
                    }),
                    ..mount(-1, "/c", -1, pb::MountType::Cache)
                },
                pb::Mount {
                    selector: "/s".to_owned(),
                    readonly: true,
                    ..mount(1, "/r", 1, pb::MountType::Bind)
                },
                pb::Mount {
                    tmpfs_opt: Some(pb::TmpfsOpt { size: 9 }),
                    ..mount(-1, "/t", -1, pb::MountType::Tmpfs)
                },
                pb::Mount {
                    secret_opt: Some(pb::SecretOpt {
                        id: "sid".to_owned(),
                        uid: 1,
                        gid: 2,
                        mode: 256,
                        optional: true,
                    }),
                    ..mount(-1, "/k", -1, pb::MountType::Secret)
                },
                pb::Mount {
                    ssh_opt: Some(pb::SshOpt { id: "aid".to_owned(), ..pb::SshOpt::default() }),
                    ..mount(-1, "/a", -1, pb::MountType::Ssh)
                },
            ],
            network: pb::NetMode::None.into(),
            security: pb::SecurityMode::Insecure.into(),
            secretenv: vec![pb::SecretEnv { id: "e".to_owned(), name: "E".to_owned(), optional: true }],
            ..pb::ExecOp::default()
        };
        let input = |digest: &str, index| pb::Input { digest: digest.to_owned(), index };
        let op = pb::Op {
            inputs: vec![input("sha256:1", 0), input("sha256:2", 1)],
            platform: Some(pb::Platform {
                architecture: "arm64".to_owned(),
                os: "linux".to_owned(),
                variant: "v8".to_owned(),
                ..pb::Platform::default()
            }),
            op: Some(pb::op::Op::Exec(expected)),
            ..pb::Op::default()
        };
        assert_eq!(*failure.op, op);
    }

    #[test]
    fn an_exit_code_in_protobuf() {
        let solve = errdefs::Solve { mount_i_ds: vec!["m".to_owned()], ..errdefs::Solve::default() };
        let status = status(
            Code::Unknown,
            "exit code: 255",
            &[
                ("errdefs.Vertex", errdefs::Vertex { digest: "sha256:v".to_owned() }.encode_to_vec()),
                ("errdefs.Solve", solve.encode_to_vec()),
                ("gatewayapi.ExitMessage", ExitMessage { code: 255, error: None }.encode_to_vec()),
            ],
        );
        let Error::Exec(failure) = decode("solve", &status) else { panic!("an exit code is an exec's") };
        assert_eq!((failure.exit_code, &*failure.vertex), (255, "sha256:v"));
        assert_eq!(failure.mount_ids, ["m"]);
    }

    #[test]
    fn codes_and_details_decide() {
        let vertex = || json("errdefs.Vertex+json", r#"{"digest": "sha256:v"}"#);
        type Is = fn(&Error) -> bool;
        let is_vertex: Is =
            |error| matches!(error, Error::Vertex { vertex: Some(digest), .. } if &**digest == "sha256:v");
        let is_refused: Is = |error| matches!(error, Error::Refused { .. });
        let is_lost: Is = |error| matches!(error, Error::SessionLost { .. });
        let is_gone: Is = |error| matches!(error, Error::Unavailable { .. });
        let is_cancelled: Is = |error| matches!(error, Error::Cancelled { .. });
        let cases = [
            (Code::Unknown, "bad definition", vec![], is_refused),
            (Code::InvalidArgument, "bad", vec![], is_refused),
            (Code::Unavailable, "closing", vec![], is_gone),
            (Code::Cancelled, "cancelled", vec![], is_cancelled),
            (Code::DeadlineExceeded, "deadline", vec![], is_lost),
            (Code::Unknown, "404", vec![vertex()], is_vertex),
            (Code::NotFound, "manifest unknown", vec![vertex()], is_vertex),
            (Code::Unavailable, "the registry is", vec![vertex()], is_vertex),
            (Code::DeadlineExceeded, "the registry is slow", vec![vertex()], is_vertex),
            (Code::DeadlineExceeded, "no active session for x: deadline", vec![vertex()], is_lost),
            (Code::Cancelled, "cancelled", vec![vertex()], is_cancelled),
            // What cannot be read is as good as absent.
            (
                Code::Unknown,
                "odd",
                vec![json("errdefs.Vertex+json", "{"), json("gatewayapi.ExitMessage+json", "[")],
                is_refused,
            ),
            (
                Code::Unknown,
                "odd",
                vec![json("errdefs.Solve+json", r#"{"op": {"exec": {"mounts": 3}}}"#)],
                is_refused,
            ),
        ];
        for (code, message, details, expected) in cases {
            let error = decode("solve", &status(code, message, &details));
            assert!(expected(&error), "{code:?} {message}: {error:?}");
        }
        let garbage = Status::with_details(Code::Unknown, "odd", Bytes::from_static(b"\xff\xff\xff"));
        assert!(is_refused(&decode("solve", &garbage)));
    }

    #[test]
    fn an_op_that_cannot_be_read_does_not_hide_the_exit_code() {
        let details = [
            json("errdefs.Solve+json", r#"{"mountIDs": ["m"], "op": {"exec": {"mounts": 3}}}"#),
            json("gatewayapi.ExitMessage+json", "{}"),
        ];
        let Error::Exec(failure) = decode("solve", &status(Code::Unknown, "exit", &details)) else {
            panic!("an exit code is an exec's")
        };
        assert_eq!((failure.exit_code, failure.mount_ids), (0, vec!["m".to_owned()]));
    }

    #[test]
    fn a_missing_path_is_known_by_the_words_of_the_system() {
        let path = |text: &str| decode_path("read file", "/p", &status(Code::Unknown, text, &[]));
        assert!(
            matches!(path("open /p: no such file or directory"), Error::NotFound { path } if path == "/p")
        );
        assert!(matches!(path("lstat /p: not a directory"), Error::NotDirectory { path } if path == "/p"));
        assert!(matches!(path("no such file or directory, they said"), Error::Refused { .. }));
        // Lazy work fails at the read: that is the vertex' failure, not the path's.
        let vertex = [json("errdefs.Vertex+json", r#"{"digest": "sha256:v"}"#)];
        let lazy = status(Code::Unknown, "lstat /q: no such file or directory", &vertex);
        assert!(matches!(decode_path("read file", "/p", &lazy), Error::Vertex { .. }));
    }

    #[test]
    fn a_source_that_cannot_be_resolved_may_be_tried_again() {
        let error = decode_source("resolve source", &status(Code::NotFound, "manifest unknown", &[]));
        assert!(matches!(error, Error::Vertex { vertex: None, .. }) && error.is_transient(), "{error:?}");
    }

    #[test]
    fn an_unknown_build_is_no_unknown_image() {
        assert!(is_unknown_build(&status(Code::NotFound, "no such job", &[])));
        let vertex = [json("errdefs.Vertex+json", r#"{"digest": "sha256:v"}"#)];
        assert!(!is_unknown_build(&status(Code::NotFound, "manifest unknown", &vertex)));
        assert!(!is_unknown_build(&status(Code::Unknown, "no such job", &[])));
    }
}
