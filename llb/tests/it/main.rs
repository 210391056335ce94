//! Integration tests of the crate, one file per promise.

mod deep;
mod golden;
mod graphs;
mod runs;
mod text;
