//! What a daemon did, in the daemon's own words: its build history, read with its own client.
//!
//! The demo counts with this and not with what treenail prints, so it cannot flatter itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use treenail_test_fixtures::kit::host;

/// One piece of work that the daemon was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vertex {
    pub(crate) name: String,
    /// Found in the cache.
    pub(crate) cached: bool,
    /// Began to run. A vertex that is merged into an equal one never does.
    pub(crate) started: bool,
    /// In milliseconds; 0 when it never completed.
    pub(crate) took: u64,
}

impl Vertex {
    /// Whether it is a command of the pipeline.
    pub(crate) fn is_exec(&self) -> bool {
        self.name.starts_with("withExec")
    }

    /// Whether the daemon really ran it.
    pub(crate) fn ran(&self) -> bool {
        self.started && !self.cached
    }
}

/// The references of all builds that a daemon remembers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Builds {
    pub(crate) finished: BTreeSet<String>,
    pub(crate) running: BTreeSet<String>,
}

/// The builds that the daemon remembers.
pub(crate) fn builds(buildctl: &Path, address: &str) -> Result<Builds> {
    let listed = ask(buildctl, address, &["debug", "histories", "--format", "{{json .}}"])?;
    Ok(references(&listed))
}

/// All vertices of one build, in the order in which they were first named.
pub(crate) fn vertices(buildctl: &Path, address: &str, build: &str) -> Result<Vec<Vertex>> {
    Ok(read_log(&ask(buildctl, address, &["debug", "logs", "--progress", "rawjson", build])?))
}

fn ask(buildctl: &Path, address: &str, arguments: &[&str]) -> Result<String> {
    // The client writes a log's progress to standard error and lists to standard output.
    let output = Command::new(buildctl)
        .args(["--addr", address])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .context("cannot start buildctl")?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    anyhow::ensure!(output.status.success(), "buildctl failed: {}", host::tail(&text, 5));
    Ok(text)
}

fn references(listed: &str) -> Builds {
    // BuildKit's `BuildHistoryEventType`: 0 started, 1 complete, 2 deleted; JSON leaves a zero out.
    let mut builds = Builds::default();
    for event in json_lines(listed) {
        let Some(reference) = event["record"]["Ref"].as_str() else { continue };
        match event["type"].as_u64().unwrap_or(0) {
            0 => builds.running.insert(reference.to_owned()),
            1 => builds.finished.insert(reference.to_owned()),
            _ => continue,
        };
    }
    builds
}

fn read_log(log: &str) -> Vec<Vertex> {
    let mut order = Vec::new();
    let mut found: BTreeMap<String, (Vertex, Option<String>, Option<String>)> = BTreeMap::new();
    for status in json_lines(log) {
        for event in status["vertexes"].as_array().into_iter().flatten() {
            let Some(digest) = event["digest"].as_str() else { continue };
            let (vertex, started, completed) = found.entry(digest.to_owned()).or_insert_with(|| {
                order.push(digest.to_owned());
                Default::default()
            });
            let text = |key: &str| event[key].as_str().map(str::to_owned);
            vertex.name = text("name").unwrap_or_default();
            vertex.cached |= event["cached"].as_bool().unwrap_or(false);
            vertex.started |= event["started"].is_string();
            *started = started.take().or(text("started"));
            *completed = text("completed").or(completed.take());
        }
    }
    order
        .iter()
        .filter_map(|digest| found.remove(digest))
        .map(|(mut vertex, started, completed)| {
            let milliseconds = |time: Option<String>| time.as_deref().and_then(parse_time);
            if let (Some(start), Some(end)) = (milliseconds(started), milliseconds(completed)) {
                vertex.took = end.saturating_sub(start);
            }
            vertex
        })
        .collect()
}

fn json_lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// Milliseconds since some midnight of `2026-11-25T01:38:26.588704449Z`: enough for differences within a few days.
fn parse_time(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let day: u64 = date.rsplit('-').next()?.parse().ok()?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let milliseconds: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((((day * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_becomes_vertices() {
        let log = concat!(
            r#"{"vertexes":[{"digest":"sha256:1","name":"withExec go test"},{"digest":"sha256:2","name":"upload"}]}"#,
            "\nnot json\n",
            r#"{"vertexes":[{"digest":"sha256:1","name":"withExec go test","started":"2026-11-25T23:59:59.9Z"}]}"#,
            "\n",
            r#"{"vertexes":[{"digest":"sha256:1","name":"withExec go test","started":"2026-11-25T23:59:59.9Z","completed":"2026-11-26T00:00:01.150Z"},{"digest":"sha256:2","name":"upload","cached":true,"started":"2026-11-25T00:00:00Z","completed":"2026-11-25T00:00:00Z"}]}"#,
        );
        let vertices = read_log(log);
        assert_eq!(
            vertices,
            [
                Vertex { name: "withExec go test".into(), cached: false, started: true, took: 1250 },
                Vertex { name: "upload".into(), cached: true, started: true, took: 0 },
            ]
        );
        assert!(vertices[0].is_exec() && vertices[0].ran());
        assert!(!vertices[1].is_exec() && !vertices[1].ran());
    }

    mod daemon {
        use super::super::{builds, vertices};
        use std::process::Command;

        #[test]
        fn a_build_is_found_in_the_history_with_its_commands() {
            let Some(daemon) = treenail_test_fixtures::daemon() else { return };
            let folder = tempfile::tempdir().expect("a folder");
            let context = folder.path().display();
            // New to the daemon, so that it runs.
            let script = format!("FROM alpine:3.20\nRUN echo {context}\n");
            std::fs::write(folder.path().join("Dockerfile"), script).expect("a file");
            let status = Command::new(daemon.buildctl())
                .args(["--addr", daemon.address(), "build", "--frontend=dockerfile.v0", "--progress=plain"])
                .args(["--local", &format!("context={context}"), "--local", &format!("dockerfile={context}")])
                .args(["--ref-file", &folder.path().join("ref").display().to_string()])
                .stderr(std::process::Stdio::null())
                .status()
                .expect("starts");
            assert!(status.success());
            let reference = std::fs::read_to_string(folder.path().join("ref")).expect("a reference");
            let known = builds(daemon.buildctl(), daemon.address()).expect("a list");
            assert!(known.finished.contains(reference.trim()), "{known:?}");
            let found = vertices(daemon.buildctl(), daemon.address(), reference.trim()).expect("a log");
            let run = found.iter().find(|vertex| vertex.name.contains("RUN echo")).expect("the command");
            assert!(run.ran(), "{found:?}");
        }
    }

    #[test]
    fn references_are_read_from_records() {
        let listed = concat!(
            r#"{"type":1,"record":{"Ref":"abc"}}"#,
            "\n",
            r#"{"record":{"Ref":"def"}}"#,
            "\n",
            r#"{"type":2,"record":{"Ref":"gone"}}"#,
        );
        let builds = references(listed);
        assert_eq!(builds.finished, BTreeSet::from(["abc".to_owned()]));
        assert_eq!(builds.running, BTreeSet::from(["def".to_owned()]));
    }
}
