//! Secrets of the session: ids that reveal nothing, values that stay in memory or with their provider.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use treenail_call::Digest;
use treenail_init as init;
use treenail_llb as llb;
use treenail_model::{Secret, Tree};

use crate::{Cause, Engine, SecretValue};

/// What the session knows of its secrets, by id.
#[derive(Default)]
pub(crate) struct Secrets {
    values: Mutex<HashMap<Arc<str>, SecretValue>>,
    /// Secrets that the daemon may ask for by name as well: from the name in its words to the id.
    named: Mutex<HashMap<String, Arc<str>>>,
    salt: OnceCell<Vec<u8>>,
}

/// Where the volume with the daemon's salt is mounted.
const SALT_VOLUME: &str = "/dev/.treenail/salt";

/// Shortest salt that argon2 takes, in bytes.
const SHORTEST_SALT: usize = 8;

/// What the daemon calls a secret that a Dockerfile names: its name, so that other clients' builds of the file are found
/// in the cache. Names that could be an id of another kind get a mark.
pub(crate) fn id_by_name(name: &str) -> Cow<'_, str> {
    if name.contains(':') || name.starts_with("treenail-") {
        return format!("treenail-named-{name}").into();
    }
    name.into()
}

impl Engine {
    /// Takes a secret in: from now on the daemon may ask for it. The last value under an id wins.
    pub fn keep_secret(&self, secret: &Secret, value: SecretValue) {
        self.0.host.offer_secret(&secret.id, value.clone());
        let name = id_by_name(&secret.name);
        if self.0.secrets.named.lock().contains_key(&*name) {
            self.0.host.offer_secret(&name, value.clone());
        }
        self.0.secrets.values.lock().insert(secret.id.clone(), value);
    }

    /// From now on the daemon may ask for a secret by [`id_by_name`] as well.
    ///
    /// # Errors
    /// The secret is not of this session.
    pub(crate) fn offer_by_name(&self, secret: &Secret) -> Result<(), Cause> {
        let value = self.0.secrets.values.lock().get(&secret.id).cloned();
        let value = value.ok_or_else(|| Cause::invalid(format!("secret not found: {}", secret.id)))?;
        let name = id_by_name(&secret.name);
        self.0.host.offer_secret(&name, value);
        self.0.secrets.named.lock().insert(name.into_owned(), secret.id.clone());
        Ok(())
    }

    /// The value of a secret offered by [`Engine::offer_by_name`].
    pub(crate) async fn plaintext_by_name(&self, name: &str) -> Option<Bytes> {
        let id = self.0.secrets.named.lock().get(name).cloned()?;
        self.plaintext(&Secret { id, name: "".into(), uri: "".into() }).await.ok()
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
            Some(SecretValue::Uri(uri)) => {
                self.0.host.read_secret(&uri).await.map_err(|error| Cause::Host(error.0))
            }
        }
    }

    /// What stands for a secret by URI: a slow, salted hash of its value, or chance when the value cannot be read
    /// (the error comes when it is used).
    ///
    /// The salt is the user's, else one that the daemon keeps, made on first need.
    ///
    /// # Errors
    /// A salt that is too short; the daemon cannot provide one.
    ///
    /// # Source
    /// `contract/ids.md` 6: argon2id, time 10, 2 MiB, 1 lane, 32 bytes.
    pub async fn secret_digest(&self, uri: &str) -> Result<Digest, Cause> {
        let Ok(value) = self.0.host.read_secret(uri).await else {
            return Ok(Digest::new(format!("argon2:{}", uuid::Uuid::new_v4().simple())));
        };
        let salt = self.0.secrets.salt.get_or_try_init(|| self.salt()).await?;
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

    /// The salt of all sessions of this daemon: in a volume of its own, and in the cached result of reading it.
    async fn salt(&self) -> Result<Vec<u8>, Cause> {
        if let Some(salt) = self.0.host.secret_salt() {
            return Ok(salt);
        }
        let mut exec = llb::Exec::new(None, init::salt_args(&format!("{SALT_VOLUME}/salt")));
        let mut helper = llb::Secret::new(init::secret_id(&self.default_platform().architecture));
        helper.mode = init::HELPER_MODE;
        exec.mounts.push(llb::Mount::new(init::HELPER_PATH, helper));
        exec.mounts.push(llb::Mount::cache(SALT_VOLUME, "treenail/salt", llb::Sharing::Shared));
        let output = exec.mounts.len();
        exec.mounts.push(llb::Mount::bind(init::OUTPUT_DIR, None::<llb::Output>));
        exec.options = llb::OpOptions::named("[internal] salt of secrets");
        let ran = exec.run().map_err(|error| Cause::Bug(error.to_string()))?;
        let reference = self.solve(&Tree::of(ran.output(output))).await?;
        let reference = reference.ok_or_else(|| Cause::Bug("the salt's exec has no output".to_owned()))?;
        let path = format!("/{}", init::STDOUT_FILE);
        let salt = self.0.bridge.read_file(&reference, &path, None, init::SALT_LENGTH as u64).await?;
        Ok(salt.to_vec())
    }

    /// Is it a secret of this session?
    pub fn knows_secret(&self, id: &str) -> bool {
        self.0.secrets.values.lock().contains_key(id)
    }
}
