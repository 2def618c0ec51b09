//! The accept loop: HTTP/1 and HTTP/2 on any number of listeners, a deadline on request headers, a limit on connections,
//! and a shutdown that drains with a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};

/// How long to wait after a failed accept (too many open files), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Limits of the connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time.
    pub max_connections: usize,
    /// Longest wait for the headers of a request.
    pub header_timeout: Duration,
    /// Longest wait at shutdown for running requests.
    pub drain: Duration,
}

/// Binds all addresses, or none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|cause| {
            let hint = match cause.kind() {
                std::io::ErrorKind::AddrInUse => "another program listens there; choose another --listen, or port 0 for a free one",
                _ => "choose another --listen",
            };
            Failure::new(Exit::Failed, "cannot_listen", format!("cannot listen on {address}: {cause}")).hint(hint)
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Serves until `shutdown`, then lets running requests end for at most `limits.drain`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut loops = JoinSet::new();
    for listener in listeners {
        let accepting = accept(
            listener,
            router.clone(),
            limits,
            connections.clone(),
            graceful.clone(),
        );
        let shutdown = shutdown.clone();
        loops.spawn(async move {
            tokio::select! {
                () = accepting => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
    while loops.join_next().await.is_some() {}
    let Some(graceful) = Arc::into_inner(graceful) else {
        return;
    };
    let open = graceful.count();
    if tokio::time::timeout(limits.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(open, "some connections did not end in time and are cut");
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    connections: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let stream: TcpStream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Answers are small and latency matters; without this each waits for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = server
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(cause) = watched.await {
                tracing::debug!(cause = %cause, "connection ended");
            }
            drop(permit);
        });
    }
}
