//! The bytes of a vertex, which its digest is taken over.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, message, string};
use treenail_protos::pb;

/// Encodes `op` as BuildKit's own client does.
///
/// Two things differ from a plain encoding, and digests depend on both: the members of the `op`
/// choice come last although their numbers are lower than the platform's, and an entry of a map
/// always says key and value, even where they are empty.
///
/// # Source
/// protobuf-go v1.36 `internal/impl/codec_message.go` (choices last) and `codec_map.go`.
pub fn encode_op(op: &pb::Op) -> Vec<u8> {
    let mut out = Vec::with_capacity(op.encoded_len() + 16);
    for input in &op.inputs {
        message::encode(1, input, &mut out);
    }
    if let Some(platform) = &op.platform {
        message::encode(10, platform, &mut out);
    }
    if let Some(constraints) = &op.constraints {
        message::encode(11, constraints, &mut out);
    }
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => message::encode(2, exec, &mut out),
        Some(pb::op::Op::Source(source)) => nested(3, &source_op(source), &mut out),
        Some(pb::op::Op::File(file)) => message::encode(4, file, &mut out),
        Some(pb::op::Op::Build(build)) => nested(5, &build_op(build), &mut out),
        Some(pb::op::Op::Merge(merge)) => message::encode(6, merge, &mut out),
        Some(pb::op::Op::Diff(diff)) => message::encode(7, diff, &mut out),
        Some(pb::op::Op::Passthrough(pass)) => message::encode(8, pass, &mut out),
        None => {}
    }
    out
}

fn source_op(source: &pb::SourceOp) -> Vec<u8> {
    let mut out = Vec::new();
    if !source.identifier.is_empty() {
        string::encode(1, &source.identifier, &mut out);
    }
    for (name, value) in &source.attrs {
        entry(2, name, value.as_bytes(), &mut out);
    }
    out
}

fn build_op(build: &pb::BuildOp) -> Vec<u8> {
    let mut out = Vec::new();
    if build.builder != 0 {
        prost::encoding::int64::encode(1, &build.builder, &mut out);
    }
    for (name, input) in &build.inputs {
        entry(2, name, &input.encode_to_vec(), &mut out);
    }
    if let Some(definition) = &build.def {
        message::encode(3, definition, &mut out);
    }
    for (name, value) in &build.attrs {
        entry(4, name, value.as_bytes(), &mut out);
    }
    out
}

/// An entry of a map from text to text or message: both parts, whatever they are.
fn entry(number: u32, key: &str, value: &[u8], out: &mut Vec<u8>) {
    let mut pair = Vec::with_capacity(key.len() + value.len() + 8);
    nested(1, key.as_bytes(), &mut pair);
    nested(2, value, &mut pair);
    nested(number, &pair, out);
}

/// A field of `bytes`, length first.
fn nested(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
