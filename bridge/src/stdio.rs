//! The bridge of a frontend: a daemon has started this process and speaks on its standard streams.
//!
//! The build is the client's, so it is neither opened nor closed here: it ends with [`StdioBridge::finish`] or
//! [`StdioBridge::reject`]. What needs the daemon's control service (exports, progress) does not exist at this door.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::sync::broadcast;
use tonic::transport::Uri;
use treenail_protos::moby::buildkit::v1::frontend as wire;
use treenail_protos::pb;

use crate::wire::endpoint::{PATIENCE, endpoint, innermost};
use crate::wire::gateway::{Gateway, require_exec_filesystem};
use crate::wire::{enabled, failure, rejection};
use crate::{
    Bridge, ByteRange, CacheOptions, Capabilities, Error, ExecFailure, ExportRequest, Ref, ResolveSource,
    SolveRequest, Solved, SourceMetadata, Stat, StatusEvent, Worker,
};

/// What the other end is called in errors.
const ADDRESS: &str = "the standard streams";

/// What holds for every solve of a frontend.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Caches to consult. The daemon leaves it to frontends to hand these on.
    pub cache_imports: Vec<CacheOptions>,
}

/// A stretch of a file that is shown with an error or a warning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Excerpt {
    /// The file.
    pub file: pb::SourceInfo,
    /// The stretches; lines count from 1.
    pub ranges: Vec<pb::Range>,
}

/// Why a build ends without a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejection {
    /// What the user reads.
    pub message: String,
    /// Where in which file.
    pub excerpts: Vec<Excerpt>,
    /// The vertex at fault.
    pub vertex: Option<Arc<str>>,
    /// How the command at fault ended.
    pub exit_code: Option<u32>,
    /// The request that the frontend does not know, if that is the reason.
    pub unknown_request: Option<String>,
}

/// Something to tell that fails nothing.
#[derive(Clone, Debug, Default)]
pub struct Warning {
    /// A vertex that the client knows of: it is shown with it.
    pub vertex: String,
    /// One line.
    pub short: String,
    /// Further lines.
    pub detail: Vec<String>,
    /// Where in which file.
    pub excerpt: Excerpt,
}

/// The build that this process is the frontend of.
pub struct StdioBridge {
    gateway: Gateway,
    capabilities: Capabilities,
    defaults: Defaults,
    ignore_cache: AtomicBool,
    events: broadcast::Sender<StatusEvent>,
}

impl StdioBridge {
    /// Speaks on this process' standard input and output. To be called once: the streams are used up.
    ///
    /// # Errors
    /// [`Error::Connect`] when they are no pipes to a daemon.
    pub async fn open(defaults: Defaults) -> Result<Self, Error> {
        let fail =
            |error: io::Error| Error::Connect { address: ADDRESS.to_owned(), reason: error.to_string() };
        // Pipes, not tokio's standard streams: those read on a thread that would delay the end of the process.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(fail)?;
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(fail)?;
        let input = pipe::Receiver::from_owned_fd(input).map_err(fail)?;
        let output = pipe::Sender::from_owned_fd(output).map_err(fail)?;
        Self::over(tokio::io::join(input, output), defaults).await
    }

