//! Deep chains need neither stack nor more than linear time.

use std::collections::BTreeSet;

use treenail_llb::{
    CopyAction, Exec, Image, MarshalOptions, MkdirAction, MkfileAction, OpOptions, Output, Platform,
};

const DEPTH: usize = 20_000;

fn options() -> MarshalOptions {
    MarshalOptions::new(Platform::new("linux", "amd64"))
}

/// Runs `work` with the stack that Rust gives a thread by default, 2 MiB.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    thread.spawn(work).expect("a thread").join().expect("no overflow");
}

fn image() -> Output {
    Image::new("docker.io/library/alpine:3.22").output(OpOptions::default())
}

#[test]
fn a_chain_of_all_kinds_is_built_marshalled_and_dropped() {
    on_a_small_stack(|| {
        let mut tree = image();
        for step in 0..DEPTH {
            let plain = OpOptions::default;
            tree = match step % 5 {
                0 => {
                    let exec = Exec::new(tree, ["run".to_owned(), step.to_string()]).run();
                    exec.expect("a whole exec").root().expect("a writable root")
                }
                1 => Output::file(None, CopyAction::new(tree, "/", format!("/{step}")), plain()),
                2 => Output::merge([image(), tree], plain()).expect("two trees"),
                3 => Output::diff(image(), tree, plain()).expect("a lower tree"),
                _ => Output::build(tree, Some(step.to_string()), plain()),
            };
        }
        let marshalled = tree.marshal(&options());
        // One vertex per step, the image and the terminal one.
        assert_eq!(marshalled.definition.def.len(), DEPTH + 2);
        drop(tree);
    });
}

#[test]
fn a_chain_of_small_actions_becomes_few_vertices() {
    on_a_small_stack(|| {
        let mut tree = image();
        for step in 0..DEPTH {
            let file = MkfileAction::new(format!("/{step}"), 0o644, "x");
            tree = Output::file(tree, file, OpOptions::default());
        }
        let marshalled = tree.marshal(&options());
        assert_eq!(marshalled.definition.def.len(), DEPTH.div_ceil(256) + 2);
    });
}

#[test]
fn a_ladder_of_shared_trees_is_walked_once() {
    // Each rung uses the one below twice: walking paths instead of operations would never end.
    let mut tree = image();
    for step in 0..200 {
        let dir = |name: &str| MkdirAction::new(format!("/{name}{step}"), 0o755);
        let left = Output::file(tree.clone(), dir("a"), OpOptions::default());
        let right = Output::file(tree, dir("b"), OpOptions::default());
        tree = Output::merge([left, right], OpOptions::default()).expect("two trees");
    }
    let marshalled = tree.marshal(&options());
    assert_eq!(marshalled.definition.def.len(), 200 * 3 + 2);
    let unique: BTreeSet<_> = marshalled.definition.def.iter().collect();
    assert_eq!(unique.len(), marshalled.definition.def.len());
}
