//! The daemon's question whether we live, and the memory of when it last asked.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// When the daemon last asked.
#[derive(Debug)]
pub(crate) struct ProbeClock {
    last: watch::Sender<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    /// Did a probe arrive since the stream was opened?
    heard: bool,
}

impl ProbeClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { last: watch::Sender::new(Last { at: Instant::now(), heard: false }) })
    }

    /// A new stream: the waiting begins anew.
    pub(crate) fn restart(&self) {
        self.last.send_replace(Last { at: Instant::now(), heard: false });
    }

    pub(crate) fn record(&self) {
        self.last.send_replace(Last { at: Instant::now(), heard: true });
    }

    pub(crate) fn heard(&self) -> bool {
        self.last.borrow().heard
    }

    /// Returns once no probe has come for `limit`.
    pub(crate) async fn silent_for(&self, limit: Duration) {
        let mut last = self.last.subscribe();
        loop {
            let deadline = last.borrow_and_update().at + limit;
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                // The sender lives as long as `self`.
                _ = last.changed() => {}
            }
        }
    }
}

/// Always serving: a session that cannot serve is closed.
pub(crate) struct HealthService {
    pub(crate) probes: Arc<ProbeClock>,
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.probes.record();
        Ok(Response::new(serving()))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(stream::once(async { Ok(serving()) }))))
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving as i32 }
}
