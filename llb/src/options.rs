//! What is said about an operation besides what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use treenail_protos::pb;

use crate::platform::Platform;

/// An opaque tag that follows an operation to its vertex digest and never enters bytes.
///
/// The caller chooses what it says; equal tags on one vertex are kept once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Origin {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// Vertices that progress displays show as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressGroup {
    /// Equal for all members.
    pub id: String,
    /// What is shown.
    pub name: String,
    /// A weak group yields to another group of the same vertex.
    pub weak: bool,
}

/// Limits for one process that are not part of its cache key; zero and empty mean no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxResources {
    /// In bytes.
    pub memory: i64,
    /// In bytes, memory included.
    pub memory_swap: i64,
    /// Relative weight.
    pub cpu_shares: u64,
    /// In microseconds.
    pub cpu_period: u64,
    /// In microseconds per period.
    pub cpu_quota: i64,
    /// `0-3`
    pub cpuset_cpus: String,
    /// `0,1`
    pub cpuset_mems: String,
}

/// A file that operations come from, shown beside errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as shown.
    pub filename: String,
    /// Linguist's name of its language, or empty.
    pub language: String,
    /// Its content.
    pub data: Bytes,
}

/// A stretch of a source file; lines and characters count from 1 and 0, as the daemon prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRange {
    /// First line and character.
    pub start: (i32, i32),
    /// Last line and character.
    pub end: (i32, i32),
}

/// Where in a source file an operation was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file; equal files are sent once.
    pub file: Arc<SourceFile>,
    /// The stretches.
    pub ranges: Vec<SourceRange>,
}

/// Constraints, metadata and tags of one operation.
///
/// `platform` and `worker_constraints` are part of the vertex digest; nothing else here is.
#[derive(Clone, Debug, Default)]
pub struct OpOptions {
    /// `None` takes the platform of the tree the operation works on, then that of [`crate::MarshalOptions`].
    pub platform: Option<Platform>,
    /// Filters in containerd's syntax, added to those of [`crate::MarshalOptions`].
    pub worker_constraints: Vec<String>,
    /// Runs the operation even if its result is known.
    pub ignore_cache: bool,
    /// Free text by key; `llb.customname` is what progress displays show.
    pub description: BTreeMap<String, String>,
    /// Whether a cache export keeps the result; `None` leaves it to the exporter.
    pub export_cache: Option<bool>,
    /// See [`ProgressGroup`].
    pub progress_group: Option<ProgressGroup>,
    /// Read for execs only.
    pub resources: Option<LinuxResources>,
    /// Capabilities wanted besides those the operation itself is known to need.
    pub capabilities: BTreeSet<String>,
    /// See [`Origin`].
    pub origins: Vec<Origin>,
    /// Source positions for error messages.
    pub locations: Vec<SourceLocation>,
}

impl OpOptions {
    /// Options with nothing but a name for progress displays.
    pub fn named(name: impl Into<String>) -> Self {
        Self::default().with_name(name)
    }

    /// Sets the name that progress displays show.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.description.insert("llb.customname".to_owned(), name.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<Origin>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Sets the platform.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Whether two file actions with these options may share one vertex: all that the daemon acts
    /// on is equal. Names, tags, capabilities and locations can be joined.
    pub(crate) fn batches_with(&self, other: &Self) -> bool {
        self.worker_constraints == other.worker_constraints
            && self.ignore_cache == other.ignore_cache
            && self.export_cache == other.export_cache
            && self.progress_group == other.progress_group
            && self.resources == other.resources
    }

    /// Adds what the daemon is told besides the vertex to `metadata`; on a clash these options win.
    ///
    /// # Source
    /// BuildKit v0.32.2 `client/llb/state.go`, `mergeMetadata`.
    pub(crate) fn write_to(&self, metadata: &mut pb::OpMetadata) {
        metadata.ignore_cache |= self.ignore_cache;
        for (key, text) in &self.description {
            metadata.description.insert(key.clone(), text.clone());
        }
        if let Some(value) = self.export_cache {
            metadata.export_cache = Some(pb::ExportCache { value });
        }
        for capability in &self.capabilities {
            metadata.caps.insert(capability.clone(), true);
        }
        if let Some(group) = &self.progress_group {
            metadata.progress_group =
                Some(pb::ProgressGroup { id: group.id.clone(), name: group.name.clone(), weak: group.weak });
        }
        if let Some(resources) = &self.resources {
            metadata.linux_resources = Some(pb::LinuxResources {
                memory: resources.memory,
                memory_swap: resources.memory_swap,
                cpu_shares: resources.cpu_shares,
                cpu_period: resources.cpu_period,
                cpu_quota: resources.cpu_quota,
                cpuset_cpus: resources.cpuset_cpus.clone(),
                cpuset_mems: resources.cpuset_mems.clone(),
            });
        }
    }
}
