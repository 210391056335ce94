//! A look over an encoded ID before it is decoded, so that limits hold before memory is spent.
//!
//! A two-byte message on the wire is dozens of bytes in memory; counting first keeps that factor in hand.

use prost::encoding::decode_varint;

use crate::decode::{DecodeError, Limits};

/// The messages of the ID, and everything whose inside does not matter here.
#[derive(Clone, Copy)]
enum Kind {
    Dag,
    Entry,
    Call,
    Module,
    Argument,
    Literal,
    List,
    Object,
    Type,
    Leaf,
}

impl Kind {
    /// What field `number` of this message holds.
    fn field(self, number: u64) -> Self {
        match (self, number) {
            (Self::Dag, 2) => Self::Entry,
            (Self::Entry, 2) => Self::Call,
            (Self::Call, 2) | (Self::Type, 2) => Self::Type,
            (Self::Call, 4) | (Self::Object, 1) => Self::Argument,
            (Self::Call, 8) => Self::Module,
            (Self::Argument, 2) | (Self::List, 1) => Self::Literal,
            (Self::Literal, 8) => Self::List,
            (Self::Literal, 9) => Self::Object,
            _ => Self::Leaf,
        }
    }
}

struct Frame {
    kind: Kind,
    end: usize,
    /// Lists, objects and list types around this message.
    depth: usize,
}

/// Checks the shape of `bytes` against `limits`.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    let mut at = 0;
    let mut fields = 0;
    let mut calls = 0;
    let mut open = vec![Frame { kind: Kind::Dag, end: bytes.len(), depth: 0 }];
    while let Some(&Frame { kind, end, depth }) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        fields += 1;
        if fields > limits.max_fields {
            return Err(DecodeError::TooLarge { what: "fields", limit: limits.max_fields });
        }
        let (key, after) = varint(bytes, at, end)?;
        let size = match key & 7 {
            0 => varint(bytes, after, end)?.1 - after,
            1 => 8,
            5 => 4,
            2 => {
                let (length, body) = varint(bytes, after, end)?;
                let length = usize::try_from(length).map_err(|_| malformed())?;
                let inner = kind.field(key >> 3);
                let inner_end =
                    body.checked_add(length).filter(|&inner_end| inner_end <= end).ok_or_else(malformed)?;
                let (levels, most) = match inner {
                    Kind::List | Kind::Object => (1, limits.max_depth),
                    // The innermost type is no list.
                    Kind::Type => (1, limits.max_depth + 1),
                    _ => (0, usize::MAX),
                };
                let depth = depth + levels;
                if depth > most {
                    return Err(DecodeError::TooLarge { what: "levels", limit: limits.max_depth });
                }
                if matches!(inner, Kind::Call) {
                    calls += 1;
                    if calls > limits.max_calls {
                        return Err(DecodeError::TooLarge { what: "calls", limit: limits.max_calls });
                    }
                }
                at = inner_end;
                if !matches!(inner, Kind::Leaf) {
                    at = body;
                    open.push(Frame { kind: inner, end: inner_end, depth });
                }
                continue;
            }
            _ => return Err(malformed()),
        };
        at = after.checked_add(size).filter(|&next| next <= end).ok_or_else(malformed)?;
    }
    Ok(())
}

/// The number at `at` and the place behind it.
fn varint(bytes: &[u8], at: usize, end: usize) -> Result<(u64, usize), DecodeError> {
    let mut rest = bytes.get(at..end).ok_or_else(malformed)?;
    let value = decode_varint(&mut rest).map_err(|cause| DecodeError::Proto(cause.to_string()))?;
    Ok((value, end - rest.len()))
}

fn malformed() -> DecodeError {
    DecodeError::Proto("cannot parse invalid wire-format data".into())
}
