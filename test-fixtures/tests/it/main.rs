//! The kit against the real thing.

mod daemon;
