//! Definitions written by hand: this crate knows no graph builder.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use treenail_protos::pb::{self, file_action::Action, op};

/// An output of a vertex.
#[derive(Clone)]
pub(crate) struct Edge(String, i64);

/// A graph that grows; edges are only good in their own graph.
#[derive(Clone, Default)]
pub(crate) struct Graph {
    ops: Vec<Bytes>,
    capabilities: Vec<(String, Vec<&'static str>)>,
}

impl Graph {
    fn add(&mut self, op: op::Op, inputs: &[&Edge], capabilities: &[&'static str]) -> String {
        let inputs = inputs.iter().map(|edge| pb::Input { digest: edge.0.clone(), index: edge.1 }).collect();
        let platform = Some(pb::Platform {
            os: "linux".into(),
            architecture: architecture().into(),
            ..Default::default()
        });
        let bytes =
            Bytes::from(pb::Op { inputs, platform, op: Some(op), ..Default::default() }.encode_to_vec());
        let digest = Sha256::digest(&bytes)
            .iter()
            .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        self.ops.push(bytes);
        self.capabilities.push((digest.clone(), capabilities.to_vec()));
        digest
    }

    pub(crate) fn source(&mut self, identifier: &str) -> Edge {
        let source = pb::SourceOp { identifier: identifier.to_owned(), ..Default::default() };
        Edge(self.add(op::Op::Source(source), &[], &["source.image"]), 0)
    }

    /// File actions one after the other, on scratch or on `base`; copies take from `from`.
    pub(crate) fn files(&mut self, base: Option<&Edge>, from: Option<&Edge>, actions: Vec<Action>) -> Edge {
        let inputs: Vec<&Edge> = base.into_iter().chain(from).collect();
        let count = i64::try_from(inputs.len()).expect("two at most");
        let last = actions.len() - 1;
        let actions = (0..).zip(actions).map(|(index, action)| pb::FileAction {
            input: if index == 0 { if base.is_some() { 0 } else { -1 } } else { count + index - 1 },
            secondary_input: if from.is_some() && matches!(action, Action::Copy(_)) { count - 1 } else { -1 },
            output: if usize::try_from(index).is_ok_and(|index| index == last) { 0 } else { -1 },
            action: Some(action),
        });
        let file = pb::FileOp { actions: actions.collect() };
        Edge(self.add(op::Op::File(file), &inputs, &["file.base"]), 0)
    }

    /// `sh -c script` on `root`, with a scratch mount at `/out` as output 1.
    pub(crate) fn shell(&mut self, root: &Edge, script: &str) -> (Edge, Edge) {
        let mount = |input, dest: &str, output| pb::Mount {
            input,
            dest: dest.to_owned(),
            output,
            ..Default::default()
        };
        let exec = pb::ExecOp {
            meta: Some(pb::Meta {
                args: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
                env: vec!["PATH=/bin:/usr/bin".to_owned()],
                cwd: "/".to_owned(),
                ..Default::default()
            }),
            mounts: vec![mount(0, "/", 0), mount(-1, "/out", 1)],
            ..Default::default()
        };
        let digest = self.add(op::Op::Exec(exec), &[root], &["exec.meta.base", "exec.mount.bind"]);
        (Edge(digest.clone(), 0), Edge(digest, 1))
    }

    pub(crate) fn finish(&self, edge: &Edge) -> pb::Definition {
        let mut whole = self.clone();
        let terminal = pb::Op {
            inputs: vec![pb::Input { digest: edge.0.clone(), index: edge.1 }],
            ..Default::default()
        };
        whole.ops.push(terminal.encode_to_vec().into());
        let metadata = whole.capabilities.into_iter().map(|(digest, capabilities)| {
            let caps = capabilities.into_iter().map(|name| (name.to_owned(), true)).collect();
            (digest, pb::OpMetadata { caps, ..Default::default() })
        });
        pb::Definition { def: whole.ops, metadata: metadata.collect(), ..Default::default() }
    }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

pub(crate) fn mkfile(path: &str, data: impl Into<Bytes>) -> Action {
    let data = data.into();
    Action::Mkfile(pb::FileActionMkFile {
        path: path.to_owned(),
        mode: 0o644,
        data,
        timestamp: -1,
        ..Default::default()
    })
}

pub(crate) fn mkdir(path: &str) -> Action {
    Action::Mkdir(pb::FileActionMkDir {
        path: path.to_owned(),
        mode: 0o755,
        make_parents: true,
        timestamp: -1,
        ..Default::default()
    })
}

pub(crate) fn symlink(target: &str, path: &str) -> Action {
    Action::Symlink(pb::FileActionSymlink {
        oldpath: target.to_owned(),
        newpath: path.to_owned(),
        timestamp: -1,
        ..Default::default()
    })
}

pub(crate) fn rm(path: &str) -> Action {
    Action::Rm(pb::FileActionRm { path: path.to_owned(), ..Default::default() })
}

/// A directory's contents, or a file.
pub(crate) fn copy(src: &str, dest: &str) -> Action {
    Action::Copy(pb::FileActionCopy {
        src: src.to_owned(),
        dest: dest.to_owned(),
        mode: -1,
        dir_copy_contents: true,
        create_dest_path: true,
        timestamp: -1,
        ..Default::default()
    })
}
