//! The 0.19 API over HTTP: schema, requests, answers.
//!
//! A request goes through one file after the other: [`http`] takes it off the wire, [`prepare`] parses it (`document`),
//! checks it against the schema (`check`, [`sdl`]) and reads its arguments ([`coerce`]); an [`http::Executor`] then walks the
//! prepared fields and writes the answer ([`json`], [`error`]), leaving introspection to [`introspect`].
//!
//! The schema is written down once, in `graphql/schema/*.graphql`. async-graphql lends the types at the edge: variables and
//! their values. Its parser stops at 64 nested selections and its executor overflows the stack, so both are our own: documents
//! are flat arenas and answers are streams of bytes, and a chain of 10 000 calls takes linear time and constant stack.
//!
//! Invariants: nothing has run when a request is refused; hostile input ends in a typed error within the limits of
//! [`document::limits`].

mod binding;
mod check;
pub mod coerce;
pub mod document;
pub mod error;
mod execute;
mod fields;
pub mod http;
pub mod introspect;
pub mod json;
pub mod outline;
pub mod prepare;
mod schema;
pub mod sdl;

pub use execute::{Api, Observer, Watcher, fields};
