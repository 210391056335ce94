//! Against a stock buildkitd.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use treenail_bridge::socket::{Connection, OpenOptions, SocketBridge};
use treenail_bridge::{
    Bridge, ByteRange, Error, ExportRequest, Exporter, Ref, ResolveSource, SolveRequest, StatusEvent,
};
use treenail_protos::moby::buildkit::v1::BuildHistoryRequest;
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;
use treenail_protos::pb;

use crate::graph::{Graph, mkdir, mkfile, symlink};

const PATIENCE: Duration = Duration::from_secs(30);
const MIB: usize = 1 << 20;
const ALPINE: &str = "docker-image://docker.io/library/alpine:3.20";

async fn open(address: &str) -> SocketBridge {
    let connection = Connection::open(address).await.expect("the daemon of the tests answers");
    let options = OpenOptions { internal: true, ..OpenOptions::default() };
    SocketBridge::open(connection, options).await.expect("a build opens")
}

async fn evaluate(bridge: &SocketBridge, definition: pb::Definition) -> Result<Ref, Error> {
    let request = SolveRequest { definition: Some(definition), evaluate: true, ..SolveRequest::default() };
    Ok(bridge.solve(request).await?.reference.expect("a result with content"))
}

/// A nonce that makes a graph new to the daemon.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

macro_rules! daemon {
    () => {
        match treenail_test_fixtures::daemon() {
            Some(daemon) => daemon,
            None => return,
        }
    };
}

