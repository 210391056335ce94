//! From a graph to a definition.
//!
//! Three walks, none of them recursive: operations in the order in which they can be emitted, with the
//! number of users of each; runs of file actions that become one vertex; bytes and digests.
//! Invariant: the result depends on the graph reachable from the output and on the options alone.
//! Pointers are compared to know a shared operation again; their order is never seen.
//!
//! Merges, diffs and long runs get a short name where the caller gives none. The daemon makes such
//! names from those of all inputs, so they would grow with the depth of the graph, and double at each
//! rung of a ladder.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use treenail_protos::pb;

use crate::caps;
use crate::digest::Digest;
use crate::file::{self, FileAction, FileNode, MAX_ACTIONS, MAX_INLINE_BYTES};
use crate::given::Given;
use crate::options::{Origin, SourceFile, SourceLocation, SourceRange};
use crate::output::{Identity, Node, Op, Output};
use crate::platform::Platform;
use crate::wire::encode_op;

/// What holds for all operations of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarshalOptions {
    /// For operations that have none of their own.
    pub platform: Platform,
    /// Filters in containerd's syntax for the worker of each operation.
    pub worker_constraints: Vec<String>,
}

impl MarshalOptions {
    /// Options with a default platform.
    pub fn new(platform: Platform) -> Self {
        Self { platform, worker_constraints: Vec::new() }
    }
}

/// Knows where operations come from.
pub type Locate<'a> = &'a dyn Fn(Identity) -> Option<SourceLocation>;

/// A graph as a daemon takes it.
#[derive(Clone, Debug)]
pub struct Marshalled {
    /// The vertices, inputs before users, the terminal one last; metadata by digest.
    pub definition: pb::Definition,
    /// The digest of the terminal vertex: equal for equal graphs and outputs. Metadata do not count.
    pub digest: Digest,
    /// The vertex whose output is asked for.
    pub head: Digest,
    /// What the daemon must be able to do, all vertices together.
    pub caps: BTreeSet<String>,
    /// The tags of each vertex, sorted, each once.
    pub origins: BTreeMap<Digest, Vec<Origin>>,
    /// For each exec, the outputs that nothing in the graph uses.
    pub unused: BTreeMap<Digest, Vec<Output>>,
}

impl Output {
    /// The definition of this tree.
    ///
    /// Twins (operations built alike) become one vertex, with the metadata and tags of all.
    pub fn marshal(&self, options: &MarshalOptions) -> Marshalled {
        self.marshal_with(options, None)
    }

    /// The same, with a source position for each operation that `locate` knows, besides those that it has itself.
    pub fn marshal_located(&self, options: &MarshalOptions, locate: Locate<'_>) -> Marshalled {
        self.marshal_with(options, Some(locate))
    }

    fn marshal_with(&self, options: &MarshalOptions, locate: Option<Locate<'_>>) -> Marshalled {
        let plan = Plan::new(self);
        let runs = Runs::new(&plan);
        let mut emitter = Emitter {
            options,
            plan: &plan,
            runs: &runs,
            digests: vec![None; plan.nodes.len()],
            definition: pb::Definition::default(),
            origins: BTreeMap::new(),
            unused: BTreeMap::new(),
            sources: Sources::default(),
            locate,
        };
        for position in 0..plan.nodes.len() {
            if !runs.is_continued[position] {
                emitter.emit(position);
            }
        }
        emitter.finish(self)
    }
}

/// The operations under an output, inputs before users.
struct Plan<'a> {
    nodes: Vec<&'a Arc<Node>>,
    /// Position by address.
    positions: BTreeMap<*const Node, usize>,
    /// How many edges lead to each operation, the one from outside included.
    users: Vec<usize>,
    /// Outputs with at least one such edge.
    used: BTreeSet<(*const Node, u32)>,
}

