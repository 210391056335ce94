//! Walks a definition and runs its vertices over trees in memory.

use std::collections::HashMap;

use prost::Message;
use treenail_protos::pb::{self, op};

use super::{FakeBridge, Tree, file_op, sha256};
use crate::{Error, ExecFailure};

/// The tree that a definition's terminal vertex points at.
pub(super) fn evaluate(bridge: &FakeBridge, definition: &pb::Definition) -> Result<Tree, Error> {
    let mut ops = HashMap::new();
    let mut last = None;
    for bytes in &definition.def {
        let op = pb::Op::decode(bytes.as_ref()).map_err(|error| refused(&error.to_string()))?;
        let digest = format!("sha256:{}", sha256(bytes));
        ops.insert(digest.clone(), op);
        last = Some(digest);
    }
    let Some(last) = last else { return Ok(Tree::default()) };
    let terminal = &ops[&last];
    let [input] = terminal.inputs.as_slice() else {
        return Err(refused("the last vertex has not one input"));
    };
    // Children come before parents whatever the order of the definition: an explicit stack, since tests build
    // chains of thousands.
    let mut stack = vec![input.digest.clone()];
    while let Some(digest) = stack.last().cloned() {
        if bridge.state.lock().vertices.contains_key(&digest) {
            stack.pop();
            continue;
        }
        let op = ops.get(&digest).ok_or_else(|| refused(&format!("no vertex {digest}")))?;
        let missing: Vec<_> = {
            let state = bridge.state.lock();
            op.inputs.iter().filter(|input| !state.vertices.contains_key(&input.digest)).collect()
        };
        if missing.is_empty() {
            let outputs = run(bridge, &digest, op).map_err(|error| at(&digest, error))?;
            bridge.state.lock().vertices.insert(digest, outputs);
            stack.pop();
        } else {
            stack.extend(missing.into_iter().map(|input| input.digest.clone()));
        }
        if stack.len() > ops.len() * ops.len() {
            return Err(refused("the graph has a cycle"));
        }
    }
    output(bridge, input)
}

fn output(bridge: &FakeBridge, input: &pb::Input) -> Result<Tree, Error> {
    let state = bridge.state.lock();
    let outputs = state.vertices.get(&input.digest);
    let tree = usize::try_from(input.index).ok().and_then(|index| outputs?.get(index));
    tree.cloned().ok_or_else(|| refused(&format!("{} has no output {}", input.digest, input.index)))
}

fn run(bridge: &FakeBridge, digest: &str, op: &pb::Op) -> Result<Vec<Tree>, Error> {
    let inputs = op.inputs.iter().map(|input| output(bridge, input)).collect::<Result<Vec<_>, _>>()?;
    match op.op.as_ref() {
        Some(op::Op::File(file)) => file_op::run(file, &inputs),
        Some(op::Op::Source(source)) => {
            let tree = bridge.state.lock().sources.get(&source.identifier).cloned();
            let message = || format!("{}: not found", source.identifier);
            Ok(vec![tree.ok_or_else(|| Error::Vertex { vertex: None, message: message() })?])
        }
        Some(op::Op::Merge(merge)) => {
            let mut result = Tree::default();
            for layer in &merge.inputs {
                result.overlay(&pick(&inputs, layer.input)?);
            }
            Ok(vec![result])
        }
        Some(op::Op::Diff(diff)) => {
            let lower = pick(&inputs, diff.lower.as_ref().map_or(-1, |lower| lower.input))?;
            let upper = pick(&inputs, diff.upper.as_ref().map_or(-1, |upper| upper.input))?;
            Ok(vec![lower.difference(&upper)])
        }
        Some(op::Op::Exec(exec)) => run_exec(bridge, digest, op, exec, &inputs),
        _ => Err(refused("the fake does not know this op")),
    }
}

fn run_exec(
    bridge: &FakeBridge,
    digest: &str,
    op: &pb::Op,
    exec: &pb::ExecOp,
    inputs: &[Tree],
) -> Result<Vec<Tree>, Error> {
    bridge.count(|counts| counts.execs += 1);
    let mut trees = Vec::new();
    for mount in &exec.mounts {
        let tree = if mount.mount_type() == pb::MountType::Bind {
            pick(inputs, mount.input)?
        } else {
            Tree::default()
        };
        trees.push(if mount.selector.is_empty() { tree } else { tree.subtree(&mount.selector)? });
    }
    let run = bridge.state.lock().exec.clone();
    let code = run.map_or(0, |run| run(exec, &mut trees));
    let valid = exec.meta.as_ref().map(|meta| meta.valid_exit_codes.as_slice()).unwrap_or_default();
    let accepted = if valid.is_empty() { code == 0 } else { valid.contains(&code) };
    if accepted {
        // Mounts of other types leave nothing, whatever number stands there: clients leave it at 0.
        let keeps = |mount: &pb::Mount| mount.output >= 0 && mount.mount_type() == pb::MountType::Bind;
        let mut outputs: Vec<_> = exec.mounts.iter().zip(trees).filter(|(mount, _)| keeps(mount)).collect();
        outputs.sort_by_key(|(mount, _)| mount.output);
        return Ok(outputs.into_iter().map(|(_, tree)| tree).collect());
    }
    let mount_ids: Vec<_> = (0..trees.len()).map(|index| format!("failed-{digest}-{index}")).collect();
    bridge.state.lock().failed.extend(mount_ids.iter().cloned().zip(trees));
    Err(Error::Exec(Box::new(ExecFailure {
        vertex: digest.into(),
        exit_code: u32::try_from(code).unwrap_or(u32::MAX),
        mount_ids,
        input_ids: Vec::new(),
        op: Box::new(op.clone()),
        message: format!("process did not complete successfully: exit code: {code}"),
    })))
}

fn pick(inputs: &[Tree], index: i64) -> Result<Tree, Error> {
    if index < 0 {
        return Ok(Tree::default());
    }
    let tree = usize::try_from(index).ok().and_then(|index| inputs.get(index));
    tree.cloned().ok_or_else(|| refused(&format!("no input {index}")))
}

/// A failed vertex names itself.
fn at(digest: &str, error: Error) -> Error {
    match error {
        Error::Vertex { vertex: None, message } => Error::Vertex { vertex: Some(digest.into()), message },
        Error::NotFound { path } => Error::Vertex {
            vertex: Some(digest.into()),
            message: format!("lstat {path}: no such file or directory"),
        },
        Error::NotDirectory { path } => {
            Error::Vertex { vertex: Some(digest.into()), message: format!("lstat {path}: not a directory") }
        }
        other => other,
    }
}

fn refused(message: &str) -> Error {
    Error::Refused { operation: "solve", message: message.to_owned() }
}
