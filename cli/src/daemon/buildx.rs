//! Reads which builder is selected in buildx, and where it is.
//!
//! # Source
//! buildx v0.38.2 `store/store.go`, `store/nodegroup.go`; `docker/cli` `cli/context/store`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Surroundings, is_supported};

/// Why a builder cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Unusable {
    #[error("buildx knows no builder `{name}`")]
    Unknown { name: String },
    #[error("the state of the builder `{name}` cannot be read")]
    Unreadable { name: String },
    #[error("the builder `{name}` has the driver `{driver}`, which is not in this release; `remote` is")]
    Driver { name: String, driver: String },
    #[error("no node of the builder `{name}` is at a unix:// or tcp:// address without TLS")]
    NoNode { name: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Current {
    #[serde(default)]
    key: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    global: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    #[serde(default)]
    driver: String,
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    driver_opts: Option<std::collections::BTreeMap<String, String>>,
}

/// The name of the selected builder. It counts only for the Docker endpoint that it was selected for.
pub(super) fn selected(around: &dyn Surroundings) -> Option<String> {
    let text = around.read(&folder(around)?.join("current"))?;
    let current: Current = serde_json::from_str(&text).ok()?;
    let counts = !current.name.is_empty() && (current.global || current.key == docker_endpoint(around));
    counts.then_some(current.name)
}

/// The address of a builder: that of its first node that can be reached.
pub(super) fn address(name: &str, around: &dyn Surroundings) -> Result<String, Unusable> {
    let unknown = || Unusable::Unknown { name: name.to_owned() };
    // The name becomes a file's name.
    if name.contains('/') || name == ".." {
        return Err(unknown());
    }
    let path = folder(around).ok_or_else(unknown)?.join("instances").join(name);
    let text = around.read(&path).ok_or_else(unknown)?;
    let instance: Instance =
        serde_json::from_str(&text).map_err(|_| Unusable::Unreadable { name: name.to_owned() })?;
    if instance.driver != "remote" {
        return Err(Unusable::Driver { name: name.to_owned(), driver: instance.driver });
    }
    instance
        .nodes
        .into_iter()
        .find(Node::is_reachable)
        .map(|node| node.endpoint)
        .ok_or_else(|| Unusable::NoNode { name: name.to_owned() })
}

impl Node {
    fn is_reachable(&self) -> bool {
        let scheme = self.endpoint.split_once("://").is_some_and(|(scheme, _)| is_supported(scheme));
        let tls = self.driver_opts.iter().flatten().any(|(key, value)| {
            matches!(key.as_str(), "cacert" | "cert" | "key" | "servername") && !value.is_empty()
        });
        scheme && !tls
    }
}

/// Where buildx keeps its state.
fn folder(around: &dyn Surroundings) -> Option<PathBuf> {
    match around.variable("BUILDX_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => Some(docker_folder(around)?.join("buildx")),
    }
}

fn docker_folder(around: &dyn Surroundings) -> Option<PathBuf> {
    match around.variable("DOCKER_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => Some(Path::new(&around.variable("HOME")?).join(".docker")),
    }
}

/// What buildx keys a selection by: `DOCKER_HOST`, or the name of a context. The default context's key is the
/// address of the usual socket.
fn docker_endpoint(around: &dyn Surroundings) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        #[serde(default)]
        current_context: String,
    }
    if let Some(host) = around.variable("DOCKER_HOST") {
        return host;
    }
    let configured = || {
        let text = around.read(&docker_folder(around)?.join("config.json"))?;
        Some(serde_json::from_str::<Config>(&text).ok()?.current_context)
    };
    let context = around.variable("DOCKER_CONTEXT").or_else(configured).unwrap_or_default();
    match context.as_str() {
        "" | "default" => "unix:///var/run/docker.sock".to_owned(),
        name => name.to_owned(),
    }
}
