//! The bridge to a daemon on a socket.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;
use treenail_protos::moby::buildkit::v1 as control;
use treenail_protos::moby::buildkit::v1::frontend as wire;
use treenail_protos::pb;

mod connection;
mod written;

pub use connection::{Connection, Info};

use crate::wire::build::Build;
use crate::wire::gateway::require_exec_filesystem;
use crate::wire::{enabled, failure};
use crate::{
    Bridge, ByteRange, Capabilities, Error, ExecFailure, ExportRequest, Ref, ResolveSource, SolveRequest,
    Solved, SourceMetadata, Stat, StatusEvent, Written,
};

/// Events kept for a receiver that is behind; beyond it skips the oldest.
const EVENTS: usize = 8192;
/// How long an export waits for the last words of its status stream once it is done.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How to open a long build.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The session whose files, secrets and sockets the build uses; empty for none.
    pub session_id: String,
    /// What execs inside may ask for: `security.insecure`, `network.host`, `device`. The daemon must grant
    /// each, or the build fails to open.
    pub entitlements: Vec<String>,
    /// Name in the daemon's build history; empty leaves it to the tool that lists it.
    pub name: String,
    /// Further attributes for the history's display, in the words of BuildKit's frontends.
    pub attributes: BTreeMap<String, String>,
    /// Leave no record in the build history.
    pub internal: bool,
}

/// One long build of a daemon.
///
/// Dropping it cancels the build; [`Bridge::close`] ends it in good order.
pub struct SocketBridge {
    connection: Connection,
    entitlements: Vec<String>,
    capabilities: Capabilities,
    build: Build,
    events: broadcast::Sender<StatusEvent>,
    /// The receiver that has heard everything so far: the first subscriber gets it.
    first: Mutex<Option<broadcast::Receiver<StatusEvent>>>,
    /// What ran, and what failed commands wrote.
    recorder: written::Recorder,
}

impl SocketBridge {
    /// Opens a long build: a `Control.Solve` without a definition, driven through the gateway by its id.
    ///
    /// # Errors
    /// [`Error::Refused`] when the daemon grants not all entitlements, [`Error::Unavailable`] when it is gone.
    ///
    /// # Source
    /// BuildKit v0.32.2 `client/build.go`, `control/gateway/gateway.go`; buildx reads the name of a build from
    /// the frontend attribute `build-arg:BUILDKIT_BUILD_NAME`.
    pub async fn open(connection: Connection, options: OpenOptions) -> Result<Self, Error> {
        let (events, first) = broadcast::channel(EVENTS);
        let recorder = written::Recorder::start(events.subscribe());
        let mut attributes = options.attributes;
        if !options.name.is_empty() {
            attributes.insert("build-arg:BUILDKIT_BUILD_NAME".to_owned(), options.name);
        }
        let request = control::SolveRequest {
            session: options.session_id,
            frontend_attrs: attributes,
            entitlements: options.entitlements.clone(),
            internal: options.internal,
            ..control::SolveRequest::default()
        };
        let build = Build::send(&connection.channel(), request, &events);
        let (pong, info) = tokio::join!(build.registered(), connection.info());
        let (pong, info) = (pong?, info?);
        let capabilities = Capabilities {
            llb: enabled(pong.llb_caps),
            frontend: enabled(pong.frontend_api_caps),
            version: info.version,
            workers: info.workers,
        };
        Ok(Self {
            connection,
            entitlements: options.entitlements,
            capabilities,
            build,
            events,
            first: Mutex::new(Some(first)),
            recorder,
        })
    }

    /// The connection it runs on.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Without metadata one definition is solved and exported in one call.
    async fn export_definition(&self, request: ExportRequest) -> Result<BTreeMap<String, String>, Error> {
        let solve =
            control::SolveRequest { definition: request.definition.clone(), ..self.export_request(&request) };
        let build = Build::send(&self.connection.channel(), solve, &self.events);
        let ending = build.ended().await;
        last_words(&build).await;
        ending.map_err(|status| failure::decode("export", &status))
    }

    /// Exporters take image configs and the like from a frontend's result alone, so this plays the frontend:
    /// solves inside the export's own build and returns references with metadata.
    ///
    /// # Source
    /// BuildKit v0.32.2 `client/build.go`, `exporter/containerimage/exptypes/types.go`.
    async fn export_result(&self, request: ExportRequest) -> Result<BTreeMap<String, String>, Error> {
        let build = Build::send(&self.connection.channel(), self.export_request(&request), &self.events);
        build.registered().await?;
        let result = if request.named.is_empty() {
            let reference = solve_for_export(&build, request.definition).await?;
            Some(wire::result::Result::Ref(reference))
        } else {
            let mut refs = BTreeMap::new();
            for (name, definition) in request.named {
                refs.insert(name, solve_for_export(&build, Some(definition)).await?);
            }
            Some(wire::result::Result::Refs(wire::RefMap { refs }))
        };
        let result = wire::Result { result, metadata: request.metadata, ..wire::Result::default() };
        let ending = build.finish(result).await?;
        last_words(&build).await;
        ending.map_err(|status| failure::decode("export", &status))
    }

