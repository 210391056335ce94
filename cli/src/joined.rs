//! A session that somebody else has opened and named in the environment.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

/// Bytes of one answer.
const ANSWER_LIMIT: usize = 1 << 30;

/// The session of the environment.
pub(crate) struct Joined {
    port: u16,
    token: String,
}

impl Joined {
    /// The session named by `DAGGER_SESSION_PORT` and `DAGGER_SESSION_TOKEN`, if there is one.
    ///
    /// # Errors
    /// The port is no port, or has no token.
    pub(crate) fn from_environment() -> anyhow::Result<Option<Self>> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(port) = variable("DAGGER_SESSION_PORT") else { return Ok(None) };
        let port = port.parse().with_context(|| format!("DAGGER_SESSION_PORT is not a port: {port}"))?;
        let token = variable("DAGGER_SESSION_TOKEN")
            .context("DAGGER_SESSION_PORT is set without DAGGER_SESSION_TOKEN")?;
        Ok(Some(Self { port, token }))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Asks the session; answers the body, whatever the status says about its content.
    ///
    /// # Errors
    /// The session does not answer, or answers no GraphQL.
    pub(crate) async fn ask(&self, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .context("cannot connect to the session of DAGGER_SESSION_PORT")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{}:", self.token));
        let request = hyper::Request::post("/query")
            .header("Host", "127.0.0.1")
            .header("Authorization", format!("Basic {token}"))
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await.context("the session does not answer")?;
        let status = answer.status();
        let body = match Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => bail!("the session's answer broke off: {error}"),
        };
        connection.abort();
        if status.is_success() || status == 422 || status == 400 {
            return Ok(body.into());
        }
        bail!("the session answers with status {status}: {}", String::from_utf8_lossy(&body).trim_end())
    }
}
