//! Turns a call into a value: memo, look-ups, *when* the daemon works.
//!
//! Invariants:
//! - Pure calls never reach the daemon; [`Engine::solve`] is the only place that makes it work, once a definition.
//! - A call is its digest: equal calls of a session are one run, and a failed run is not remembered.
//! - The engine knows neither HTTP nor a terminal nor the session protocols: it asks a [`Bridge`] and a [`Host`],
//!   and the meaning of each field is handed in as [`Fields`].
//!
//! [`Bridge`]: treenail_bridge::Bridge

mod dockerfile;
mod engine;
mod error;
mod export;
mod files;
mod flight;
mod git;
mod host;
mod http;
mod images;
mod import;
mod keep;
mod load;
mod lookup;
mod origins;
mod retry;
mod secrets;
mod solve;

pub use engine::{Engine, Evaluated, Fields, Request, Resolved, Rule};
pub use error::{Cause, ExecError, Failed};
pub use files::{ANSWER_LIMIT, Entry};
pub use git::GitQuery;
pub use host::{
    Document, ExportTarget, GitAccess, GitFailure, GitRemote, Host, HostError, Ranges, Receiving,
    SecretValue, SharedDirectory, WantedDirectory,
};
pub use http::HttpQuery;
pub use solve::Stream;
