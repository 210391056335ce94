//! Build: a definition found in a tree, solved in place.

use std::collections::BTreeMap;

use treenail_protos::pb;

use crate::options::OpOptions;
use crate::output::{Op, Output};

/// Invariant: `source` is `Some` until the operation is dropped.
pub(crate) struct Build {
    pub(crate) source: Option<Output>,
    filename: Option<String>,
}

impl Output {
    /// What the definition in the file `filename` of `source` builds.
    ///
    /// `None` is the daemon's default name, `buildkit.llb.definition`.
    pub fn build(source: Self, filename: Option<String>, options: OpOptions) -> Self {
        let source = Some(source);
        Self::new(Op::Build(Build { source, filename }), options, None)
    }
}

impl Build {
    /// # Source
    /// BuildKit v0.32.2 `client/llb/llbbuild/llbbuild.go`; the builder -1 is LLB itself.
    pub(crate) fn to_pb(&self) -> pb::BuildOp {
        let filename = self.filename.iter();
        pb::BuildOp {
            builder: -1,
            inputs: BTreeMap::from([("buildkit.llb.definition".to_owned(), pb::BuildInput { input: 0 })]),
            def: None,
            attrs: filename.map(|name| ("llbbuild.filename".to_owned(), name.clone())).collect(),
        }
    }
}
