//! What can go wrong while asking a daemon, typed from the wire: never decided by message text where a type or a
//! status code exists.

use std::sync::Arc;

use treenail_protos::pb;

/// A command that ran and ended with a code its op does not accept.
#[derive(Clone, Debug)]
pub struct ExecFailure {
    /// Digest of the failed vertex.
    pub vertex: Arc<str>,
    /// Exit code; `u32::MAX`-like values mean that the daemon never learnt it.
    pub exit_code: u32,
    /// State after the failed run, one identifier per mount of the op; empty where a mount keeps none.
    pub mount_ids: Vec<String>,
    /// State before it, one identifier per input of the op.
    pub input_ids: Vec<String>,
    /// The exec op as the daemon holds it.
    pub op: Box<pb::Op>,
    /// The daemon's own words.
    pub message: String,
}

/// Why a request to the daemon failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("cannot connect to buildkitd at {address}: {reason}")]
    Connect {
        /// The address as given.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// A command ended with a code that its op does not accept.
    #[error("{}", .0.message)]
    Exec(Box<ExecFailure>),
    /// A path does not exist in a result.
    #[error("{path}: no such file or directory")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// A path is not a directory.
    #[error("{path}: not a directory")]
    NotDirectory {
        /// The path asked for.
        path: String,
    },
    /// A path is no ordinary file: a directory, a device, a socket.
    #[error("{path}: not a regular file")]
    NotRegular {
        /// The path asked for.
        path: String,
    },
    /// A file is larger than the caller allows.
    #[error("file size {size} exceeds limit {limit}")]
    TooLarge {
        /// Bytes of the file.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The daemon failed a vertex for a reason of its own: a source that cannot be fetched, a file action on a
    /// missing path, an unknown secret.
    #[error("{message}")]
    Vertex {
        /// Digest of the vertex, when the daemon named one.
        vertex: Option<Arc<str>>,
        /// The daemon's words.
        message: String,
    },
    /// The daemon refused the request: bad definition, missing entitlement.
    #[error("buildkitd refused {operation}: {message}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// The daemon's words.
        message: String,
    },
    /// The session with the daemon is gone: it was not answered in time, or the daemon ended it.
    #[error("the session with buildkitd was lost during {operation}: {message}")]
    SessionLost {
        /// What was asked.
        operation: &'static str,
        /// The daemon's words.
        message: String,
    },
    /// The connection broke, or the daemon went away.
    #[error("buildkitd went away during {operation}: {message}")]
    Unavailable {
        /// What was asked.
        operation: &'static str,
        /// What the transport said.
        message: String,
    },
    /// The daemon is too old for something that has no fallback.
    #[error("buildkitd lacks the capability `{capability}` (in BuildKit since {since})")]
    Capability {
        /// The capability's id.
        capability: &'static str,
        /// First release that has it.
        since: &'static str,
    },
    /// The caller gave up.
    #[error("{operation} was cancelled")]
    Cancelled {
        /// What was asked.
        operation: &'static str,
    },
    /// The daemon answered something that makes no sense.
    #[error("buildkitd answered {operation} with {message}")]
    Protocol {
        /// What was asked.
        operation: &'static str,
        /// What was wrong with the answer.
        message: String,
    },
}

impl Error {
    /// May the same request succeed when asked again: the daemon's memory of it aside, was the cause outside the
    /// graph? A failed command and a missing path are answers, not accidents.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Vertex { .. } | Self::SessionLost { .. } | Self::Unavailable { .. })
    }
}
