//! The fake: what other crates' tests rely on.

use std::sync::Arc;

use treenail_bridge::fake::{FakeBridge, Tree};
use treenail_bridge::{Bridge, Error, Ref, ResolveSource, SolveRequest};
use treenail_protos::pb;

use crate::graph::{Edge, Graph, copy, mkdir, mkfile, rm, symlink};

fn request(graph: &Graph, edge: &Edge) -> SolveRequest {
    SolveRequest { definition: Some(graph.finish(edge)), evaluate: true, ..SolveRequest::default() }
}

async fn solve(bridge: &FakeBridge, graph: &Graph, edge: &Edge) -> Result<Ref, Error> {
    Ok(bridge.solve(request(graph, edge)).await?.reference.expect("a single result"))
}

#[tokio::test]
async fn file_actions_run_over_trees() {
    let bridge = FakeBridge::new();
    bridge.set_source("local://context", Tree::default().with_file("src/a", "A").with_file("src/sub/b", "B"));
    let mut graph = Graph::default();
    let context = graph.source("local://context");
    let copied = graph.files(
        None,
        Some(&context),
        vec![
            mkdir("/x/y"),
            copy("/src", "/x"),
            copy("/src/a", "/new/c"),
            mkfile("/x/d", "D"),
            symlink("d", "/x/l"),
            rm("/x/sub"),
        ],
    );
    let tree = solve(&bridge, &graph, &copied).await.expect("runs");
    let names: Vec<_> =
        bridge.tree(&tree).expect("evaluated").iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(names, ["new", "new/c", "x", "x/a", "x/d", "x/l", "x/y"]);
    assert_eq!(bridge.read_file(&tree, "/x/l", None, 9).await.expect("through the link"), "D");
    assert!(matches!(
        bridge.read_file(&tree, "/x/a", None, 0).await,
        Err(Error::TooLarge { size: 1, limit: 0 })
    ));
    assert!(matches!(bridge.stat_file(&tree, "/none").await, Err(Error::NotFound { .. })));
    assert_eq!(bridge.read_dir(&tree, "/x").await.expect("a directory").len(), 4);

    let wrong = graph.files(None, None, vec![rm("/none")]);
    let error = solve(&bridge, &graph, &wrong).await.expect_err("nothing to remove");
    assert!(matches!(error, Error::Vertex { vertex: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn execs_are_answered_once_and_their_failures_can_be_read() {
    let bridge = FakeBridge::new();
    bridge.set_image("docker.io/library/alpine:3.20", "sha256:1", "{}");
    bridge.on_exec(|exec, trees| {
        let script = exec.meta.as_ref().and_then(|meta| meta.args.last()).expect("a script");
        trees[1].put("log", treenail_bridge::fake::Node::file(script.clone()));
        script.len() as i32 - 4
    });
    let mut graph = Graph::default();
    let root = graph.source("docker-image://docker.io/library/alpine:3.20@sha256:1");
    let (_, out) = graph.shell(&root, "good");
    for _ in 0..2 {
        let tree = solve(&bridge, &graph, &out).await.expect("exit 0");
        assert_eq!(bridge.read_file(&tree, "log", None, 9).await.expect("the output mount"), "good");
    }
    assert_eq!(bridge.counts().execs, 1);
    let (_, out) = graph.shell(&root, "worse");
    let Err(Error::Exec(failure)) = solve(&bridge, &graph, &out).await else { panic!("exit 1") };
    assert_eq!(failure.exit_code, 1);
    let (tail, size) = bridge.read_failed(&failure, 1, "/log", 2).await.expect("it was written");
    assert_eq!((&tail[..], size), (&b"se"[..], 5));

    let source = pb::SourceOp {
        identifier: "docker-image://docker.io/library/alpine:3.20".into(),
        ..Default::default()
    };
    let metadata = bridge.resolve_source(ResolveSource { source, ..Default::default() }).await.expect("set");
    assert_eq!(metadata.image.expect("an image").0, "sha256:1");
}

#[tokio::test]
async fn lazy_solves_fail_at_the_read() {
    let bridge = FakeBridge::new();
    let mut graph = Graph::default();
    let nowhere = graph.source("local://nowhere");
    let lazy = SolveRequest { evaluate: false, ..request(&graph, &nowhere) };
    let tree = bridge.solve(lazy).await.expect("nothing ran").reference.expect("a promise");
    assert!(matches!(bridge.read_dir(&tree, "/").await, Err(Error::Vertex { .. })));
}

#[tokio::test]
async fn solves_are_held_counted_failed_and_given_up() {
    let bridge = Arc::new(FakeBridge::new());
    let mut graph = Graph::default();
    let files = graph.files(None, None, vec![mkfile("/x", "x")]);
    let gate = bridge.hold();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (bridge, request) = (bridge.clone(), request(&graph, &files));
            tokio::spawn(async move { bridge.solve(request).await })
        })
        .collect();
    bridge.wait_for(|counts| counts.solves == 2).await;
    assert_eq!(bridge.counts().answered, 0);
    let [first, second] = <[_; 2]>::try_from(tasks).expect("two");
    first.abort();
    bridge.wait_for(|counts| counts.cancelled == 1).await;
    drop(gate);
    second.await.expect("no panic").expect("an answer");
    assert_eq!(bridge.counts().answered, 1);

    bridge.fail_next(Error::Cancelled { operation: "solve" });
    assert!(matches!(solve(&bridge, &graph, &files).await, Err(Error::Cancelled { .. })));
    solve(&bridge, &graph, &files).await.expect("once only");
    bridge.fail_when(|request| request.evaluate.then_some(Error::Cancelled { operation: "solve" }));
    assert!(matches!(solve(&bridge, &graph, &files).await, Err(Error::Cancelled { .. })));
    assert_eq!(bridge.requests().len(), 5);
    bridge.close(std::time::Duration::ZERO).await;
    assert!(matches!(solve(&bridge, &graph, &files).await, Err(Error::SessionLost { .. })));
}
