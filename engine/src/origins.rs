//! Which call an operation comes from.
//!
//! The model knows no calls, so operations are told apart by what is new: whatever a call's value stands on, and no
//! earlier value did, was made by that call. Each operation is looked at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use treenail_bridge::stdio::Excerpt;
use treenail_call::CallId;
use treenail_llb as llb;
use treenail_model::{MountKind, Object, Tree, Value};
use treenail_protos::pb;

use crate::Document;

/// The operations seen so far, for a client whose calls stand in a document.
pub(crate) struct Origins {
    document: Arc<dyn Document>,
    seen: Mutex<HashMap<llb::Identity, Seen>>,
    /// By vertex, of those that failed.
    failures: Mutex<HashMap<String, Vec<Excerpt>>>,
}

struct Seen {
    location: llb::SourceLocation,
    /// Keeps the operation alive, or its identity would be given to another.
    _output: llb::Output,
}

impl Origins {
    pub(crate) fn new(document: Arc<dyn Document>) -> Self {
        Self { document, seen: Mutex::default(), failures: Mutex::default() }
    }

    /// Takes in the value of a call. Calls that are not in the document leave theirs to the call that made them.
    pub(crate) fn note(&self, call: &CallId, value: &Value) {
        let Some(location) = self.document.location(call.digest()) else { return };
        let mut pending = Vec::new();
        outputs(value, &mut pending);
        let mut seen = self.seen.lock();
        while let Some(output) = pending.pop() {
            let identity = output.identity();
            if seen.contains_key(&identity) {
                continue;
            }
            pending.extend(output.inputs());
            seen.insert(identity, Seen { location: location.clone(), _output: output });
        }
    }

    /// Takes in that a vertex of a definition failed.
    pub(crate) fn note_failure(&self, definition: &pb::Definition, vertex: &str) {
        let Some(source) = &definition.source else { return };
        let Some(known) = source.locations.get(vertex) else { return };
        let excerpt = |location: &pb::Location| {
            let file = source.infos.get(usize::try_from(location.source_index).ok()?)?.clone();
            Some(Excerpt { file, ranges: location.ranges.clone() })
        };
        let excerpts = known.locations.iter().filter_map(excerpt).collect();
        self.failures.lock().insert(vertex.to_owned(), excerpts);
    }

    /// Where a vertex that failed comes from.
    pub(crate) fn excerpts(&self, vertex: &str) -> Vec<Excerpt> {
        self.failures.lock().get(vertex).cloned().unwrap_or_default()
    }

    /// Where an operation comes from.
    pub(crate) fn location(&self, operation: llb::Identity) -> Option<llb::SourceLocation> {
        self.seen.lock().get(&operation).map(|seen| seen.location.clone())
    }
}

/// Everything that a value stands on.
fn outputs(value: &Value, into: &mut Vec<llb::Output>) {
    let mut add = |tree: &Tree| into.extend(tree.output().ok().flatten().cloned());
    match value {
        Value::Object(Object::Container(container)) => {
            if let Some(root) = &container.rootfs {
                add(&root.tree);
            }
            for mount in &container.mounts {
                match &mount.kind {
                    MountKind::Directory(directory) => add(&directory.tree),
                    MountKind::File(file) => add(&file.tree),
                    MountKind::Cache { .. } | MountKind::Temp { .. } => {}
                }
            }
            if let Some(exec) = &container.last_exec {
                add(&exec.tree);
            }
        }
        Value::Object(Object::Directory(directory)) => add(&directory.tree),
        Value::Object(Object::File(file)) => add(&file.tree),
        Value::List(items) => items.iter().for_each(|item| outputs(item, into)),
        _ => {}
    }
}
