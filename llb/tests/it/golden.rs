//! Vertices, order and metadata are those of BuildKit's own Go client, and never vary.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use treenail_llb::{caps, encode_op, render};
use treenail_protos::pb;

use crate::graphs;

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    definition: String,
}

const FILE: &str = include_str!("../../../test-fixtures/llb/golden.json");

fn golden() -> Vec<(String, pb::Definition)> {
    let list: Vec<Golden> = serde_json::from_str(FILE).expect("the minted file is JSON");
    let decoded = list.into_iter().map(|item| {
        let bytes = STANDARD.decode(item.definition).expect("base64");
        let definition = pb::Definition::decode(bytes.as_slice()).expect("a definition");
        (item.name, definition)
    });
    decoded.collect()
}

/// Capabilities that the Go client needs but does not list.
const OURS: &[&str] = &[
    caps::EXEC_META_CGROUP_PARENT,
    caps::EXEC_MOUNT_BIND_READ_WRITE_NO_OUTPUT,
    caps::FILE_RM_WILDCARD,
    caps::FILE_SYMLINK_CREATE,
    caps::FILE_COPY_ALWAYS_REPLACE,
    caps::FILE_COPY_INCLUDE_EXCLUDE_PATTERNS,
    caps::FILE_COPY_MODE_STRING,
    caps::FILE_COPY_REQUIRED_PATHS,
];

#[test]
fn graphs_are_those_of_the_go_client() {
    let expected = golden();
    let graphs = graphs::all();
    let names: Vec<&str> = graphs.iter().map(|graph| graph.name).collect();
    let minted: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, minted, "every minted graph has a twin here, in the same order");

    let mut failures = Vec::new();
    for (graph, (name, expected)) in graphs.iter().zip(&expected) {
        let mut ours = graph.marshal().definition;
        // What we list beyond the Go client is taken out, once the Go client's own is found missing.
        for metadata in ours.metadata.values_mut() {
            metadata.caps.retain(|cap, _| !OURS.contains(&cap.as_str()));
        }
        if ours.def != expected.def {
            let (ours, theirs) = (render(&ours), render(expected));
            failures.push(format!("{name}: bytes differ\nours:\n{ours}Go client:\n{theirs}"));
        } else if ours != *expected {
            failures.push(format!(
                "{name}: metadata differ\nours: {:#?} {:?}\nGo client: {:#?} {:?}",
                ours.metadata, ours.source, expected.metadata, expected.source
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn decoding_and_encoding_a_vertex_changes_nothing() {
    let mut kinds = BTreeSet::new();
    for (name, definition) in golden() {
        for bytes in &definition.def {
            let op = pb::Op::decode(bytes.clone()).expect("an operation");
            assert_eq!(encode_op(&op), *bytes, "{name}");
            kinds.insert(op.op.map(|op| std::mem::discriminant(&op)).map(|kind| format!("{kind:?}")));
        }
    }
    assert_eq!(kinds.len(), 7, "source, exec, file, merge, diff, build and the terminal one");
}

#[test]
fn rebuilding_a_graph_gives_the_same_definition() {
    let bytes = || -> Vec<Vec<u8>> {
        graphs::all().iter().map(|graph| graph.marshal().definition.encode_to_vec()).collect()
    };
    let first = bytes();
    for _ in 1..25 {
        assert!(bytes() == first);
    }
}

#[test]
fn the_capabilities_of_a_graph_are_those_of_its_vertices() {
    for graph in graphs::all() {
        let marshalled = graph.marshal();
        let metadata = marshalled.definition.metadata.values();
        let listed: BTreeSet<String> = metadata.flat_map(|metadata| metadata.caps.keys().cloned()).collect();
        assert_eq!(marshalled.caps, listed, "{}", graph.name);
    }
}
