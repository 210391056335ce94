//! Counts what a client asks a daemon for: a proxy between the two that hands every request on and notes its name.
//!
//! It stands outside both programs, so the count does not depend on what either says about itself. Runs through it
//! are never timed against runs without it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, client, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

use super::measure::milliseconds;

/// A request that went through.
#[derive(Debug, Clone)]
struct Call {
    /// Service and method, without the package.
    name: String,
    /// Since the counter started.
    start: Duration,
    /// Until the answer began; for all but streams that is when it was ready.
    took: Option<Duration>,
}

/// A running proxy.
pub(super) struct Counter {
    address: String,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Ends its tasks, and with them all connections, when it is dropped.
    _runtime: Runtime,
}

impl Counter {
    /// Listens on `socket` for the daemon at `address`.
    ///
    /// # Errors
    /// When the daemon's address is no unix socket, or ours cannot be made.
    pub(super) fn start(address: &str, socket: &Path) -> Result<Self> {
        let target = address.strip_prefix("unix://").map(PathBuf::from);
        let target =
            target.with_context(|| format!("requests are counted on unix sockets, not: `{address}`"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(socket).context("cannot listen on a socket")?
        };
        let calls = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, target, calls.clone(), Instant::now()));
        Ok(Self { address: format!("unix://{}", socket.display()), calls, _runtime: runtime })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How many requests had this method so far.
    pub(super) fn count(&self, method: &str) -> usize {
        self.calls().iter().filter(|call| call.name.ends_with(&format!("/{method}"))).count()
    }

    /// All methods with their numbers, in the order of their first request.
    pub(super) fn summary(&self) -> String {
        let mut names: Vec<(String, usize)> = Vec::new();
        for call in self.calls() {
            match names.iter_mut().find(|(name, _)| *name == call.name) {
                Some((_, count)) => *count += 1,
                None => names.push((call.name, 1)),
            }
        }
        names.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// Every request with its times, a line each.
    pub(super) fn timeline(&self) -> String {
        let mut text = String::new();
        for call in self.calls() {
            let took =
                call.took.map_or_else(|| "open".to_owned(), |took| format!("{:.1}", milliseconds(took)));
            let _ = writeln!(text, "{:>9.1} ms {took:>9} ms  {}", milliseconds(call.start), call.name);
        }
        text
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: UnixListener, target: PathBuf, calls: Arc<Mutex<Vec<Call>>>, zero: Instant) {
    while let Ok((stream, _)) = listener.accept().await {
        let (target, calls) = (target.clone(), calls.clone());
        // A broken connection shows on both its ends; there is nobody else to tell.
        tokio::spawn(async move { drop(connect(stream, &target, &calls, zero).await) });
    }
}

/// Serves one connection of a client by one of its own to the daemon.
async fn connect(
    stream: UnixStream,
    target: &Path,
    calls: &Arc<Mutex<Vec<Call>>>,
    zero: Instant,
) -> Result<()> {
    let upstream = UnixStream::connect(target).await.context("cannot reach the daemon")?;
    let (sender, connection) = client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(upstream))
        .await
        .context("the daemon does not speak HTTP/2")?;
    let driver = tokio::spawn(connection);
    let service = service_fn(|request: Request<Incoming>| {
        let mut sender = sender.clone();
        let number = note(calls, request.uri().path(), zero);
        let calls = Arc::clone(calls);
        async move {
            let answer = sender.send_request(request).await;
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(call) = calls.get_mut(number) {
                call.took = Some(zero.elapsed().saturating_sub(call.start));
            }
            answer
        }
    });
    let served = server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    driver.abort();
    served.context("the client does not speak HTTP/2")
}

/// Adds a request and gives its number.
fn note(calls: &Mutex<Vec<Call>>, path: &str, zero: Instant) -> usize {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.push(Call { name: short(path), start: zero.elapsed(), took: None });
    calls.len() - 1
}

/// `/moby.buildkit.v1.Control/Solve` is `Control/Solve`.
fn short(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap_or(("", path));
    format!("{}/{method}", service.rsplit('.').next().unwrap_or(service))
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn packages_are_left_out_of_names() {
        assert_eq!(short("/moby.buildkit.v1.frontend.LLBBridge/Solve"), "LLBBridge/Solve");
        assert_eq!(short("odd"), "/odd");
    }
}
