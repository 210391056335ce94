//! Hold: an empty tree that stands on others, so that a daemon evaluates and keeps them.

use treenail_protos::pb;

use crate::file::{FileAction, MkdirAction};
use crate::options::OpOptions;
use crate::output::{Op, Output};

/// What is held. Invariant: at least one.
pub(crate) struct Hold {
    pub(crate) inputs: Vec<Output>,
}

impl Output {
    /// A tree that takes nothing from the given ones and yet has them as inputs: solving it makes the daemon
    /// evaluate each and write each into its cache. `None` where there are none.
    ///
    /// It is a file operation with inputs that no action reads; neither their contents nor their keys by content
    /// are computed.
    ///
    /// # Source
    /// BuildKit v0.32.2 `solver/llbsolver/ops/file.go`: selectors and content keys are made for inputs that an
    /// action names, and only for these.
    pub fn hold(trees: impl IntoIterator<Item = Self>, options: OpOptions) -> Option<Self> {
        let inputs: Vec<Self> = trees.into_iter().collect();
        let platform = inputs.first()?.platform().cloned();
        Some(Self::new(Op::Hold(Hold { inputs }), options, platform))
    }
}

impl Hold {
    /// Inputs come before; the one action starts from the empty tree.
    pub(crate) fn to_pb(&self) -> pb::FileOp {
        let mkdir = MkdirAction { path: "/held".to_owned(), mode: 0o755, ..MkdirAction::default() };
        let action = FileAction::Mkdir(mkdir).to_pb(&mut |_| -1);
        pb::FileOp {
            actions: vec![pb::FileAction { input: -1, secondary_input: -1, output: 0, action: Some(action) }],
        }
    }
}