#[tokio::test]
async fn a_build_opens_tells_what_it_can_and_ends() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let capabilities = bridge.capabilities();
    assert!(capabilities.llb.contains("exec.meta.base"), "{:?}", capabilities.llb);
    assert!(capabilities.frontend.contains("readfile"), "{:?}", capabilities.frontend);
    let worker = capabilities.workers.first().expect("a worker");
    assert!(!worker.platforms.is_empty() && !worker.id.is_empty());
    bridge.close(PATIENCE).await;
    let error = bridge.solve(SolveRequest::default()).await.expect_err("the build has ended");
    assert!(matches!(error, Error::SessionLost { operation: "solve", .. }), "{error:?}");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn files_are_read_whole_in_ranges_and_within_limits() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let big: Bytes = (0..9 * MIB + 17).map(|index| (index % 251) as u8).collect();
    let mut graph = Graph::default();
    let files = graph.files(
        None,
        None,
        vec![
            mkdir("/a/b"),
            mkfile("/a/big", big.clone()),
            mkfile("/a/b/empty", ""),
            symlink("../a/big", "/a/link"),
        ],
    );
    let tree = evaluate(&bridge, graph.finish(&files)).await.expect("file actions work");
    let whole = u64::MAX;
    assert!(bridge.read_file(&tree, "/a/big", None, whole).await.expect("whole") == big);
    assert!(bridge.read_file(&tree, "a/link", None, big.len() as u64).await.expect("to the limit") == big);
    assert_eq!(bridge.read_file(&tree, "/a/b/empty", None, 0).await.expect("empty"), Bytes::new());
    let range = |offset, length| Some(ByteRange { offset, length });
    let middle = bridge.read_file(&tree, "/a/big", range(5, 7), whole).await.expect("a range");
    assert_eq!(middle, big.slice(5..12));
    let tail = bridge.read_file(&tree, "/a/big", range(9 * MIB as u64, 0), 17).await.expect("a tail");
    assert_eq!(tail, big.slice(9 * MIB..));
    let past = bridge.read_file(&tree, "/a/big", range(1 << 40, 1), whole).await.expect("past the end");
    assert!(past.is_empty());
    for (limit, asked) in [(100, None), (6 * MIB as u64, None), (6, range(0, 7))] {
        let error = bridge.read_file(&tree, "/a/big", asked, limit).await.expect_err("too much");
        assert!(
            matches!(error, Error::TooLarge { size, limit: said } if size == big.len() as u64 && said == limit),
            "{error:?}"
        );
    }
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn paths_that_are_not_what_they_should_be_have_their_own_errors() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkdir("/d"), mkfile("/d/f", "x"), symlink("f", "/d/l")]);
    let tree = evaluate(&bridge, graph.finish(&files)).await.expect("file actions work");
    let missing = bridge.read_file(&tree, "/d/none", None, 10).await;
    assert!(matches!(&missing, Err(Error::NotFound { path }) if path == "/d/none"), "{missing:?}");
    let missing = bridge.stat_file(&tree, "/none/x").await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let missing = bridge.read_dir(&tree, "/none").await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let through = bridge.read_file(&tree, "/d/f/x", None, 10).await;
    assert!(matches!(through, Err(Error::NotDirectory { .. })), "{through:?}");
    let file = bridge.read_dir(&tree, "/d/f").await;
    assert!(matches!(file, Err(Error::NotDirectory { .. })), "{file:?}");
    let directory = bridge.read_file(&tree, "/d", None, 10).await;
    assert!(matches!(directory, Err(Error::NotRegular { .. })), "{directory:?}");

    let entries = bridge.read_dir(&tree, "/d").await.expect("a directory");
    let entries: Vec<_> =
        entries.iter().map(|entry| (entry.path.as_str(), entry.link_name.as_str())).collect();
    assert_eq!(entries, [("f", ""), ("l", "f")]);
    let stat = bridge.stat_file(&tree, "/d/l").await.expect("links are followed");
    assert!(stat.is_regular() && stat.size == 1 && stat.permissions() == 0o644, "{stat:?}");
    assert!(bridge.stat_file(&tree, "/d").await.expect("a directory").is_dir());

    let scratch = Ref { id: "".into() };
    assert!(bridge.read_dir(&scratch, "/").await.expect("scratch is empty").is_empty());
    assert!(matches!(bridge.read_file(&scratch, "/x", None, 1).await, Err(Error::NotFound { .. })));
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn a_failed_command_tells_its_code_and_leaves_its_files() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut graph = Graph::default();
    let root = graph.source(ALPINE);
    // The whole op comes back in the trailers of the failure, far beyond the usual 16 KiB.
    let script = format!(
        ": {} {}; echo root > /left; printf 0123456789 > /out/log; exit 7",
        nonce(),
        "x".repeat(100_000)
    );
    let (changed, _) = graph.shell(&root, &script);
    let error = evaluate(&bridge, graph.finish(&changed)).await.expect_err("exit 7");
    let Error::Exec(failure) = error else { panic!("{error:?}") };
    assert_eq!(failure.exit_code, 7);
    assert!(failure.vertex.starts_with("sha256:"), "{}", failure.vertex);
    assert_eq!(failure.mount_ids.len(), 2);
    let Some(pb::op::Op::Exec(exec)) = &failure.op.op else { panic!("{:?}", failure.op) };
    assert_eq!(exec.meta.as_ref().expect("a command").args, ["/bin/sh", "-c", &script]);
    assert_eq!(exec.mounts[1].dest, "/out");
    assert_eq!((exec.mounts[1].input, exec.mounts[1].output), (-1, 1));

    let read = bridge.read_failed(&failure, 1, "/log", 4).await.expect("the output mount");
    assert_eq!(read, (Bytes::from_static(b"6789"), 10));
    let read = bridge.read_failed(&failure, 0, "left", 100).await.expect("the root");
    assert_eq!(read, (Bytes::from_static(b"root\n"), 5));
    let missing = bridge.read_failed(&failure, 1, "/none", 4).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let beyond = bridge.read_failed(&failure, 9, "/log", 4).await;
    assert!(matches!(beyond, Err(Error::NotFound { .. })), "{beyond:?}");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn status_tells_vertices_and_output_from_the_start() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut graph = Graph::default();
    let root = graph.source(ALPINE);
    let word = nonce();
    let (changed, _) = graph.shell(&root, &format!("echo {word}; echo {word} >&2"));
    evaluate(&bridge, graph.finish(&changed)).await.expect("the command works");
    // Asked for only now: what happened before is there all the same.
    let mut events = bridge.status();
    bridge.close(PATIENCE).await;
    drop(bridge);
    let mut streams = Vec::new();
    let mut completed = 0;
    while let Ok(event) = events.recv().await {
        match event {
            StatusEvent::Log { stream, data, .. } => {
                assert_eq!(data, format!("{word}\n"));
                streams.push(stream);
            }
            StatusEvent::Vertex { completed: Some(_), started: Some(_), .. } => completed += 1,
            _ => {}
        }
    }
    streams.sort_unstable();
    assert_eq!(streams, [1, 2]);
    assert!(completed >= 2, "{completed} vertices ended");
}

