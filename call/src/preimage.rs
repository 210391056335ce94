//! The bytes of a call that are hashed.
//!
//! Invariant: every byte here is fixed by Dagger 0.19.11, whose IDs must get the digests they carry.
//! Not hashed: the digest itself, whether it was chosen, the call's own content digest, effects.

use crate::digest::{Digest, END};
use crate::id::{Call, CallId};
use crate::literal::Literal;

/// What stands for a call that the hashed one refers to.
pub(crate) type StandIn = fn(&CallId) -> &Digest;

/// The bytes whose hash is the digest of `call`.
pub(crate) fn of(call: &Call, stand_in: StandIn) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::with_capacity(256), stand_in };
    if let Some(receiver) = &call.receiver {
        out.string((out.stand_in)(receiver).as_str());
    }
    out.end();
    let mut next = call.result.as_ref();
    while let Some(level) = next {
        out.string(&level.named);
        out.byte(if level.non_null { 2 } else { 1 });
        out.end();
        next = level.elem.as_deref();
    }
    out.end();
    out.string(&call.field);
    out.end();
    for arg in call.args.iter().flat_map(|args| args.iter()).filter(|arg| !arg.sensitive) {
        out.string(&arg.name);
        out.literal(&arg.value);
        out.end();
    }
    out.end();
    out.number(call.nth.to_be_bytes());
    out.end();
    if let Some(module) = &call.module {
        out.string(module.call.digest().as_str());
        out.string(&module.name);
        out.string(&module.reference);
        out.string(&module.pin);
    }
    out.end();
    out.string(&call.view);
    out.end();
    out.bytes
}

struct Writer {
    bytes: Vec<u8>,
    stand_in: StandIn,
}

impl Writer {
    fn end(&mut self) {
        self.bytes.push(END);
    }

    fn string(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end();
    }

    fn byte(&mut self, value: u8) {
        self.bytes.push(value);
        self.end();
    }

    fn number(&mut self, big_endian: [u8; 8]) {
        self.bytes.extend_from_slice(&big_endian);
        self.end();
    }

    fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Id(id) => {
                self.byte(b'0');
                self.string((self.stand_in)(id).as_str());
            }
            Literal::Null => {
                self.byte(b'1');
                self.byte(1);
            }
            Literal::Bool(value) => {
                self.byte(b'2');
                self.byte(if *value { 1 } else { 2 });
            }
            Literal::Enum(member) => {
                self.byte(b'3');
                self.string(member);
            }
            Literal::Int(value) => {
                self.byte(b'4');
                self.number(value.to_be_bytes());
            }
            Literal::Float(value) => {
                self.byte(b'5');
                self.number(value.to_bits().to_be_bytes());
            }
            Literal::String(text) => {
                self.byte(b'6');
                self.string(text);
            }
            Literal::List(elements) => {
                self.byte(b'7');
                for element in elements {
                    self.literal(element);
                }
            }
            Literal::Object(fields) => {
                self.byte(b'8');
                for (name, value) in fields {
                    self.string(name);
                    self.literal(value);
                    self.end();
                }
            }
        }
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    #[test]
    fn a_field_of_query() {
        let call = CallId::root("directory", Type::required("Directory"));
        let hex: String = of(call.call(), CallId::digest).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "004469726563746f727900020000006469726563746f727900000000000000000000000000000000");
    }
}
