//! A bridge without a daemon: it counts, records, fails and waits on command, and runs graphs of file actions
//! over trees in memory, so that tests read real contents.
//!
//! Sources are trees that a test registers; execs are answered by a callback. Equal vertices run once, as in a
//! daemon; unlike there, a failure is not kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, watch};
use treenail_protos::pb;

mod file_op;
mod graph;
mod tree;

pub use tree::{Content, Node, Tree};

use crate::{
    Bridge, ByteRange, Capabilities, Error, ExecFailure, ExportRequest, Ref, ResolveSource, SolveRequest,
    Solved, SourceMetadata, Stat, StatusEvent,
};

const EVENTS: usize = 1024;

/// Runs an exec: trees come one per mount (empty for scratch and for mounts that are no trees), are changed in
/// place, and leave as the mounts' outputs. Answers the exit code.
pub type ExecFn = dyn Fn(&pb::ExecOp, &mut [Tree]) -> i32 + Send + Sync;
/// Says whether, and how, a solve fails.
pub type FailFn = dyn Fn(&SolveRequest) -> Option<Error> + Send + Sync;

/// The fake. Methods take `&self`: share it in an [`Arc`].
pub struct FakeBridge {
    capabilities: Capabilities,
    state: parking_lot::Mutex<State>,
    events: broadcast::Sender<StatusEvent>,
    held: watch::Sender<bool>,
    counts: watch::Sender<Counts>,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Solves that were asked for.
    pub solves: usize,
    /// Of these, how many got an answer.
    pub answered: usize,
    /// Of these, how many the caller gave up.
    pub cancelled: usize,
    /// Execs that ran.
    pub execs: usize,
    /// Sources that were resolved.
    pub resolves: usize,
    /// Files, directories and stats that were read.
    pub reads: usize,
}

#[derive(Default)]
struct State {
    requests: Vec<SolveRequest>,
    exports: Vec<ExportRequest>,
    export_answer: BTreeMap<String, String>,
    sources: HashMap<String, Tree>,
    metadata: HashMap<String, SourceMetadata>,
    /// What a reference stands for, evaluated or not.
    refs: HashMap<Arc<str>, pb::Definition>,
    /// Outputs of vertices by digest.
    vertices: HashMap<String, Vec<Tree>>,
    /// What failed execs left, by mount id.
    failed: HashMap<String, Tree>,
    exec: Option<Arc<ExecFn>>,
    fail_next: Vec<Error>,
    fail_when: Option<Arc<FailFn>>,
    closed: bool,
}

/// Holds every solve until dropped.
pub struct Gate<'a> {
    held: &'a watch::Sender<bool>,
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.held.send_replace(false);
    }
}

impl Default for FakeBridge {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeBridge {
    /// A fake daemon with every capability that an operation of ours may ask for.
    pub fn new() -> Self {
        let llb = [
            "source.image",
            "source.image.resolvemode",
            "source.image.layerlimit",
            "source.image.checksum",
            "source.local",
            "source.local.unique",
            "source.local.sessionid",
            "source.local.includepatterns",
            "source.local.followpaths",
            "source.local.excludepatterns",
            "source.local.sharedkeyhint",
            "source.local.differ",
            "source.local.metadatatransfer",
            "source.git",
            "source.git.keepgitdir",
            "source.git.fullurl",
            "source.git.httpauth",
            "source.git.knownsshhosts",
            "source.git.mountsshsock",
            "source.git.checksum",
            "source.git.skipsubmodules",
            "source.git.signatureverify",
            "source.git.mtime",
            "source.git.fetchbycommit",
            "source.git.bundle",
            "source.git.checkoutbundle",
            "source.http",
            "source.http.auth",
            "source.http.checksum",
            "source.http.perm",
            "soruce.http.uidgid",
            "source.http.header",
            "source.http.signatureverify",
            "source.ocilayout",
            "source.buildop.llbfilename",
            "exec.meta.base",
            "exec.meta.cgroup.parent",
            "exec.meta.network",
            "exec.meta.proxyenv",
            "exec.meta.security",
            "exec.meta.setsdefaultpath",
            "exec.meta.ulimit",
            "exec.meta.cdi",
            "exec.meta.removemountstubs.recursive",
            "exec.meta.linux.resources",
            "exec.mount.bind",
            "exec.mount.bind.readwrite-nooutput",
            "exec.mount.cache",
            "exec.mount.cache.sharing",
            "exec.mount.selector",
            "exec.mount.tmpfs",
            "exec.mount.tmpfs.size",
            "exec.mount.secret",
            "exec.mount.ssh",
            "exec.mount.cache.content",
            "exec.secretenv",
            "exec.validexitcode",
            "file.base",
            "file.rm.wildcard",
            "file.copy.includeexcludepatterns",
            "file.copy.requiredpaths",
            "file.copy.alwaysreplaceexistingdestpaths",
            "file.copy.modestring",
            "file.symlink.create",
            "constraints",
            "platform",
            "meta.ignorecache",
            "meta.description",
            "meta.exportcache",
            "mergeop",
            "diffop",
        ];
        let frontend = [
            "solve.base",
            "readfile",
            "readdir",
            "statfile",
            "source.metaresolver",
            "gateway.exec",
            "gateway.exec.filesystem",
        ];
        Self::with_capabilities(Capabilities {
            llb: llb.into_iter().map(str::to_owned).collect(),
            frontend: frontend.into_iter().map(str::to_owned).collect(),
            version: "fake".to_owned(),
            workers: vec![crate::Worker {
                id: "fake".to_owned(),
                platforms: vec![pb::Platform {
                    os: "linux".to_owned(),
                    architecture: "amd64".to_owned(),
                    ..pb::Platform::default()
                }],
                ..crate::Worker::default()
            }],
        })
    }

