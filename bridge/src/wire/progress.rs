//! From the daemon's status stream to [`StatusEvent`]s.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use tokio::sync::broadcast;
use tonic::transport::Channel;
use tonic::{Code, Status};
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;
use treenail_protos::moby::buildkit::v1::{StatusRequest, StatusResponse, Vertex};

use super::gateway::MESSAGE_LIMIT;
use crate::StatusEvent;

/// How often a build that the daemon does not know yet is asked for; each try waits in the daemon, too.
const ATTEMPTS: u32 = 5;

/// Follows one build until its stream ends. Progress is for people: a failure here fails nothing.
pub(super) async fn follow(channel: Channel, build: String, events: broadcast::Sender<StatusEvent>) {
    for attempt in 0..ATTEMPTS {
        match stream(&channel, &build, &events).await {
            Ok(()) => return,
            // The build is not registered yet.
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unknown) => {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            Err(status) => {
                tracing::debug!(%status, build, "the status stream broke");
                return;
            }
        }
    }
}

async fn stream(
    channel: &Channel,
    build: &str,
    events: &broadcast::Sender<StatusEvent>,
) -> Result<(), Status> {
    let mut client = ControlClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
    let mut stream = client.status(StatusRequest { r#ref: build.to_owned() }).await?.into_inner();
    let mut heard = false;
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                heard = true;
                for event in decode(message) {
                    // Nobody listens: nothing is lost, since nobody asked.
                    let _ = events.send(event);
                }
            }
            Ok(None) => return Ok(()),
            // A stream that has spoken is not asked again: it would tell everything twice.
            Err(status) if heard => {
                tracing::debug!(%status, build, "the status stream broke");
                return Ok(());
            }
            Err(status) => return Err(status),
        }
    }
}

/// The events of one message: vertices first, so that what follows has something to belong to.
fn decode(message: StatusResponse) -> Vec<StatusEvent> {
    let mut events = Vec::new();
    events.extend(message.vertexes.into_iter().map(vertex));
    events.extend(message.statuses.into_iter().map(|status| StatusEvent::Transfer {
        vertex: status.vertex.into(),
        id: status.id,
        current: status.current,
        total: status.total,
        completed: status.completed.map(nanoseconds),
    }));
    events.extend(message.logs.into_iter().map(|log| StatusEvent::Log {
        vertex: log.vertex.into(),
        stream: log.stream,
        data: log.msg,
        time: log.timestamp.map_or(0, nanoseconds),
    }));
    events.extend(message.warnings.into_iter().map(|warning| StatusEvent::Warning {
        vertex: warning.vertex.into(),
        short: String::from_utf8_lossy(&warning.short).into_owned(),
    }));
    events
}

fn vertex(vertex: Vertex) -> StatusEvent {
    StatusEvent::Vertex {
        digest: vertex.digest.into(),
        name: vertex.name,
        inputs: vertex.inputs.into_iter().map(Arc::from).collect(),
        started: vertex.started.map(nanoseconds),
        completed: vertex.completed.map(nanoseconds),
        cached: vertex.cached,
        error: vertex.error,
        group: vertex.progress_group.map(|group| (group.id, group.name, group.weak)),
    }
}

fn nanoseconds(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos))
}
