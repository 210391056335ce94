//! Asks a daemon: solve, resolve, read files, export, follow status.
//!
//! One trait, [`Bridge`], with three transports: a socket ([`socket`]), standard streams ([`stdio`]), and a
//! fake that counts ([`fake`]). Everything a main client evaluates runs inside one long build, so vertices are
//! shared, results stay readable and host uploads are snapshots.
//!
//! Invariant: nothing here knows calls, GraphQL or the model; a definition comes in as bytes-to-be, a [`Ref`]
//! or a typed [`Error`] goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use treenail_protos::pb;

mod error;
pub mod fake;
mod id;
pub mod socket;
pub mod stdio;
mod wire;

pub use error::{Error, ExecFailure};

/// A solved result inside the open build: opaque, cheap to clone, valid until the build ends.
///
/// An empty reference (`id` empty) stands for a result without content (scratch).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    /// The identifier the daemon gave.
    pub id: Arc<str>,
}

/// One evaluation.
#[derive(Clone, Debug, Default)]
pub struct SolveRequest {
    /// The graph; empty only when `frontend` is set.
    pub definition: Option<pb::Definition>,
    /// Frontend to run instead of a definition, for example `dockerfile.v0`; empty for none.
    pub frontend: String,
    /// Options of the frontend.
    pub frontend_options: BTreeMap<String, String>,
    /// Named inputs of the frontend.
    pub frontend_inputs: BTreeMap<String, pb::Definition>,
    /// Run everything now (`true`), or at the first read.
    pub evaluate: bool,
    /// Remote caches to consult.
    pub cache_imports: Vec<CacheOptions>,
}

/// A cache to import or export, as `type=…,key=value` spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheOptions {
    /// `registry`, `local`, `gha`, `s3`, `azblob`, `inline`.
    pub kind: String,
    /// Attributes in the backend's own words.
    pub attributes: BTreeMap<String, String>,
}

/// What a solve gave.
#[derive(Clone, Debug, Default)]
pub struct Solved {
    /// The single result, or `None` when there are named ones or none at all (scratch).
    pub reference: Option<Ref>,
    /// Named results (one per platform) of a frontend.
    pub named: BTreeMap<String, Ref>,
    /// The graphs that a frontend made: of the named results, or of the single one under the empty name. A result
    /// without content has none.
    pub definitions: BTreeMap<String, pb::Definition>,
    /// Metadata of the result, for example `containerimage.config`.
    pub metadata: BTreeMap<String, Bytes>,
}

/// A byte range of a file. `length` 0 reads to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Number of bytes at most.
    pub length: u64,
}

/// What the daemon says of one file. `mode` holds Go's `fs.FileMode` bits as BuildKit sends them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Base name (for directory listings) or path as the daemon answered.
    pub path: String,
    /// Go file mode: permission bits, `1<<31` directory, `1<<27` symbolic link, …
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: i64,
    /// Nanoseconds since 1970.
    pub mod_time: i64,
    /// Target of a symbolic link.
    pub link_name: String,
}

impl Stat {
    /// Is it a directory?
    pub fn is_dir(&self) -> bool {
        self.mode & (1 << 31) != 0
    }

    /// Is it a symbolic link?
    pub fn is_symlink(&self) -> bool {
        self.mode & (1 << 27) != 0
    }

    /// Is it an ordinary file: no type bit set?
    pub fn is_regular(&self) -> bool {
        self.mode & 0x8f28_0000 == 0
    }

    /// Permission bits, `0o777` at most.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o777
    }
}

/// Asks what a source resolves to, without fetching it.
#[derive(Clone, Debug, Default)]
pub struct ResolveSource {
    /// The source op: identifier (`docker-image://docker.io/library/alpine:3.22`) and attributes.
    pub source: pb::SourceOp,
    /// Platform wanted, for images.
    pub platform: Option<pb::Platform>,
    /// Text for the progress display.
    pub log_name: String,
}

/// What a source resolves to. Fields that the daemon is too old to answer are `None`.
#[derive(Clone, Debug, Default)]
pub struct SourceMetadata {
    /// The identifier as the daemon normalised it.
    pub identifier: String,
    /// Image: digest of the manifest or index, and the config of the platform's image as JSON bytes.
    pub image: Option<(String, Bytes)>,
    /// Git: commit checksum, ref name.
    pub git: Option<(String, String)>,
    /// Http: (digest, file name, last-modified seconds since 1970).
    pub http: Option<(String, String, Option<i64>)>,
}

/// One exporter of a further `Control.Solve`.
#[derive(Clone, Debug, Default)]
pub struct Exporter {
    /// `local`, `tar`, `oci`, `docker`, `image`.
    pub kind: String,
    /// Attributes in the exporter's own words.
    pub attributes: BTreeMap<String, String>,
}

