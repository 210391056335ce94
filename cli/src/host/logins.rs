//! Logins for registries: what the session was given comes before what the machine knows.

use std::sync::Arc;

use treenail_session::{Credential, CredentialChain, Credentials, DockerConfig, MemoryCredentials};

/// The logins of one client. Cheap to clone, clones share.
#[derive(Clone)]
pub(crate) struct Logins {
    given: MemoryCredentials,
    chain: Arc<CredentialChain>,
}

impl Logins {
    /// Those of Docker's configuration, and none given yet.
    ///
    /// # Source
    /// `contract/sources.md` 7.
    pub(crate) fn of_this_machine() -> Self {
        let given = MemoryCredentials::default();
        let chain = CredentialChain(vec![Arc::new(given.clone()), Arc::new(DockerConfig::from_env())]);
        Self { given, chain: Arc::new(chain) }
    }

    /// What sessions ask.
    pub(crate) fn credentials(&self) -> Arc<dyn Credentials> {
        self.chain.clone()
    }

    pub(super) fn log_in(&self, host: &str, username: &str, password: &str) {
        let (username, password) = (username.to_owned(), password.to_owned());
        self.given.set(host, Credential::Password { username, password });
    }

    pub(super) fn log_out(&self, host: &str) {
        self.given.remove(host);
    }
}
