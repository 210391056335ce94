//! Opens everything that a main client needs, and closes it again.
//!
//! Two connections: one for calls with the long job, one for the session that answers the daemon. Session and job are
//! opened at once, since the id by which the job names the session is known before; what the job needs of it the daemon
//! waits for. Nothing else stands between the start and the first answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use treenail_bridge::Bridge as _;
use treenail_bridge::socket::{Connection, OpenOptions, SocketBridge};
use treenail_engine::Engine;
use treenail_graphql::http::{Executor, RequestContext, ResponseBody, ServerHandle, Token, Unavailable};
use treenail_graphql::prepare::Prepared;
use treenail_graphql::sdl::SchemaModel;
use treenail_graphql::{Api, Observer};
use treenail_session::{ContentStores, Locals, Services, Session, SessionOptions, State};

use crate::daemon::Found;
use crate::host::{HostSecrets, HostSockets, Identity, LocalHost, Logins, connector};

/// How long requests that run may take to end once the client is gone.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How long the daemon may take to let go of the job.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How long the daemon may take to keep what commands left behind.
const KEEPING: Duration = Duration::from_secs(5);

/// What to open.
pub(crate) struct Options {
    /// The daemon.
    pub(crate) daemon: Found,
    /// Where relative paths start. Absolute.
    pub(crate) workdir: PathBuf,
    /// Name in the daemon's build history.
    pub(crate) name: String,
    /// Keep the host's files out of reach.
    pub(crate) closed_host: bool,
    /// Told of failed calls.
    pub(crate) observer: Observer,
}

/// An open main client.
pub(crate) struct Opened {
    api: Api,
    engine: Engine,
    bridge: Arc<SocketBridge>,
    session: Arc<Session>,
    server: Option<ServerHandle>,
}

/// Where and how the API is reached.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) token: String,
}

impl Opened {
    /// Connects to the daemon and opens session and job.
    ///
    /// # Errors
    /// No daemon answers, or it refuses.
    pub(crate) async fn open(options: Options) -> anyhow::Result<Self> {
        let identity = Identity::of_this_machine();
        let connection = Connection::open(&options.daemon.address).await?;
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let secrets = Arc::new(HostSecrets::new(options.workdir.clone(), home.clone()));
        let sockets = Arc::new(HostSockets::default());
        let locals = Locals::default();
        let logins = Logins::of_this_machine();
        let stores = ContentStores::default();
        let services = Services::default()
            .with_locals(locals.clone())
            .with_stores(stores.clone())
            .with_secrets(secrets.clone())
            .with_sockets(sockets.clone())
            .with_credentials(logins.credentials());
        let presented = SessionOptions::new("treenail", identity.as_str());
        let id = presented.id.clone();
        let job = OpenOptions { session_id: id.clone(), name: options.name, ..OpenOptions::default() };
        let (session, bridge) = tokio::join!(
            Session::start(connector(&connection), presented, services),
            SocketBridge::open(connection.clone(), job),
        );
        // What the job says is closer to the cause: the session's error is about a stream.
        let bridge = Arc::new(bridge?);
        let session = Arc::new(session?);
        let host = LocalHost {
            workdir: options.workdir,
            home,
            identity,
            session: id.clone(),
            locals,
            stores,
            secrets,
            sockets,
            logins,
            connection,
            closed: options.closed_host,
        };
        let engine = Engine::new(bridge.clone(), Arc::new(host), treenail_graphql::fields(), &id);
        let api = Api::new(engine.clone()).with_observer(options.observer);
        Ok(Self { api, engine, bridge, session, server: None })
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// The address is taken, or is none.
    pub(crate) async fn listen(&mut self, address: &str, token: Option<String>) -> std::io::Result<Door> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        // Hex digits and dashes: one SDK encodes tokens for URLs, which changes other letters.
        let token = token.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let guarded = Guarded { api: self.api.clone(), session: self.session.clone() };
        let served = treenail_graphql::http::serve(listener, Token::new(token.as_str()), Arc::new(guarded));
        self.server = Some(served);
        Ok(Door { address, token })
    }

    /// The API, for requests of this process.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The long job.
    pub(crate) fn bridge(&self) -> &Arc<SocketBridge> {
        &self.bridge
    }

    /// The session with the daemon.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Stops listening, lets the daemon go, and waits for it as long as is decent.
    pub(crate) async fn close(mut self) {
        if let Some(server) = self.server.take()
            && tokio::time::timeout(LAST_ANSWERS, server.shutdown()).await.is_err()
        {
            tracing::debug!("requests were still running at the end and have been dropped");
        }
        if tokio::time::timeout(KEEPING, self.engine.keep_results()).await.is_err() {
            tracing::debug!("the daemon takes long to keep the results of commands: left to it");
        }
        // Dropped requests cancel what they waited for; the job ends after them.
        self.bridge.close(LETTING_GO).await;
        self.session.close().await;
    }
}

/// Takes requests as long as there is a daemon to ask.
struct Guarded {
    api: Api,
    session: Arc<Session>,
}

impl Executor for Guarded {
    fn schema(&self) -> Result<Arc<SchemaModel>, Unavailable> {
        match &*self.session.state().borrow() {
            State::Lost(reason) => {
                Err(Unavailable::Backend(format!("the session with buildkitd is lost: {reason}")))
            }
            _ => Ok(self.api.schema().clone()),
        }
    }

    fn execute(&self, request: Prepared, context: RequestContext) -> BoxFuture<'_, ResponseBody> {
        self.api.execute(request, context)
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.api.shutdown()
    }
}
