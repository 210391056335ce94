//! The one place that makes the daemon work.

use std::sync::Arc;

use futures::FutureExt;
use treenail_bridge::stdio::Excerpt;
use treenail_bridge::{Error as BridgeError, ExecFailure, Ref, SolveRequest};
use treenail_init as init;
use treenail_llb as llb;
use treenail_model::{ExecOutput, Tree};
use treenail_protos::pb;

use crate::git::fetch_failure;
use crate::{Cause, Engine, ExecError};

/// Most bytes of each output kept in an exec error. The text of a cut and the trimming are 0.19.11's.
///
/// # Source
/// `contract/session.md` 8.
const ERROR_OUTPUT_LIMIT: u64 = init::TAIL_LIMIT;

impl Engine {
    /// Evaluates a tree: everything it stands on has run when this returns. `None` is the empty tree.
    ///
    /// A definition is asked for once per session: refs have no release, and equal trees share one.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for a poisoned tree, [`Cause::Exec`] for a failed command, [`Cause::Daemon`].
    pub async fn solve(&self, tree: &Tree) -> Result<Option<Ref>, Cause> {
        let Some(output) = tree.output().map_err(Cause::invalid)? else { return Ok(None) };
        let marshalled = self.marshal(output);
        self.check_capabilities(&marshalled)?;
        let engine = self.clone();
        let digest = marshalled.digest.clone();
        let run = move || {
            async move {
                let attempt = engine.0.retries.apply(marshalled.definition);
                engine.0.kept.note(&marshalled.unused, &attempt);
                let definition = Some(attempt.definition.clone());
                let request = SolveRequest { definition, evaluate: true, ..Default::default() };
                match engine.0.bridge.solve(request).await {
                    Ok(solved) => solved.reference.ok_or_else(|| {
                        Cause::Bug("a definition with content was solved to nothing".to_owned())
                    }),
                    Err(BridgeError::Exec(failure)) => {
                        engine.note_failure(&attempt.definition, Some(&failure.vertex));
                        Err(engine.explain(&failure).await)
                    }
                    Err(other) => {
                        engine.note_failure(&attempt.definition, vertex_of(&other));
                        let failed_fetch = fetch_failure(&attempt.definition, &other);
                        let is_stuck =
                            other.is_transient() && !engine.0.retries.note(&attempt, vertex_of(&other));
                        let shown = if is_stuck { stuck(other) } else { other };
                        Err(failed_fetch.unwrap_or(Cause::Daemon(shown)))
                    }
                }
            }
            .boxed()
        };
        self.0.solves.run(digest, run).await.map(Some)
    }

    /// The definition of a tree as it was last asked for; `None` for the empty one.
    pub(crate) fn definition(&self, tree: &Tree) -> Result<Option<pb::Definition>, Cause> {
        let output = tree.output().map_err(Cause::invalid)?;
        Ok(output.map(|output| self.0.retries.apply(self.marshal(output).definition).definition))
    }

    fn note_failure(&self, definition: &pb::Definition, vertex: Option<&str>) {
        if let (Some(origins), Some(vertex)) = (&self.0.origins, vertex) {
            origins.note_failure(definition, vertex);
        }
    }

    /// Where in which document a vertex comes from that failed in this session.
    pub fn excerpts(&self, vertex: &str) -> Vec<Excerpt> {
        self.0.origins.as_ref().map(|origins| origins.excerpts(vertex)).unwrap_or_default()
    }

    /// A graph as it is asked for, with its lines in the client's document where there is one.
    pub(crate) fn marshal(&self, output: &llb::Output) -> llb::Marshalled {
        let options = self.marshal_options();
        match &self.0.origins {
            Some(origins) => output.marshal_located(&options, &|operation| origins.location(operation)),
            None => output.marshal(&options),
        }
    }

    /// What holds for every graph of this session.
    pub(crate) fn marshal_options(&self) -> llb::MarshalOptions {
        llb::MarshalOptions::new(self.default_llb_platform())
    }

