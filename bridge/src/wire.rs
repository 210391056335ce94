//! The shared half of every transport that reaches a real daemon: the gateway service's calls, the life of a
//! build, and what answers and failures mean.

pub(crate) mod build;
pub(crate) mod endpoint;
pub(crate) mod failure;
pub(crate) mod gateway;
mod op_json;
mod progress;
pub(crate) mod rejection;

use std::collections::BTreeSet;

use treenail_protos::moby::buildkit::v1::apicaps::ApiCap;

/// Ids of the capabilities that are on.
pub(crate) fn enabled(capabilities: Vec<ApiCap>) -> BTreeSet<String> {
    capabilities.into_iter().filter(|capability| capability.enabled).map(|capability| capability.id).collect()
}
