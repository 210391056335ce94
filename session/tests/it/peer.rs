//! A scripted daemon: takes `Control.Session` over an in-memory pipe and is the client on what it carries.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use treenail_protos::fsutil::types::packet::PacketType;
use treenail_protos::fsutil::types::{Packet, Stat};
use treenail_protos::moby::filesync::v1::BytesMessage;
use treenail_protos::moby::filesync::v1::file_sync_client::FileSyncClient;
use treenail_session::{Connect, Services, Session, SessionOptions};

/// A session as the daemon sees it.
pub(crate) struct Taken {
    pub(crate) metadata: MetadataMap,
    /// Calls on this reach the session.
    pub(crate) channel: Channel,
    /// Cancelled, it ends the stream from the daemon's side.
    pub(crate) cut: CancellationToken,
}

/// Makes connections to a new daemon, and gives the sessions that it takes.
pub(crate) fn daemon() -> (Connect, mpsc::UnboundedReceiver<Taken>) {
    let (taken, sessions) = mpsc::unbounded_channel();
    let connect: Connect = Arc::new(move || {
        let taken = taken.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let incoming =
                futures::stream::iter([Ok::<_, std::io::Error>(theirs)]).chain(futures::stream::pending());
            tokio::spawn(Server::builder().add_service(Control { taken }).serve_with_incoming(incoming));
            Ok(channel(ours))
        }
        .boxed()
    });
    (connect, sessions)
}

/// Opens a session with a new daemon.
pub(crate) async fn open(services: Services) -> (Session, Taken) {
    let (connect, mut sessions) = daemon();
    let session =
        Session::start(connect, SessionOptions::new("test", "key"), services).await.expect("opened");
    let taken = sessions.recv().await.expect("taken");
    (session, taken)
}

fn channel(io: tokio::io::DuplexStream) -> Channel {
    let mut io = Some(io);
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(tower::service_fn(move |_| {
        let io = io.take().map(TokioIo::new);
        async move { io.ok_or_else(|| std::io::Error::other("only one connection")) }
    }))
}

#[derive(Clone)]
struct Control {
    taken: mpsc::UnboundedSender<Taken>,
}

impl NamedService for Control {
    const NAME: &'static str = "moby.buildkit.v1.Control";
}

impl Service<http::Request<Body>> for Control {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let take = Take(self.taken.clone());
        let codec = tonic_prost::ProstCodec::<BytesMessage, BytesMessage>::default();
        async move { Ok(Grpc::new(codec).streaming(take, request).await) }.boxed()
    }
}

struct Take(mpsc::UnboundedSender<Taken>);

impl StreamingService<BytesMessage> for Take {
    type Response = BytesMessage;
    type ResponseStream = ReceiverStream<Result<BytesMessage, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<BytesMessage>>) -> Self::Future {
        let (metadata, _, mut inbound) = request.into_parts();
        let (outbound, messages) = mpsc::channel(16);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let cut = CancellationToken::new();
        let until_cut = cut.clone();
        tokio::spawn(async move {
            let inwards = async {
                while let Some(Ok(message)) = inbound.next().await {
                    if writer.write_all(&message.data).await.is_err() {
                        break;
                    }
                }
            };
            let outwards = async {
                let mut buffer = vec![0; 32 << 10];
                while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                    let data = Bytes::copy_from_slice(&buffer[..count]);
                    if outbound.send(Ok(BytesMessage { data })).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = until_cut.cancelled() => {}
                () = inwards => {}
                () = outwards => {}
            }
        });
        // The test may have ended already.
        let _ = self.0.send(Taken { metadata, channel: channel(ours), cut });
        std::future::ready(Ok(Response::new(ReceiverStream::new(messages))))
    }
}

/// A tree as it was sent: entries in order, and the contents asked for.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) entries: Vec<Stat>,
    pub(crate) contents: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.entries.iter().map(|stat| stat.path.as_str()).collect()
    }

    pub(crate) fn entry(&self, path: &str) -> &Stat {
        self.entries.iter().find(|stat| stat.path == path).expect("the entry is in the tree")
    }

    pub(crate) fn bytes(&self) -> usize {
        self.contents.values().map(Vec::len).sum()
    }

    /// Takes what is needed to tell changed files, as the daemon does: size, time and mode.
    pub(crate) fn known(&self) -> BTreeMap<String, (i64, i64, u32)> {
        self.entries.iter().map(|stat| (stat.path.clone(), (stat.size, stat.mod_time, stat.mode))).collect()
    }
}

/// What a transfer is asked with.
#[derive(Debug, Default)]
pub(crate) struct Ask<'ask> {
    pub(crate) include: &'ask [&'ask str],
    pub(crate) exclude: &'ask [&'ask str],
    pub(crate) follow: &'ask [&'ask str],
    pub(crate) known: BTreeMap<String, (i64, i64, u32)>,
}

pub(crate) const REGULAR: u32 = 0x8f28_0000;

