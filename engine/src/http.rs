//! Files of web servers, fetched by the daemon.

use std::sync::Arc;

use treenail_bridge::{Error as BridgeError, ResolveSource};
use treenail_call::{Digest, hash_strings};
use treenail_model::{Download, File, Secret};
use treenail_protos::pb;

use crate::{Cause, Engine};

/// A file as a call asks for it.
#[derive(Clone, Debug, Default)]
pub struct HttpQuery {
    /// `http://…` or `https://…`
    pub url: String,
    /// Its name; `None` takes it from the address.
    pub name: Option<String>,
    /// Permission bits; `None` is 0600.
    pub permissions: Option<u32>,
    /// The secret that is the value of the `Authorization` header.
    pub auth_header: Option<Arc<Secret>>,
}

impl Engine {
    /// Fetches a file, and answers with it what stands for its content, as far as the daemon says.
    ///
    /// One request is made however often the file is used in the session: the daemon keeps the answer for as long as
    /// the session's build is open.
    ///
    /// # Errors
    /// The address is none; the server does not answer, or with a status outside 200 to 399.
    ///
    /// # Source
    /// `contract/sources.md` 5, `contract/ids.md` 6.
    pub async fn http(&self, query: &HttpQuery) -> Result<(File, Option<Digest>), Cause> {
        let secret = query.auth_header.as_ref().map(|secret| secret.id.clone());
        let download = Download::new(&query.url, query.name.as_deref(), query.permissions, secret)
            .map_err(Cause::invalid)?;
        let (identifier, attrs) = download.source();
        let file = download.file(self.default_platform());
        let request = ResolveSource {
            source: pb::SourceOp { identifier, attrs },
            platform: None,
            log_name: format!("http {}", query.url),
        };
        let metadata = self.0.bridge.resolve_source(request).await.map_err(in_words)?;
        let Some((checksum, _, modified)) = metadata.http else {
            // A daemon that tells nothing of a file fetches it all the same.
            self.solve(&file.tree).await.map_err(|cause| match cause {
                Cause::Daemon(error) => in_words(error),
                other => other,
            })?;
            return Ok((file, None));
        };
        let modified = modified.map(|seconds| seconds.to_string()).unwrap_or_default();
        let content = hash_strings(&[file.name(), &download.permissions().to_string(), &checksum, &modified]);
        Ok((file, Some(content)))
    }
}

/// A refusal of the server with the words that go with its number, as 0.19.11 shows it. The daemon has the number as
/// text alone.
fn in_words(error: BridgeError) -> Cause {
    const MARK: &str = "invalid response status ";
    let message = error.to_string();
    let code = message.split_once(MARK).and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
    match code {
        Some(code) => Cause::invalid(format!("{MARK}{code} {}", reason(code)).trim_end().to_owned()),
        None => error.into(),
    }
}

/// # Source
/// The registry of status codes (RFC 9110 and others).
fn reason(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_gets_its_words() {
        let vertex = |message: &str| BridgeError::Vertex { vertex: None, message: message.to_owned() };
        for (message, expected) in [
            ("failed to load: invalid response status 404", "invalid response status 404 Not Found"),
            ("invalid response status 599", "invalid response status 599"),
            ("invalid response status x", "invalid response status x"),
            ("dial tcp: refused", "dial tcp: refused"),
        ] {
            assert_eq!(in_words(vertex(message)).to_string(), expected);
        }
    }
}
