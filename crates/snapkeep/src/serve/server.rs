//! A listening server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::data_dir::ServerInfo;
use super::listener::{self, Limits};
use super::metrics;
use crate::config::Settings;
use crate::exit::Failure;

/// A server that listens until [`stop`](Server::stop).
#[derive(Debug)]
pub struct Server {
    app: App,
    addresses: Vec<SocketAddr>,
    serving: JoinHandle<()>,
    stop_listening: CancellationToken,
    grace: Duration,
}

impl Server {
    /// Binds, opens the data folder and serves. Addresses are bound first: a mistake there must not create a data folder.
    pub async fn start(settings: &Settings) -> Result<Self, Failure> {
        let listeners = listener::bind(&settings.server.listen).await?;
        let addresses = listeners
            .iter()
            .map(|listener| listener.local_addr())
            .collect::<Result<Vec<_>, _>>()?;
        let recorder = metrics::install();
        let app = App::open(settings).await?;
        let shutdown = app.shutdown_token();
        if let Some(handle) = recorder {
            tokio::spawn(metrics::upkeep(handle, shutdown.clone()));
        }
        let first = addresses.first().copied();
        let router = app.router(
            settings,
            &first.map(|address| address.to_string()).unwrap_or_default(),
        );
        let grace = settings.server.shutdown_grace.0;
        let limits = Limits {
            max_connections: settings.server.max_connections,
            header_timeout: settings.server.header_timeout.0,
            drain: grace,
        };
        let stop_listening = CancellationToken::new();
        let serving = tokio::spawn(listener::serve(
            listeners,
            router,
            limits,
            stop_listening.clone(),
        ));
        app.dir().announce(&ServerInfo {
            url: first.map(url_of).unwrap_or_default(),
            listen: addresses.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })?;
        Ok(Self {
            app,
            addresses,
            serving,
            stop_listening,
            grace,
        })
    }

    /// Where it listens, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The data folder.
    pub fn data_dir(&self) -> &std::path::Path {
        self.app.dir().path()
    }

    /// Stops: listening ends, running requests and jobs get the grace time, streams of events end at once.
    pub async fn stop(self) {
        let Self {
            app,
            serving,
            stop_listening,
            grace,
            ..
        } = self;
        stop_listening.cancel();
        // Requests that wait for a job end when the job does, so both drain at the same time under one deadline.
        let closing = app.close(grace);
        let drained = async {
            if let Err(cause) = serving.await {
                tracing::error!(%cause, "the accept loop panicked");
            }
        };
        tokio::join!(closing, drained);
    }
}

/// The base address a client on this machine uses.
pub fn url_of(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "[::1]".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("http://{host}:{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_on_this_machine_use_loopback_where_the_server_listens_everywhere() {
        assert_eq!(url_of("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(url_of("[::]:80".parse().unwrap()), "http://[::1]:80");
        assert_eq!(
            url_of("10.1.2.3:9250".parse().unwrap()),
            "http://10.1.2.3:9250"
        );
        assert_eq!(url_of("[::1]:9250".parse().unwrap()), "http://[::1]:9250");
    }
}
