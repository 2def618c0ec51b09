//! The accept loop: HTTP/1 and HTTP/2 on any number of listeners, a deadline on request headers, a limit on connections,
//! and a shutdown that drains with a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use snapkeep_api::auth::PeerAddress;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::exit::{Exit, Failure};

/// How long to wait after a failed accept (too many open files), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Longest wait for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// What is told to a client that speaks plain HTTP to a TLS port.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 50\r\n\r\nthis port speaks TLS only: write https://, please\n";

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
    tls: Option<TlsAcceptor>,
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
            tls.clone(),
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
    tls: Option<TlsAcceptor>,
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
        let (stream, peer): (TcpStream, SocketAddr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Answers are small and latency matters; without this each waits for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            server: server.clone(),
            router: router.clone(),
            peer,
            watcher: graceful.watcher(),
            permit,
        };
        match tls.clone() {
            None => drop(tokio::spawn(connection.serve(stream))),
            Some(acceptor) => drop(tokio::spawn(connection.shake_hands(stream, acceptor))),
        }
    }
}

/// What a connection is served with.
struct Connection {
    server: auto::Builder<TokioExecutor>,
    router: Router,
    peer: SocketAddr,
    watcher: Watcher,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn shake_hands(self, mut stream: TcpStream, acceptor: TlsAcceptor) {
        let mut first = [0];
        let peeked = tokio::time::timeout(HANDSHAKE_LIMIT, stream.peek(&mut first)).await;
        if !matches!(peeked, Ok(Ok(1))) {
            return;
        }
        if first[0] != TLS_HANDSHAKE {
            // The client may be gone already; then there is nobody to tell.
            let _ = stream.write_all(USE_TLS).await;
            let _ = stream.shutdown().await;
            return;
        }
        match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
            Ok(Ok(encrypted)) => self.serve(encrypted).await,
            Ok(Err(cause)) => tracing::debug!(%cause, peer = %self.peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let peer = PeerAddress(self.peer.ip().to_canonical());
        let service = self
            .router
            .map_request(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request
            });
        let connection = self
            .server
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        if let Err(cause) = self.watcher.watch(connection).await {
            tracing::debug!(cause = %cause, "connection ended");
        }
        drop(self.permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_it_says() {
        let text = std::str::from_utf8(USE_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
    }
}