    /// A fake daemon with exactly these capabilities.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            state: parking_lot::Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            held: watch::channel(false).0,
            counts: watch::channel(Counts::default()).0,
        }
    }

    /// Answers the look-up of an image, with or without `docker-image://`, and with or without the digest behind
    /// the reference; its tree is empty unless [`Self::set_source`] gives one.
    pub fn set_image(&self, reference: &str, digest: &str, config: impl Into<Bytes>) {
        let identifier = with_scheme(reference);
        let metadata = SourceMetadata {
            identifier: identifier.clone(),
            image: Some((digest.to_owned(), config.into())),
            ..SourceMetadata::default()
        };
        let pinned = format!("{identifier}@{digest}");
        let mut state = self.state.lock();
        for name in [identifier, pinned] {
            state.sources.entry(name.clone()).or_default();
            state.metadata.insert(name, metadata.clone());
        }
    }

    /// Gives a source (`local://context`, `git://…`, an image) its tree; an image's counts with its digest, too.
    pub fn set_source(&self, identifier: &str, tree: Tree) {
        let identifier = with_scheme(identifier);
        let mut state = self.state.lock();
        let image = state.metadata.get(&identifier).and_then(|metadata| metadata.image.as_ref());
        if let Some(pinned) = image.map(|(digest, _)| format!("{identifier}@{digest}")) {
            state.sources.insert(pinned, tree.clone());
        }
        state.sources.insert(identifier, tree);
    }

    /// Answers the look-up of any source.
    pub fn set_metadata(&self, identifier: &str, metadata: SourceMetadata) {
        self.state.lock().metadata.insert(with_scheme(identifier), metadata);
    }

    /// Runs execs; without it every exec succeeds and changes nothing.
    pub fn on_exec(&self, run: impl Fn(&pb::ExecOp, &mut [Tree]) -> i32 + Send + Sync + 'static) {
        self.state.lock().exec = Some(Arc::new(run));
    }

    /// Answers every export.
    pub fn set_export_answer(&self, answer: BTreeMap<String, String>) {
        self.state.lock().export_answer = answer;
    }

    /// The next solve fails; several calls queue up.
    pub fn fail_next(&self, error: Error) {
        self.state.lock().fail_next.push(error);
    }

    /// Solves fail when `decide` says so.
    pub fn fail_when(&self, decide: impl Fn(&SolveRequest) -> Option<Error> + Send + Sync + 'static) {
        self.state.lock().fail_when = Some(Arc::new(decide));
    }

    /// Holds every solve from now on until the gate is dropped.
    #[must_use]
    pub fn hold(&self) -> Gate<'_> {
        self.held.send_replace(true);
        Gate { held: &self.held }
    }

    /// Tells subscribers something.
    pub fn emit(&self, event: StatusEvent) {
        // Nobody listens: nobody misses it.
        let _ = self.events.send(event);
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until what happened so far satisfies `enough`.
    pub async fn wait_for(&self, enough: impl Fn(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        counts.wait_for(enough).await.expect("the sender lives in self");
    }

    /// Every solve asked for, in order.
    pub fn requests(&self) -> Vec<SolveRequest> {
        self.state.lock().requests.clone()
    }

    /// Every export asked for, in order.
    pub fn exports(&self) -> Vec<ExportRequest> {
        self.state.lock().exports.clone()
    }

    /// Was it closed?
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// The tree of a reference, evaluated now if it is not yet.
    ///
    /// # Errors
    /// Those of the graph behind it.
    pub fn tree(&self, of: &Ref) -> Result<Tree, Error> {
        if of.id.is_empty() {
            return Ok(Tree::default());
        }
        let definition = self.state.lock().refs.get(&of.id).cloned();
        let definition = definition.ok_or_else(|| Error::Refused {
            operation: "read",
            message: format!("no such ref: {}", of.id),
        })?;
        graph::evaluate(self, &definition)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    fn read(&self, of: &Ref) -> Result<Tree, Error> {
        self.count(|counts| counts.reads += 1);
        self.open("read")?;
        self.tree(of)
    }

    fn open(&self, operation: &'static str) -> Result<(), Error> {
        if self.state.lock().closed {
            return Err(Error::SessionLost { operation, message: "the build has ended".to_owned() });
        }
        Ok(())
    }

    fn answer(&self, request: &SolveRequest) -> Result<Solved, Error> {
        self.open("solve")?;
        let decide = {
            let mut state = self.state.lock();
            if !state.fail_next.is_empty() {
                return Err(state.fail_next.remove(0));
            }
            state.fail_when.clone()
        };
        if let Some(error) = decide.and_then(|decide| decide(request)) {
            return Err(error);
        }
        let definition = request.definition.clone().filter(|definition| !definition.def.is_empty());
        let Some(definition) = definition else { return Ok(Solved::default()) };
        if request.evaluate {
            graph::evaluate(self, &definition)?;
        }
        let id: Arc<str> = format!("ref-{}", sha256(&definition.encode_to_vec())).into();
        self.state.lock().refs.insert(id.clone(), definition);
        Ok(Solved { reference: Some(Ref { id }), ..Solved::default() })
    }
}

/// Counts a solve whose caller went away.
struct Pending<'a>(Option<&'a FakeBridge>);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(bridge) = self.0 {
            bridge.count(|counts| counts.cancelled += 1);
        }
    }
}

