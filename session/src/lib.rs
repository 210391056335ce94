//! Answers a daemon: the session through which BuildKit reads host files, secrets and credentials, and
//! hands back what an export made.
//!
//! [`Session::start`] opens `Control.Session` on a connection of its own and serves [`Services`] over it; a
//! dropped stream is opened again under the same id. What is served:
//!
//! | part | type | used by |
//! |---|---|---|
//! | host directories | [`Locals`] | local sources |
//! | secrets | [`SecretSource`] | secret mounts and variables, the exec helper |
//! | registry logins | [`Credentials`] | pulls and pushes |
//! | exports | [`Receivers`] | local, tar and OCI exporters |
//! | blobs | [`ContentStores`] | `oci-layout` sources |
//! | sockets | [`SocketSource`] | forwarded sockets |
//!
//! Invariants: what a daemon sends is hostile (no path leaves a destination, no buffer grows with what it
//! claims); secrets and passwords are in no `Debug` text, no log and no error.

mod auth;
mod content;
mod docker_config;
mod error;
mod filesync;
mod health;
mod receive;
mod secrets;
mod services;
mod session;
mod sockets;
mod tunnel;

pub use auth::{Credential, CredentialChain, Credentials, MemoryCredentials};
pub use content::{ContentStores, RemoteBlob};
pub use docker_config::DockerConfig;
pub use error::{BoxError, Error};
pub use filesync::SendTotals;
pub use filesync::locals::{LocalRoot, Locals};
pub use receive::{OpenFile, Received, Receivers, Target};
pub use secrets::{MemorySecrets, SecretSource};
pub use services::Services;
pub use session::{Connect, Session, SessionOptions, State};
pub use sockets::{ByteStream, SocketSource};

/// Bytes of one message in either direction, as the daemon's own client allows.
pub(crate) const MESSAGE_LIMIT: usize = 16 << 20;
