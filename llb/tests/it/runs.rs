//! How file actions are joined into vertices, and that whatever they are joined to is sound.

use proptest::prelude::*;
use prost::Message as _;
use treenail_llb::{
    CopyAction, FileAction, Image, MarshalOptions, Marshalled, MkdirAction, MkfileAction, OpOptions, Output,
    Owner, Platform, RmAction, SymlinkAction, User, render,
};
use treenail_protos::pb;

fn plain() -> OpOptions {
    OpOptions::default()
}

fn image() -> Output {
    Image::new("docker.io/library/alpine:3.22").output(plain())
}

fn marshal(output: &Output) -> Marshalled {
    output.marshal(&MarshalOptions::new(Platform::new("linux", "amd64")))
}

fn mkdir(base: impl Into<Option<Output>>, path: &str) -> Output {
    Output::file(base, MkdirAction::new(path, 0o755), plain())
}

/// How many actions each file vertex has, in order.
fn actions(marshalled: &Marshalled) -> Vec<usize> {
    let ops = marshalled.definition.def.iter().map(|bytes| pb::Op::decode(bytes.clone()));
    ops.filter_map(|op| match op.expect("an operation").op {
        Some(pb::op::Op::File(file)) => Some(file.actions.len()),
        _ => None,
    })
    .collect()
}

#[test]
fn small_actions_are_joined_and_copies_are_not() {
    let tree = mkdir(mkdir(None, "/a"), "/b");
    let tree = Output::file(tree, CopyAction::new(image(), "/x", "/a/x"), plain());
    let tree = Output::file(tree, CopyAction::new(image(), "/y", "/a/y"), plain());
    let tree = mkdir(mkdir(tree, "/c"), "/d");
    assert_eq!(actions(&marshal(&tree)), [2, 1, 1, 2]);
}

#[test]
fn a_run_ends_at_a_tree_with_another_user() {
    let lower = mkdir(mkdir(None, "/a"), "/b");
    let upper = mkdir(mkdir(lower.clone(), "/c"), "/d");
    let both = Output::merge([lower.clone(), upper.clone()], plain()).expect("two trees");
    assert_eq!(actions(&marshal(&both)), [2, 2]);
    // Looking a name up in a tree is a use too.
    let tree = lower.clone();
    let owner = Some(Owner { user: Some(User::Name { name: "node".into(), tree }), group: None });
    let owned = Output::file(lower, MkdirAction { owner, ..MkdirAction::new("/e", 0o755) }, plain());
    assert_eq!(actions(&marshal(&owned)), [2, 1]);
    assert_eq!(actions(&marshal(&upper)), [4]);
}

#[test]
fn a_run_ends_where_the_daemon_is_told_something_else() {
    let fresh = OpOptions { ignore_cache: true, ..plain() };
    let tree = Output::file(mkdir(None, "/a"), MkdirAction::new("/b", 0o755), fresh.clone());
    let tree = Output::file(tree, MkdirAction::new("/c", 0o755), fresh);
    assert_eq!(actions(&marshal(&mkdir(tree, "/d"))), [1, 2, 1]);
}

#[test]
fn a_run_ends_at_its_limits() {
    let mut tree = mkdir(None, "/0");
    for step in 1..600 {
        tree = mkdir(tree, &format!("/{step}"));
    }
    assert_eq!(actions(&marshal(&tree)), [256, 256, 88]);

    let mut tree = mkdir(None, "/0");
    for size in [3 << 20, 5 << 20, 1, 9 << 20, 1] {
        let file = MkfileAction::new("/f", 0o644, vec![b'x'; size]);
        tree = Output::file(tree, file, plain());
    }
    assert_eq!(actions(&marshal(&tree)), [3, 1, 1, 1]);
}

#[test]
fn tags_and_names_follow_actions_to_their_vertex() {
    let tagged = |base: Option<Output>, path: &str, tag: &str| {
        let options = OpOptions::named(path).with_origin(tag);
        Output::file(base, MkdirAction::new(path, 0o755), options)
    };
    let tree = tagged(Some(tagged(Some(tagged(None, "/a", "x")), "/b", "y")), "/c", "x");
    let marshalled = marshal(&tree);
    assert_eq!(actions(&marshalled), [3]);
    let tags: Vec<&str> = marshalled.origins[&marshalled.head].iter().map(|origin| origin.as_str()).collect();
    assert_eq!(tags, ["x", "y"]);
    let metadata = &marshalled.definition.metadata[marshalled.head.as_str()];
    assert_eq!(metadata.description["llb.customname"], "/c");
    // Neither is in the bytes.
    let bare = marshal(&mkdir(mkdir(mkdir(None, "/a"), "/b"), "/c"));
    assert_eq!((bare.head, bare.digest), (marshalled.head, marshalled.digest));
}

#[test]
fn long_runs_and_merges_have_short_names_unless_told() {
    let name = |output: &Output| {
        let marshalled = marshal(output);
        let metadata = &marshalled.definition.metadata[marshalled.head.as_str()];
        metadata.description.get("llb.customname").cloned()
    };
    let mut tree = mkdir(None, "/0");
    for step in 1..8 {
        tree = mkdir(tree, &format!("/{step}"));
    }
    assert_eq!(name(&tree), None);
    let long = mkdir(tree.clone(), "/8");
    assert_eq!(name(&long).as_deref(), Some("mkdir /0 and 8 more changes"));
    let merge = |options| Output::merge([tree.clone(), image()], options).expect("two trees");
    assert_eq!(name(&merge(plain())).as_deref(), Some("merge of 2 trees"));
    assert_eq!(name(&merge(OpOptions::named("mine"))).as_deref(), Some("mine"));
}

