//! Integration tests of the crate, one file per promise.

mod deep;
mod given;
mod golden;
mod graphs;
mod hold;
mod located;
mod runs;
mod text;
