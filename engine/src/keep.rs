//! Keeps what commands left behind, so that no later session runs them again.
//!
//! The daemon writes an output of an exec into its cache when somebody asks for that very output, and throws the
//! others away at the end of the build. The root and the outputs of one command are such outputs: whoever asks for
//! `stdout` today and for the root tomorrow would run it twice, and a command that answers differently each time
//! would disagree with itself. So at the end of a session the rest of every command that ran in it is asked for:
//! it is at hand, nothing runs, and no byte is copied.
//!
//! Invariant: only commands that ran in this very build are asked for. One that was found in the cache may have
//! lost its other outputs, and asking for them would run it.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use treenail_bridge::SolveRequest;
use treenail_llb as llb;

use crate::Engine;
use crate::retry::Attempt;

/// Commands in one request: definitions stay far below the size of a message.
const AT_ONCE: usize = 256;

/// Commands that were asked for in this session, by vertex as it is called without attempts.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<llb::Digest, Command>>);

struct Command {
    /// The vertex as the daemon calls it.
    vertex: String,
    /// The attempt in which it was asked for. See [`crate::retry`].
    attempt: u32,
    /// Outputs that nobody asked for.
    unused: Vec<llb::Output>,
}

impl Kept {
    /// Takes in the commands of a graph that is about to be solved.
    pub(crate) fn note(&self, unused: &BTreeMap<llb::Digest, Vec<llb::Output>>, attempt: &Attempt) {
        let mut commands = self.0.lock();
        for (digest, unused) in unused {
            match commands.get_mut(digest).filter(|command| command.attempt == attempt.number) {
                Some(command) => {
                    command
                        .unused
                        .retain(|output| unused.iter().any(|other| other.index() == output.index()));
                }
                None => {
                    let vertex = attempt.asked(digest.as_str()).to_owned();
                    let command = Command { vertex, attempt: attempt.number, unused: unused.clone() };
                    commands.insert(digest.clone(), command);
                }
            }
        }
    }
}

impl Engine {
    /// Makes the daemon keep all outputs of the commands that ran in this session. To be called once, at its end,
    /// while the build is open.
    ///
    /// Nothing fails here: what cannot be kept runs again one day.
    pub async fn keep_results(&self) {
        let commands = std::mem::take(&mut *self.0.kept.0.lock());
        let attempt = self.0.retries.number();
        let ran: Vec<Command> = commands
            .into_values()
            .filter(|command| !command.unused.is_empty())
            .filter(|command| command.attempt == attempt && self.0.bridge.has_run(&command.vertex))
            .collect();
        for commands in ran.chunks(AT_ONCE) {
            let name = format!("[internal] keep the results of {} commands", commands.len());
            let unused = commands.iter().flat_map(|command| command.unused.iter().cloned());
            let Some(held) = llb::Output::hold(unused, llb::OpOptions::named(name)) else { continue };
            let definition =
                self.0.retries.apply(held.marshal(&self.marshal_options()).definition).definition;
            let request =
                SolveRequest { definition: Some(definition), evaluate: true, ..SolveRequest::default() };
            if let Err(error) = self.0.bridge.solve(request).await {
                tracing::debug!(%error, "results of commands could not be kept");
            }
        }
    }
}
