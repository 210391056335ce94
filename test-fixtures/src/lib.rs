//! What the tests of this house stand on, and the kit that makes it from nothing.
//!
//! * [`cases`] are questions and answers recorded from a real 0.19.11 engine.
//! * [`kit`] builds a stock buildkitd from its Go module, makes small images, serves them from a
//!   loopback registry and starts private daemons that use it as mirror.
//! * [`GitServer`] and [`WebServer`] are what pipelines fetch from.
//! * [`shared`] hands one daemon to all tests of a run, or says why there is none.
//!
//! A test that needs the daemon lives in a module named `daemon`, one that also needs an SDK in a
//! module named `sdk`: `cargo xtask test` picks its layers by these names.
//!
//! **Invariant:** nothing here is used by the product; only `[dev-dependencies]` and `xtask` name this crate.

pub mod cases;
pub mod git_server;
pub mod kit;
pub mod shared;
pub mod web;

pub use cases::{Case, Expected, cases};
pub use git_server::{GitRepo, GitServer};
pub use shared::{TestDaemon, buildx, daemon, python};
pub use web::{WebRequest, WebResponse, WebServer};
