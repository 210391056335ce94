//! One stream of `Control.Session`, and the gRPC server that runs over it.
//!
//! The daemon is the client on this stream: each message carries bytes of an HTTP/2 connection.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, stream};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};
use tonic::Request;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use treenail_protos::moby::buildkit::v1::BytesMessage;
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;

use crate::MESSAGE_LIMIT;
use crate::error::Error;
use crate::health::ProbeClock;
use crate::services::Services;
use crate::session::{Connect, SessionOptions};

/// Every forwarded connection and every transfer is a stream of its own; the default of 200 is soon used up.
const STREAMS: u32 = 4096;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Messages on their way to the daemon; each is one write of the HTTP/2 connection.
const OUTBOUND: usize = 32;

/// What is the same for every stream of a session: its headers and its services.
pub(crate) struct Offer {
    metadata: MetadataMap,
    routes: Routes,
}

impl Offer {
    pub(crate) fn new(
        options: &SessionOptions,
        services: &Services,
        probes: Arc<ProbeClock>,
    ) -> Result<Self, Error> {
        let mut metadata = MetadataMap::new();
        let mut header = |key: &'static str, field: &'static str, value: &str| {
            let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            let value =
                MetadataValue::try_from(value).ok().filter(|_| printable).ok_or(Error::Option { field })?;
            metadata.append(key, value);
            Ok(())
        };
        if options.id.is_empty() || options.id.contains(':') {
            return Err(Error::Option { field: "id" });
        }
        header("x-docker-expose-session-uuid", "id", &options.id)?;
        header("x-docker-expose-session-name", "name", &options.name)?;
        header("x-docker-expose-session-sharedkey", "shared key", &options.shared_key)?;
        let (routes, methods) = services.routes(probes);
        for method in methods {
            header("x-docker-expose-session-grpc-method", "method", &method)?;
        }
        Ok(Self { metadata, routes })
    }
}

/// An open stream being served. Dropping it cuts the stream and ends every handler on it.
pub(crate) struct Tunnel {
    connection: JoinHandle<Error>,
    _cut: DropGuard,
}

impl Tunnel {
    /// Connects, calls, and waits for the daemon's first byte, all within `limit`.
    pub(crate) async fn open(connect: &Connect, offer: &Offer, limit: Duration) -> Result<Self, Error> {
        let opening = async {
            let channel = connect().await.map_err(Error::Connect)?;
            let (tunnel, opened) = Self::begin(channel, offer);
            match opened.await {
                Ok(Ok(())) => Ok(tunnel),
                Ok(Err(status)) => Err(Error::Refused(status)),
                Err(_) => Err(Error::Ended),
            }
        };
        tokio::time::timeout(limit, opening).await.unwrap_or(Err(Error::Silent { seconds: limit.as_secs() }))
    }

    fn begin(
        channel: tonic::transport::Channel,
        offer: &Offer,
    ) -> (Self, oneshot::Receiver<Result<(), Box<tonic::Status>>>) {
        let (outbound, outbound_messages) = mpsc::channel::<BytesMessage>(OUTBOUND);
        let mut request = Request::new(ReceiverStream::new(outbound_messages));
        *request.metadata_mut() = offer.metadata.clone();
        let (opened, when_opened) = oneshot::channel();
        // The call is awaited by the reader, so our own first bytes are on their way before the daemon answers.
        let call = async move {
            let mut client = ControlClient::new(channel)
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT);
            let response = client.session(request).await;
            match response {
                Ok(response) => {
                    // Nobody waits any more when the opening took too long.
                    let _ = opened.send(Ok(()));
                    Ok(response.into_inner())
                }
                Err(status) => {
                    let _ = opened.send(Err(Box::new(status.clone())));
                    Err(status)
                }
            }
        };
        let inbound = stream::once(Box::pin(call)).try_flatten();
        let reader =
            StreamReader::new(inbound.map_ok(|message| message.data).map_err(io::Error::other).boxed());
        let sink = PollSender::new(outbound)
            .sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
            .with(|data: Bytes| std::future::ready(Ok::<_, io::Error>(BytesMessage { data })));
        let writer = SinkWriter::new(CopyToBytes::new(sink));
        let io = TokioIo::new(tokio::io::join(reader, writer));

        let cut = CancellationToken::new();
        let mut server = hyper::server::conn::http2::Builder::new(CutExecutor(cut.clone()));
        server
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(4 << 20);
        let served = server.serve_connection(io, TowerToHyperService::new(offer.routes.clone()));
        let until_cut = cut.clone();
        let connection = tokio::spawn(async move {
            tokio::select! {
                () = until_cut.cancelled() => Error::Ended,
                end = served => match end {
                    Ok(()) => Error::Ended,
                    Err(error) => Error::Broken(error.into()),
                },
            }
        });
        (Self { connection, _cut: cut.drop_guard() }, when_opened)
    }

    /// Waits for the end of the stream and tells its cause.
    pub(crate) async fn ended(&mut self) -> Error {
        (&mut self.connection).await.unwrap_or_else(|error| Error::Broken(error.into()))
    }
}

/// Runs the handlers of a connection no longer than the connection.
#[derive(Clone)]
struct CutExecutor(CancellationToken);

impl<F> hyper::rt::Executor<F> for CutExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let cut = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                _ = future => {}
            }
        });
    }
}
