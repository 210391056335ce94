//! One failure of one call, whatever door it came through.

use std::fmt;
use std::sync::Arc;

use treenail_bridge as bridge;
use treenail_call::CallId;

/// A call that failed. Cheap to clone: several waiters of one evaluation share it.
#[derive(Clone, Debug)]
pub struct Failed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    call: Option<CallId>,
    cause: Cause,
}

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The call makes no sense as asked: a bad argument, a missing path, a state that does not fit. The text is
    /// what a 0.19 client expects.
    #[error("{0}")]
    Invalid(String),
    /// A command ended in a way its call does not accept.
    #[error("{0}")]
    Exec(Arc<ExecError>),
    /// Not built yet, or out of reach on this daemon.
    #[error("{field} is not supported: {hint}")]
    Unsupported {
        /// `Type.field`, or `Type.field(argument:)`.
        field: String,
        /// What is missing, in one word: a capability of the daemon or `treenail`.
        capability: String,
        /// The release that has it, as far as known; empty otherwise.
        since: String,
        /// What to do instead.
        hint: String,
    },
    /// The daemon, or the way to it, failed.
    #[error(transparent)]
    Daemon(#[from] bridge::Error),
    /// The client's machine failed: a file that cannot be read, a folder that cannot be written.
    #[error("{0}")]
    Host(String),
    /// A mistake of ours.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Cause {
    /// Shorthand for [`Cause::Invalid`].
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::Invalid(message.to_string())
    }

    /// A field, or a part of one, that this release does not have.
    pub fn unsupported(field: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported {
            field: field.into(),
            capability: "treenail".to_owned(),
            since: String::new(),
            hint: hint.into(),
        }
    }
}

/// How a command failed, with what it wrote.
#[derive(Clone, Debug)]
pub struct ExecError {
    /// Arguments as run, entrypoint included, helper excluded.
    pub command: Vec<String>,
    /// The process's code; 128+n for signal n; -1 if it never ran.
    pub exit_code: i64,
    /// End of its standard output, trimmed.
    pub stdout: String,
    /// End of its standard error, trimmed.
    pub stderr: String,
    /// The reason where there is more to say than the code.
    pub reason: Option<String>,
    /// Digest of the vertex.
    pub vertex: Arc<str>,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            return f.write_str(reason);
        }
        write!(f, "exit code: {}", self.exit_code)
    }
}

impl Failed {
    /// Attaches a cause to the call being evaluated.
    pub fn new(call: Option<CallId>, cause: Cause) -> Self {
        Self(Arc::new(Inner { call, cause }))
    }

    /// The call that was being evaluated; its receivers are the chain. `None` for a failure outside any call.
    pub fn call(&self) -> Option<&CallId> {
        self.0.call.as_ref()
    }

    /// Why.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.cause)
    }
}
