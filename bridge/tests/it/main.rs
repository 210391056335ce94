//! What the bridge promises, shown four ways.
//!
//! * `daemon`: against a stock buildkitd.
//! * `fake`: the fake that other crates test with.
//! * `scripted`: against a peer in this process that misbehaves on command.
//! * `stdio`: as a frontend of that peer.

mod daemon;
mod fake;
mod graph;
mod peer;
mod scripted;
mod stdio;
