//! Registry logins.
//!
//! The daemon may ask for a login, or have the client fetch tokens itself. We answer logins only: a client
//! that does not implement the token calls is asked for the login instead.
//!
//! # Source
//! BuildKit v0.32.2 `session/auth/auth.go`, `util/resolver/authorizer.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use tonic::{Request, Response, Status};
use treenail_protos::moby::filesync::v1::auth_server::Auth;
use treenail_protos::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};

use crate::error::BoxError;

/// A login for a registry. Its `Debug` text shows the user name only.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Name and password.
    Password {
        /// The user's name.
        username: String,
        /// The password or access token.
        password: String,
    },
    /// A refresh token, exchanged for access tokens by the daemon.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => {
                formatter.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => formatter.debug_struct("IdentityToken").finish_non_exhaustive(),
        }
    }
}

/// Knows logins by registry host.
#[tonic::async_trait]
pub trait Credentials: Send + Sync {
    /// The login for `host` (with its port, if any), or nothing for anonymous access.
    ///
    /// # Errors
    /// Whatever kept the source from answering. The text reaches the user: it must not hold a password.
    async fn credential(&self, host: &str) -> Result<Option<Credential>, BoxError>;
}

/// The one name of a registry that has several: Docker Hub is `docker.io`.
pub(crate) fn canonical_host(host: &str) -> &str {
    match host {
        "registry-1.docker.io" | "index.docker.io" => "docker.io",
        other => other,
    }
}

/// Logins held in memory; cheap to clone, clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryCredentials(Arc<RwLock<BTreeMap<String, Credential>>>);

impl MemoryCredentials {
    /// Adds the login of a host, or replaces it.
    pub fn set(&self, host: &str, credential: Credential) {
        self.0.write().insert(canonical_host(host).to_owned(), credential);
    }

    /// Forgets the login of a host.
    pub fn remove(&self, host: &str) {
        self.0.write().remove(canonical_host(host));
    }
}

#[tonic::async_trait]
impl Credentials for MemoryCredentials {
    async fn credential(&self, host: &str) -> Result<Option<Credential>, BoxError> {
        Ok(self.0.read().get(canonical_host(host)).cloned())
    }
}

/// Several sources; the first that knows a host answers.
#[derive(Clone, Default)]
pub struct CredentialChain(pub Vec<Arc<dyn Credentials>>);

#[tonic::async_trait]
impl Credentials for CredentialChain {
    async fn credential(&self, host: &str) -> Result<Option<Credential>, BoxError> {
        for source in &self.0 {
            if let Some(credential) = source.credential(host).await? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

pub(crate) struct AuthService {
    pub(crate) source: Arc<dyn Credentials>,
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let found = self.source.credential(&host).await;
        let credential =
            found.map_err(|error| Status::unknown(format!("credentials for `{host}`: {error}")))?;
        let (username, secret) = match credential {
            Some(Credential::Password { username, password }) => (username, password),
            Some(Credential::IdentityToken(token)) => (String::new(), token),
            None => (String::new(), String::new()),
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(no_tokens())
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(no_tokens())
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(no_tokens())
    }
}

/// The one code on which the daemon turns to `Credentials`.
fn no_tokens() -> Status {
    Status::unimplemented("tokens are fetched by the daemon")
}
