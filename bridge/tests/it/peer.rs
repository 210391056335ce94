//! A daemon in this process that does what its script says, over a unix socket in a folder of its own.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, async_trait};
use treenail_bridge::Error;
use treenail_bridge::socket::{Connection, OpenOptions, SocketBridge};
use treenail_protos::fsutil::types::Stat;
use treenail_protos::moby::buildkit::v1 as control;
use treenail_protos::moby::buildkit::v1::apicaps::ApiCap;
use treenail_protos::moby::buildkit::v1::control_server::{Control, ControlServer};
use treenail_protos::moby::buildkit::v1::frontend as gateway;
use treenail_protos::moby::buildkit::v1::frontend::llb_bridge_server::{LlbBridge, LlbBridgeServer};

/// What the peer does.
pub(crate) struct Script {
    /// So many pings find no build.
    pub(crate) unknown: AtomicUsize,
    /// Pings get no answer.
    pub(crate) deaf: bool,
    /// Gateway capabilities.
    pub(crate) capabilities: Vec<&'static str>,
    /// What a gateway solve fails with; without it the solve never ends.
    pub(crate) failure: Option<Status>,
    /// Size of every file of a failed exec.
    pub(crate) file_size: i64,
    /// Is `Return` what ends the build?
    pub(crate) obedient: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            unknown: AtomicUsize::new(0),
            deaf: false,
            capabilities: vec!["source.metaresolver", "gateway.exec.filesystem"],
            failure: None,
            file_size: 3,
            obedient: true,
        }
    }
}

type Ending = Option<Result<(), Status>>;

/// The running peer. Its folder and its server go with it.
pub(crate) struct Peer {
    inner: Arc<Inner>,
    folder: tempfile::TempDir,
    /// Its own, so that its connections can die with it.
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
}

struct Inner {
    script: Script,
    seen: watch::Sender<Vec<String>>,
    ending: watch::Sender<Ending>,
}

impl Peer {
    pub(crate) fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
        let seen = watch::channel(Vec::new()).0;
        let inner = Arc::new(Inner { script, seen, ending: watch::channel(None).0 });
        let server = tonic::transport::Server::builder()
            .add_service(ControlServer::from_arc(inner.clone()))
            .add_service(LlbBridgeServer::from_arc(inner.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        runtime.spawn(server);
        drop(entered);
        Self { inner, folder, runtime: Mutex::new(Some(runtime)) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let address = format!("unix://{}/s", self.folder.path().display());
        Connection::open(&address).await.expect("the peer listens")
    }

    pub(crate) async fn open(&self) -> Result<SocketBridge, Error> {
        SocketBridge::open(self.connect().await, OpenOptions::default()).await
    }

    /// Starts the peer's side of a frontend's standard streams, and gives the frontend's side.
    pub(crate) fn stdio(&self) -> tokio::io::DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let incoming = tokio_stream::iter([Ok::<_, std::io::Error>(theirs)]).chain(tokio_stream::pending());
        let server = tonic::transport::Server::builder()
            .add_service(LlbBridgeServer::from_arc(self.inner.clone()))
            .serve_with_incoming(incoming);
        self.runtime.lock().expect("no panic inside").as_ref().expect("the peer lives").spawn(server);
        ours
    }

    /// Ends the build.
    pub(crate) fn end(&self, ending: Result<(), Status>) {
        self.inner.ending.send_replace(Some(ending));
    }

    /// Waits until something was seen.
    pub(crate) async fn wait(&self, what: &str) {
        let mut seen = self.inner.seen.subscribe();
        seen.wait_for(|seen| seen.iter().any(|seen| seen == what)).await.expect("the peer lives");
    }

    pub(crate) fn seen(&self, what: &str) -> usize {
        self.inner.seen.borrow().iter().filter(|seen| *seen == what).count()
    }

    /// What follows `prefix` in everything seen that begins with it.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let seen = self.inner.seen.borrow();
        seen.iter().filter_map(|seen| seen.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    /// Ends the peer with all its connections, without a word.
    pub(crate) fn die(&self) {
        if let Some(runtime) = self.runtime.lock().expect("no panic inside").take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.die();
    }
}

impl Inner {
    fn see(&self, what: impl Into<String>) {
        self.seen.send_modify(|seen| seen.push(what.into()));
    }

    /// The build a gateway call names.
    fn see_build<T>(&self, request: &Request<T>) {
        let build = request.metadata().get("buildkit-controlapi-buildid").and_then(|id| id.to_str().ok());
        self.see(format!("build {}", build.unwrap_or("none")));
    }
}

/// Says that a call was given up.
struct Dropped<'a>(&'a Inner, &'static str);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.see(self.1);
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn no<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in the script"))
}

#[async_trait]
impl Control for Inner {
    type PruneStream = Answers<control::UsageRecord>;
    type StatusStream = Answers<control::StatusResponse>;
    type SessionStream = Answers<control::BytesMessage>;
    type ListenBuildHistoryStream = Answers<control::BuildHistoryEvent>;

