//! Merge: trees laid over each other without copying.

use treenail_protos::pb;

use crate::options::OpOptions;
use crate::output::{Op, Output};

/// Invariant: two or more inputs.
pub(crate) struct Merge {
    pub(crate) inputs: Vec<Output>,
}

impl Output {
    /// The given trees over each other, later ones on top.
    ///
    /// Empty trees change nothing and are left out; of one tree the merge is that tree, of none it is
    /// empty, and neither becomes an operation.
    pub fn merge<I, T>(trees: I, options: OpOptions) -> Option<Self>
    where
        I: IntoIterator<Item = T>,
        T: Into<Option<Self>>,
    {
        let mut inputs: Vec<Self> = trees.into_iter().filter_map(Into::into).collect();
        if inputs.len() < 2 {
            return inputs.pop();
        }
        let platform = inputs[0].platform().cloned();
        Some(Self::new(Op::Merge(Merge { inputs }), options, platform))
    }
}

impl Merge {
    /// Inputs are not deduplicated: the order says what is on top.
    pub(crate) fn to_pb(&self) -> pb::MergeOp {
        let positions = 0..i64::try_from(self.inputs.len()).expect("a list in memory is shorter");
        pb::MergeOp { inputs: positions.map(|input| pb::MergeInput { input }).collect() }
    }
}
