//! What a session serves, put together.

use std::sync::Arc;

use bytes::Bytes;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::HealthServer;
use treenail_protos::containerd::services::content::v1::content_server::ContentServer;
use treenail_protos::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use treenail_protos::moby::filesync::v1::auth_server::AuthServer;
use treenail_protos::moby::filesync::v1::file_sync_server::FileSyncServer;
use treenail_protos::moby::sshforward::v1::ssh_server::SshServer;

use crate::MESSAGE_LIMIT;
use crate::auth::{AuthService, CredentialChain, Credentials};
use crate::content::{ContentService, ContentStores};
use crate::error::BoxError;
use crate::filesync::FileSyncService;
use crate::filesync::locals::Locals;
use crate::health::{HealthService, ProbeClock};
use crate::receive::{FileSendService, Receivers};
use crate::secrets::{SecretService, SecretSource};
use crate::sockets::{SocketService, SocketSource};

/// What a session serves. The default shares nothing: no directory, no secret, anonymous registries.
#[derive(Clone)]
pub struct Services {
    pub(crate) locals: Locals,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) receivers: Receivers,
    pub(crate) stores: ContentStores,
    pub(crate) sockets: Option<Arc<dyn SocketSource>>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            locals: Locals::default(),
            secrets: Arc::new(NoSecrets),
            credentials: Arc::new(CredentialChain::default()),
            receivers: Receivers::default(),
            stores: ContentStores::default(),
            sockets: None,
        }
    }
}

impl Services {
    /// Shares directories. The caller may add more to its clone while the session is open.
    pub fn with_locals(mut self, locals: Locals) -> Self {
        self.locals = locals;
        self
    }

    /// Answers requests for secrets.
    pub fn with_secrets(mut self, secrets: Arc<dyn SecretSource>) -> Self {
        self.secrets = secrets;
        self
    }

    /// Answers requests for registry logins.
    pub fn with_credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Takes what the exporters of this session send.
    pub fn with_receivers(mut self, receivers: Receivers) -> Self {
        self.receivers = receivers;
        self
    }

    /// Serves blobs. The caller may add more to its clone while the session is open.
    pub fn with_stores(mut self, stores: ContentStores) -> Self {
        self.stores = stores;
        self
    }

    /// Answers connections to forwarded sockets.
    pub fn with_sockets(mut self, sockets: Arc<dyn SocketSource>) -> Self {
        self.sockets = Some(sockets);
        self
    }

    /// The gRPC services and the methods that the daemon is told of.
    ///
    /// The daemon decides by the list whether to ask at all: what is not offered must not be in it, so that
    /// it can say "not enabled" instead of failing half-way.
    pub(crate) fn routes(&self, probes: Arc<ProbeClock>) -> (Routes, Vec<String>) {
        let mut routes = RoutesBuilder::default();
        let mut methods = vec!["/grpc.health.v1.Health/Check".to_owned()];
        let mut offer = |service: &str, names: &[&str]| {
            methods.extend(names.iter().map(|name| format!("/{service}/{name}")));
        };
        routes.add_service(HealthServer::new(HealthService { probes }));
        routes.add_service(
            FileSyncServer::new(FileSyncService { locals: self.locals.clone() })
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
        );
        offer("moby.filesync.v1.FileSync", &["DiffCopy"]);
        routes.add_service(
            SecretsServer::new(SecretService { source: self.secrets.clone() })
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
        );
        offer("moby.buildkit.secrets.v1.Secrets", &["GetSecret"]);
        routes.add_service(AuthServer::new(AuthService { source: self.credentials.clone() }));
        offer("moby.filesync.v1.Auth", &["Credentials"]);
        routes.add_service(
            ContentServer::new(ContentService { stores: self.stores.clone() })
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
        );
        offer("containerd.services.content.v1.Content", &["Info", "List", "Read", "Status", "ListStatuses"]);
        if !self.receivers.is_empty() {
            routes.add_service(FileSendService { receivers: self.receivers.clone() });
            offer("moby.filesync.v1.FileSend", &["DiffCopy"]);
        }
        if let Some(sockets) = &self.sockets {
            routes.add_service(
                SshServer::new(SocketService { source: sockets.clone() })
                    .max_decoding_message_size(MESSAGE_LIMIT)
                    .max_encoding_message_size(MESSAGE_LIMIT),
            );
            offer("moby.sshforward.v1.SSH", &["CheckAgent", "ForwardAgent"]);
        }
        (routes.routes(), methods)
    }
}

struct NoSecrets;

#[tonic::async_trait]
impl SecretSource for NoSecrets {
    async fn secret(&self, _: &str) -> Result<Option<Bytes>, BoxError> {
        Ok(None)
    }
}
