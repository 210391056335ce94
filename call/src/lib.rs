//! The identity of a call: what it is, its digest, and the ID that clients hold.
//!
//! A value of the API is named by the chain of calls that made it. [`CallId`] is such a chain, seen
//! from its last call; [`NewCall`] makes one; [`CallId::encode`] and [`decode`] turn it into the text
//! that clients treat as opaque and back.
//!
//! Invariants:
//! - No IO, no clock, no chance: the same call has the same digest and the same ID everywhere, those
//!   of Dagger 0.19.11.
//! - Sensitive arguments are in no digest, ID or text.
//! - IDs from outside are hostile: [`Limits`] bound the memory, and no chain, however long, uses stack.

mod decode;
mod digest;
mod display;
mod encode;
mod id;
mod literal;
mod preimage;
mod scan;
mod types;

pub use decode::{DecodeError, Limits, decode};
pub use digest::{Digest, accessor, hash_strings, host_label};
pub use display::{ARGUMENTS_LIMIT, Selection};
pub use id::{CallId, Module, NewCall, PathSegment, WrongType};
pub use literal::{Argument, Literal, MAX_LITERAL_DEPTH};
pub use types::Type;
