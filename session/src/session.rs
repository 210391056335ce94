//! The life of a session: opened once, healed under the same id when its stream drops, lost when it cannot
//! be healed or when the daemon no longer asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::error::{BoxError, Error};
use crate::health::ProbeClock;
use crate::services::Services;
use crate::tunnel::{Offer, Tunnel};

/// Gives a fresh connection to the daemon each time it is called.
///
/// The session must not share its connection: a stalled transfer of files would delay everything else, and
/// the other way round. Window sizes are the maker's choice; 1 MiB a stream and 4 MiB a connection suit.
pub type Connect = Arc<dyn Fn() -> BoxFuture<'static, Result<Channel, BoxError>> + Send + Sync>;

/// Pauses before the attempts to heal a dropped session: five seconds in all, as long as the daemon lets
/// work wait for a session that is gone.
///
/// The first is not zero: the daemon's handler of the old stream takes the *new* session out of its table if
/// it ends later than the new one begins (BuildKit v0.32.2 `session/manager.go` `handleConn`).
const HEAL_PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(2000),
];

/// How long the first opening may take: a connection may have to start a program in a far container.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// How long each attempt to heal may take.
const HEAL_LIMIT: Duration = Duration::from_secs(5);

/// A session that the daemon has not probed for so long is dead: it probes every five seconds, and gives up
/// after two failures of fifteen.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// How a session presents itself to the daemon.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Names the session in definitions and solves; unique to the daemon. Colons are not allowed in it.
    pub id: String,
    /// A name for people, shown in no output that matters.
    pub name: String,
    /// Finds the files of earlier sessions again: stable for a machine and a user.
    pub shared_key: String,
}

impl SessionOptions {
    /// Options with a new random id.
    pub fn new(name: impl Into<String>, shared_key: impl Into<String>) -> Self {
        Self {
            id: uuid::Uuid::new_v4().simple().to_string(),
            name: name.into(),
            shared_key: shared_key.into(),
        }
    }
}

/// Where a session is in its life.
#[derive(Clone, Debug)]
pub enum State {
    /// The daemon can reach it.
    Open,
    /// Its stream dropped and is being opened again; work that needs it waits.
    Healing,
    /// It is gone for good, and why.
    Lost(Arc<Error>),
    /// It was closed by us.
    Closed,
}

/// An open session. Dropping it closes it.
#[derive(Debug)]
pub struct Session {
    id: String,
    state: watch::Receiver<State>,
    heals: Arc<AtomicU64>,
    cancel: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Session {
    /// Opens a session and serves it until it is closed, dropped or lost.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Refused`], [`Error::Silent`], [`Error::Option`].
    ///
    /// # Source
    /// BuildKit v0.32.2 `session/session.go`, `session/grpchijack/dial.go`.
    pub async fn start(connect: Connect, options: SessionOptions, services: Services) -> Result<Self, Error> {
        let probes = ProbeClock::new();
        let offer = Arc::new(Offer::new(&options, &services, probes.clone())?);
        let tunnel = Tunnel::open(&connect, &offer, OPEN_LIMIT).await?;
        probes.restart();
        let (state_sender, state) = watch::channel(State::Open);
        let heals = Arc::new(AtomicU64::new(0));
        let cancel = CancellationToken::new();
        let keeper = Keeper {
            connect,
            offer,
            probes,
            state: state_sender,
            heals: heals.clone(),
            cancel: cancel.clone(),
        };
        let task = Mutex::new(Some(tokio::spawn(keeper.run(tunnel))));
        Ok(Self { id: options.id, state, heals, cancel, task })
    }

    /// The id by which definitions and solves name this session.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Follows the state; the receiver holds the present one.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// How often a dropped stream was opened again.
    pub fn heals(&self) -> u64 {
        self.heals.load(Ordering::Relaxed)
    }

    /// Waits until the session is lost and says why; nothing when it is closed by us instead.
    pub async fn lost(&self) -> Option<Arc<Error>> {
        let mut state = self.state.clone();
        let end = state.wait_for(|state| matches!(state, State::Lost(_) | State::Closed)).await;
        match end.as_deref() {
            Ok(State::Lost(reason)) => Some(reason.clone()),
            _ => None,
        }
    }

    /// Closes the session and waits until nothing is served any more.
    pub async fn close(&self) {
        self.cancel.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            // A panic of the task was reported where it happened; there is nothing left to close.
            let _ = task.await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Owns the tunnel and decides what happens when it ends.
struct Keeper {
    connect: Connect,
    offer: Arc<Offer>,
    probes: Arc<ProbeClock>,
    state: watch::Sender<State>,
    heals: Arc<AtomicU64>,
    cancel: CancellationToken,
}

impl Keeper {
    async fn run(self, mut tunnel: Tunnel) {
        let cancel = self.cancel.clone();
        // Attempts since the last sign of life: a stream that opens and drops at once must not heal for ever.
        let mut attempts = 0;
        loop {
            let reason = tokio::select! {
                () = cancel.cancelled() => break,
                reason = tunnel.ended() => reason,
                () = self.probes.silent_for(PROBE_LIMIT) => Error::Unprobed { seconds: PROBE_LIMIT.as_secs() },
            };
            tracing::debug!(reason = &reason as &dyn std::error::Error, "session stream ended");
            drop(tunnel);
            if self.probes.heard() {
                attempts = 0;
            } else if matches!(reason, Error::Unprobed { .. }) {
                self.state.send_replace(State::Lost(Arc::new(reason)));
                return;
            }
            self.state.send_replace(State::Healing);
            let healed = tokio::select! {
                () = cancel.cancelled() => break,
                healed = self.heal(reason, &mut attempts) => healed,
            };
            match healed {
                Ok(fresh) => tunnel = fresh,
                Err(reason) => {
                    self.state.send_replace(State::Lost(Arc::new(reason)));
                    return;
                }
            }
            self.probes.restart();
            self.heals.fetch_add(1, Ordering::Relaxed);
            self.state.send_replace(State::Open);
        }
        self.state.send_replace(State::Closed);
    }

    async fn heal(&self, mut reason: Error, attempts: &mut usize) -> Result<Tunnel, Error> {
        while let Some(pause) = HEAL_PAUSES.get(*attempts) {
            *attempts += 1;
            tokio::time::sleep(*pause).await;
            match Tunnel::open(&self.connect, &self.offer, HEAL_LIMIT).await {
                Ok(tunnel) => return Ok(tunnel),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }
}
