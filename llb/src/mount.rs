//! Mounts of an exec.

use std::collections::BTreeSet;

use crate::caps;
use crate::output::Output;

/// What is seen at one path of an exec.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: String,
    /// What is there.
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug)]
pub enum MountKind {
    /// A tree.
    Bind(Bind),
    /// A volume that lives in the daemon from exec to exec.
    Cache(Cache),
    /// Memory-backed storage of `size` bytes for the length of the command; 0 leaves the size to the daemon.
    Tmpfs {
        /// In bytes.
        size: i64,
    },
    /// A file that the session gives.
    Secret(Secret),
    /// A socket that the session forwards.
    Ssh(Ssh),
}

/// A mounted tree.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    /// `None` is the empty tree.
    pub source: Option<Output>,
    /// Path inside the source; empty is all of it.
    pub selector: String,
    /// Whether the command may write, and where that goes.
    pub access: Access,
    /// Whether the content is part of the cache key.
    pub content_cache: ContentCache,
}

/// What happens to writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// They become an output of the exec.
    #[default]
    Write,
    /// They are thrown away.
    Discard,
    /// They are refused.
    Read,
}

/// Whether a mounted tree enters the cache key by its content rather than by its recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentCache {
    /// The daemon decides: by content for read-only mounts that are not the root.
    #[default]
    Default,
    /// By content.
    On,
    /// By recipe.
    Off,
}

/// A cache volume.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Names the volume; never empty.
    pub id: String,
    /// What a second user of the volume meets.
    pub sharing: Sharing,
    /// What the volume holds when it is new.
    pub source: Option<Output>,
    /// Path inside the volume; empty is all of it.
    pub selector: String,
    /// Refuses writes.
    pub read_only: bool,
}

/// What happens when two execs want one cache volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sharing {
    /// Both write.
    #[default]
    Shared,
    /// The second gets a volume of its own.
    Private,
    /// The second waits.
    Locked,
}

/// A secret as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What the session is asked for.
    pub id: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Goes on without the file when the session has no such secret.
    pub optional: bool,
}

/// A forwarded socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// What the session is asked for.
    pub id: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits; 0 shuts everybody out but root.
    pub mode: u32,
    /// Goes on without the socket when the session forwards none.
    pub optional: bool,
}

impl Secret {
    /// A secret that only root may read.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), uid: 0, gid: 0, mode: 0o400, optional: false }
    }
}

impl Ssh {
    /// A socket that only root may use.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), uid: 0, gid: 0, mode: 0o600, optional: false }
    }
}

impl Mount {
    /// A mount of any kind.
    pub fn new(target: impl Into<String>, kind: impl Into<MountKind>) -> Self {
        Self { target: target.into(), kind: kind.into() }
    }

    /// A tree whose changes become an output.
    pub fn bind(target: impl Into<String>, source: impl Into<Option<Output>>) -> Self {
        let source = source.into();
        Self::new(target, Bind { source, ..Bind::default() })
    }

    /// A tree that cannot be written.
    pub fn read_only(target: impl Into<String>, source: impl Into<Option<Output>>) -> Self {
        let (source, access) = (source.into(), Access::Read);
        Self::new(target, Bind { source, access, ..Bind::default() })
    }

    /// An empty cache volume.
    pub fn cache(target: impl Into<String>, id: impl Into<String>, sharing: Sharing) -> Self {
        let id = id.into();
        Self::new(target, Cache { id, sharing, ..Cache::default() })
    }

    /// Memory-backed storage of `size` bytes; 0 leaves the size to the daemon.
    pub fn tmpfs(target: impl Into<String>, size: i64) -> Self {
        Self::new(target, MountKind::Tmpfs { size })
    }

    /// The tree the mount starts from.
    pub(crate) fn source(&self) -> Option<&Output> {
        match &self.kind {
            MountKind::Bind(bind) => bind.source.as_ref(),
            MountKind::Cache(cache) => cache.source.as_ref(),
            MountKind::Tmpfs { .. } | MountKind::Secret(_) | MountKind::Ssh(_) => None,
        }
    }

    pub(crate) fn take_source(&mut self) -> Option<Output> {
        match &mut self.kind {
            MountKind::Bind(bind) => bind.source.take(),
            MountKind::Cache(cache) => cache.source.take(),
            MountKind::Tmpfs { .. } | MountKind::Secret(_) | MountKind::Ssh(_) => None,
        }
    }

    /// Whether the changes become an output of the exec.
    pub(crate) fn has_output(&self) -> bool {
        matches!(&self.kind, MountKind::Bind(bind) if bind.access == Access::Write)
    }

    /// Where in the list of an operation the kind comes: trees, volumes and memory by target, then
    /// secrets, then sockets, as given.
    ///
    /// # Source
    /// BuildKit v0.32.2 `client/llb/exec.go`, `(*ExecOp).Marshal`.
    pub(crate) fn rank(&self) -> (u8, &str) {
        match &self.kind {
            MountKind::Bind(_) | MountKind::Cache(_) | MountKind::Tmpfs { .. } => (0, &self.target),
            MountKind::Secret(_) => (1, ""),
            MountKind::Ssh(_) => (2, ""),
        }
    }

    /// # Source
    /// BuildKit v0.32.2 `client/llb/exec.go`, `(*ExecOp).Marshal`.
    pub(crate) fn capabilities(&self, into: &mut BTreeSet<&'static str>) {
        match &self.kind {
            MountKind::Bind(bind) => {
                if bind.source.is_some() {
                    into.insert(caps::EXEC_MOUNT_BIND);
                }
                if bind.access == Access::Discard {
                    into.insert(caps::EXEC_MOUNT_BIND_READ_WRITE_NO_OUTPUT);
                }
                if bind.content_cache != ContentCache::Default {
                    into.insert(caps::EXEC_MOUNT_CONTENT_CACHE);
                }
                if !bind.selector.is_empty() {
                    into.insert(caps::EXEC_MOUNT_SELECTOR);
                }
            }
            MountKind::Cache(cache) => {
                into.extend([caps::EXEC_MOUNT_CACHE, caps::EXEC_MOUNT_CACHE_SHARING]);
                if !cache.selector.is_empty() {
                    into.insert(caps::EXEC_MOUNT_SELECTOR);
                }
            }
            MountKind::Tmpfs { size } => {
                into.insert(caps::EXEC_MOUNT_TMPFS);
                if *size > 0 {
                    into.insert(caps::EXEC_MOUNT_TMPFS_SIZE);
                }
            }
            MountKind::Secret(_) => {
                into.insert(caps::EXEC_MOUNT_SECRET);
            }
            MountKind::Ssh(_) => {
                into.insert(caps::EXEC_MOUNT_SSH);
            }
        }
    }
}

impl From<Bind> for MountKind {
    fn from(bind: Bind) -> Self {
        Self::Bind(bind)
    }
}

impl From<Cache> for MountKind {
    fn from(cache: Cache) -> Self {
        Self::Cache(cache)
    }
}

impl From<Secret> for MountKind {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl From<Ssh> for MountKind {
    fn from(ssh: Ssh) -> Self {
        Self::Ssh(ssh)
    }
}
