//! Cache volumes.

use std::sync::Arc;

/// A persistent volume of the daemon, known by its key within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheVolume {
    /// Key as the client gave it.
    pub key: Arc<str>,
    /// `mainClient` outside modules.
    pub namespace: Arc<str>,
}

/// How several commands use one volume at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Each its own when another is in use.
    Private,
    /// One after the other.
    Locked,
}

impl CacheVolume {
    /// The id under which the daemon keeps it.
    ///
    /// A mount's source and owner are part of a volume's identity; the daemon adds the source by itself (it keys
    /// a volume by id and base), so only the owner is written here.
    pub fn daemon_id(&self, owner: Option<crate::Owner>) -> String {
        let mut id = format!("treenail/{}/{}", self.namespace, self.key);
        if let Some(owner) = owner {
            id.push_str(&format!("@{}:{}", owner.uid, owner.gid));
        }
        id
    }
}