#[async_trait::async_trait]
impl Bridge for FakeBridge {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn solve(&self, request: SolveRequest) -> Result<Solved, Error> {
        self.state.lock().requests.push(request.clone());
        self.count(|counts| counts.solves += 1);
        let mut pending = Pending(Some(self));
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives in self");
        let answer = self.answer(&request);
        pending.0 = None;
        self.count(|counts| counts.answered += 1);
        answer
    }

    async fn read_file(
        &self,
        from: &Ref,
        path: &str,
        range: Option<ByteRange>,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let data = self.read(from)?.read(path)?;
        let size = data.len() as u64;
        let ByteRange { offset, length } = range.unwrap_or_default();
        let start = offset.min(size);
        let rest = if length == 0 { size - start } else { length.min(size - start) };
        if rest > limit {
            return Err(Error::TooLarge { size, limit });
        }
        let [start, end] = [start, start + rest].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        Ok(data.slice(start..end))
    }

    async fn read_dir(&self, from: &Ref, path: &str) -> Result<Vec<Stat>, Error> {
        self.read(from)?.list(path)
    }

    async fn stat_file(&self, from: &Ref, path: &str) -> Result<Stat, Error> {
        self.read(from)?.stat(path)
    }

    async fn resolve_source(&self, request: ResolveSource) -> Result<SourceMetadata, Error> {
        self.count(|counts| counts.resolves += 1);
        self.open("resolve source")?;
        let identifier = request.source.identifier;
        let found = self.state.lock().metadata.get(&identifier).cloned();
        found.ok_or_else(|| Error::Vertex { vertex: None, message: format!("{identifier}: not found") })
    }

    async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: usize,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, u64), Error> {
        let id = failure.mount_ids.get(mount).cloned().unwrap_or_default();
        let tree = self.state.lock().failed.get(&id).cloned();
        let data = tree.ok_or_else(|| Error::NotFound { path: path.to_owned() })?.read(path)?;
        let skipped = usize::try_from((data.len() as u64).saturating_sub(limit)).unwrap_or(0);
        Ok((data.slice(skipped..), data.len() as u64))
    }

    async fn export(&self, request: ExportRequest) -> Result<BTreeMap<String, String>, Error> {
        self.open("export")?;
        for definition in request.definition.iter().chain(request.named.values()) {
            graph::evaluate(self, definition)?;
        }
        let mut state = self.state.lock();
        state.exports.push(request);
        Ok(state.export_answer.clone())
    }

    fn status(&self) -> broadcast::Receiver<StatusEvent> {
        self.events.subscribe()
    }

    fn has_run(&self, vertex: &str) -> bool {
        self.state.lock().vertices.contains_key(vertex)
    }

    async fn close(&self, _patience: Duration) {
        self.state.lock().closed = true;
    }
}

fn with_scheme(reference: &str) -> String {
    if reference.contains("://") { reference.to_owned() } else { format!("docker-image://{reference}") }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
