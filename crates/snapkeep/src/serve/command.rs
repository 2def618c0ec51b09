//! `snapkeep serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::server::Server;
use crate::config::{LogFormat, Overrides, Settings, is_filter, load};
use crate::exit::Failure;
use crate::output::{print_line, program};

/// Flags that stand for configuration keys.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SettingsArgs {
    /// Folder of everything Snapkeep keeps; created if missing [default: ./snapkeep-data].
    #[arg(long, value_name = "DIR", global = true, help_heading = "Settings")]
    pub data_dir: Option<PathBuf>,

    /// TOML file with settings. `snapkeep config template` prints one to start from.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,

    /// Folder in which repositories may lie; a relative location is resolved against the first [default: DATA_DIR/repositories].
    ///
    /// Repeatable. As `path.repo` of Elasticsearch: a location outside of all of them is refused.
    #[arg(
        long = "repo-root",
        value_name = "DIR",
        global = true,
        help_heading = "Settings"
    )]
    pub repo_roots: Vec<PathBuf>,

    /// Set any configuration key, such as `--set elasticsearch.shape=opensearch`. Repeatable.
    #[arg(
        long,
        value_name = "SECTION.KEY=VALUE",
        global = true,
        help_heading = "Settings"
    )]
    pub set: Vec<String>,

    /// How to write log lines [default: text].
    #[arg(long, value_name = "FORMAT", global = true, help_heading = "Settings")]
    pub log_format: Option<LogFormat>,

    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,snapkeep_engine=debug` [default: info].
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = parse_filter,
        global = true,
        help_heading = "Settings"
    )]
    pub log_level: Option<String>,
}

fn parse_filter(text: &str) -> Result<String, String> {
    is_filter(&text).map(|()| text.to_owned())
}

impl SettingsArgs {
    /// All settings: these flags over environment, file and defaults.
    pub fn load(&self, listen: &[SocketAddr]) -> Result<Settings, Failure> {
        Ok(load(&self.overrides(listen))?)
    }

    fn overrides(&self, listen: &[SocketAddr]) -> Overrides {
        Overrides {
            file: self.config.clone(),
            set: self.set.clone(),
            data_dir: self.data_dir.clone(),
            listen: listen.to_vec(),
            repo_roots: self.repo_roots.clone(),
            log_format: self.log_format,
            log_level: self.log_level.clone(),
            ..Overrides::default()
        }
    }
}

/// Arguments of `snapkeep serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:9250].
    ///
    /// Repeatable; every listener serves everything. Addresses beyond loopback need credentials: `snapkeep credential add`.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,

    /// File with the certificate chain, PEM; with it the server speaks TLS only. Read again when it changes.
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,

    /// File with the certificate's private key, PEM.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Let everybody who can reach the server do everything.
    #[arg(long)]
    insecure_no_credentials: bool,
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(arguments: ServeArgs, settings: &SettingsArgs) -> Result<(), Failure> {
    let settings = load(&Overrides {
        insecure_no_credentials: arguments.insecure_no_credentials,
        tls_certificate: arguments.tls_certificate,
        tls_key: arguments.tls_key,
        ..settings.overrides(&arguments.listen)
    })?;
    super::logging::install(settings.log.format, &settings.log.level)?;
    // Installed before anything is opened, so that a signal during a slow start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let key_file = settings.server.data_dir.join("repository.key");
    let key_is_new = !key_file.exists();

    let server = Server::start(&settings).await?;
    print_line(&announcement(
        &server,
        key_is_new && key_file.exists(),
        &key_file,
    ))?;
    tracing::info!(listen = ?server.addresses(), data_dir = %server.data_dir().display(), version = env!("CARGO_PKG_VERSION"), "ready");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(
        grace_seconds = settings.server.shutdown_grace.0.as_secs(),
        "stopping: running snapshots and restores are finished; a second signal stops at once"
    );
    tokio::select! {
        () = server.stop() => tracing::info!("stopped"),
        _ = terminate.recv() => tracing::warn!("stopped at once; what was running is recorded as failed at the next start"),
        _ = interrupt.recv() => tracing::warn!("stopped at once; what was running is recorded as failed at the next start"),
    }
    Ok(())
}

/// Where it listens and what to try. Goes to standard output, so that logs can go elsewhere.
fn announcement(server: &Server, key_is_new: bool, key_file: &std::path::Path) -> String {
    let mut text = format!(
        "Snapkeep {} keeps its data in {}\n",
        env!("CARGO_PKG_VERSION"),
        server.data_dir().display()
    );
    for url in server.urls() {
        text.push_str(&format!("Listening on {url}\n"));
    }
    if server.has_credentials() {
        text.push_str("Requests need credentials; whoever may do what: snapkeep credential ls\n");
    }
    if key_is_new {
        text.push_str(&format!(
            "\nA repository password was generated: {}\n\
             BACK THIS FILE UP somewhere else. Without it nobody can read your snapshots, not even with the repository at hand.\n",
            key_file.display()
        ));
    }
    let base = server.urls().into_iter().next().unwrap_or_default();
    let user = if server.has_credentials() {
        " -u admin"
    } else {
        ""
    };
    let program = program();
    text + &format!(
        r#"
Try:
  curl{user} -X PUT  '{base}/_snapshot/my_backup' -H 'Content-Type: application/json' \
       -d '{{"type": "fs", "settings": {{"location": "my_backup"}}}}'
  curl{user} -X PUT  '{base}/_snapshot/my_backup/snapshot_1?wait_for_completion=true&pretty'
  curl{user}         '{base}/_snapshot/my_backup/_all?pretty'
  {program} snapshot ls my_backup --server {base}
Native API: {base}/api/v1/openapi.json · health: {base}/health · metrics: {base}/metrics"#
    )
}
