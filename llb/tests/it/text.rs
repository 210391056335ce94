//! Definitions as text.

use std::fmt::Write as _;

use treenail_llb::render;
use treenail_protos::pb;

use crate::graphs;

/// The text of all graphs, so that a reviewer sees what a change does.
#[test]
fn graphs_read_as_recorded() {
    let mut text = String::new();
    for graph in graphs::all() {
        let lines = render(&graph.marshal().definition);
        write!(text, "## {}\n{lines}\n", graph.name).expect("a String takes all text");
    }
    insta::assert_snapshot!("graphs", text);
}

#[test]
fn what_is_not_a_vertex_is_said_and_stays_on_its_line() {
    let definition = pb::Definition {
        def: vec![
            vec![0xff; 3].into(),
            treenail_llb::encode_op(&pb::Op {
                op: Some(pb::op::Op::Source(pb::SourceOp {
                    identifier: "local://a\nb\u{1b}[0m".into(),
                    attrs: [].into(),
                })),
                ..pb::Op::default()
            })
            .into(),
        ],
        ..pb::Definition::default()
    };
    let text = render(&definition);
    assert_eq!(text, "%0 = not an operation (3 bytes)\n%1 = local://a\\nb\\u{1b}[0m\n");
}