enum Step<'a> {
    Enter(&'a Arc<Node>),
    Leave(&'a Arc<Node>),
}

impl<'a> Plan<'a> {
    fn new(output: &'a Output) -> Self {
        let mut seen = BTreeSet::new();
        let mut steps = vec![Step::Enter(&output.node)];
        let mut edges: BTreeMap<*const Node, usize> = BTreeMap::from([(Arc::as_ptr(&output.node), 1)]);
        let mut plan = Self {
            nodes: Vec::new(),
            positions: BTreeMap::new(),
            users: Vec::new(),
            used: BTreeSet::from([(Arc::as_ptr(&output.node), output.index)]),
        };
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(node) => {
                    if !seen.insert(Arc::as_ptr(node)) {
                        continue;
                    }
                    steps.push(Step::Leave(node));
                    let first = steps.len();
                    node.op.inputs(&mut |input| {
                        *edges.entry(Arc::as_ptr(&input.node)).or_default() += 1;
                        plan.used.insert((Arc::as_ptr(&input.node), input.index));
                        steps.push(Step::Enter(&input.node));
                    });
                    // The first input comes off the stack first.
                    steps[first..].reverse();
                }
                Step::Leave(node) => {
                    plan.positions.insert(Arc::as_ptr(node), plan.nodes.len());
                    plan.nodes.push(node);
                }
            }
        }
        plan.users = plan.nodes.iter().map(|node| edges[&Arc::as_ptr(node)]).collect();
        plan
    }

    fn position(&self, output: &Output) -> usize {
        self.positions[&Arc::as_ptr(&output.node)]
    }
}

/// Which file actions share a vertex.
struct Runs {
    /// For each operation, whether the next action on top of it is in the same vertex.
    is_continued: Vec<bool>,
    /// For each operation, how many actions its vertex has up to here.
    lengths: Vec<usize>,
}

impl Runs {
    fn new(plan: &Plan<'_>) -> Self {
        let count = plan.nodes.len();
        let mut runs = Self { is_continued: vec![false; count], lengths: vec![1; count] };
        let mut bytes = vec![0; count];
        for (position, node) in plan.nodes.iter().enumerate() {
            let Op::File(file) = &node.op else { continue };
            bytes[position] = file.inline_bytes();
            let Some(base) = file.base.as_ref().filter(|_| file.is_small()) else {
                continue;
            };
            let below = plan.position(base);
            let joins = matches!(&plan.nodes[below].op, Op::File(base) if base.is_small())
                && plan.users[below] == 1
                && runs.lengths[below] < MAX_ACTIONS
                && bytes[below] + bytes[position] <= MAX_INLINE_BYTES
                && node.options.batches_with(&plan.nodes[below].options);
            if joins {
                runs.is_continued[below] = true;
                runs.lengths[position] = runs.lengths[below] + 1;
                bytes[position] += bytes[below];
            }
        }
        runs
    }
}

/// Leaves in `outputs` what is in `others`, too.
fn intersect(outputs: &mut Vec<Output>, others: &[Output]) {
    outputs.retain(|output| others.iter().any(|other| other.index == output.index));
}

/// The inputs of one vertex.
#[derive(Default)]
struct Inputs(Vec<pb::Input>);

impl Inputs {
    /// The position of an input, which equal ones share.
    fn shared(&mut self, input: pb::Input) -> i64 {
        let found = self.0.iter().position(|other| *other == input);
        let position = found.unwrap_or_else(|| {
            self.0.push(input);
            self.0.len() - 1
        });
        i64::try_from(position).expect("a list in memory is shorter")
    }
}

struct Emitter<'a> {
    options: &'a MarshalOptions,
    plan: &'a Plan<'a>,
    runs: &'a Runs,
    digests: Vec<Option<Digest>>,
    definition: pb::Definition,
    origins: BTreeMap<Digest, Vec<Origin>>,
    unused: BTreeMap<Digest, Vec<Output>>,
    sources: Sources,
    locate: Option<Locate<'a>>,
}

