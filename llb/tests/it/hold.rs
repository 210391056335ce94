//! Trees that are kept beside the one that is asked for.

use prost::Message;
use treenail_llb::{Exec, Execution, Image, MarshalOptions, Marshalled, Mount, OpOptions, Output, Platform};
use treenail_protos::pb;

fn marshal(output: &Output) -> Marshalled {
    output.marshal(&MarshalOptions::new(Platform::new("linux", "amd64")))
}

/// A command with a root and one more output.
fn command(root: Output, name: &str) -> Execution {
    Exec::new(root, [name]).with_mount(Mount::bind("/kept", None)).run().expect("a whole exec")
}

fn unused(marshalled: &Marshalled) -> Vec<Vec<u32>> {
    marshalled.unused.values().map(|outputs| outputs.iter().map(Output::index).collect()).collect()
}

#[test]
fn a_graph_tells_which_outputs_nobody_uses() {
    let image = Image::new("docker.io/library/alpine:3.22").output(OpOptions::default());
    let first = command(image, "first");
    let root = first.root().expect("a writable root");
    assert_eq!(unused(&marshal(&root)), [[1]]);
    assert_eq!(unused(&marshal(&first.output(1).expect("an output"))), [[0]]);
    let second = command(root, "second").output(1).expect("an output");
    let mut both = unused(&marshal(&second));
    both.sort();
    assert_eq!(both, [[0], [1]], "the root of the second, the output of the first");
    let merged = Output::merge([first.output(1), Some(second)], OpOptions::default()).expect("two trees");
    let mut rest = unused(&marshal(&merged));
    rest.sort();
    assert_eq!(rest, [vec![], vec![0]]);
}

#[test]
fn held_trees_are_inputs_that_no_action_reads() {
    let image = Image::new("docker.io/library/alpine:3.22").output(OpOptions::default());
    let first = command(image, "first");
    let outputs = [first.output(1), first.root(), first.output(1)].map(|output| output.expect("an output"));
    let held = Output::hold(outputs, OpOptions::named("kept")).expect("three trees");
    let marshalled = marshal(&held);
    let at = marshalled.definition.def.len() - 2;
    let op = pb::Op::decode(marshalled.definition.def[at].clone()).expect("an operation");
    let edges: Vec<i64> = op.inputs.iter().map(|input| input.index).collect();
    assert_eq!(edges, [1, 0], "each once");
    let Some(pb::op::Op::File(file)) = op.op else { panic!("a file operation") };
    assert!(file.actions.iter().all(|action| action.input == -1 && action.secondary_input == -1));
    assert_eq!(unused(&marshalled), [Vec::<u32>::new()], "all are used now");
    assert!(Output::hold([], OpOptions::default()).is_none());
}
