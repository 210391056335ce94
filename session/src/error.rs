//! What can go wrong with the session itself; failures of single requests travel to the daemon as statuses.

/// A cause of a kind that this crate does not know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a session could not be opened, or was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection for the session.
    #[error("cannot connect the session to buildkitd")]
    Connect(#[source] BoxError),
    /// The daemon answered the opening call with an error.
    #[error("buildkitd refused the session")]
    Refused(#[source] Box<tonic::Status>),
    /// The daemon took the call but never spoke.
    #[error("buildkitd did not open the session within {seconds} seconds")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The daemon closed the stream.
    #[error("buildkitd ended the session")]
    Ended,
    /// The stream broke.
    #[error("the connection of the session broke")]
    Broken(#[source] BoxError),
    /// The daemon has stopped asking whether the session is alive.
    #[error("buildkitd has not probed the session for {seconds} seconds")]
    Unprobed {
        /// Time without a probe.
        seconds: u64,
    },
    /// An option cannot travel in a header.
    #[error("session {field} is empty or not printable ASCII")]
    Option {
        /// Which option.
        field: &'static str,
    },
}
