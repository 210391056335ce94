//! Against a peer that misbehaves on command.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use tokio::io::AsyncWriteExt as _;
use tonic::{Code, Status};
use treenail_bridge::socket::Connection;
use treenail_bridge::{Bridge, Error, ExecFailure, ResolveSource, SolveRequest};
use treenail_protos::{google::rpc, pb};

use crate::peer::{Peer, Script};

const PATIENCE: Duration = Duration::from_secs(30);

fn failure() -> ExecFailure {
    ExecFailure {
        vertex: "sha256:v".into(),
        exit_code: 1,
        mount_ids: vec!["m".to_owned()],
        input_ids: Vec::new(),
        op: Box::default(),
        message: String::new(),
    }
}

fn resolve(identifier: &str) -> ResolveSource {
    let source = pb::SourceOp { identifier: identifier.to_owned(), ..Default::default() };
    ResolveSource { source, ..Default::default() }
}

#[tokio::test]
async fn nothing_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("unix://{}/none", folder.path().display());
    let error = Connection::open(&address).await.expect_err("no socket");
    let Error::Connect { address: said, reason } = error else { panic!("{error:?}") };
    assert_eq!(said, address);
    assert!(reason.contains("No such file or directory"), "{reason}");
}

#[tokio::test]
async fn what_listens_is_no_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let other = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });
    let answer = match Connection::open(&format!("unix://{}", path.display())).await {
        Ok(connection) => connection.info().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(answer, Err(Error::Connect { .. })), "{answer:?}");
    other.abort();
}

#[tokio::test]
async fn the_gateway_learns_of_the_build_late() {
    let peer = Peer::start(Script { unknown: AtomicUsize::new(2), ..Script::default() });
    let bridge = peer.open().await.expect("the third ping finds it");
    assert_eq!(peer.seen("ping"), 3);
    assert!(bridge.capabilities().frontend.contains("source.metaresolver"));
    assert!(!bridge.capabilities().frontend.contains("off"));
    assert_eq!(bridge.capabilities().workers.len(), 1);
    assert_eq!(bridge.capabilities().version, "");
    bridge.close(PATIENCE).await;
    assert_eq!(peer.seen("return"), 1);
}

#[tokio::test]
async fn the_gateway_never_learns_of_the_build() {
    let peer = Peer::start(Script { unknown: AtomicUsize::new(usize::MAX), ..Script::default() });
    assert!(peer.open().await.is_err());
    // The call that would have been the build is not left behind.
    peer.wait("build dropped").await;
}

#[tokio::test]
async fn a_refused_build_does_not_wait_for_the_gateway() {
    let peer = Peer::start(Script { deaf: true, ..Script::default() });
    peer.end(Err(Status::unknown("granting entitlement x is not allowed")));
    let error = peer.open().await.err().expect("refused");
    let Error::Refused { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("entitlement x"), "{message}");
}

#[tokio::test]
async fn calls_name_the_build_of_the_solve() {
    let peer = Peer::start(Script { failure: Some(Status::unknown("no")), ..Script::default() });
    let bridge = peer.open().await.expect("opens");
    let error = bridge.solve(SolveRequest::default()).await.expect_err("the script says so");
    assert!(matches!(error, Error::Refused { operation: "solve", .. }), "{error:?}");
    let named = peer.names("build ");
    assert_eq!(named.len(), 2);
    assert_eq!(peer.names("solve "), named[..1]);
    assert_eq!(named[0], named[1]);
}