impl Emitter<'_> {
    fn emit(&mut self, position: usize) {
        let plan = self.plan;
        let node = plan.nodes[position];
        let mut inputs = Inputs::default();
        let mut members = vec![node];
        let mut capabilities = BTreeSet::new();
        let mut platform = None;
        let mut default_name = None;
        let push = |inputs: &mut Inputs, output: &Output| inputs.0.push(self.input(output));
        let op = match &node.op {
            Op::Source(source) => {
                platform = source.is_platform_specific().then_some(node.options.platform.as_ref());
                capabilities.extend(source.capabilities.iter().map(String::as_str));
                pb::op::Op::Source(source.to_pb())
            }
            Op::Exec(exec) => {
                platform = Some(node.platform.as_ref());
                capabilities.extend(exec.capabilities(&node.options));
                pb::op::Op::Exec(exec.to_pb(&mut |output| inputs.shared(self.input(output))))
            }
            Op::File(last) => {
                let mut files = vec![last];
                let mut below = last.base.as_ref();
                for _ in 1..self.runs.lengths[position] {
                    let next = plan.nodes[plan.position(below.expect("a run has this many actions"))];
                    let Op::File(file) = &next.op else { break };
                    members.push(next);
                    files.push(file);
                    below = file.base.as_ref();
                }
                members.reverse();
                files.reverse();
                capabilities.extend(files.iter().flat_map(|file| file.capabilities()));
                default_name = file::run_name(&files);
                pb::op::Op::File(self.file_op(&files, &mut inputs))
            }
            Op::Merge(merge) => {
                merge.inputs.iter().for_each(|input| push(&mut inputs, input));
                capabilities.insert(caps::MERGE_OP);
                default_name = Some(format!("merge of {} trees", merge.inputs.len()));
                pb::op::Op::Merge(merge.to_pb())
            }
            Op::Hold(hold) => {
                for input in &hold.inputs {
                    inputs.shared(self.input(input));
                }
                capabilities.insert(caps::FILE_BASE);
                platform = Some(node.options.platform.as_ref());
                pb::op::Op::File(hold.to_pb())
            }
            Op::Diff(diff) => {
                for input in [&diff.lower, &diff.upper].into_iter().flatten() {
                    push(&mut inputs, input);
                }
                capabilities.insert(caps::DIFF_OP);
                default_name = Some("diff of two trees".to_owned());
                pb::op::Op::Diff(diff.to_pb())
            }
            Op::Build(build) => {
                build.source.iter().for_each(|input| push(&mut inputs, input));
                platform = Some(node.options.platform.as_ref());
                capabilities.insert(caps::BUILD_OP_LLB_FILENAME);
                pb::op::Op::Build(build.to_pb())
            }
            Op::Given(given) => return self.emit_given(position, node, given),
        };
        let filter = self.options.worker_constraints.iter().chain(&node.options.worker_constraints);
        let bytes = encode_op(&pb::Op {
            inputs: inputs.0,
            platform: platform.map(|own| own.unwrap_or(&self.options.platform).to_pb()),
            constraints: Some(pb::WorkerConstraints { filter: filter.cloned().collect() }),
            op: Some(op),
        });
        let digest = Digest::of(&bytes);
        self.digests[position] = Some(digest.clone());
        if let Op::Exec(exec) = &node.op {
            let pointer = Arc::as_ptr(node);
            let unused = (0..exec.outputs())
                .filter(|index| !plan.used.contains(&(pointer, *index)))
                .map(|index| Output { node: Arc::clone(node), index })
                .collect();
            match self.unused.entry(digest.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(unused);
                }
                Entry::Occupied(mut entry) => intersect(entry.get_mut(), &unused),
            }
        }

        // A twin adds its metadata and tags to the vertex that is there.
        let metadata = self.definition.metadata.entry(digest.to_string()).or_insert_with(|| {
            self.definition.def.push(Bytes::from(bytes));
            pb::OpMetadata::default()
        });
        for capability in capabilities {
            metadata.caps.insert(capability.to_owned(), true);
        }
        for member in members {
            member.options.write_to(metadata);
            self.sources.add(&digest, &member.options.locations);
            if let Some(location) = self.locate.and_then(|locate| locate(Identity::of(member))) {
                self.sources.add(&digest, &[location]);
            }
            if !member.options.origins.is_empty() {
                let origins = self.origins.entry(digest.clone()).or_default();
                origins.extend_from_slice(&member.options.origins);
            }
        }
        if let Some(name) = default_name {
            let names = &mut metadata.description;
            names.entry("llb.customname".to_owned()).or_insert(name);
        }
    }

    /// An operation that is emitted as it came.
    fn emit_given(&mut self, position: usize, node: &Node, given: &Given) {
        let digest = Digest::of(&given.bytes);
        self.digests[position] = Some(digest.clone());
        let metadata = self.definition.metadata.entry(digest.to_string()).or_insert_with(|| {
            self.definition.def.push(given.bytes.clone());
            pb::OpMetadata::default()
        });
        node.options.write_to(metadata);
        self.sources.add(&digest, &node.options.locations);
        if !node.options.origins.is_empty() {
            self.origins.entry(digest).or_default().extend_from_slice(&node.options.origins);
        }
    }

    /// The edge to `output`. Its operation is emitted already, and ends its run.
    fn input(&self, output: &Output) -> pb::Input {
        let digest = self.digests[self.plan.position(output)].as_ref();
        pb::Input {
            digest: digest.expect("inputs come before users").to_string(),
            index: output.index.into(),
        }
    }

    /// The message of a run of actions. Each works on the result of the one before, which is numbered
    /// after the inputs; only the last result leaves the vertex.
    fn file_op(&self, files: &[&FileNode], inputs: &mut Inputs) -> pb::FileOp {
        let base = files[0].base.as_ref();
        let base = base.map_or(-1, |base| inputs.shared(self.input(base)));
        let mut actions: Vec<pb::FileAction> = files
            .iter()
            .map(|file| {
                let mut input = |output: &Output| inputs.shared(self.input(output));
                let secondary = match &file.action {
                    FileAction::Copy(copy) => copy.source.as_ref().map(&mut input),
                    _ => None,
                };
                pb::FileAction {
                    input: base,
                    secondary_input: secondary.unwrap_or(-1),
                    output: -1,
                    action: Some(file.action.to_pb(&mut input)),
                }
            })
            .collect();
        // The number of inputs is known only now.
        let first = i64::try_from(inputs.0.len()).expect("a list in memory is shorter");
        for (action, below) in actions.iter_mut().skip(1).zip(first..) {
            action.input = below;
        }
        if let Some(last) = actions.last_mut() {
            last.output = 0;
        }
        pb::FileOp { actions }
    }

    fn finish(mut self, output: &Output) -> Marshalled {
        let input = self.input(output);
        let head = self.digests[self.plan.position(output)].clone();
        let bytes = encode_op(&pb::Op { inputs: vec![input], ..pb::Op::default() });
        let digest = Digest::of(&bytes);
        self.definition.def.push(Bytes::from(bytes));

        let all = || self.definition.metadata.values();
        let mut wanted = BTreeSet::from([caps::CONSTRAINTS, caps::PLATFORM]);
        if all().any(|metadata| metadata.ignore_cache) {
            wanted.insert(caps::META_IGNORE_CACHE);
        }
        if all().any(|metadata| !metadata.description.is_empty()) {
            wanted.insert(caps::META_DESCRIPTION);
        }
        if all().any(|metadata| metadata.export_cache.is_some()) {
            wanted.insert(caps::META_EXPORT_CACHE);
        }
        let terminal = pb::OpMetadata {
            caps: wanted.into_iter().map(|name| (name.to_owned(), true)).collect(),
            ..pb::OpMetadata::default()
        };
        self.definition.metadata.insert(digest.to_string(), terminal);
        let metadata = self.definition.metadata.values();
        let caps = metadata.flat_map(|metadata| metadata.caps.keys().cloned()).collect();
        for origins in self.origins.values_mut() {
            origins.sort();
            origins.dedup();
        }
        self.definition.source = self.sources.finish();
        Marshalled {
            definition: self.definition,
            digest,
            head: head.expect("the asked operation ends its run"),
            caps,
            origins: self.origins,
            unused: self.unused,
        }
    }
}