    async fn solve(
        &self,
        request: Request<control::SolveRequest>,
    ) -> Result<Response<control::SolveResponse>, Status> {
        self.see(format!("solve {}", request.into_inner().r#ref));
        let _dropped = Dropped(self, "build dropped");
        let mut ending = self.ending.subscribe();
        let ending = ending.wait_for(Option::is_some).await.expect("the peer lives").clone();
        ending.expect("waited for").map(|()| Response::new(control::SolveResponse::default()))
    }

    async fn status(
        &self,
        _: Request<control::StatusRequest>,
    ) -> Result<Response<Self::StatusStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn list_workers(
        &self,
        _: Request<control::ListWorkersRequest>,
    ) -> Result<Response<control::ListWorkersResponse>, Status> {
        let record = vec![control::types::WorkerRecord { id: "w".to_owned(), ..Default::default() }];
        Ok(Response::new(control::ListWorkersResponse { record }))
    }

    async fn info(
        &self,
        _: Request<control::InfoRequest>,
    ) -> Result<Response<control::InfoResponse>, Status> {
        no()
    }

    async fn disk_usage(
        &self,
        _: Request<control::DiskUsageRequest>,
    ) -> Result<Response<control::DiskUsageResponse>, Status> {
        no()
    }

    async fn prune(&self, _: Request<control::PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        no()
    }

    async fn session(
        &self,
        _: Request<tonic::Streaming<control::BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        no()
    }

    async fn listen_build_history(
        &self,
        _: Request<control::BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        no()
    }

    async fn update_build_history(
        &self,
        _: Request<control::UpdateBuildHistoryRequest>,
    ) -> Result<Response<control::UpdateBuildHistoryResponse>, Status> {
        no()
    }
}

#[async_trait]
impl LlbBridge for Inner {
    type ExecProcessStream = Answers<gateway::ExecMessage>;

    async fn ping(
        &self,
        request: Request<gateway::PingRequest>,
    ) -> Result<Response<gateway::PongResponse>, Status> {
        self.see("ping");
        self.see_build(&request);
        if self.script.deaf {
            std::future::pending::<()>().await;
        }
        let unknown =
            self.script.unknown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if unknown.is_ok() {
            return Err(Status::not_found("no such job"));
        }
        let capability = |id: &&str| ApiCap { id: (*id).to_owned(), enabled: true, ..Default::default() };
        let mut capabilities: Vec<_> = self.script.capabilities.iter().map(capability).collect();
        capabilities.push(ApiCap { id: "off".to_owned(), ..Default::default() });
        Ok(Response::new(gateway::PongResponse { frontend_api_caps: capabilities, ..Default::default() }))
    }

    async fn solve(
        &self,
        request: Request<gateway::SolveRequest>,
    ) -> Result<Response<gateway::SolveResponse>, Status> {
        self.see_build(&request);
        for import in &request.get_ref().cache_imports {
            self.see(format!("import {}", import.r#type));
        }
        let definition = request.get_ref().definition.as_ref();
        if definition.is_some_and(|definition| definition.metadata.values().any(|vertex| vertex.ignore_cache))
        {
            self.see("ignore cache");
        }
        self.see("gateway solve");
        let _dropped = Dropped(self, "gateway solve dropped");
        match &self.script.failure {
            Some(status) => Err(status.clone()),
            None => std::future::pending().await,
        }
    }

    async fn r#return(
        &self,
        request: Request<gateway::ReturnRequest>,
    ) -> Result<Response<gateway::ReturnResponse>, Status> {
        self.see("return");
        let request = request.into_inner();
        if let Some(error) = request.error {
            self.see(format!("rejected {} with {} details", error.message, error.details.len()));
        }
        if let Some(gateway::result::Result::Ref(reference)) = request.result.and_then(|result| result.result)
        {
            self.see(format!("result {:?}", reference.id));
        }
        if self.script.obedient {
            self.ending.send_replace(Some(Ok(())));
        }
        Ok(Response::new(gateway::ReturnResponse {}))
    }

    async fn resolve_image_config(
        &self,
        request: Request<gateway::ResolveImageConfigRequest>,
    ) -> Result<Response<gateway::ResolveImageConfigResponse>, Status> {
        self.see(format!("resolve image {}", request.into_inner().r#ref));
        let digest = "sha256:old".to_owned();
        Ok(Response::new(gateway::ResolveImageConfigResponse {
            digest,
            config: "{}".into(),
            ..Default::default()
        }))
    }

    async fn resolve_source_meta(
        &self,
        request: Request<gateway::ResolveSourceMetaRequest>,
    ) -> Result<Response<gateway::ResolveSourceMetaResponse>, Status> {
        // Success with nothing in it, as daemons answer that know the call and not the source.
        let source = request.into_inner().source;
        let git = Some(gateway::ResolveSourceGitResponse::default());
        Ok(Response::new(gateway::ResolveSourceMetaResponse { source, git, ..Default::default() }))
    }

    async fn new_container(
        &self,
        _: Request<gateway::NewContainerRequest>,
    ) -> Result<Response<gateway::NewContainerResponse>, Status> {
        self.see("new container");
        Ok(Response::new(gateway::NewContainerResponse {}))
    }

    async fn release_container(
        &self,
        _: Request<gateway::ReleaseContainerRequest>,
    ) -> Result<Response<gateway::ReleaseContainerResponse>, Status> {
        self.see("release container");
        Ok(Response::new(gateway::ReleaseContainerResponse {}))
    }

    async fn stat_file_container(
        &self,
        _: Request<gateway::StatFileRequest>,
    ) -> Result<Response<gateway::StatFileResponse>, Status> {
        let stat = Some(Stat { size: self.script.file_size, ..Default::default() });
        Ok(Response::new(gateway::StatFileResponse { stat }))
    }

    async fn read_file_container(
        &self,
        _: Request<gateway::ReadFileRequest>,
    ) -> Result<Response<gateway::ReadFileResponse>, Status> {
        self.see("read file");
        let _dropped = Dropped(self, "read file dropped");
        std::future::pending().await
    }

    async fn read_file(
        &self,
        _: Request<gateway::ReadFileRequest>,
    ) -> Result<Response<gateway::ReadFileResponse>, Status> {
        no()
    }

    async fn read_dir(
        &self,
        _: Request<gateway::ReadDirRequest>,
    ) -> Result<Response<gateway::ReadDirResponse>, Status> {
        no()
    }

    async fn stat_file(
        &self,
        _: Request<gateway::StatFileRequest>,
    ) -> Result<Response<gateway::StatFileResponse>, Status> {
        no()
    }

    async fn evaluate(
        &self,
        _: Request<gateway::EvaluateRequest>,
    ) -> Result<Response<gateway::EvaluateResponse>, Status> {
        no()
    }

    async fn inputs(
        &self,
        _: Request<gateway::InputsRequest>,
    ) -> Result<Response<gateway::InputsResponse>, Status> {
        no()
    }

    async fn exec_process(
        &self,
        _: Request<tonic::Streaming<gateway::ExecMessage>>,
    ) -> Result<Response<Self::ExecProcessStream>, Status> {
        no()
    }

    async fn read_dir_container(
        &self,
        _: Request<gateway::ReadDirRequest>,
    ) -> Result<Response<gateway::ReadDirResponse>, Status> {
        no()
    }

    async fn warn(
        &self,
        request: Request<gateway::WarnRequest>,
    ) -> Result<Response<gateway::WarnResponse>, Status> {
        let request = request.into_inner();
        let lines: Vec<i32> = request.ranges.iter().filter_map(|range| Some(range.start?.line)).collect();
        self.see(format!("warning {} at {lines:?}", String::from_utf8_lossy(&request.short)));
        Ok(Response::new(gateway::WarnResponse {}))
    }
}
