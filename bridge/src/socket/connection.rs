//! Connections to a daemon's socket.

use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tonic::Code;
use tonic::transport::{Channel, Uri};
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;
use treenail_protos::moby::buildkit::v1::types::WorkerRecord;
use treenail_protos::moby::buildkit::v1::{InfoRequest, ListWorkersRequest};

use crate::wire::endpoint::{PATIENCE, endpoint, innermost};
use crate::wire::failure;
use crate::wire::gateway::MESSAGE_LIMIT;
use crate::{Error, Worker};

/// A daemon's address and a first connection to it.
///
/// Cheap to clone; clones share the connection. It reconnects by itself, but a build does not outlive the
/// connection it was opened on. No keepalive pings are sent: Go servers close connections that ping often.
#[derive(Clone, Debug)]
pub struct Connection {
    address: Arc<str>,
    target: Target,
    channel: Channel,
}

/// Who a daemon says it is.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Version text, for display only; empty when the daemon does not tell.
    pub version: String,
    /// Its workers; the first is the default.
    pub workers: Vec<Worker>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Unix(PathBuf),
    Tcp(String),
}

impl Target {
    fn parse(address: &str) -> Result<Self, &'static str> {
        match address.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", host)) if !host.is_empty() => Ok(Self::Tcp(host.to_owned())),
            Some(("unix" | "tcp", _)) => Err("nothing behind the scheme"),
            Some(_) => Err("unsupported scheme: `unix://PATH` and `tcp://HOST:PORT` are"),
            None => Err("no scheme: `unix://PATH` and `tcp://HOST:PORT` have one"),
        }
    }

    async fn dial(&self) -> Result<Channel, tonic::transport::Error> {
        let endpoint = endpoint();
        match self.clone() {
            Self::Unix(path) => {
                let connector = tower::service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                endpoint.connect_with_connector(connector).await
            }
            Self::Tcp(host) => {
                let connector = tower::service_fn(move |_: Uri| {
                    let host = host.clone();
                    async move {
                        let stream = TcpStream::connect(host).await?;
                        stream.set_nodelay(true)?;
                        Ok::<_, std::io::Error>(TokioIo::new(stream))
                    }
                });
                endpoint.connect_with_connector(connector).await
            }
        }
    }
}

impl Connection {
    /// Connects to `unix://PATH` or `tcp://HOST:PORT` (without TLS).
    ///
    /// # Errors
    /// [`Error::Connect`] when nothing listens there or the address is of another kind. That a buildkitd
    /// answers is known after [`Self::info`] only.
    pub async fn open(address: &str) -> Result<Self, Error> {
        let target = Target::parse(address)
            .map_err(|reason| Error::Connect { address: address.to_owned(), reason: reason.to_owned() })?;
        let channel = dial(address, &target).await?;
        Ok(Self { address: address.into(), target, channel })
    }

    /// The address as given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The shared connection, for calls.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A connection of its own, for a session: a stalled file transfer must not delay calls.
    ///
    /// # Errors
    /// [`Error::Connect`] when the daemon is gone.
    pub async fn session_channel(&self) -> Result<Channel, Error> {
        dial(&self.address, &self.target).await
    }

    /// Asks the daemon who it is: one quick round trip, no build.
    ///
    /// # Errors
    /// [`Error::Connect`] when what listens there is no buildkitd or does not answer in time.
    pub async fn info(&self) -> Result<Info, Error> {
        let mut workers = ControlClient::new(self.channel()).max_decoding_message_size(MESSAGE_LIMIT);
        let mut version = workers.clone();
        let both = async {
            tokio::join!(workers.list_workers(ListWorkersRequest::default()), version.info(InfoRequest {}))
        };
        let (workers, version) = tokio::time::timeout(PATIENCE, both)
            .await
            .map_err(|_| self.not_a_daemon(format!("no answer within {} s", PATIENCE.as_secs())))?;
        let workers = workers.map_err(|status| match failure::decode("list workers", &status) {
            Error::Unavailable { message, .. } | Error::Refused { message, .. } => self.not_a_daemon(message),
            other => other,
        })?;
        let workers = workers.into_inner().record;
        let version = match version {
            Ok(answer) => answer.into_inner().buildkit_version,
            // Older than the call; its workers may tell.
            Err(status) if status.code() == Code::Unimplemented => None,
            Err(status) => return Err(failure::decode("ask for the version", &status)),
        };
        let version = version
            .or_else(|| workers.first().and_then(|worker| worker.buildkit_version.clone()))
            .map(|version| version.version)
            .unwrap_or_default();
        Ok(Info { version, workers: workers.into_iter().map(worker).collect() })
    }

    fn not_a_daemon(&self, reason: String) -> Error {
        Error::Connect { address: self.address.to_string(), reason }
    }
}

async fn dial(address: &str, target: &Target) -> Result<Channel, Error> {
    target
        .dial()
        .await
        .map_err(|error| Error::Connect { address: address.to_owned(), reason: innermost(&error) })
}

fn worker(record: WorkerRecord) -> Worker {
    Worker { id: record.id, labels: record.labels, platforms: record.platforms }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn addresses() {
        assert_eq!(Target::parse("unix:///run/b.sock"), Ok(Target::Unix("/run/b.sock".into())));
        assert_eq!(Target::parse("tcp://127.0.0.1:1234"), Ok(Target::Tcp("127.0.0.1:1234".to_owned())));
        for wrong in ["", "/run/b.sock", "unix://", "tcp://", "npipe:////./pipe/x"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