    /// Fails before any work when the daemon lacks something that the graph needs.
    pub(crate) fn check_capabilities(&self, marshalled: &llb::Marshalled) -> Result<(), Cause> {
        let known = &self.0.bridge.capabilities().llb;
        if known.is_empty() {
            return Ok(());
        }
        match marshalled.caps.iter().find(|capability| !known.contains(*capability)) {
            None => Ok(()),
            Some(missing) => Err(Cause::Unsupported {
                field: "this pipeline".to_owned(),
                capability: missing.clone(),
                since: String::new(),
                hint: format!("buildkitd lacks the capability `{missing}`; use a newer buildkitd"),
            }),
        }
    }

    /// The platform of graphs that say none: the daemon's own.
    fn default_llb_platform(&self) -> llb::Platform {
        let platform = self.default_platform();
        let built = llb::Platform::new(&platform.os, &platform.architecture);
        if platform.variant.is_empty() { built } else { built.with_variant(&platform.variant) }
    }

    /// Turns a failed exec into what its caller is told: what it ran, how it ended, what it wrote.
    pub(crate) async fn explain(&self, failure: &ExecFailure) -> Cause {
        let Some(exec) = exec_of(&failure.op) else {
            return Cause::Daemon(BridgeError::Exec(Box::new(failure.clone())));
        };
        let args = exec.meta.as_ref().map(|meta| meta.args.clone()).unwrap_or_default();
        let spec = args.get(1..).and_then(|args| init::ExecSpec::from_args(args.iter().cloned()).ok());
        let command = spec.as_ref().map_or(args, |spec| spec.args.clone());
        let mount = exec.mounts.iter().position(|mount| mount.dest == init::OUTPUT_DIR);
        if mount.is_none() {
            return self.explain_foreign(failure, exec).await;
        }

        let record = match self.read_failed(failure, mount, init::EXIT_FILE).await {
            Some((bytes, _)) => init::ExitRecord::decode(&bytes).ok(),
            None => None,
        };
        let stdout = self.read_failed(failure, mount, init::STDOUT_FILE).await;
        let stderr = self.read_failed(failure, mount, init::STDERR_FILE).await;
        let code = i64::from(failure.exit_code as i32);
        let (exit_code, reason) = match record {
            Some(init::ExitRecord::Exited(code)) => (i64::from(code), None),
            Some(init::ExitRecord::Signaled(signal)) => (128 + i64::from(signal), None),
            Some(init::ExitRecord::Failed(message)) => (-1, Some(message)),
            None => (code, None),
        };
        Cause::Exec(Arc::new(ExecError {
            command,
            exit_code,
            stdout: clipped(stdout),
            stderr: clipped(stderr),
            reason,
            vertex: failure.vertex.clone(),
        }))
    }

