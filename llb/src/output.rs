//! Trees as values: an operation and one of its results.

use std::fmt;
use std::sync::Arc;

use crate::build::Build;
use crate::diff::Diff;
use crate::exec::Exec;
use crate::file::FileNode;
use crate::given::Given;
use crate::hold::Hold;
use crate::merge::Merge;
use crate::options::OpOptions;
use crate::platform::Platform;
use crate::source::Source;

/// One result of one operation: a tree that other operations can use.
///
/// A clone shares the operation. Two outputs built alike are not the same pointer but marshal to the
/// same digest, and such twins in one graph become one vertex.
#[derive(Clone)]
pub struct Output {
    pub(crate) node: Arc<Node>,
    pub(crate) index: u32,
}

impl Output {
    pub(crate) fn new(op: Op, options: OpOptions, inherited: Option<Platform>) -> Self {
        Self {
            node: Arc::new(Node { platform: options.platform.clone().or(inherited), op, options }),
            index: 0,
        }
    }

    /// The platform said for this tree, by its operation or by what that works on.
    pub fn platform(&self) -> Option<&Platform> {
        self.node.platform.as_ref()
    }

    /// Which of the operation's results this is, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether both are the same result of the same operation value (not merely of an equal one).
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && self.index == other.index
    }
}

/// Tells the operations of one process apart, for as long as they live: another may get the identity of one that is
/// gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(usize);

impl Identity {
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self(Arc::as_ptr(node).addr())
    }
}

impl Output {
    /// Which operation it is a result of.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.node)
    }

    /// What the operation works on.
    pub fn inputs(&self) -> Vec<Self> {
        let mut inputs = Vec::new();
        self.node.op.inputs(&mut |input| inputs.push(input.clone()));
        inputs
    }
}

impl fmt::Debug for Output {
    /// Shallow: a graph can be deeper than any stack.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.node.op {
            Op::Source(source) => return write!(f, "Output({} #{})", source.identifier, self.index),
            Op::Exec(_) => "exec",
            Op::File(_) => "file",
            Op::Merge(_) => "merge",
            Op::Hold(_) => "hold",
            Op::Diff(_) => "diff",
            Op::Build(_) => "build",
            Op::Given(_) => "given",
        };
        write!(f, "Output({kind} #{})", self.index)
    }
}

/// An operation with what is said about it.
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) options: OpOptions,
    /// The operation's own platform, else that of the tree it works on.
    pub(crate) platform: Option<Platform>,
}

/// What an operation does.
pub(crate) enum Op {
    Source(Source),
    Exec(Box<Exec>),
    File(FileNode),
    Merge(Merge),
    Hold(Hold),
    Diff(Diff),
    Build(Build),
    Given(Given),
}

impl Op {
    /// Visits the edges, in the order in which their operations are emitted.
    pub(crate) fn inputs<'a>(&'a self, visit: &mut dyn FnMut(&'a Output)) {
        match self {
            Self::Source(_) => {}
            Self::Exec(exec) => exec.inputs(visit),
            Self::File(file) => file.inputs(visit),
            Self::Merge(merge) => merge.inputs.iter().for_each(visit),
            Self::Hold(hold) => hold.inputs.iter().for_each(visit),
            Self::Diff(diff) => [&diff.lower, &diff.upper].into_iter().flatten().for_each(visit),
            Self::Build(build) => build.source.iter().for_each(visit),
            Self::Given(given) => given.inputs.iter().for_each(visit),
        }
    }

    /// Takes all edges out.
    fn take_inputs(&mut self, into: &mut Vec<Output>) {
        match self {
            Self::Source(_) => {}
            Self::Exec(exec) => exec.take_inputs(into),
            Self::File(file) => file.take_inputs(into),
            Self::Merge(merge) => into.append(&mut merge.inputs),
            Self::Hold(hold) => into.append(&mut hold.inputs),
            Self::Diff(diff) => into.extend(diff.lower.take().into_iter().chain(diff.upper.take())),
            Self::Build(build) => into.extend(build.source.take()),
            Self::Given(given) => into.append(&mut given.inputs),
        }
    }
}

impl Drop for Node {
    /// Frees a chain with a loop: the compiler's own drop would recurse once per operation.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.op.take_inputs(&mut pending);
        while let Some(output) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(output.node) {
                node.op.take_inputs(&mut pending);
            }
        }
    }
}
