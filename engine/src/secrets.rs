//! Secrets of the session: ids that reveal nothing, values that stay in memory or with their provider.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use treenail_model::Secret;

use crate::{Cause, Engine, SecretValue};

/// What the session knows of its secrets, by id.
#[derive(Default)]
pub(crate) struct Secrets {
    values: Mutex<HashMap<Arc<str>, SecretValue>>,
}

impl Engine {
    /// Takes a secret in: from now on the daemon may ask for it. The last value under an id wins.
    pub fn keep_secret(&self, secret: &Secret, value: SecretValue) {
        self.0.host.offer_secret(&secret.id, value.clone());
        self.0.secrets.values.lock().insert(secret.id.clone(), value);
    }

    /// The value of a secret, read anew where it has a provider.
    ///
    /// # Errors
    /// The secret is not of this session; its provider fails, with the texts of `contract/sources.md` 6.
    pub async fn plaintext(&self, secret: &Secret) -> Result<Bytes, Cause> {
        let value = self.0.secrets.values.lock().get(&secret.id).cloned();
        match value {
            None => Err(Cause::invalid(format!("secret {}: not found", secret.id))),
            Some(SecretValue::Plaintext(bytes)) => Ok(bytes),
            Some(SecretValue::Uri(uri)) => self.0.host.read_secret(&uri).await.map_err(|error| Cause::Host(error.0)),
        }
    }

    /// Is it a secret of this session?
    pub fn knows_secret(&self, id: &str) -> bool {
        self.0.secrets.values.lock().contains_key(id)
    }
}
