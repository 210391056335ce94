//! Secrets of the session: ids that reveal nothing, values that stay in memory or with their provider.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use bytes::Bytes;
use parking_lot::Mutex;
use treenail_call::Digest;
use treenail_model::Secret;

use crate::{Cause, Engine, SecretValue};

/// What the session knows of its secrets, by id.
#[derive(Default)]
pub(crate) struct Secrets {
    values: Mutex<HashMap<Arc<str>, SecretValue>>,
    salt: OnceLock<Vec<u8>>,
}

/// Shortest salt that argon2 takes, in bytes.
const SHORTEST_SALT: usize = 8;

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

    /// What stands for a secret by URI: a slow, salted hash of its value, or chance when the value cannot be read
    /// (the error comes when it is used).
    ///
    /// The salt is the user's, else one of this process: then such a secret is another one in another session.
    ///
    /// # Errors
    /// A salt that is too short.
    ///
    /// # Source
    /// `contract/ids.md` 6: argon2id, time 10, 2 MiB, 1 lane, 32 bytes.
    pub async fn secret_digest(&self, uri: &str) -> Result<Digest, Cause> {
        let Ok(value) = self.0.host.read_secret(uri).await else {
            return Ok(Digest::new(format!("argon2:{}", uuid::Uuid::new_v4().simple())));
        };
        let salt = self.0.secrets.salt.get_or_init(|| {
            self.0.host.secret_salt().unwrap_or_else(|| uuid::Uuid::new_v4().as_bytes().to_vec())
        });
        if salt.len() < SHORTEST_SALT {
            return Err(Cause::Host(format!(
                "the secret salt has {} bytes; give TREENAIL_SECRET_SALT at least {SHORTEST_SALT}",
                salt.len()
            )));
        }
        let salt = salt.clone();
        let hashed = tokio::task::spawn_blocking(move || -> Result<[u8; 32], argon2::Error> {
            let params = argon2::Params::new(2048, 10, 1, Some(32))?;
            let mut out = [0; 32];
            argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
                .hash_password_into(&value, &salt, &mut out)?;
            Ok(out)
        });
        match hashed.await {
            Ok(Ok(hash)) => {
                let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash);
                Ok(Digest::new(format!("argon2:{text}")))
            }
            Ok(Err(error)) => Err(Cause::Bug(format!("a secret cannot be hashed: {error}"))),
            Err(error) => Err(Cause::Bug(format!("hashing a secret ended early: {error}"))),
        }
    }

    /// Is it a secret of this session?
    pub fn knows_secret(&self, id: &str) -> bool {
        self.0.secrets.values.lock().contains_key(id)
    }
}
