//! From the text of an ID to a call.
//!
//! Invariant: the text comes from a client. Nothing here recurses over its chains, and nothing is
//! allocated before [`Limits`] allow it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;
use treenail_protos::call as wire;

use crate::digest::Digest;
use crate::id::{Call, CallId, Module};
use crate::literal::{Argument, Literal, MAX_LITERAL_DEPTH};
use crate::types::Type;
use crate::{preimage, scan};

/// Padding is needed; stray bits in the last character are let pass, as Go lets them.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// How large an ID from outside may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub max_bytes: usize,
    /// Calls in it.
    pub max_calls: usize,
    /// Everything counted: messages, strings and numbers. The memory needed grows with this, by about a hundred bytes each.
    pub max_fields: usize,
    /// Lists and objects inside each other. More than [`MAX_LITERAL_DEPTH`] has no effect.
    pub max_depth: usize,
}

impl Default for Limits {
    /// Room for chains of tens of thousands of calls and for file contents of megabytes.
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_calls: 100_000, max_fields: 2_000_000, max_depth: MAX_LITERAL_DEPTH }
    }
}

/// Why a text is no usable ID. The messages are those of 0.19.11 where it has one, cause included.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is no text.
    #[error("cannot decode empty string as ID")]
    Empty,
    /// The text is not padded base64.
    #[error("failed to decode base64: {0}")]
    Base64(String),
    /// The bytes are not the message they should be.
    #[error("failed to unmarshal proto: {0}")]
    Proto(String),
    /// One of the [`Limits`] is exceeded.
    #[error("ID has too many {what}: more than {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A call is referred to and not there.
    #[error("call digest {digest:?} not found")]
    NotFound {
        /// Of the call that is missing.
        digest: Digest,
    },
    /// A call is filed under another digest than it carries.
    #[error("call digest mismatch {key:?} != {carried:?}")]
    Mismatch {
        /// Where it is filed.
        key: Digest,
        /// What it carries.
        carried: Digest,
    },
    /// A call carries a digest that is neither chosen nor its own.
    #[error("call digest mismatch {claimed:?} != {computed:?}")]
    Forged {
        /// What it carries.
        claimed: Digest,
        /// What it hashes to.
        computed: Digest,
    },
    /// A call needs itself.
    #[error("call digest {digest:?} refers to itself")]
    Cycle {
        /// Of a call in the circle.
        digest: Digest,
    },
    /// An argument, or a value in it, is left open.
    #[error("call digest {digest:?} has an argument without a value")]
    NoValue {
        /// Of the call with the argument.
        digest: Digest,
    },
    /// A call claims to be an element of a list, and there is no list or no such position.
    #[error("call digest {digest:?} is an element of no list")]
    NoList {
        /// Of the call.
        digest: Digest,
    },
}

/// Reads an ID that came from outside.
///
/// Digests that were not chosen are recomputed. Calls in the text that the root does not need are ignored.
///
/// # Errors
/// Any [`DecodeError`].
///
/// # Source
/// Dagger 0.19.11, `dagql/call`.
pub fn decode(text: &str, limits: &Limits) -> Result<CallId, DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::Empty);
    }
    if text.len() > limits.max_bytes {
        return Err(DecodeError::TooLarge { what: "bytes", limit: limits.max_bytes });
    }
    let bytes = BASE64.decode(text).map_err(|cause| DecodeError::Base64(cause.to_string()))?;
    let limits = Limits { max_depth: limits.max_depth.min(MAX_LITERAL_DEPTH), ..*limits };
    scan::check(&bytes, &limits)?;
    let dag = wire::Dag::decode(&*bytes).map_err(|cause| DecodeError::Proto(cause.to_string()))?;
    drop(bytes);
    Graph { waiting: dag.calls_by_digest, entered: BTreeMap::new(), done: BTreeMap::new() }
        .build(dag.root_digest)
}

/// The calls of an ID on their way from wire to call. Each is in one of the three maps.
struct Graph {
    waiting: BTreeMap<String, wire::Call>,
    /// What they refer to is being built.
    entered: BTreeMap<String, wire::Call>,
    done: BTreeMap<Arc<str>, CallId>,
}

impl Graph {
    fn build(mut self, root: String) -> Result<CallId, DecodeError> {
        let mut pending = vec![root.clone()];
        // Every turn either enters a call or takes one off, so the work is linear in the references.
        while let Some(key) = pending.last() {
            if self.done.contains_key(key.as_str()) {
                pending.pop();
            } else if let Some(call) = self.entered.remove(key) {
                let built = self.call(call)?;
                self.done.insert(built.digest().as_str().into(), built);
                pending.pop();
            } else {
                let call = self.waiting.remove(key).ok_or_else(|| not_found(key))?;
                if call.digest != *key {
                    return Err(DecodeError::Mismatch {
                        key: Digest::new(key.as_str()),
                        carried: Digest::new(call.digest),
                    });
                }
                let key = key.clone();
                for reference in references(&call) {
                    if reference == key || self.entered.contains_key(reference) {
                        return Err(DecodeError::Cycle { digest: Digest::new(reference) });
                    }
                    if !self.done.contains_key(reference) {
                        pending.push(reference.to_owned());
                    }
                }
                self.entered.insert(key, call);
            }
        }
        self.find(&root)
    }