#[tokio::test]
async fn an_image_resolves_to_digest_and_config() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let resolve = |identifier: &str| ResolveSource {
        source: pb::SourceOp { identifier: identifier.to_owned(), ..Default::default() },
        ..ResolveSource::default()
    };
    let metadata = bridge.resolve_source(resolve(ALPINE)).await.expect("alpine is in the mirror");
    let (digest, config) = metadata.image.expect("an image");
    assert!(digest.starts_with("sha256:"), "{digest}");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["os"], "linux");
    assert!(metadata.git.is_none() && metadata.http.is_none());
    let missing = bridge.resolve_source(resolve("docker-image://localhost:1/none:none")).await;
    assert!(matches!(missing, Err(Error::Vertex { .. })), "{missing:?}");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn what_the_daemon_does_not_grant_is_refused_at_once() {
    let daemon = daemon!();
    let connection = Connection::open(daemon.address()).await.expect("the daemon answers");
    let entitlements = vec!["no.such.entitlement".to_owned()];
    let options = OpenOptions { entitlements, internal: true, ..OpenOptions::default() };
    let error = SocketBridge::open(connection, options).await.err().expect("not granted");
    assert!(matches!(error, Error::Refused { operation: "open the build", .. }), "{error:?}");
}

#[tokio::test]
async fn a_source_that_is_missing_names_its_vertex() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut graph = Graph::default();
    let root = graph.source("docker-image://localhost:1/none:none");
    let error = evaluate(&bridge, graph.finish(&root)).await.expect_err("no such image");
    assert!(error.is_transient(), "{error:?}");
    assert!(matches!(error, Error::Vertex { vertex: Some(_), .. }), "{error:?}");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn a_dropped_solve_stops_the_command_and_nothing_else() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut events = bridge.status();
    let mut graph = Graph::default();
    let root = graph.source(ALPINE);
    let (changed, _) = graph.shell(&root, &format!("echo {}; exec sleep 1000", nonce()));
    let definition = graph.finish(&changed);
    let mut solve = Box::pin(evaluate(&bridge, definition));
    loop {
        tokio::select! {
            answer = &mut solve => panic!("the command sleeps: {answer:?}"),
            event = events.recv() => {
                if matches!(event.expect("not behind"), StatusEvent::Log { .. }) {
                    break;
                }
            }
        }
    }
    drop(solve);
    loop {
        let event = events.recv().await.expect("not behind");
        if matches!(&event, StatusEvent::Vertex { completed: Some(_), error, .. } if !error.is_empty()) {
            break;
        }
    }
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkfile("/x", "x")]);
    evaluate(&bridge, graph.finish(&files)).await.expect("the build goes on");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn an_image_is_exported_with_its_config() {
    let daemon = daemon!();
    let Some(registry) = daemon.registry() else { return };
    let bridge = open(daemon.address()).await;
    let word = nonce();
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkfile("/word", word.clone())]);
    let definition = graph.finish(&files);
    let name = format!("{registry}/bridge-test:{word}");
    let image = |definition| ExportRequest {
        definition,
        exporters: vec![Exporter {
            kind: "image".to_owned(),
            attributes: [("name", name.as_str()), ("push", "true"), ("registry.insecure", "true")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }],
        metadata: [(
            "containerimage.config".to_owned(),
            Bytes::from(format!(
                r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["WORD={word}"]}}}}"#
            )),
        )]
        .into(),
        ..ExportRequest::default()
    };
    let answer = bridge.export(image(Some(definition.clone()))).await.expect("pushed");
    let digest = answer.get("containerimage.digest").expect("a digest");
    let source = pb::SourceOp { identifier: format!("docker-image://{name}"), ..Default::default() };
    let metadata = bridge.resolve_source(ResolveSource { source, ..ResolveSource::default() }).await;
    let (resolved, config) = metadata.expect("it is there").image.expect("an image");
    assert_eq!(&resolved, digest);
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["config"]["Env"][0], format!("WORD={word}"));

    let scratch = bridge.export(image(None)).await.expect("scratch is an image, too");
    assert_ne!(scratch.get("containerimage.digest"), Some(digest));
    let plain = ExportRequest { metadata: Default::default(), ..image(Some(definition)) };
    let plain = bridge.export(plain).await.expect("without a config of ours");
    assert!(plain.contains_key("containerimage.digest"), "{plain:?}");
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn an_export_that_fails_says_why() {
    let daemon = daemon!();
    let bridge = open(daemon.address()).await;
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkfile("/x", "x")]);
    let exporters = vec![Exporter { kind: "no-such-exporter".to_owned(), ..Exporter::default() }];
    for definition in [None, Some(graph.finish(&files))] {
        let request = ExportRequest { definition, exporters: exporters.clone(), ..ExportRequest::default() };
        let error = bridge.export(request).await.expect_err("no such exporter");
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
    bridge.close(PATIENCE).await;
}