    /// The end of a file in the output mount of a failed exec, if there is one.
    async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: Option<usize>,
        name: &str,
    ) -> Option<(bytes::Bytes, u64)> {
        let limit =
            if name.ends_with(init::TAIL_SUFFIX) { ERROR_OUTPUT_LIMIT + 32 } else { ERROR_OUTPUT_LIMIT };
        match self.0.bridge.read_failed(failure, mount?, name, limit).await {
            Ok(found) => Some(found),
            Err(BridgeError::TooLarge { .. }) if !name.ends_with(init::TAIL_SUFFIX) => {
                let tail = format!("{name}{}", init::TAIL_SUFFIX);
                let (bytes, _) = Box::pin(self.read_failed(failure, mount, &tail)).await?;
                let end = bytes.iter().position(|byte| *byte == b'\n')?;
                let size = String::from_utf8_lossy(&bytes[..end]).parse().ok()?;
                Some((bytes.slice(end + 1..), size))
            }
            Err(error) => {
                tracing::debug!(%error, name, "the output of a failed exec cannot be read");
                None
            }
        }
    }

    /// One of the outputs that a command left behind, as text. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`Engine::solve`]; the output is larger than an answer may be.
    pub async fn exec_output(&self, output: &ExecOutput, stream: Stream) -> Result<String, Cause> {
        let name = match stream {
            Stream::Stdout => init::STDOUT_FILE,
            Stream::Stderr => init::STDERR_FILE,
            Stream::Combined if output.no_init => {
                // Process 1 writes its two files by itself; nothing saw in which order.
                let stdout = self.exec_file(output, init::STDOUT_FILE).await?;
                return Ok(stdout + &self.exec_file(output, init::STDERR_FILE).await?);
            }
            Stream::Combined => init::COMBINED_FILE,
        };
        self.exec_file(output, name).await
    }

    async fn exec_file(&self, output: &ExecOutput, name: &str) -> Result<String, Cause> {
        let Some(reference) = self.solve(&output.tree).await? else { return Ok(String::new()) };
        let read = self.0.bridge.read_file(&reference, &format!("/{name}"), None, crate::ANSWER_LIMIT).await;
        let bytes = match read {
            Err(BridgeError::TooLarge { size, limit }) => {
                return Err(Cause::invalid(format!("file size {size} exceeds limit {limit}")));
            }
            other => other?,
        };
        if !output.no_init || output.secrets.is_empty() {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let mut secrets = Vec::new();
        for secret in output.secrets.iter() {
            secrets.push(self.plaintext(secret).await?);
        }
        let mut scrubber = init::Scrubber::new(secrets.iter().map(|secret| secret.to_vec()));
        let mut clean = Vec::with_capacity(bytes.len());
        scrubber.push(&bytes, &mut clean);
        scrubber.finish(&mut clean);
        Ok(String::from_utf8_lossy(&clean).into_owned())
    }

    /// The exit code of a command that ended in an accepted way.
    ///
    /// # Errors
    /// As [`Engine::solve`].
    pub async fn exit_code(&self, output: &ExecOutput) -> Result<i64, Cause> {
        let Some(reference) = self.solve(&output.tree).await? else { return Ok(0) };
        if output.no_init {
            // Only 0 is accepted of a command that runs as process 1.
            return Ok(0);
        }
        let record = self
            .0
            .bridge
            .read_file(&reference, &format!("/{}", init::EXIT_FILE), None, init::MESSAGE_LIMIT as u64 + 64)
            .await?;
        match init::ExitRecord::decode(&record) {
            Ok(record) => Ok(record.code().into()),
            Err(error) => Err(Cause::Bug(format!("the exit record of a command is unreadable: {error}"))),
        }
    }
}

/// An output of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both, in the order in which they arrived.
    Combined,
}

fn vertex_of(error: &BridgeError) -> Option<&str> {
    match error {
        BridgeError::Vertex { vertex, .. } => vertex.as_deref(),
        _ => None,
    }
}

/// A failure that the daemon repeats from now on, with the way out.
fn stuck(error: BridgeError) -> BridgeError {
    match error {
        BridgeError::Vertex { vertex, message } => BridgeError::Vertex {
            vertex,
            message: format!(
                "{message} (buildkitd keeps this failure until the session ends: open a new one to try again)"
            ),
        },
        other => other,
    }
}

fn exec_of(op: &pb::Op) -> Option<&pb::ExecOp> {
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => Some(exec),
        _ => None,
    }
}

/// The text of an output's end: when it was cut, a mark lies over its first bytes.
pub(crate) fn clipped(output: Option<(bytes::Bytes, u64)>) -> String {
    let Some((bytes, size)) = output else { return String::new() };
    let mut bytes = bytes.to_vec();
    if size >= ERROR_OUTPUT_LIMIT {
        let mark = format!("[omitting {} bytes]...", size - ERROR_OUTPUT_LIMIT);
        let length = mark.len().min(bytes.len());
        bytes[..length].copy_from_slice(&mark.as_bytes()[..length]);
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_output_says_how_much_is_missing() {
        let long = vec![b'x'; 102_400];
        let text = clipped(Some((long.into(), 102_450)));
        assert!(text.starts_with("[omitting 50 bytes]...xxx"));
        assert_eq!(text.len(), 102_400);
        assert_eq!(clipped(Some((bytes::Bytes::from_static(b" a\n"), 3))), "a");
        assert_eq!(clipped(None), "");
    }
}