    fn export_request(&self, request: &ExportRequest) -> control::SolveRequest {
        control::SolveRequest {
            session: request.session.clone(),
            // The graph is checked anew in every build that loads it.
            entitlements: self.entitlements.clone(),
            // One session is one record of the history, whatever it exports.
            internal: true,
            exporters: request
                .exporters
                .iter()
                .map(|exporter| control::Exporter {
                    r#type: exporter.kind.clone(),
                    attrs: exporter.attributes.clone(),
                })
                .collect(),
            cache: Some(control::CacheOptions {
                exports: request
                    .cache_exports
                    .iter()
                    .map(|cache| control::CacheOptionsEntry {
                        r#type: cache.kind.clone(),
                        attrs: cache.attributes.clone(),
                    })
                    .collect(),
                ..control::CacheOptions::default()
            }),
            ..control::SolveRequest::default()
        }
    }
}

async fn last_words(build: &Build) {
    // Progress that comes later is progress nobody waits for.
    let _ = tokio::time::timeout(LAST_WORDS, build.drained()).await;
}

async fn solve_for_export(build: &Build, definition: Option<pb::Definition>) -> Result<wire::Ref, Error> {
    let Some(definition) = definition.filter(|definition| !definition.def.is_empty()) else {
        return Ok(wire::Ref::default());
    };
    let request = SolveRequest { definition: Some(definition), evaluate: true, ..SolveRequest::default() };
    let solved = build.call("export", build.gateway().solve(request)).await?;
    let id = solved.reference.map(|reference| reference.id.to_string()).unwrap_or_default();
    Ok(wire::Ref { id, def: None })
}

#[async_trait::async_trait]
impl Bridge for SocketBridge {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn solve(&self, request: SolveRequest) -> Result<Solved, Error> {
        self.build.call("solve", self.build.gateway().solve(request)).await
    }

    async fn read_file(
        &self,
        from: &Ref,
        path: &str,
        range: Option<ByteRange>,
        limit: u64,
    ) -> Result<Bytes, Error> {
        self.build.call("read file", self.build.gateway().read_file(from, path, range, limit)).await
    }

    async fn read_dir(&self, from: &Ref, path: &str) -> Result<Vec<Stat>, Error> {
        self.build.call("read directory", self.build.gateway().read_dir(from, path)).await
    }

    async fn stat_file(&self, from: &Ref, path: &str) -> Result<Stat, Error> {
        self.build.call("stat file", self.build.gateway().stat_file(from, path)).await
    }

    async fn resolve_source(&self, request: ResolveSource) -> Result<SourceMetadata, Error> {
        let images_only = !self.capabilities.frontend.contains("source.metaresolver");
        self.build.call("resolve source", self.build.gateway().resolve_source(request, images_only)).await
    }

    async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: usize,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, u64), Error> {
        require_exec_filesystem(&self.capabilities)?;
        self.build
            .call("read a failed exec", self.build.gateway().read_failed(failure, mount, path, limit))
            .await
    }

    async fn export(&self, request: ExportRequest) -> Result<BTreeMap<String, String>, Error> {
        let has_content = request.definition.as_ref().is_some_and(|definition| !definition.def.is_empty());
        if has_content && request.named.is_empty() && request.metadata.is_empty() {
            self.export_definition(request).await
        } else {
            // A `Control.Solve` with an empty definition would wait for a frontend: scratch goes this way, too.
            self.export_result(request).await
        }
    }

    async fn written(&self, vertex: &str) -> Written {
        self.recorder.written(vertex).await
    }

    fn status(&self) -> broadcast::Receiver<StatusEvent> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.events.subscribe())
    }

    fn has_run(&self, vertex: &str) -> bool {
        self.recorder.has_run(vertex)
    }

    async fn close(&self, patience: Duration) {
        let end = async {
            // The build may be gone already; then there is nothing to return, and no harm.
            if let Err(error) = self.build.finish(wire::Result::default()).await {
                tracing::debug!(%error, "the build did not end in good order");
            }
            self.build.drained().await;
        };
        let _ = tokio::time::timeout(patience, end).await;
        self.build.abort();
    }
}
