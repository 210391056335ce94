//! The life of one build: a `Control.Solve` call that stays open as long as the build does.
//!
//! Invariant: the call and the status stream belong to the [`Build`]; dropping it drops them, and a dropped
//! call makes the daemon cancel everything inside.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use treenail_protos::moby::buildkit::v1::SolveRequest;
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;
use treenail_protos::moby::buildkit::v1::frontend::{PongResponse, Result as GatewayResult};

use super::failure;
use super::gateway::{Gateway, MESSAGE_LIMIT};
use super::progress;
use crate::{Error, StatusEvent};

/// How a build ended: what its exporters answered, or why it failed. `None` while it runs.
type Ending = Option<Result<BTreeMap<String, String>, Status>>;

/// How often the gateway is asked for a build that it does not know yet; each try waits 3 s in the daemon.
const ATTEMPTS: u32 = 5;
/// How long the end of a build may lag behind the call that it broke, each being a stream of its own.
const GRACE: Duration = Duration::from_millis(500);

pub(crate) struct Build {
    gateway: Gateway,
    ending: watch::Receiver<Ending>,
    solve: JoinHandle<()>,
    follow: JoinHandle<()>,
    /// Closed when the status stream is at its end.
    followed: watch::Receiver<()>,
}

impl Build {
    /// Sends the call and follows its progress. The reference of `request` is filled in here.
    pub(crate) fn send(
        channel: &Channel,
        mut request: SolveRequest,
        events: &broadcast::Sender<StatusEvent>,
    ) -> Self {
        let id = crate::id::fresh();
        request.r#ref.clone_from(&id);
        let (end, ending) = watch::channel(None);
        let mut control = ControlClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let solve = tokio::spawn(async move {
            let answer = control.solve(request).await;
            end.send_replace(Some(answer.map(|answer| answer.into_inner().exporter_response)));
        });
        let (following, followed) = watch::channel(());
        let stream = progress::follow(channel.clone(), id.clone(), events.clone());
        let follow = tokio::spawn(async move {
            stream.await;
            drop(following);
        });
        Self { gateway: Gateway::of_build(channel.clone(), &id), ending, solve, follow, followed }
    }

    /// Waits until the gateway knows the build: the call and its registration race each other.
    ///
    /// # Errors
    /// Why the daemon refused the build, for example an entitlement it does not grant.
    pub(crate) async fn registered(&self) -> Result<PongResponse, Error> {
        let mut unknown = None;
        for attempt in 0..ATTEMPTS {
            let answer = tokio::select! {
                answer = self.gateway.ping() => answer,
                ending = self.ended() => return Err(self.refused(ending)),
            };
            match answer {
                Ok(pong) => return Ok(pong),
                Err(status) if failure::is_unknown_build(&status) || status.code() == Code::Unknown => {
                    unknown = Some(status);
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                Err(status) => {
                    // The reason of the build, if it comes, says more than that of the question.
                    return Err(match tokio::time::timeout(GRACE, self.ended()).await {
                        Ok(ending) => self.refused(ending),
                        Err(_) => failure::decode("open the build", &status),
                    });
                }
            }
        }
        Err(unknown.map_or(
            Error::Protocol { operation: "open the build", message: "nothing".to_owned() },
            |status| failure::decode("open the build", &status),
        ))
    }

    fn refused(&self, ending: Result<BTreeMap<String, String>, Status>) -> Error {
        match ending {
            Ok(_) => lost("open the build", "the build ended at once".to_owned()),
            Err(status) => failure::decode("open the build", &status),
        }
    }

    /// Runs one call of the gateway. When the build ends under it, the reason of the build is the answer.
    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let failed = tokio::select! {
            biased;
            answer = call => match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            },
            ending = self.ended() => return Err(gone(operation, ending)),
        };
        let by_the_end = match failed {
            Error::Unavailable { .. } | Error::Cancelled { .. } => {
                tokio::time::timeout(GRACE, self.ended()).await.ok()
            }
            // A build that is gone is unknown to the gateway, which says so in words alone.
            Error::Refused { .. } | Error::Vertex { .. } | Error::SessionLost { .. } => {
                self.ending.borrow().clone()
            }
            _ => None,
        };
        Err(by_the_end.map_or(failed, |ending| gone(operation, ending)))
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Result<BTreeMap<String, String>, Status> {
        let mut ending = self.ending.clone();
        let seen = ending.wait_for(Option::is_some).await;
        // The sender goes without a word only when the call's task was stopped, which is our own doing.
        seen.ok()
            .and_then(|ending| ending.clone())
            .unwrap_or_else(|| Err(Status::cancelled("the build was closed")))
    }

    /// Returns `result` and waits for the exporters.
    pub(crate) async fn finish(
        &self,
        result: GatewayResult,
    ) -> Result<Result<BTreeMap<String, String>, Status>, Error> {
        self.call("return", self.gateway.finish(result)).await?;
        Ok(self.ended().await)
    }

    /// Waits for the last words of the status stream.
    pub(crate) async fn drained(&self) {
        let mut followed = self.followed.clone();
        while followed.changed().await.is_ok() {}
    }

    /// Lets go of everything now.
    pub(crate) fn abort(&self) {
        self.solve.abort();
        self.follow.abort();
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Why nothing works any more once the build has ended.
fn gone(operation: &'static str, ending: Result<BTreeMap<String, String>, Status>) -> Error {
    match ending {
        Ok(_) => lost(operation, "the build has ended".to_owned()),
        Err(status) => match failure::decode(operation, &status) {
            unavailable @ Error::Unavailable { .. } => unavailable,
            _ => lost(operation, status.message().to_owned()),
        },
    }
}

fn lost(operation: &'static str, message: String) -> Error {
    Error::SessionLost { operation, message }
}