/// Asks the session for a directory as the daemon does.
pub(crate) async fn sync(channel: &Channel, name: &str, ask: Ask<'_>) -> Result<Tree, Status> {
    let (requests, outbound) = mpsc::channel(1 << 16);
    let mut request = Request::new(ReceiverStream::new(outbound));
    let metadata = request.metadata_mut();
    metadata.insert("dir-name", name.parse().expect("a header"));
    for (key, values) in
        [("include-patterns", ask.include), ("exclude-patterns", ask.exclude), ("followpaths", ask.follow)]
    {
        for value in values {
            metadata.append(key, MetadataValue::try_from(*value).expect("a header"));
        }
    }
    let mut client = FileSyncClient::new(channel.clone());
    let mut inbound = client.diff_copy(request).await?.into_inner();
    let mut tree = Tree::default();
    // A session that has failed takes no request, and says why in its answers.
    let mut wanted: BTreeMap<u32, String> = BTreeMap::new();
    let mut listed = false;
    let mut finished = false;
    while let Some(packet) = inbound.next().await {
        let packet = packet?;
        match PacketType::try_from(packet.r#type).expect("a known packet") {
            PacketType::PacketStat => match packet.stat {
                Some(stat) => {
                    assert!(!listed, "an entry after the end of the list");
                    let id = tree.entries.len() as u32;
                    let same = ask.known.get(&stat.path) == Some(&(stat.size, stat.mod_time, stat.mode));
                    if stat.mode & REGULAR == 0 && !same {
                        wanted.insert(id, stat.path.clone());
                        tree.contents.insert(stat.path.clone(), Vec::new());
                        drop(requests.send(packet_of(PacketType::PacketReq, id, "")).await);
                    }
                    tree.entries.push(stat);
                }
                None => listed = true,
            },
            PacketType::PacketData if packet.data.is_empty() => {
                wanted.remove(&packet.id).expect("asked for once");
            }
            PacketType::PacketData => {
                let path = wanted.get(&packet.id).expect("asked for");
                tree.contents.get_mut(path).expect("began").extend_from_slice(&packet.data);
            }
            PacketType::PacketFin => {
                assert!(finished, "the end was not asked for");
                break;
            }
            PacketType::PacketErr => return Err(Status::aborted(String::from_utf8_lossy(&packet.data))),
            PacketType::PacketReq => panic!("a sender does not ask"),
        }
        if listed && wanted.is_empty() && !finished {
            finished = true;
            drop(requests.send(packet_of(PacketType::PacketFin, 0, "")).await);
        }
    }
    assert!(finished, "the stream ended early");
    assert!(inbound.next().await.is_none_or(|end| end.is_err()), "a packet after the end");
    Ok(tree)
}

pub(crate) fn packet_of(kind: PacketType, id: u32, data: impl Into<Bytes>) -> Packet {
    Packet { r#type: kind as i32, id, data: data.into(), stat: None }
}

/// An entry and, for files, the content.
pub(crate) type Entry = (Stat, Vec<u8>);

/// Sends a tree to the session as the local exporter does.
pub(crate) async fn export(channel: &Channel, exporter: &str, entries: Vec<Entry>) -> Result<(), Status> {
    let (packets, outbound) = mpsc::channel(4);
    let mut answers = file_send::<Packet>(channel, exporter, ReceiverStream::new(outbound)).await?;
    let send = |packet| {
        let packets = packets.clone();
        // A session that has failed takes nothing more, and says why in its answers.
        async move { drop(packets.send(packet).await) }
    };
    let contents: Vec<Vec<u8>> = entries.iter().map(|(_, content)| content.clone()).collect();
    let listing = async {
        for (stat, _) in entries {
            send(Packet { stat: Some(stat), ..Packet::default() }).await;
        }
        send(Packet::default()).await;
    };
    let answering = async {
        while let Some(answer) = answers.next().await {
            let answer = answer?;
            match PacketType::try_from(answer.r#type).expect("a known packet") {
                PacketType::PacketReq => {
                    for chunk in contents[answer.id as usize].chunks(32 << 10) {
                        send(packet_of(PacketType::PacketData, answer.id, chunk.to_vec())).await;
                    }
                    send(packet_of(PacketType::PacketData, answer.id, "")).await;
                }
                PacketType::PacketFin => {
                    send(packet_of(PacketType::PacketFin, 0, "")).await;
                    return Ok(());
                }
                PacketType::PacketErr => return Err(Status::aborted(String::from_utf8_lossy(&answer.data))),
                other => panic!("a receiver does not send {other:?}"),
            }
        }
        Err(Status::aborted("the receiver hung up"))
    };
    let ((), end) = tokio::join!(listing, answering);
    drop(packets);
    end?;
    match answers.next().await {
        None => Ok(()),
        Some(end) => end.map(drop),
    }
}

/// Calls `FileSend.DiffCopy` with messages of the exporter's choice.
pub(crate) async fn file_send<M>(
    channel: &Channel,
    exporter: &str,
    messages: ReceiverStream<M>,
) -> Result<Streaming<M>, Status>
where
    M: prost::Message + Default + Send + 'static,
{
    let mut request = Request::new(messages);
    request.metadata_mut().insert("buildkit-attachable-exporter-id", exporter.parse().expect("a header"));
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static("/moby.filesync.v1.FileSend/DiffCopy");
    let codec = tonic_prost::ProstCodec::<M, M>::default();
    Ok(client.streaming(request, path, codec).await?.into_inner())
}

/// A deadline for what must not hang.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), future).await.expect("it does not hang")
}
