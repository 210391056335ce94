//! Asking again for what failed for a reason outside the graph.
//!
//! A daemon remembers a failure for as long as a build holds its vertex, and answers it without a new try. A source
//! is another vertex with the same content when it carries an attribute that the daemon does not know; an exec runs
//! once more when its cache is ignored. So after such a failure, later definitions of the session carry a counter
//! in their sources, and the failed exec is told to ignore its cache. That helps an exec once; after a second failure
//! only a new session does, and the error says so. (A second build beside the first would meet the same vertex:
//! builds share what they run.)
//!
//! # Source
//! `mechanisms.md` 1.5, tried on v0.15 and v0.32.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use prost::Message;
use treenail_llb as llb;
use treenail_protos::pb;

/// Attribute of a source that the daemon ignores.
const ATTRIBUTE: &str = "treenail.retry";

/// What failed so far in this session.
#[derive(Default)]
pub(crate) struct Retries(Mutex<Failures>);

#[derive(Default)]
struct Failures {
    attempt: u32,
    /// Vertices that are no sources, by the digest that they have without any attempt.
    execs: BTreeSet<String>,
}

/// A definition as it is asked for, and how its vertices are called without attempts.
pub(crate) struct Attempt {
    pub(crate) definition: pb::Definition,
    /// How many failures there were before.
    pub(crate) number: u32,
    /// Digest as asked → digest without attempts, where the two differ.
    original: BTreeMap<String, String>,
    /// The other way round.
    asked: BTreeMap<String, String>,
}

impl Attempt {
    /// What the daemon calls a vertex of this definition in this attempt.
    pub(crate) fn asked<'a>(&'a self, vertex: &'a str) -> &'a str {
        self.asked.get(vertex).map_or(vertex, String::as_str)
    }

    /// What an exec is called without attempts; `None` for sources and for what is not in the definition.
    fn exec(&self, vertex: &str) -> Option<String> {
        let bytes = self.definition.def.iter().find(|bytes| llb::Digest::of(bytes).as_str() == vertex)?;
        let op = pb::Op::decode(bytes.clone()).ok()?;
        (!is_source(&op)).then(|| self.original.get(vertex).cloned().unwrap_or_else(|| vertex.to_owned()))
    }
}

impl Retries {
    /// The definition of the next attempt: unchanged as long as nothing failed.
    pub(crate) fn apply(&self, definition: pb::Definition) -> Attempt {
        let failures = self.0.lock();
        rewrite(definition, failures.attempt, &failures.execs)
    }

    /// How many failures there were.
    pub(crate) fn number(&self) -> u32 {
        self.0.lock().attempt
    }

    /// Takes a failure in: the next definitions ask again. `vertex` is the digest that the daemon named.
    ///
    /// Answers whether asking again can help: an exec that ignored its cache and failed again is repeated from the
    /// daemon's memory, since vertices with one key are one to it as soon as both ignore the cache, in all builds.
    pub(crate) fn note(&self, attempt: &Attempt, vertex: Option<&str>) -> bool {
        let mut failures = self.0.lock();
        failures.attempt += 1;
        vertex.and_then(|vertex| attempt.exec(vertex)).is_none_or(|exec| failures.execs.insert(exec))
    }
}

/// Writes the attempt into all sources, and renames whatever stands on them. A definition that does not decode is
/// left alone: the daemon says what is wrong with it.
fn rewrite(definition: pb::Definition, attempt: u32, execs: &BTreeSet<String>) -> Attempt {
    let unchanged = |definition| Attempt {
        definition,
        number: attempt,
        original: BTreeMap::new(),
        asked: BTreeMap::new(),
    };
    if attempt == 0 {
        return unchanged(definition);
    }
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut original = BTreeMap::new();
    let mut next = pb::Definition { source: definition.source.clone(), ..Default::default() };
    for bytes in &definition.def {
        let Ok(mut op) = pb::Op::decode(bytes.clone()) else { return unchanged(definition) };
        let before = llb::Digest::of(bytes).to_string();
        for input in &mut op.inputs {
            if let Some(name) = renamed.get(&input.digest) {
                input.digest.clone_from(name);
            }
        }
        if let Some(pb::op::Op::Source(source)) = &mut op.op {
            source.attrs.insert(ATTRIBUTE.to_owned(), attempt.to_string());
        }
        let encoded = llb::encode_op(&op);
        let after = llb::Digest::of(&encoded).to_string();
        if let Some(metadata) = definition.metadata.get(&before) {
            let mut metadata = metadata.clone();
            metadata.ignore_cache |= execs.contains(&before);
            next.metadata.insert(after.clone(), metadata);
        }
        next.def.push(encoded.into());
        original.insert(after.clone(), before.clone());
        renamed.insert(before, after);
    }
    if let Some(source) = &mut next.source {
        source.locations = std::mem::take(&mut source.locations)
            .into_iter()
            .map(|(digest, locations)| (renamed.get(&digest).cloned().unwrap_or(digest), locations))
            .collect();
    }
    Attempt { definition: next, number: attempt, original, asked: renamed }
}

fn is_source(op: &pb::Op) -> bool {
    matches!(op.op, Some(pb::op::Op::Source(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> pb::Definition {
        let base = llb::Image::new("docker.io/library/alpine:3.20").output(llb::OpOptions::named("base"));
        let exec = llb::Exec::new(base, ["true"]).run().expect("a command");
        let root = exec.root().expect("a root");
        root.marshal(&llb::MarshalOptions::new(llb::Platform::new("linux", "amd64"))).definition
    }

    #[test]
    fn nothing_changes_before_a_failure() {
        let retries = Retries::default();
        assert_eq!(retries.apply(definition()).definition, definition());
    }

    #[test]
    fn a_failed_source_is_another_vertex_and_so_is_what_stands_on_it() {
        let retries = Retries::default();
        let first = retries.apply(definition());
        let source = llb::Digest::of(&first.definition.def[0]).to_string();
        assert!(retries.note(&first, Some(&source)), "sources are asked again and again");
        let second = retries.apply(definition());
        let ops: Vec<pb::Op> =
            second.definition.def.iter().map(|bytes| pb::Op::decode(bytes.clone()).expect("an op")).collect();
        let Some(pb::op::Op::Source(op)) = &ops[0].op else { panic!("a source first") };
        assert_eq!(op.attrs[ATTRIBUTE], "1");
        // Every edge still meets its vertex, and every vertex its metadata.
        for (position, op) in ops.iter().enumerate() {
            for input in &op.inputs {
                let earlier = &second.definition.def[..position];
                assert!(earlier.iter().any(|bytes| llb::Digest::of(bytes).to_string() == input.digest));
            }
        }
        assert!(second.definition.metadata.values().all(|metadata| !metadata.ignore_cache));
        assert_eq!(second.definition.metadata.len(), definition().metadata.len());
    }

    #[test]
    fn a_failed_exec_ignores_its_cache_whatever_it_is_called_by_then() {
        let retries = Retries::default();
        let first = retries.apply(definition());
        let exec = llb::Digest::of(&first.definition.def[1]).to_string();
        assert!(retries.note(&first, Some(&exec)));
        let second = retries.apply(definition());
        let renamed = llb::Digest::of(&second.definition.def[1]).to_string();
        assert_ne!(renamed, exec);
        assert!(second.definition.metadata[&renamed].ignore_cache);
        assert!(!retries.note(&second, Some(&renamed)), "a second failure stays");
        assert_eq!(retries.0.lock().execs.len(), 1);
    }
}