#[tokio::test]
async fn one_session_is_one_record_of_the_history_under_its_name() {
    let daemon = daemon!();
    let connection = Connection::open(daemon.address()).await.expect("the daemon answers");
    let name = nonce();
    let options = OpenOptions { name: name.clone(), ..OpenOptions::default() };
    let bridge = SocketBridge::open(connection.clone(), options).await.expect("a build opens");
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkfile("/x", name.clone())]);
    let image = format!("localhost/bridge-history:{name}");
    let attributes = [("name".to_owned(), image.clone())].into();
    let exporters = vec![Exporter { kind: "image".to_owned(), attributes }];
    for metadata in [Default::default(), [("note".to_owned(), Bytes::from("x"))].into()] {
        let definition = Some(graph.finish(&files));
        let request =
            ExportRequest { definition, exporters: exporters.clone(), metadata, ..Default::default() };
        bridge.export(request).await.expect("an image in the store");
    }
    bridge.close(PATIENCE).await;
    let request = BuildHistoryRequest { early_exit: true, ..Default::default() };
    let mut history = ControlClient::new(connection.channel());
    let mut records = history.listen_build_history(request).await.expect("a history").into_inner();
    let mut ours = BTreeSet::new();
    while let Some(event) = records.message().await.expect("the history goes on") {
        let record = event.record.unwrap_or_default();
        let exported = record.exporters.iter().any(|exporter| exporter.attrs.get("name") == Some(&image));
        assert!(!exported, "an export has a record of its own: {record:?}");
        if record.frontend_attrs.get("build-arg:BUILDKIT_BUILD_NAME") == Some(&name) {
            assert!(record.error.is_none(), "{:?}", record.error);
            ours.insert(record.r#ref);
        }
    }
    assert_eq!(ours.len(), 1);
}

#[tokio::test]
async fn several_platforms_are_one_image() {
    let daemon = daemon!();
    let Some(registry) = daemon.registry() else { return };
    let bridge = open(daemon.address()).await;
    let name = format!("{registry}/bridge-test:{}", nonce());
    let platforms = ["amd64", "arm64"];
    let id = |architecture: &&str| format!("linux/{architecture}");
    let file = |architecture: &&str| {
        let mut graph = Graph::default();
        let files = graph.files(None, None, vec![mkfile("/architecture", architecture.to_string())]);
        (id(architecture), graph.finish(&files))
    };
    let config = |architecture: &&str| {
        let config = format!(r#"{{"architecture":"{architecture}","os":"linux"}}"#);
        (format!("containerimage.config/{}", id(architecture)), Bytes::from(config))
    };
    let list: Vec<_> = platforms
        .iter()
        .map(|architecture| {
            let platform = serde_json::json!({"architecture": architecture, "os": "linux"});
            serde_json::json!({"ID": id(architecture), "Platform": platform})
        })
        .collect();
    let list = serde_json::json!({ "Platforms": list }).to_string();
    let attributes = [("name", name.as_str()), ("push", "true"), ("registry.insecure", "true")];
    let request = ExportRequest {
        named: platforms.iter().map(file).collect(),
        metadata: platforms.iter().map(config).chain([("refs.platforms".to_owned(), list.into())]).collect(),
        exporters: vec![Exporter {
            kind: "image".to_owned(),
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }],
        ..ExportRequest::default()
    };
    bridge.export(request).await.expect("pushed");
    for architecture in platforms {
        let source = pb::SourceOp { identifier: format!("docker-image://{name}"), ..Default::default() };
        let platform = pb::Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            ..Default::default()
        };
        let request = ResolveSource { source, platform: Some(platform), ..Default::default() };
        let (_, config) = bridge.resolve_source(request).await.expect("it is there").image.expect("an image");
        let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
        assert_eq!(config["architecture"], architecture);
    }
    bridge.close(PATIENCE).await;
}
