//! What can be wrong with an operation, found when it is made.

/// An operation that no daemon would accept.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum Error {
    /// An exec without a command.
    #[error("exec has no arguments")]
    NoArguments,
    /// An exec without a working directory.
    #[error("exec has no working directory")]
    NoWorkingDirectory,
    /// An exec none of whose mounts is at `/`.
    #[error("exec has no root mount")]
    NoRoot,
}

/// A text that is not a digest of the form `sha256:<64 lower case hexadecimal digits>`.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[error("not a sha256 digest")]
pub struct DigestError;

/// A definition that no graph can be read from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// A vertex is no message.
    #[error("a vertex of the definition does not decode")]
    Vertex(#[source] prost::DecodeError),
    /// An edge leads to a vertex that is not there, or comes later.
    #[error("an edge of the definition leads nowhere: {digest}")]
    Dangling {
        /// Where it should lead.
        digest: String,
    },
    /// The last entry does not name one result.
    #[error("the definition does not say which result it stands for")]
    NoEnd,
}
