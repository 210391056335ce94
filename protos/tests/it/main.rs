//! Integration tests of the crate.

mod upstream;