/// One step of a random graph: which trees it uses (counted back from the last) and what it does.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    base: usize,
    other: usize,
    by_name: bool,
    fresh: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly the last tree, so that there are runs to join.
    let back = prop_oneof![8 => Just(0_usize), 2 => 0_usize..6];
    let step = (0_u8..6, back, 0_usize..6, prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(kind, base, other, by_name, fresh)| Step { kind, base, other, by_name, fresh });
    prop::collection::vec(step, 1..60)
}

fn build(steps: &[Step]) -> Output {
    let mut trees: Vec<Option<Output>> = vec![None, Some(image())];
    for (number, step) in steps.iter().enumerate() {
        let tree = |back: usize| trees[trees.len().saturating_sub(1 + back)].clone();
        let path = format!("/{number}");
        let named = |name: &str| match tree(step.other) {
            Some(tree) if step.by_name => Some(User::Name { name: name.into(), tree }),
            _ => Some(User::Id(7)),
        };
        let owner = Some(Owner { user: named("node"), group: named("staff") });
        let action: FileAction = match step.kind {
            0 => MkdirAction { owner, ..MkdirAction::new(path, 0o755) }.into(),
            1 => MkfileAction { owner, ..MkfileAction::new(path, 0o644, "x") }.into(),
            2 => SymlinkAction { owner, ..SymlinkAction::new("x", path) }.into(),
            3 => RmAction::new(path).into(),
            4 => CopyAction { owner, ..CopyAction::new(tree(step.other), "/", path) }.into(),
            _ => MkdirAction::new(path, 0o700).into(),
        };
        let options = OpOptions { ignore_cache: step.fresh, ..plain() };
        let next = Output::file(tree(step.base), action, options);
        trees.push(Some(next));
    }
    trees.pop().flatten().expect("at least one step")
}

/// What a daemon checks of a definition, and what it would stumble on.
fn check(marshalled: &Marshalled) {
    let mut known = std::collections::BTreeSet::new();
    let count = marshalled.definition.def.len();
    for (number, bytes) in marshalled.definition.def.iter().enumerate() {
        let op = pb::Op::decode(bytes.clone()).expect("an operation");
        for input in &op.inputs {
            assert!(known.contains(&input.digest), "inputs come before users");
            assert_eq!(input.index, 0, "file actions give one tree");
        }
        let digest = treenail_llb::Digest::of(bytes);
        assert!(marshalled.definition.metadata.contains_key(digest.as_str()));
        assert!(known.insert(digest.to_string()), "no vertex twice");
        assert_eq!(op.op.is_none(), number + 1 == count, "the terminal vertex is the last");
        if let Some(pb::op::Op::File(file)) = &op.op {
            check_file(file, op.inputs.len());
        }
    }
    assert_eq!(marshalled.definition.metadata.len(), count);
}

fn check_file(file: &pb::FileOp, inputs: usize) {
    let inputs = i64::try_from(inputs).expect("few inputs");
    let last = file.actions.len() - 1;
    let mut used = vec![false; usize::try_from(inputs).expect("few inputs")];
    let mut is_input = |index: i64| {
        let position = usize::try_from(index).expect("an input");
        used[position] = true;
    };
    for (number, action) in file.actions.iter().enumerate() {
        let position = i64::try_from(number).expect("few actions");
        if number == 0 {
            assert!((-1..inputs).contains(&action.input));
            if action.input >= 0 {
                is_input(action.input);
            }
        } else {
            assert_eq!(action.input, inputs + position - 1, "each on the one before");
        }
        assert_eq!(action.output, if number == last { 0 } else { -1 });
        let kind = action.action.as_ref().expect("an action");
        let owner = match kind {
            pb::file_action::Action::Copy(copy) => {
                assert_eq!(last, 0, "copies stand alone");
                if action.secondary_input >= 0 {
                    is_input(action.secondary_input);
                }
                copy.owner.as_ref()
            }
            other => {
                assert_eq!(action.secondary_input, -1);
                match other {
                    pb::file_action::Action::Mkdir(mkdir) => mkdir.owner.as_ref(),
                    pb::file_action::Action::Mkfile(mkfile) => mkfile.owner.as_ref(),
                    pb::file_action::Action::Symlink(link) => link.owner.as_ref(),
                    _ => None,
                }
            }
        };
        for user in owner.into_iter().flat_map(|owner| [&owner.user, &owner.group]).flatten() {
            if let Some(pb::user_opt::User::ByName(name)) = &user.user {
                // The daemon looks names up in inputs only, never in results of actions.
                is_input(name.input);
            }
        }
    }
    assert!(used.iter().all(|used| *used), "no input without a use");
}

proptest! {
    #[test]
    fn random_graphs_are_sound_and_stable(steps in steps()) {
        let marshalled = marshal(&build(&steps));
        check(&marshalled);
        let again = marshal(&build(&steps));
        prop_assert_eq!(&again.definition, &marshalled.definition);
        prop_assert_eq!(&again.digest, &marshalled.digest);
        let lines = render(&marshalled.definition);
        prop_assert_eq!(lines.lines().count(), marshalled.definition.def.len());
    }
}