/// A further solve of a definition (already evaluated in the long build) whose result leaves the daemon.
#[derive(Clone, Debug, Default)]
pub struct ExportRequest {
    /// What to export; nothing is scratch. Every local source in it is pinned to the main session.
    pub definition: Option<pb::Definition>,
    /// Several results under their names (platform ids such as `linux/amd64`, listed by the metadata entry
    /// `refs.platforms`) instead of the one of `definition`.
    pub named: BTreeMap<String, pb::Definition>,
    /// Session that receives the bytes and gives registry credentials.
    pub session: String,
    /// Where to.
    pub exporters: Vec<Exporter>,
    /// Caches to export.
    pub cache_exports: Vec<CacheOptions>,
    /// Frontend inputs or metadata that exporters read (`containerimage.config`, …): the daemon takes them only
    /// through a frontend result, so exports that need one go through [`Bridge::export`] with these set.
    pub metadata: BTreeMap<String, Bytes>,
}

/// The daemon as it presented itself when the bridge was opened.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// Enabled LLB capability ids (`exec.meta.base`, …).
    pub llb: BTreeSet<String>,
    /// Enabled gateway capability ids.
    pub frontend: BTreeSet<String>,
    /// Version text of the daemon, for display only: decisions go by capability.
    pub version: String,
    /// Workers: id, labels, platforms. The first is the default.
    pub workers: Vec<Worker>,
}

/// One worker of the daemon.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    /// Identifier.
    pub id: String,
    /// Labels, for example `org.mobyproject.buildkit.worker.network`.
    pub labels: BTreeMap<String, String>,
    /// Platforms it runs, its own first.
    pub platforms: Vec<pb::Platform>,
}

/// One piece of the daemon's progress, already decoded. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub enum StatusEvent {
    /// A vertex was announced or changed.
    Vertex {
        /// Digest of the op.
        digest: Arc<str>,
        /// Display name.
        name: String,
        /// Digests of its inputs.
        inputs: Vec<Arc<str>>,
        /// Set once it started.
        started: Option<i64>,
        /// Set once it ended.
        completed: Option<i64>,
        /// Answered from the cache.
        cached: bool,
        /// Text of its failure, empty if none.
        error: String,
        /// Group it belongs to, if any: (id, name, weak).
        group: Option<(String, String, bool)>,
    },
    /// A transfer inside a vertex.
    Transfer {
        /// Digest of the op.
        vertex: Arc<str>,
        /// What is moved.
        id: String,
        /// Bytes so far.
        current: i64,
        /// Bytes in all, 0 if unknown.
        total: i64,
        /// Set once it ended.
        completed: Option<i64>,
    },
    /// Output of a vertex.
    Log {
        /// Digest of the op.
        vertex: Arc<str>,
        /// 1 is standard output, 2 standard error.
        stream: i64,
        /// The bytes.
        data: Bytes,
        /// When.
        time: i64,
    },
    /// A warning of a vertex.
    Warning {
        /// Digest of the op.
        vertex: Arc<str>,
        /// One line.
        short: String,
    },
}

/// The end of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Its last bytes, 102 400 at most.
    pub bytes: Bytes,
    /// Bytes of the whole stream, as far as they were seen.
    pub size: u64,
}

/// What a command wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Its standard output.
    pub stdout: Tail,
    /// Its standard error.
    pub stderr: Tail,
}

/// Asks one daemon, inside one long build.
#[async_trait::async_trait]
pub trait Bridge: Send + Sync + 'static {
    /// What the daemon can do.
    fn capabilities(&self) -> &Capabilities;

    /// Evaluates a definition or a frontend.
    ///
    /// # Errors
    /// [`Error::Exec`] for a command that failed, the other kinds as their names say.
    async fn solve(&self, request: SolveRequest) -> Result<Solved, Error>;

    /// Reads (a range of) a file, following links inside the result. Whole files of any size are read in ranges
    /// of 4 MiB; the answer is at most `limit` bytes ([`Error::TooLarge`] names the file's size otherwise).
    async fn read_file(
        &self,
        from: &Ref,
        path: &str,
        range: Option<ByteRange>,
        limit: u64,
    ) -> Result<Bytes, Error>;

    /// Lists one directory level, with links as links.
    async fn read_dir(&self, from: &Ref, path: &str) -> Result<Vec<Stat>, Error>;

    /// Stats a path, following links.
    async fn stat_file(&self, from: &Ref, path: &str) -> Result<Stat, Error>;

    /// Resolves a source's metadata.
    async fn resolve_source(&self, request: ResolveSource) -> Result<SourceMetadata, Error>;

    /// Reads a file (at most the last `limit` bytes, and its full size) of a mount as a failed exec left it.
    /// `mount` is the index of the mount in the exec op.
    async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: usize,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, u64), Error>;

    /// Runs a further solve whose result leaves the daemon; answers the exporter response map.
    async fn export(&self, request: ExportRequest) -> Result<BTreeMap<String, String>, Error>;

    /// What a failed vertex wrote, as the daemon's progress told it: for commands whose output is nowhere else. It may
    /// be cut, or miss altogether.
    async fn written(&self, _vertex: &str) -> Written {
        Written::default()
    }

    /// Progress of the long build and of its exports, from the subscription on.
    fn status(&self) -> tokio::sync::broadcast::Receiver<StatusEvent>;

    /// Has this vertex run in the long build, without failing and without being found in the cache? Told by the
    /// daemon's progress, so an answer can come a moment late, never wrong.
    fn has_run(&self, vertex: &str) -> bool;

    /// Ends the long build and waits until the daemon has let go of it, or the given time is over.
    async fn close(&self, patience: std::time::Duration);
}
