//! How many times the daemon is made to work by a document: laziness, counted.

use crate::fake_session::Session;

/// `C` stands for a container with an image.
const C: &str = "container{from(address:\"alpine:3.20\")";

#[tokio::test]
async fn each_document_costs_what_it_must() {
    // (document, solves, look-ups of sources)
    let cases: &[(&str, usize, usize)] = &[
        // Pure calls, `id` included, never solve.
        ("{container{withUser(name:\"u\"){user}}}", 0, 0),
        ("{directory{withNewFile(path:\"a\",contents:\"b\"){id}}}", 0, 0),
        ("{directory{withNewFile(path:\"a\",contents:\"b\"){withNewDirectory(path:\"d\"){id name}}}}", 0, 0),
        ("{C{id}}}", 0, 1),
        ("{C{withExec(args:[\"x\"]){id}}}}", 0, 1),
        (
            "{C{withExec(args:[\"x\"]){withEnvVariable(name:\"A\",value:\"1\"){envVariable(name:\"A\")}}}}}",
            0,
            1,
        ),
        (
            "{cacheVolume(key:\"k\"){id} setSecret(name:\"n\",plaintext:\"p\"){id} version defaultPlatform}",
            0,
            0,
        ),
        ("{directory{entries}}", 0, 0),
        ("{host{id}}", 0, 0),
        // One leaf, one solve, whatever the length of the chain.
        ("{directory{withNewFile(path:\"a\",contents:\"b\"){entries}}}", 1, 0),
        ("{C{withExec(args:[\"x\"]){withExec(args:[\"y\"]){withExec(args:[\"z\"]){stdout}}}}}}", 1, 1),
        ("{C{withExec(args:[\"x\"]){sync}}}}", 1, 1),
        // Leaves of one command: its output mount once, its root once.
        ("{C{withExec(args:[\"x\"]){stdout stderr exitCode}}}}", 1, 1),
        ("{C{withExec(args:[\"x\"]){stdout sync}}}}", 2, 1),
        // Checks at once evaluate what precedes them, once.
        ("{directory{withNewFile(path:\"d/f\",contents:\"b\"){directory(path:\"d\"){id}}}}", 1, 0),
        (
            "{directory{withNewFile(path:\"d/f\",contents:\"b\"){directory(path:\"d\"){file(path:\"f\"){contents}}}}}",
            1,
            0,
        ),
        (
            "{directory{withNewFile(path:\"f\",contents:\"b\"){a:exists(path:\"f\") b:exists(path:\"g\") entries glob(pattern:\"*\")}}}",
            1,
            0,
        ),
        // A host directory is one upload a session, whoever asks.
        ("{host{a:directory(path:\".\"){id} b:directory(path:\".\"){id} directory(path:\"x\"){id}}}", 2, 0),
        // Equal chains under two names are one.
        ("{a:C{withExec(args:[\"x\"]){stdout}}} b:C{withExec(args:[\"x\"]){stdout}}}}", 1, 1),
        // A refused document does nothing.
        ("{C{withExec(args:[\"x\"]){stdout nope}}}}", 0, 0),
        // An error of a pure call comes before any work of the same root field.
        ("{C{withExec(args:[\"x\"],stdin:\"a\",redirectStdin:\"b\"){stdout}}}}", 0, 1),
    ];
    for (document, solves, resolves) in cases {
        let session = Session::new();
        let answer = session.answer(&document.replace("C{", &format!("{C}{{"))).await;
        let counts = session.counts();
        assert_eq!((counts.solves, counts.resolves), (*solves, *resolves), "{document}\n{answer}");
    }
}

#[tokio::test]
async fn what_was_evaluated_is_not_evaluated_again() {
    let session = Session::new();
    let document = "{container{from(address:\"alpine:3.20\"){withExec(args:[\"x\"]){stdout}}}}";
    let first = session.answer(document).await;
    assert_eq!(first, r#"{"data":{"container":{"from":{"withExec":{"stdout":"out\n"}}}}}"#);
    assert_eq!(session.answer(document).await, first);
    let counts = session.counts();
    assert_eq!((counts.solves, counts.resolves, counts.reads), (1, 1, 1));
}

#[tokio::test]
async fn siblings_run_at_once_at_every_depth() {
    let session = Session::new();
    let document = "{container{from(address:\"alpine:3.20\"){\
        a:withExec(args:[\"a\"]){stdout c:withExec(args:[\"c\"]){stdout}} b:withExec(args:[\"b\"]){stdout}}}}";
    let gate = session.bridge.hold();
    let all_asked = session.bridge.wait_for(|counts| counts.solves == 3);
    let answer = session.answer(document);
    tokio::pin!(answer);
    tokio::select! {
        early = &mut answer => panic!("answered before the daemon was: {early}"),
        () = all_asked => {}
    }
    drop(gate);
    assert!(answer.await.starts_with("{\"data\""));
}

#[tokio::test]
async fn a_dropped_request_cancels_what_only_it_waited_for() {
    let session = Session::new();
    let document = "{container{from(address:\"alpine:3.20\"){withExec(args:[\"x\"]){stdout}}}}";
    let gate = session.bridge.hold();
    {
        let answer = session.answer(document);
        tokio::pin!(answer);
        tokio::select! {
            early = &mut answer => panic!("answered before the daemon was: {early}"),
            () = session.bridge.wait_for(|counts| counts.solves == 1) => {}
        }
    }
    assert_eq!(session.counts().cancelled, 1);
    drop(gate);
    assert!(session.answer(document).await.contains("out"));
}

#[tokio::test]
async fn errors_keep_their_shape() {
    let session = Session::new();
    session.bridge.set_image("docker.io/library/bare:1", &format!("sha256:{}", "b".repeat(64)), "{}");
    for (document, expected) in [
        (
            "{container{stdout}}",
            r#"{"errors":[{"message":"no command has been set","path":["container","stdout"]}],"data":null}"#,
        ),
        (
            "{a:directory{directory(path:\"no\"){id}} b:directory{file(path:\"no\"){id}} version}",
            r#"{"errors":[{"message":"stat no: no such file or directory","path":["directory","directory"]},{"message":"stat no: no such file or directory","path":["directory","file"]}],"data":null}"#,
        ),
        (
            "{container{asService{id}}}",
            r#"{"errors":[{"message":"Container.asService is not supported: `Container.asService` is not in this release of Treenail; `treenail doctor` lists what is","path":["container","asService"],"extensions":{"code":"UNSUPPORTED","field":"Container.asService","capability":"treenail","since":""}}],"data":null}"#,
        ),
        (
            "{container(platform:\"linux/s390x\"){withExec(args:[\"x\"]){id}}}",
            r#"{"errors":[{"message":"Container.withExec is not supported: this release runs commands on amd64 only, and this container is for linux/s390x; ask for the image of another platform with container(platform:)","path":["container","withExec"],"extensions":{"code":"UNSUPPORTED","field":"Container.withExec","capability":"helper for s390x","since":""}}],"data":null}"#,
        ),
        (
            "{host{directory(path:\"missing\"){id}}}",
            r#"{"errors":[{"message":"lstat /made/up/missing: no such file or directory [traceparent:00000000000000000000000000000000-0000000000000000]","path":["host","directory"]}],"data":null}"#,
        ),
    ] {
        assert_eq!(session.answer(document).await, expected, "{document}");
    }
}
