//! What every connection to a daemon is set to.

use std::time::Duration;

use tonic::transport::Endpoint;

use super::gateway::MESSAGE_LIMIT;

/// How long a daemon may take to accept a connection, and to say who it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The name is that of Go's clients; nothing looks it up.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::from_static("http://localhost")
        .connect_timeout(PATIENCE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // A failed exec comes with its whole op in the trailers; 16 KiB is the default.
        .http2_max_header_list_size(u32::try_from(MESSAGE_LIMIT).unwrap_or(u32::MAX))
}

/// The system's own words: what lies above only says that a transport failed.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