    fn find(&self, digest: &str) -> Result<CallId, DecodeError> {
        self.done.get(digest).cloned().ok_or_else(|| not_found(digest))
    }

    fn call(&self, call: wire::Call) -> Result<CallId, DecodeError> {
        let digest = Digest::new(call.digest);
        let receiver = match call.receiver_digest.as_str() {
            "" => None,
            receiver => Some(self.find(receiver)?),
        };
        let nth = u64::try_from(call.nth).map_err(|_| DecodeError::NoList { digest: digest.clone() })?;
        if nth > 0 && receiver.is_none() {
            return Err(DecodeError::NoList { digest });
        }
        let args = call
            .args
            .into_iter()
            .map(|arg| self.argument(arg).map(|(name, value)| Argument::new(name, value)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| cause.in_call(&digest))?;
        let module = match call.module {
            None => None,
            Some(module) => Some(Module {
                call: self.find(&module.call_digest)?,
                name: module.name.into(),
                reference: module.r#ref.into(),
                pin: module.pin.into(),
            }),
        };
        let call = Call {
            receiver,
            result: call.r#type.map(type_from_wire),
            field: call.field.into(),
            args: (!args.is_empty()).then(|| Arc::new(args)),
            nth,
            module,
            view: call.view.into(),
            digest,
            is_custom_digest: call.is_custom_digest,
            content_digest: (!call.content_digest.is_empty()).then(|| Digest::new(call.content_digest)),
            effect_ids: call.effect_ids.into_iter().map(Arc::from).collect(),
        };
        verify(&call)?;
        Ok(CallId::from_call(call))
    }

    fn argument(&self, arg: wire::Argument) -> Result<(Arc<str>, Literal), LiteralError> {
        let value = arg.value.ok_or(LiteralError::NoValue)?;
        Ok((arg.name.into(), self.literal(value)?))
    }

    /// Recurses no deeper than the limit that the scan has enforced.
    fn literal(&self, literal: wire::Literal) -> Result<Literal, LiteralError> {
        use wire::literal::Value;
        Ok(match literal.value.ok_or(LiteralError::NoValue)? {
            Value::CallDigest(digest) => {
                Literal::Id(self.done.get(digest.as_str()).cloned().ok_or(LiteralError::NotFound(digest))?)
            }
            Value::Null(_) => Literal::Null,
            Value::Bool(value) => Literal::Bool(value),
            Value::Enum(member) => Literal::Enum(member.into()),
            Value::Int(value) => Literal::Int(value),
            Value::Float(value) => Literal::Float(value),
            Value::String(text) => Literal::String(text.into()),
            Value::List(list) => Literal::List(
                list.values.into_iter().map(|value| self.literal(value)).collect::<Result<_, _>>()?,
            ),
            Value::Object(object) => Literal::Object(
                object.values.into_iter().map(|field| self.argument(field)).collect::<Result<_, _>>()?,
            ),
        })
    }
}

/// What is wrong inside an argument, before it is known in which call.
enum LiteralError {
    NoValue,
    NotFound(String),
}

impl LiteralError {
    fn in_call(self, digest: &Digest) -> DecodeError {
        match self {
            Self::NoValue => DecodeError::NoValue { digest: digest.clone() },
            Self::NotFound(missing) => not_found(&missing),
        }
    }
}

fn not_found(digest: &str) -> DecodeError {
    DecodeError::NotFound { digest: Digest::new(digest) }
}

/// Checks a digest that was not chosen.
///
/// A reference that carries a content digest now may have been hashed before it had one, so the plain
/// digests are tried too.
fn verify(call: &Call) -> Result<(), DecodeError> {
    if call.is_custom_digest {
        return Ok(());
    }
    let computed = Digest::of_bytes(&preimage::of(call, CallId::content_digest_or_digest));
    if computed == call.digest || Digest::of_bytes(&preimage::of(call, CallId::digest)) == call.digest {
        return Ok(());
    }
    Err(DecodeError::Forged { claimed: call.digest.clone(), computed })
}

/// The digests that a call refers to.
fn references(call: &wire::Call) -> Vec<&str> {
    let mut found = Vec::new();
    if !call.receiver_digest.is_empty() {
        found.push(call.receiver_digest.as_str());
    }
    found.extend(call.module.as_ref().map(|module| module.call_digest.as_str()));
    let mut open: Vec<&wire::Literal> = call.args.iter().filter_map(|arg| arg.value.as_ref()).collect();
    while let Some(literal) = open.pop() {
        match &literal.value {
            Some(wire::literal::Value::CallDigest(digest)) => found.push(digest),
            Some(wire::literal::Value::List(list)) => open.extend(&list.values),
            Some(wire::literal::Value::Object(object)) => {
                open.extend(object.values.iter().filter_map(|field| field.value.as_ref()));
            }
            _ => {}
        }
    }
    found
}

fn type_from_wire(of: wire::Type) -> Type {
    Type {
        named: of.named_type.into(),
        elem: of.elem.map(|elem| Box::new(type_from_wire(*elem))),
        non_null: of.non_null,
    }
}
