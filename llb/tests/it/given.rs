//! Graphs read from definitions and built upon.

use prost::Message as _;
use treenail_llb::{
    CopyAction, Digest, Exec, Image, MarshalOptions, Marshalled, MkdirAction, OpOptions, Output, Platform,
    SourceFile, SourceLocation, SourceRange,
};
use treenail_protos::pb;

fn marshal(output: &Output) -> Marshalled {
    output.marshal(&MarshalOptions::new(Platform::new("linux", "amd64")))
}

/// A graph with shared inputs, two outputs of one exec, and everything that a definition can say of a vertex.
fn graph() -> Output {
    let mut options = OpOptions::named("base");
    options.locations = vec![SourceLocation {
        file: SourceFile { filename: "Dockerfile".into(), ..SourceFile::default() }.into(),
        ranges: vec![SourceRange { start: (1, 0), end: (1, 9) }],
    }];
    let base = Image::new("docker.io/library/alpine:3.22").output(options);
    let mut exec = Exec::new(base.clone(), ["true"]);
    exec.mounts.push(treenail_llb::Mount::bind("/out", None::<Output>));
    exec.options = OpOptions { ignore_cache: true, ..OpOptions::named("run") };
    let ran = exec.run().expect("a command");
    let copy = CopyAction::new(ran.output(1), "/a", "/b");
    Output::file(
        Output::file(base, copy, OpOptions::default()),
        MkdirAction::new("/c", 0o755),
        OpOptions::default(),
    )
}

#[test]
fn a_definition_comes_back_as_it_was() {
    let before = marshal(&graph());
    let given = Output::from_definition(&before.definition, |_| false).expect("it is sound").expect("a tree");
    let after = marshal(&given);
    assert_eq!(after.definition, before.definition);
    assert_eq!(after.digest, before.digest);
    assert_eq!(after.caps, before.caps);
    assert_eq!(given.platform(), graph().platform());
}

#[test]
fn what_stands_on_it_meets_equal_operations_of_ours() {
    let given =
        Output::from_definition(&marshal(&graph()).definition, |_| false).expect("sound").expect("a tree");
    let both = Output::merge([given, graph()], OpOptions::default()).expect("two trees");
    // The same vertices, once; then the merge and the end.
    assert_eq!(marshal(&both).definition.def.len(), marshal(&graph()).definition.def.len() + 1);
}

#[test]
fn a_change_goes_up_to_the_root() {
    let before = marshal(&graph());
    let mut seen = 0;
    let given = Output::from_definition(&before.definition, |op| {
        seen += 1;
        let Some(pb::op::Op::Source(source)) = &mut op.op else { return false };
        source.identifier = "docker-image://docker.io/library/busybox:latest".to_owned();
        true
    });
    let after = marshal(&given.expect("sound").expect("a tree"));
    assert_eq!(seen, before.definition.def.len() - 1);
    assert_eq!(after.definition.def.len(), before.definition.def.len());
    for (at, bytes) in after.definition.def.iter().enumerate() {
        for input in pb::Op::decode(bytes.clone()).expect("an operation").inputs {
            let below = &after.definition.def[..at];
            assert!(below.iter().any(|bytes| Digest::of(bytes).as_str() == input.digest), "{}", input.digest);
        }
    }
    let busybox = Image::new("docker.io/library/busybox:latest").output(OpOptions::default());
    let head = marshal(&busybox).head;
    assert!(after.definition.metadata.contains_key(head.as_str()));
    assert!(after.definition.source.expect("locations").locations.contains_key(head.as_str()));
}

#[test]
fn the_empty_definition_is_the_empty_tree_and_broken_ones_are_refused() {
    let read = |def: Vec<pb::Op>| {
        let def = def.iter().map(|op| op.encode_to_vec().into()).collect();
        Output::from_definition(&pb::Definition { def, ..pb::Definition::default() }, |_| false)
    };
    assert!(read(vec![]).expect("nothing").is_none());
    let dangling =
        pb::Op { inputs: vec![pb::Input { digest: "sha256:00".into(), index: 0 }], ..pb::Op::default() };
    let text = |def| read(def).expect_err("broken").to_string();
    assert_eq!(text(vec![dangling.clone()]), "an edge of the definition leads nowhere: sha256:00");
    assert_eq!(text(vec![dangling.clone(), dangling]), "an edge of the definition leads nowhere: sha256:00");
    assert_eq!(text(vec![pb::Op::default()]), "the definition does not say which result it stands for");
    let garbage = pb::Definition { def: vec![b"\xff"[..].into()], ..pb::Definition::default() };
    let refused = Output::from_definition(&garbage, |_| false).expect_err("broken");
    assert_eq!(refused.to_string(), "a vertex of the definition does not decode");
    let index = pb::Op {
        inputs: vec![pb::Input { digest: Digest::of(b"").to_string(), index: -1 }],
        ..pb::Op::default()
    };
    assert!(read(vec![pb::Op::default(), index]).is_err());
}
