//! Sockets that the daemon mounts into commands: each connection made to one is a byte stream to us.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};
use treenail_protos::moby::sshforward::v1::ssh_server::Ssh;
use treenail_protos::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};

use crate::error::BoxError;

/// Bytes of one message towards the daemon.
const CHUNK: usize = 32 << 10;
/// What an empty id means.
const DEFAULT_ID: &str = "default";

/// A connection in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Knows sockets by the ids that definitions name them with.
#[tonic::async_trait]
pub trait SocketSource: Send + Sync {
    /// Is there such a socket? Asked once per command that mounts it.
    ///
    /// # Errors
    /// The reason shown to the user when there is not.
    async fn check(&self, id: &str) -> Result<(), BoxError>;

    /// Opens a connection.
    ///
    /// # Errors
    /// Whatever kept it from being opened; the connecting process sees its end.
    async fn open(&self, id: &str) -> Result<Box<dyn ByteStream>, BoxError>;
}

pub(crate) struct SocketService {
    pub(crate) source: Arc<dyn SocketSource>,
}

#[tonic::async_trait]
impl Ssh for SocketService {
    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        let id = request.into_inner().id;
        let id = if id.is_empty() { DEFAULT_ID } else { &id };
        self.source.check(id).await.map_err(|error| Status::not_found(error.to_string()))?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = BoxStream<'static, Result<BytesMessage, Status>>;

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get("buildkit.ssh.id").and_then(|id| id.to_str().ok());
        let id = id.filter(|id| !id.is_empty()).unwrap_or(DEFAULT_ID).to_owned();
        let stream = self.source.open(&id).await.map_err(|error| Status::not_found(error.to_string()))?;
        Ok(Response::new(relay(request.into_inner(), stream)))
    }
}

/// Copies both ways until our side ends, or the daemon's breaks. A clean end of the daemon's side is passed
/// on as a half-close: our answer may still come.
///
/// Invariant: each direction waits for its own receiver only, and holds one chunk.
fn relay<S>(
    mut from_daemon: S,
    stream: Box<dyn ByteStream>,
) -> BoxStream<'static, Result<BytesMessage, Status>>
where
    S: Stream<Item = Result<BytesMessage, Status>> + Send + Unpin + 'static,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let (broken, when_broken) = oneshot::channel::<()>();
    let inwards = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(message) = from_daemon.next().await {
            let Ok(message) = message else {
                // Nobody listens once the answer has ended.
                let _ = broken.send(());
                return;
            };
            if writer.write_all(&message.data).await.is_err() {
                // The peer reads no more; what it still has to say goes on.
                return;
            }
        }
        // A peer that has closed already needs no half-close.
        let _ = writer.shutdown().await;
    }));
    let until_broken = async move {
        if when_broken.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    ReaderStream::with_capacity(reader, CHUNK)
        .map(move |chunk| {
            // The task lives as long as this stream.
            let _ = &inwards;
            chunk.map(|data| BytesMessage { data }).map_err(|error| Status::aborted(error.to_string()))
        })
        .take_until(Box::pin(until_broken))
        .boxed()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    fn message(data: &'static [u8]) -> Result<BytesMessage, Status> {
        Ok(BytesMessage { data: Bytes::from_static(data) })
    }

    #[tokio::test]
    async fn an_answer_arrives_after_the_other_side_has_closed() {
        let (ours, mut peer) = tokio::io::duplex(64);
        let (sender, receiver) = mpsc::channel(4);
        let mut answer = relay(ReceiverStream::new(receiver), Box::new(ours));
        sender.send(message(b"question")).await.expect("open");
        drop(sender);
        let mut asked = String::new();
        peer.read_to_string(&mut asked).await.expect("half-close");
        assert_eq!(asked, "question");
        peer.write_all(b"answer").await.expect("still open");
        drop(peer);
        let first = answer.next().await.expect("a chunk").expect("no error");
        assert_eq!(&first.data[..], b"answer");
        assert!(answer.next().await.is_none());
    }

    #[tokio::test]
    async fn a_broken_stream_ends_the_connection() {
        let (ours, mut peer) = tokio::io::duplex(64);
        let (sender, receiver) = mpsc::channel(4);
        let mut answer = relay(ReceiverStream::new(receiver), Box::new(ours));
        sender.send(Err(Status::cancelled("gone"))).await.expect("open");
        assert!(answer.next().await.is_none());
        drop(answer);
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.expect("closed");
        assert!(rest.is_empty());
    }
}
