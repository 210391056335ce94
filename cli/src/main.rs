//! The treenail binary.
fn main() {}