/// Source positions, collected by vertex.
#[derive(Default)]
struct Sources {
    files: Vec<Arc<SourceFile>>,
    locations: BTreeMap<String, pb::Locations>,
}

impl Sources {
    fn add(&mut self, digest: &Digest, locations: &[SourceLocation]) {
        for location in locations {
            let is_known =
                |file: &Arc<SourceFile>| Arc::ptr_eq(file, &location.file) || **file == *location.file;
            let found = self.files.iter().position(is_known);
            let position = found.unwrap_or_else(|| {
                self.files.push(Arc::clone(&location.file));
                self.files.len() - 1
            });
            let list = &mut self.locations.entry(digest.to_string()).or_default().locations;
            let location = pb::Location {
                source_index: i32::try_from(position).unwrap_or(i32::MAX),
                ranges: location.ranges.iter().map(range_to_pb).collect(),
            };
            if !list.contains(&location) {
                list.push(location);
            }
        }
    }

    /// `None` where nothing was said.
    fn finish(self) -> Option<pb::Source> {
        (!self.files.is_empty()).then(|| pb::Source {
            locations: self.locations,
            infos: self
                .files
                .iter()
                .map(|file| pb::SourceInfo {
                    filename: file.filename.clone(),
                    data: file.data.clone(),
                    definition: None,
                    language: file.language.clone(),
                })
                .collect(),
        })
    }
}

fn range_to_pb(range: &SourceRange) -> pb::Range {
    let position = |(line, character)| Some(pb::Position { line, character });
    pb::Range { start: position(range.start), end: position(range.end) }
}
