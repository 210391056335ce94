//! The door of frontends: a stream that is there already, and one result.

use tonic::Status;
use treenail_bridge::stdio::{Defaults, Excerpt, Rejection, StdioBridge, Warning};
use treenail_bridge::{Bridge as _, CacheOptions, Error, Ref, SolveRequest, Solved};
use treenail_protos::pb;

use crate::peer::{Peer, Script};

async fn open(peer: &Peer, defaults: Defaults) -> StdioBridge {
    StdioBridge::over(peer.stdio(), defaults).await.expect("the peer answers")
}

#[tokio::test]
async fn a_frontend_names_no_build_and_returns_one_result() {
    let peer = Peer::start(Script::default());
    let bridge = open(&peer, Defaults::default()).await;
    assert!(bridge.capabilities().frontend.contains("source.metaresolver"));
    assert!(!bridge.capabilities().frontend.contains("off"));
    assert_eq!(peer.names("build "), ["none"]);
    let result = Solved { reference: Some(Ref { id: "r1".into() }), ..Solved::default() };
    bridge.finish(result).await.expect("taken");
    assert_eq!(peer.names("result "), ["\"r1\""]);
    bridge.finish(Solved::default()).await.expect("taken");
    assert_eq!(peer.names("result ")[1], "\"\"");
}

#[tokio::test]
async fn a_rejection_carries_its_details() {
    let peer = Peer::start(Script::default());
    let bridge = open(&peer, Defaults::default()).await;
    let rejection = Rejection {
        message: "no".to_owned(),
        vertex: Some("sha256:v".into()),
        excerpts: vec![Excerpt::default()],
        ..Rejection::default()
    };
    bridge.reject(&rejection).await.expect("taken");
    assert_eq!(peer.names("rejected "), ["no with 2 details"]);
}

#[tokio::test]
async fn a_warning_names_its_lines() {
    let peer = Peer::start(Script::default());
    let bridge = open(&peer, Defaults::default()).await;
    let start = Some(pb::Position { line: 3, character: 0 });
    let excerpt = Excerpt { ranges: vec![pb::Range { start, end: start }], ..Excerpt::default() };
    bridge.warn(Warning { short: "odd".to_owned(), excerpt, ..Warning::default() }).await.expect("taken");
    assert_eq!(peer.names("warning "), ["odd at [3]"]);
}

#[tokio::test]
async fn defaults_go_into_every_solve() {
    let peer = Peer::start(Script { failure: Some(Status::unknown("no")), ..Script::default() });
    let import = CacheOptions { kind: "registry".to_owned(), ..CacheOptions::default() };
    let bridge = open(&peer, Defaults { cache_imports: vec![import] }).await;
    for _ in 0..2 {
        let mut definition = pb::Definition::default();
        definition.metadata.insert("sha256:v".to_owned(), pb::OpMetadata::default());
        let request = SolveRequest { definition: Some(definition), ..SolveRequest::default() };
        assert!(matches!(bridge.solve(request).await, Err(Error::Refused { .. })));
        bridge.ignore_cache();
    }
    assert_eq!((peer.seen("import registry"), peer.seen("ignore cache")), (2, 1));
}

#[tokio::test]
async fn a_daemon_that_goes_away_is_told_and_not_dialled_again() {
    let peer = Peer::start(Script::default());
    let bridge = open(&peer, Defaults::default()).await;
    let request = bridge.solve(SolveRequest::default());
    let ending = async {
        peer.wait("gateway solve").await;
        peer.die();
    };
    let (answer, ()) = tokio::join!(request, ending);
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    let again = bridge.solve(SolveRequest::default()).await;
    assert!(matches!(again, Err(Error::Unavailable { .. })), "{again:?}");
}

#[tokio::test]
async fn streams_without_a_daemon_are_an_error() {
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let opened = StdioBridge::over(ours, Defaults::default()).await;
    assert!(matches!(opened.err(), Some(Error::Connect { .. })));
}
