//! The shared half of every transport that reaches a real daemon: the gateway service's calls, the life of a
//! build, and what answers and failures mean.

pub(crate) mod build;
pub(crate) mod failure;
pub(crate) mod gateway;
mod op_json;
mod progress;
