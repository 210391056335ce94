//! `doctor`: which daemon, what it can do, what is missing.

use std::io::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use treenail_bridge::socket::{Connection, OpenOptions, SocketBridge};
use treenail_bridge::{Bridge as _, Capabilities};

use crate::args;
use crate::context::Context;
use crate::failure::{ERROR, Outcome};
use crate::version::API;

/// A capability that something needs.
struct Need {
    capability: &'static str,
    /// First release that has it, where that was looked up.
    since: Option<&'static str>,
    /// What does not work without it.
    without: &'static str,
}

const fn need(capability: &'static str, since: Option<&'static str>, without: &'static str) -> Need {
    Need { capability, since, without }
}

/// What is needed of the solver.
///
/// # Source
/// BuildKit v0.32.2 `solver/pb/caps.go`; `mechanisms.md` for the releases.
const LLB: &[Need] = &[
    need("exec.meta.base", None, "withExec"),
    need("exec.mount.secret", None, "withExec (its helper is a secret)"),
    need("exec.validexitcode", Some("v0.17"), "withExec(expect:)"),
    need("exec.secretenv", None, "withSecretVariable"),
    need("exec.mount.cache", None, "withMountedCache"),
    need("exec.mount.tmpfs", None, "withMountedTemp"),
    need("file.base", None, "withNewFile, withDirectory and the like"),
    need("file.copy.includeexcludepatterns", None, "include and exclude patterns"),
    need("file.symlink.create", None, "withSymlink"),
    need("mergeop", Some("v0.10"), "cheap merges of directories"),
    need("diffop", Some("v0.10"), "Directory.diff"),
    need("source.local.sharedkeyhint", None, "incremental uploads"),
];

/// What is needed of the gateway.
///
/// # Source
/// BuildKit v0.32.2 `frontend/gateway/pb/caps.go`; `mechanisms.md` 5 for the release.
const GATEWAY: &[Need] = &[
    need("solve.base", None, "anything"),
    need("readdir", None, "entries"),
    need("statfile", None, "stat, size and exists"),
    need("gateway.exec.filesystem", Some("v0.27"), "the output of failed commands"),
];

#[derive(Serialize)]
struct Report {
    address: String,
    found_by: String,
    buildkit: String,
    api: &'static str,
    workers: Vec<Worker>,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Worker {
    id: String,
    platforms: Vec<String>,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Missing {
    capability: &'static str,
    since: Option<&'static str>,
    without: &'static str,
}

pub(crate) async fn run(context: Context, args: args::Doctor) -> Outcome {
    let found = context.daemon()?;
    let connection = Connection::open(&found.address).await?;
    // A build of its own, for its capabilities; it leaves no record.
    let options = OpenOptions { internal: true, ..OpenOptions::default() };
    let bridge = SocketBridge::open(connection, options).await?;
    let report = report(bridge.capabilities(), found.address, found.origin.to_string());
    bridge.close(std::time::Duration::from_secs(2)).await;
    let text = if args.json {
        serde_json::to_string_pretty(&report).context("cannot write JSON")? + "\n"
    } else {
        render(&report)
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(if report.missing.is_empty() && !report.workers.is_empty() { 0 } else { ERROR })
}

fn report(capabilities: &Capabilities, address: String, found_by: String) -> Report {
    let missing = |needs: &'static [Need], known: &std::collections::BTreeSet<String>| -> Vec<Missing> {
        needs
            .iter()
            .filter(|need| !known.contains(need.capability))
            .map(|need| Missing { capability: need.capability, since: need.since, without: need.without })
            .collect()
    };
    let mut lacking = missing(LLB, &capabilities.llb);
    lacking.extend(missing(GATEWAY, &capabilities.frontend));
    Report {
        address,
        found_by,
        buildkit: capabilities.version.clone(),
        api: API,
        workers: capabilities
            .workers
            .iter()
            .map(|worker| Worker {
                id: worker.id.clone(),
                platforms: worker
                    .platforms
                    .iter()
                    .map(|platform| {
                        let parts = [&platform.os, &platform.architecture, &platform.variant];
                        let parts: Vec<&str> =
                            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                        parts.join("/")
                    })
                    .collect(),
                labels: worker.labels.clone(),
            })
            .collect(),
        missing: lacking,
    }
}

fn render(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(text, "address    {} (from {})", report.address, report.found_by);
    let _ = writeln!(
        text,
        "buildkit   {}",
        if report.buildkit.is_empty() { "unknown version" } else { &report.buildkit }
    );
    let _ = writeln!(text, "API        {}", report.api);
    for worker in &report.workers {
        let _ = writeln!(text, "worker     {}", worker.id);
        let _ = writeln!(text, "           {}", worker.platforms.join(", "));
        for (name, value) in &worker.labels {
            let _ = writeln!(text, "           {name}={value}");
        }
    }
    if report.workers.is_empty() {
        let _ = writeln!(text, "worker     none: this daemon can run nothing");
    }
    if report.missing.is_empty() {
        let _ = writeln!(text, "missing    nothing");
    }
    for missing in &report.missing {
        let since = missing.since.map(|since| format!(" (in BuildKit since {since})")).unwrap_or_default();
        let _ = writeln!(text, "missing    {}{since}: needed for {}", missing.capability, missing.without);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_release() {
        let mut capabilities = Capabilities { version: "v0.9.0".to_owned(), ..Capabilities::default() };
        capabilities.llb =
            LLB.iter().map(|need| need.capability.to_owned()).filter(|id| id != "mergeop").collect();
        capabilities.frontend = GATEWAY.iter().map(|need| need.capability.to_owned()).collect();
        let report = report(&capabilities, "unix:///x".to_owned(), "--addr".to_owned());
        let text = render(&report);
        assert!(text.contains("missing    mergeop (in BuildKit since v0.10)"), "{text}");
        assert!(text.contains("worker     none"), "{text}");
        assert_eq!(report.missing.len(), 1);
    }
}
