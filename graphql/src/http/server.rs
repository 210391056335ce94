//! Connections: accepting, serving, ending.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::respond::Door;
use super::{Executor, HEADER_TIMEOUT, Token};

/// How long the listener rests when it cannot accept, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running listener. Dropping it ends the listener and its connections at once.
#[derive(Debug)]
pub struct ServerHandle {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Stops accepting, lets every connection finish the request that it is in, and returns when all are closed.
    ///
    /// Bound it with a timeout where that may take too long; dropping the future ends the rest at once.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = &mut self.task {
            // An error means that the listener panicked or was ended: either way it is over.
            let _ended = task.await;
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Serves a listener in a task of its own, until the handle is shut down or dropped.
///
/// The caller chose the address; a session binds loopback.
pub fn serve(listener: TcpListener, token: Token, executor: Arc<dyn Executor>) -> ServerHandle {
    let (stop, stopped) = watch::channel(false);
    let door = Arc::new(Door { token, executor });
    let task = tokio::spawn(accept(listener, door, stopped));
    ServerHandle { stop, task: Some(task) }
}

/// Serves one connection that came some other way than through a listener, until its peer closes it.
///
/// Dropping the future drops the connection and the requests on it.
pub async fn serve_connection<I>(io: I, token: Token, executor: Arc<dyn Executor>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The sender lives as long as the connection, so that waiting for it to say "stop" never ends by itself.
    let (_running, stopped) = watch::channel(false);
    connection(io, Arc::new(Door { token, executor }), stopped).await;
}

async fn accept(listener: TcpListener, door: Arc<Door>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Answers are written whole; waiting to fill a packet would only delay them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot turn off Nagle's algorithm");
                    }
                    connections.spawn(connection(stream, Arc::clone(&door), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            () = stop_asked(&mut stopped) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Ends when the handle is shut down, or gone.
async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    let _gone = stopped.wait_for(|stop| *stop).await.is_err();
}

async fn connection<I>(io: I, door: Arc<Door>, mut stopped: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop_asked(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away in the middle is no event worth more.
        tracing::debug!(%error, "a connection ended early");
    }
}
