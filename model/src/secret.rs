//! Secrets: names for values that never enter a value of this crate.

use std::sync::Arc;

/// A reference to a secret of a client. The plaintext stays with the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secret {
    /// Id in the daemon's words: stable, and telling nothing of the value.
    pub id: Arc<str>,
    /// Name given by `setSecret`; empty for secrets by URI.
    pub name: Arc<str>,
    /// URI without its cache key; empty for `setSecret`.
    pub uri: Arc<str>,
}
