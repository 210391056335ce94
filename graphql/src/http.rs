//! The listener: HTTP in, prepared requests to an [`Executor`], answers out.
//!
//! HTTP/1.1 and HTTP/2 without TLS (prior knowledge). Every path wants the session's token as the user name of Basic
//! authentication. A request whose client goes away is dropped, and with it the execution that it waited for; there is no
//! timeout on a request itself, for builds take hours.
//!
//! Invariants: whatever a client sends ends in an answer; a panic while answering one request is that request's answer and
//! nobody else's (where panics unwind); the token is compared in constant time.
//!
//! # Source
//! `contract/session.md` 5.

mod negotiate;
mod respond;
mod server;

use std::sync::Arc;

use futures::future::BoxFuture;
use http::StatusCode;

pub use server::{ServerHandle, serve, serve_connection};

use crate::error::{ErrorEntry, write_errors};
use crate::prepare::Prepared;
use crate::sdl::SchemaModel;

/// Bytes of a request body. A file of 128 MiB in one string passes even when JSON and GraphQL both escape much of it.
pub const BODY_LIMIT: usize = 512 << 20;
/// How long a connection may take to send a request's headers.
pub const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What comes with a request beside its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The caller's trace, as in the header `traceparent`.
    pub traceparent: Option<String>,
    /// As in the header `tracestate`.
    pub tracestate: Option<String>,
    /// As in the header `baggage`.
    pub baggage: Option<String>,
}

/// The answer to a request that was executed: status 200, whether or not it worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseBody(Vec<u8>);

impl ResponseBody {
    /// An answer written by the executor: the whole JSON object, `{"data":{…}}`.
    pub fn from_json(body: Vec<u8>) -> Self {
        Self(body)
    }

    /// An answer that failed; never with part of the data.
    pub fn errors(errors: &[ErrorEntry]) -> Self {
        Self(write_errors(errors))
    }

    /// The JSON text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Why the service cannot take requests at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The session or its schema could not be set up.
    #[error("{0}")]
    Setup(String),
    /// The daemon is gone.
    #[error("{0}")]
    Backend(String),
}

impl Unavailable {
    fn status(&self) -> StatusCode {
        match self {
            Self::Setup(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Backend(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

/// What runs requests.
pub trait Executor: Send + Sync + 'static {
    /// The schema that the client sees now.
    ///
    /// # Errors
    /// [`Unavailable`] when requests cannot be taken.
    fn schema(&self) -> Result<Arc<SchemaModel>, Unavailable> {
        Ok(SchemaModel::core())
    }

    /// Runs a request. Dropping the future cancels what only this request waited for.
    fn execute(&self, request: Prepared, context: RequestContext) -> BoxFuture<'_, ResponseBody>;

    /// The main client is leaving: stop its services, export caches, flush.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The token that clients show.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Takes a token. Hex digits and dashes pass through every SDK's encoding unharmed.
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self(token.into())
    }

    /// Whether a header `Authorization` shows this token; the password does not count.
    fn admits(&self, authorization: Option<&[u8]>) -> bool {
        use base64::Engine as _;
        use base64::alphabet::{STANDARD, URL_SAFE};
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        use subtle::ConstantTimeEq as _;

        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let Some((scheme, encoded)) = authorization.and_then(|value| value.split_at_checked(6)) else {
            return false;
        };
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return false;
        }
        let encoded = encoded.trim_ascii();
        // One SDK encodes for URLs.
        let decoded = GeneralPurpose::new(&STANDARD, lenient)
            .decode(encoded)
            .or_else(|_| GeneralPurpose::new(&URL_SAFE, lenient).decode(encoded));
        let Ok(decoded) = decoded else { return false };
        let user = decoded.split(|byte| *byte == b':').next().unwrap_or_default();
        decoded.contains(&b':') && bool::from(user.ct_eq(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}
