//! Graphs that come from elsewhere as definitions: a frontend's answer is one.
//!
//! Invariant: a vertex keeps its bytes, and so its digest and its place in caches, unless the caller changes it or
//! something below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use treenail_protos::pb;

use crate::digest::Digest;
use crate::error::DefinitionError;
use crate::options::{LinuxResources, OpOptions, ProgressGroup, SourceFile, SourceLocation, SourceRange};
use crate::output::{Node, Op, Output};
use crate::platform::Platform;
use crate::wire::encode_op;

/// An operation in the words that it came in.
pub(crate) struct Given {
    pub(crate) bytes: Bytes,
    /// Where its edges lead, in its own order.
    pub(crate) inputs: Vec<Output>,
}

impl Output {
    /// The tree that a definition stands for; nothing for the empty tree.
    ///
    /// `change` sees each operation once, inputs before users, and answers whether it has changed it. Names, locations
    /// and whatever else a definition says of its vertices come along.
    ///
    /// # Errors
    /// The definition does not decode, an edge leads nowhere, or inputs come after their users.
    pub fn from_definition(
        definition: &pb::Definition,
        mut change: impl FnMut(&mut pb::Op) -> bool,
    ) -> Result<Option<Self>, DefinitionError> {
        let Some((last, vertices)) = definition.def.split_last() else { return Ok(None) };
        let files = source_files(definition);
        // By the digest that the definition has: the vertex, and its digest now.
        let mut known: BTreeMap<String, (Arc<Node>, Digest)> = BTreeMap::new();
        for bytes in vertices {
            let before = Digest::of(bytes);
            let mut op = pb::Op::decode(bytes.clone()).map_err(DefinitionError::Vertex)?;
            let mut changed = change(&mut op);
            let mut inputs = Vec::with_capacity(op.inputs.len());
            for input in &mut op.inputs {
                let (node, now) = known.get(&input.digest).ok_or_else(|| dangling(&input.digest))?;
                inputs.push(Self { node: Arc::clone(node), index: index(input)? });
                if now.as_str() != input.digest {
                    now.as_str().clone_into(&mut input.digest);
                    changed = true;
                }
            }
            let bytes = if changed { encode_op(&op).into() } else { bytes.clone() };
            let now = if changed { Digest::of(&bytes) } else { before.clone() };
            let platform = op.platform.map(platform);
            let options = options(definition, before.as_str(), &files, platform);
            let node = Self::new(Op::Given(Given { bytes, inputs }), options, None).node;
            known.insert(before.to_string(), (node, now));
        }
        let end = pb::Op::decode(last.clone()).map_err(DefinitionError::Vertex)?;
        // The last entry is no operation: it says which result is meant.
        let (None, [input]) = (&end.op, &end.inputs[..]) else { return Err(DefinitionError::NoEnd) };
        let (node, _) = known.get(&input.digest).ok_or_else(|| dangling(&input.digest))?;
        Ok(Some(Self { node: Arc::clone(node), index: index(input)? }))
    }
}

fn dangling(digest: &str) -> DefinitionError {
    DefinitionError::Dangling { digest: digest.to_owned() }
}

fn index(input: &pb::Input) -> Result<u32, DefinitionError> {
    u32::try_from(input.index).map_err(|_| dangling(&input.digest))
}

fn platform(platform: pb::Platform) -> Platform {
    Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant,
        os_version: platform.os_version,
        os_features: platform.os_features,
    }
}

fn source_files(definition: &pb::Definition) -> Vec<Arc<SourceFile>> {
    let infos = definition.source.iter().flat_map(|source| &source.infos);
    infos
        .map(|info| {
            Arc::new(SourceFile {
                filename: info.filename.clone(),
                language: info.language.clone(),
                data: info.data.clone(),
            })
        })
        .collect()
}

/// What a definition says of a vertex.
fn options(
    definition: &pb::Definition,
    digest: &str,
    files: &[Arc<SourceFile>],
    platform: Option<Platform>,
) -> OpOptions {
    let mut options = OpOptions { platform, ..OpOptions::default() };
    if let Some(metadata) = definition.metadata.get(digest) {
        options.ignore_cache = metadata.ignore_cache;
        options.description.clone_from(&metadata.description);
        options.export_cache = metadata.export_cache.as_ref().map(|export| export.value);
        options.capabilities =
            metadata.caps.iter().filter(|(_, wanted)| **wanted).map(|(name, _)| name.clone()).collect();
        options.progress_group = metadata.progress_group.as_ref().map(|group| ProgressGroup {
            id: group.id.clone(),
            name: group.name.clone(),
            weak: group.weak,
        });
        options.resources = metadata.linux_resources.as_ref().map(|resources| LinuxResources {
            memory: resources.memory,
            memory_swap: resources.memory_swap,
            cpu_shares: resources.cpu_shares,
            cpu_period: resources.cpu_period,
            cpu_quota: resources.cpu_quota,
            cpuset_cpus: resources.cpuset_cpus.clone(),
            cpuset_mems: resources.cpuset_mems.clone(),
        });
    }
    let locations = definition.source.iter().filter_map(|source| source.locations.get(digest));
    options.locations = locations
        .flat_map(|list| &list.locations)
        .filter_map(|location| {
            let file = files.get(usize::try_from(location.source_index).ok()?)?;
            Some(SourceLocation {
                file: Arc::clone(file),
                ranges: location.ranges.iter().map(range).collect(),
            })
        })
        .collect();
    options
}

fn range(range: &pb::Range) -> SourceRange {
    let position = |position: &Option<pb::Position>| {
        position.as_ref().map_or((0, 0), |position| (position.line, position.character))
    };
    SourceRange { start: position(&range.start), end: position(&range.end) }
}
