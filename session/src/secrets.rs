//! Secrets, asked for when a command that mounts one really runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use tonic::{Request, Response, Status};
use treenail_protos::moby::buildkit::secrets::v1::secrets_server::Secrets;
use treenail_protos::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};

use crate::MESSAGE_LIMIT;
use crate::error::BoxError;

/// Room for the message around a secret.
const OVERHEAD: usize = 64;

/// Knows secrets by the ids that definitions name them with.
#[tonic::async_trait]
pub trait SecretSource: Send + Sync {
    /// The plaintext, or nothing when there is no such secret.
    ///
    /// Called once per command that really runs, so it may start what the secret speaks of. The text of an
    /// error reaches the daemon and the user: it must not hold the secret.
    ///
    /// # Errors
    /// Whatever kept the source from answering.
    async fn secret(&self, id: &str) -> Result<Option<Bytes>, BoxError>;
}

/// Secrets held in memory; cheap to clone, clones share.
#[derive(Clone, Default)]
pub struct MemorySecrets(Arc<RwLock<BTreeMap<String, Bytes>>>);

impl MemorySecrets {
    /// Adds a secret, or replaces it.
    pub fn set(&self, id: impl Into<String>, plaintext: impl Into<Bytes>) {
        self.0.write().insert(id.into(), plaintext.into());
    }

    /// Forgets a secret.
    pub fn remove(&self, id: &str) {
        self.0.write().remove(id);
    }
}

impl fmt::Debug for MemorySecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.read().keys()).finish()
    }
}

#[tonic::async_trait]
impl SecretSource for MemorySecrets {
    async fn secret(&self, id: &str) -> Result<Option<Bytes>, BoxError> {
        Ok(self.0.read().get(id).cloned())
    }
}

pub(crate) struct SecretService {
    pub(crate) source: Arc<dyn SecretSource>,
}

#[tonic::async_trait]
impl Secrets for SecretService {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let found = self.source.secret(&id).await;
        let data = found
            .map_err(|error| Status::unknown(format!("secret `{id}`: {error}")))?
            .ok_or_else(|| Status::not_found(format!("secret `{id}` not found")))?;
        if data.len() > MESSAGE_LIMIT - OVERHEAD {
            return Err(Status::resource_exhausted(format!(
                "secret `{id}` is larger than {MESSAGE_LIMIT} bytes"
            )));
        }
        Ok(Response::new(GetSecretResponse { data }))
    }
}
