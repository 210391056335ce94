//! Directories of a client, sent through its session.

use crate::caps;
use crate::json;
use crate::options::OpOptions;
use crate::output::Output;
use crate::source::Source;

/// How the daemon finds out which files changed since the last transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differ {
    /// Not at all: everything is sent again.
    None,
    /// By size, times, mode and owner.
    Metadata,
}

/// A directory that the session serves by name.
///
/// Lists are kept as given; patterns follow the rules of `.dockerignore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// What the session is asked for.
    pub name: String,
    /// Whose directory; `None` for the session of the request.
    pub session: Option<String>,
    /// Keeps equal names of different requests apart where no session is said.
    pub unique: Option<String>,
    /// Sends only what matches.
    pub include: Vec<String>,
    /// Leaves out what matches.
    pub exclude: Vec<String>,
    /// Sends only these paths and what their links point to.
    pub follow_paths: Vec<String>,
    /// Directories with equal hints are sent as changes of each other.
    pub shared_key_hint: Option<String>,
    /// How changes are found, and whether a daemon that cannot is refused.
    pub differ: Option<(Differ, bool)>,
    /// Sends names and metadata without contents, but for the paths listed.
    pub metadata_only: Option<Vec<String>>,
}

impl Local {
    /// A directory by name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The directory's tree.
    pub fn output(self, options: OpOptions) -> Output {
        Source::from(self).output(options)
    }
}

impl From<Local> for Source {
    /// # Source
    /// BuildKit v0.32.2 `client/llb/source.go`, `Local`.
    fn from(local: Local) -> Self {
        let list = |items: &[String]| (!items.is_empty()).then(|| json::string_list(items));
        let mut source = Self::new(format!("local://{}", local.name));
        source.cap(caps::SOURCE_LOCAL);
        source.optional("local.session", local.session, Some(caps::SOURCE_LOCAL_SESSION_ID));
        source.optional("local.unique", local.unique, Some(caps::SOURCE_LOCAL_UNIQUE));
        source.optional(
            "local.includepattern",
            list(&local.include),
            Some(caps::SOURCE_LOCAL_INCLUDE_PATTERNS),
        );
        source.optional(
            "local.followpaths",
            list(&local.follow_paths),
            Some(caps::SOURCE_LOCAL_FOLLOW_PATHS),
        );
        source.optional(
            "local.excludepatterns",
            list(&local.exclude),
            Some(caps::SOURCE_LOCAL_EXCLUDE_PATTERNS),
        );
        source.optional(
            "local.sharedkeyhint",
            local.shared_key_hint,
            Some(caps::SOURCE_LOCAL_SHARED_KEY_HINT),
        );
        if let Some((differ, required)) = local.differ {
            let name = match differ {
                Differ::None => "none",
                Differ::Metadata => "metadata",
            };
            source.attr("local.differ", name);
            if required {
                source.cap(caps::SOURCE_LOCAL_DIFFER);
            }
        }
        if let Some(exceptions) = local.metadata_only {
            source.attr("local.metadatatransfer", "true");
            source.cap(caps::SOURCE_LOCAL_METADATA_TRANSFER);
            source.optional("local.metadatatransferexclude", list(&exceptions), None);
        }
        source
    }
}
