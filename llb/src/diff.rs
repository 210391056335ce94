//! Diff: what one tree adds to and removes from another.

use treenail_protos::pb;

use crate::options::OpOptions;
use crate::output::{Op, Output};

/// Invariant: `lower` is not empty.
pub(crate) struct Diff {
    pub(crate) lower: Option<Output>,
    pub(crate) upper: Option<Output>,
}

impl Output {
    /// The changes that turn `lower` into `upper`, as a tree to merge over another.
    ///
    /// From an empty tree the changes are `upper` itself, and there is no operation.
    pub fn diff(
        lower: impl Into<Option<Self>>,
        upper: impl Into<Option<Self>>,
        options: OpOptions,
    ) -> Option<Self> {
        let upper = upper.into();
        let Some(lower) = lower.into() else {
            return upper;
        };
        let platform = lower.platform().cloned();
        let diff = Diff { lower: Some(lower), upper };
        Some(Self::new(Op::Diff(diff), options, platform))
    }
}

impl Diff {
    pub(crate) fn to_pb(&self) -> pb::DiffOp {
        let lower = if self.lower.is_some() { 0 } else { -1 };
        let upper = if self.upper.is_some() { lower + 1 } else { -1 };
        pb::DiffOp {
            lower: Some(pb::LowerDiffInput { input: lower }),
            upper: Some(pb::UpperDiffInput { input: upper }),
        }
    }
}