    /// Speaks on any stream.
    ///
    /// # Errors
    /// [`Error::Connect`] when no daemon answers on it.
    ///
    /// # Source
    /// BuildKit v0.32.2 `frontend/gateway/grpcclient/client.go`: HTTP/2 with this side as client.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        defaults: Defaults,
    ) -> Result<Self, Error> {
        let fail = |reason: String| Error::Connect { address: ADDRESS.to_owned(), reason };
        let mut stream = Some(TokioIo::new(stream));
        // Handed out once: there is no second stream to reconnect on.
        let connector = tower::service_fn(move |_: Uri| {
            let stream = stream.take();
            async move { stream.ok_or_else(|| io::Error::other("the daemon has closed its stream")) }
        });
        let endpoint = endpoint();
        let connecting = endpoint.connect_with_connector(connector);
        let channel = tokio::time::timeout(PATIENCE, connecting)
            .await
            .map_err(|_| fail(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|error| fail(innermost(&error)))?;
        let gateway = Gateway::of_frontend(channel);
        let pong = tokio::time::timeout(PATIENCE, gateway.ping())
            .await
            .map_err(|_| fail(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|status| fail(failure::decode("ping", &status).to_string()))?;
        let workers = pong.workers.into_iter().map(|worker| Worker {
            id: worker.id,
            labels: worker.labels,
            platforms: worker.platforms,
        });
        let capabilities = Capabilities {
            llb: enabled(pong.llb_caps),
            frontend: enabled(pong.frontend_api_caps),
            version: String::new(),
            workers: workers.collect(),
        };
        let events = broadcast::channel(1).0;
        Ok(Self { gateway, capabilities, defaults, ignore_cache: AtomicBool::new(false), events })
    }

    /// The same, with a platform as the daemon's first: what is built without naming one is for it.
    #[must_use]
    pub fn with_platform(mut self, platform: pb::Platform) -> Self {
        if self.capabilities.workers.is_empty() {
            self.capabilities.workers.push(Worker::default());
        }
        self.capabilities.workers[0].platforms.insert(0, platform);
        self
    }

    /// From now on everything runs anew, whatever the daemon remembers.
    pub fn ignore_cache(&self) {
        self.ignore_cache.store(true, Ordering::Relaxed);
    }

    /// Ends the build with a result. A reference with an empty id stands for a tree without content.
    ///
    /// # Errors
    /// The daemon is gone, or does not know a reference.
    pub async fn finish(&self, result: Solved) -> Result<(), Error> {
        let message = |reference: &Ref| wire::Ref { id: reference.id.to_string(), def: None };
        let content = if result.named.is_empty() {
            wire::result::Result::Ref(result.reference.as_ref().map(message).unwrap_or_default())
        } else {
            let refs = result.named.iter().map(|(name, reference)| (name.clone(), message(reference)));
            wire::result::Result::Refs(wire::RefMap { refs: refs.collect() })
        };
        let result =
            wire::Result { result: Some(content), metadata: result.metadata, ..wire::Result::default() };
        self.gateway.finish(result).await
    }

    /// Ends the build with an error.
    ///
    /// # Errors
    /// The daemon is gone.
    pub async fn reject(&self, reason: &Rejection) -> Result<(), Error> {
        self.gateway.reject(rejection::encode(reason)).await
    }

    /// Shows a warning.
    ///
    /// # Errors
    /// The daemon is gone, or too old for warnings.
    pub async fn warn(&self, warning: Warning) -> Result<(), Error> {
        let detail = warning.detail.into_iter().map(Bytes::from).collect();
        let has_file = !warning.excerpt.ranges.is_empty();
        self.gateway
            .warn(wire::WarnRequest {
                digest: warning.vertex,
                level: 1,
                short: warning.short.into(),
                detail,
                info: has_file.then_some(warning.excerpt.file),
                ranges: warning.excerpt.ranges,
                ..wire::WarnRequest::default()
            })
            .await
    }
}

#[async_trait::async_trait]
impl Bridge for StdioBridge {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn solve(&self, mut request: SolveRequest) -> Result<Solved, Error> {
        request.cache_imports.extend(self.defaults.cache_imports.iter().cloned());
        let ignored = self.ignore_cache.load(Ordering::Relaxed);
        if let Some(definition) = request.definition.as_mut().filter(|_| ignored) {
            for metadata in definition.metadata.values_mut() {
                metadata.ignore_cache = true;
            }
        }
        self.gateway.solve(request).await
    }

    async fn read_file(
        &self,
        from: &Ref,
        path: &str,
        range: Option<ByteRange>,
        limit: u64,
    ) -> Result<Bytes, Error> {
        self.gateway.read_file(from, path, range, limit).await
    }

    async fn read_dir(&self, from: &Ref, path: &str) -> Result<Vec<Stat>, Error> {
        self.gateway.read_dir(from, path).await
    }

    async fn stat_file(&self, from: &Ref, path: &str) -> Result<Stat, Error> {
        self.gateway.stat_file(from, path).await
    }

    async fn resolve_source(&self, request: ResolveSource) -> Result<SourceMetadata, Error> {
        let images_only = !self.capabilities.frontend.contains("source.metaresolver");
        self.gateway.resolve_source(request, images_only).await
    }

    async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: usize,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, u64), Error> {
        require_exec_filesystem(&self.capabilities)?;
        self.gateway.read_failed(failure, mount, path, limit).await
    }

    async fn export(&self, _: ExportRequest) -> Result<BTreeMap<String, String>, Error> {
        Err(Error::Refused {
            operation: "export",
            message: "a frontend has one result, which its client exports".to_owned(),
        })
    }

    /// Never says anything: the client watches the daemon itself.
    fn status(&self) -> broadcast::Receiver<StatusEvent> {
        self.events.subscribe()
    }

    /// Not known here, so never said.
    fn has_run(&self, _: &str) -> bool {
        false
    }

    /// Nothing to do: the build ends with its result.
    async fn close(&self, _: Duration) {}
}