#[tokio::test]
async fn a_build_that_ends_early_takes_its_calls_with_it() {
    let peer = Peer::start(Script::default());
    let bridge = Arc::new(peer.open().await.expect("opens"));
    let waiting = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.solve(SolveRequest::default()).await }
    });
    peer.wait("gateway solve").await;
    peer.end(Err(Status::cancelled("the lease ran out")));
    let check = |error: Error| match error {
        Error::SessionLost { message, .. } => assert_eq!(message, "the lease ran out"),
        other => panic!("{other:?}"),
    };
    check(waiting.await.expect("no panic").expect_err("the build is gone"));
    check(bridge.solve(SolveRequest::default()).await.expect_err("and stays gone"));
    check(bridge.resolve_source(resolve("docker-image://x")).await.expect_err("for every call"));
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn a_daemon_that_dies_is_unavailable() {
    let peer = Peer::start(Script::default());
    let bridge = Arc::new(peer.open().await.expect("opens"));
    let waiting = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.solve(SolveRequest::default()).await }
    });
    peer.wait("gateway solve").await;
    peer.die();
    for answer in [waiting.await.expect("no panic"), bridge.solve(SolveRequest::default()).await] {
        let error = answer.expect_err("the daemon is gone");
        assert!(matches!(error, Error::Unavailable { operation: "solve", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_says_goodbye_is_unavailable() {
    let peer = Peer::start(Script::default());
    let bridge = peer.open().await.expect("opens");
    peer.end(Err(Status::unavailable("the server is stopping")));
    let error = bridge.solve(SolveRequest::default()).await.expect_err("the daemon goes");
    let Error::Unavailable { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(message, "the server is stopping");
}

#[tokio::test]
async fn a_dropped_solve_is_cancelled_and_the_build_is_not() {
    let peer = Peer::start(Script::default());
    let bridge = peer.open().await.expect("opens");
    tokio::select! {
        answer = bridge.solve(SolveRequest::default()) => panic!("{answer:?}"),
        () = peer.wait("gateway solve") => {}
    }
    peer.wait("gateway solve dropped").await;
    assert_eq!(peer.seen("build dropped"), 0);
    drop(bridge);
    peer.wait("build dropped").await;
}

#[tokio::test]
async fn a_daemon_that_does_not_let_go_is_left() {
    let peer = Peer::start(Script { obedient: false, ..Script::default() });
    let bridge = peer.open().await.expect("opens");
    tokio::join!(peer.wait("return"), bridge.close(Duration::from_millis(200)));
    peer.wait("build dropped").await;
}

#[tokio::test]
async fn an_old_daemon_resolves_images_and_nothing_else() {
    let peer = Peer::start(Script { capabilities: Vec::new(), ..Script::default() });
    let bridge = peer.open().await.expect("opens");
    let image =
        bridge.resolve_source(resolve("docker-image://docker.io/library/x:1")).await.expect("the old call");
    assert_eq!(image.image, Some(("sha256:old".to_owned(), Bytes::from_static(b"{}"))));
    peer.wait("resolve image docker.io/library/x:1").await;
    let git = bridge.resolve_source(resolve("git://x")).await.expect("nothing known");
    assert!(git.git.is_none() && git.image.is_none());
    let error = bridge.read_failed(&failure(), 0, "/x", 1).await.expect_err("no way to read it");
    assert!(matches!(error, Error::Capability { capability: "gateway.exec.filesystem", .. }), "{error:?}");
    assert_eq!(peer.seen("new container"), 0);
}

#[tokio::test]
async fn an_empty_answer_is_no_answer() {
    let peer = Peer::start(Script::default());
    let bridge = peer.open().await.expect("opens");
    let metadata = bridge.resolve_source(resolve("git://x")).await.expect("success with nothing in it");
    assert_eq!(metadata.identifier, "git://x");
    assert!(metadata.git.is_none() && metadata.image.is_none() && metadata.http.is_none());
}

#[tokio::test]
async fn the_container_of_a_failed_exec_is_released_on_every_path() {
    let peer = Peer::start(Script { file_size: 1 << 30, ..Script::default() });
    let bridge = peer.open().await.expect("opens");
    let error = bridge.read_failed(&failure(), 0, "/x", 1).await.expect_err("beyond a message");
    assert!(matches!(error, Error::TooLarge { size, .. } if size == 1 << 30), "{error:?}");
    assert_eq!((peer.seen("new container"), peer.seen("release container")), (1, 1));

    let peer = Peer::start(Script::default());
    let bridge = peer.open().await.expect("opens");
    let failure = failure();
    tokio::select! {
        answer = bridge.read_failed(&failure, 0, "/x", 1) => panic!("{answer:?}"),
        () = peer.wait("read file") => {}
    }
    // The caller is gone, and so is the read: the container must be, too.
    peer.wait("read file dropped").await;
    peer.wait("release container").await;
}

#[tokio::test]
async fn an_op_of_any_size_arrives_with_its_failure() {
    let script = "x".repeat(300_000);
    let detail = |name: &str, value: String| Any {
        type_url: format!("github.com/moby/buildkit/{name}"),
        value: value.into(),
    };
    let proto = rpc::Status {
        code: Code::Unknown as i32,
        message: "exit code: 4".to_owned(),
        details: vec![
            detail(
                "errdefs.Solve+json",
                format!(r#"{{"mountIDs":["m"],"op":{{"exec":{{"meta":{{"args":["{script}"]}}}}}}}}"#),
            ),
            detail("gatewayapi.ExitMessage+json", r#"{"Code":4}"#.to_owned()),
        ],
    };
    let status = Status::with_details(Code::Unknown, "exit code: 4", Bytes::from(proto.encode_to_vec()));
    let peer = Peer::start(Script { failure: Some(status), ..Script::default() });
    let bridge = peer.open().await.expect("opens");
    let error = bridge.solve(SolveRequest::default()).await.expect_err("the script says so");
    let Error::Exec(failure) = error else { panic!("{error:?}") };
    let Some(pb::op::Op::Exec(exec)) = failure.op.op else { panic!("an exec") };
    assert!(exec.meta.expect("a command").args == [script]);
}
