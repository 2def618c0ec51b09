//! A listening server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::data_dir::ServerInfo;
use super::exposure;
use super::listener::{self, Limits};
use super::metrics;
use super::tls::Certificate;
use crate::config::Settings;
use crate::exit::Failure;

/// A server that listens until [`stop`](Server::stop).
#[derive(Debug)]
pub struct Server {
    app: App,
    addresses: Vec<SocketAddr>,
    is_encrypted: bool,
    has_credentials: bool,
    serving: JoinHandle<()>,
    stop_listening: CancellationToken,
    grace: Duration,
}

impl Server {
    /// Binds, opens the data folder and serves. Addresses are bound first: a mistake there must not create a data folder.
    pub async fn start(settings: &Settings) -> Result<Self, Failure> {
        let certificate = match (&settings.tls.certificate, &settings.tls.key) {
            (Some(certificate), Some(key)) => Some(Certificate::open(certificate, key)?),
            (None, None) => None,
            _ => {
                let text = "tls.certificate and tls.key go together, and one of them is missing";
                return Err(Failure::usage(text).hint("give both, or none to speak plain HTTP"));
            }
        };
        let acceptor = certificate
            .as_ref()
            .map(Certificate::acceptor)
            .transpose()?;
        // Without a catalogue there are no credentials; nothing is made only to find that out.
        if !settings.server.data_dir.join("catalogue.sqlite").exists() {
            exposure::check(settings, false)?;
        }
        let listeners = listener::bind(&settings.server.listen).await?;
        let addresses = listeners
            .iter()
            .map(|listener| listener.local_addr())
            .collect::<Result<Vec<_>, _>>()?;
        let recorder = metrics::install();
        let app = App::open(settings).await?;
        let has_credentials = app.has_credentials();
        if let Err(refusal) = exposure::check(settings, has_credentials) {
            app.close(Duration::ZERO).await;
            return Err(refusal);
        }
        exposure::warn_about_plain_text(settings, has_credentials);
        let shutdown = app.shutdown_token();
        if let Some(certificate) = certificate.clone() {
            tokio::spawn(certificate.watch(shutdown.clone()));
        }
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
        // Before the first answer, so that whoever got one also finds the server by its folder; until then connections wait in the queue.
        app.dir().announce(&ServerInfo {
            url: first
                .map(|address| url_of(address, certificate.is_some()))
                .unwrap_or_default(),
            certificate: settings
                .tls
                .certificate
                .as_ref()
                .map(absolute)
                .transpose()?,
            listen: addresses.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })?;
        let stop_listening = CancellationToken::new();
        let serving = tokio::spawn(listener::serve(
            listeners,
            router,
            acceptor,
            limits,
            stop_listening.clone(),
        ));
        Ok(Self {
            app,
            addresses,
            is_encrypted: certificate.is_some(),
            has_credentials,
            serving,
            stop_listening,
            grace,
        })
    }

    /// Base addresses for clients on this machine.
    pub fn urls(&self) -> Vec<String> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| url_of(*address, self.is_encrypted))
            .collect()
    }

    /// Whether requests needed credentials when it started.
    pub fn has_credentials(&self) -> bool {
        self.has_credentials
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

fn absolute(path: &PathBuf) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

/// The base address a client on this machine uses.
pub fn url_of(address: SocketAddr, is_encrypted: bool) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "[::1]".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let scheme = if is_encrypted { "https" } else { "http" };
    format!("{scheme}://{host}:{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_on_this_machine_use_loopback_where_the_server_listens_everywhere() {
        assert_eq!(
            url_of("0.0.0.0:80".parse().unwrap(), false),
            "http://127.0.0.1:80"
        );
        assert_eq!(url_of("[::]:80".parse().unwrap(), false), "http://[::1]:80");
        assert_eq!(
            url_of("10.1.2.3:9250".parse().unwrap(), false),
            "http://10.1.2.3:9250"
        );
        assert_eq!(
            url_of("10.1.2.3:9250".parse().unwrap(), true),
            "https://10.1.2.3:9250"
        );
        assert_eq!(
            url_of("[::1]:9250".parse().unwrap(), false),
            "http://[::1]:9250"
        );
    }
}
