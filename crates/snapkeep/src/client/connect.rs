//! Which server a command talks to.

use std::path::{Path, PathBuf};

use http::{HeaderMap, header};
use snapkeep_api::native::types::Server;

use super::backend::Client;
use super::credential;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::serve::data_dir::{self, Use};
use crate::serve::{App, SettingsArgs, install_logging, url_of};

/// Flags of all commands that work on repositories.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectArgs {
    /// Server to talk to, such as http://127.0.0.1:9250.
    ///
    /// Without it the server that uses the data folder is asked; where none runs, the command opens the data folder itself and works offline.
    #[arg(
        long,
        value_name = "URL",
        env = "SNAPKEEP_URL",
        global = true,
        help_heading = "Connection"
    )]
    pub server: Option<String>,

    /// File with what to present to a server that requires credentials: `NAME:PASSWORD`, or an encoded API key.
    ///
    /// The environment variable SNAPKEEP_CREDENTIAL may hold the same. Offline work on a data folder needs none.
    #[arg(
        long,
        value_name = "FILE",
        env = "SNAPKEEP_CREDENTIAL_FILE",
        global = true,
        help_heading = "Connection"
    )]
    pub credential_file: Option<PathBuf>,

    /// File with the certificates (PEM) that a server with https:// may have: its own, or that of the authority that issued it.
    ///
    /// Default: what this machine trusts; for the server of the data folder, the certificate it uses.
    #[arg(
        long,
        value_name = "FILE",
        env = "SNAPKEEP_CA_FILE",
        global = true,
        help_heading = "Connection"
    )]
    pub ca_file: Option<PathBuf>,

    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Print JSON instead of text: one document, errors included.
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,

    /// No progress bars.
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
}

impl ConnectArgs {
    /// How to print.
    pub fn output(&self) -> Output {
        Output::new(self.json, self.quiet)
    }

    /// Finds the server, or opens the data folder. `create`: whether a missing data folder is made, as for the very first repository.
    pub async fn connect(&self, create: bool) -> Result<Client, Failure> {
        if let Some(url) = &self.server {
            let is_web = reqwest::Url::parse(url)
                .is_ok_and(|parsed| matches!(parsed.scheme(), "http" | "https"));
            if !is_web {
                return Err(
                    Failure::usage(format!("--server {url} is no address of a server"))
                        .hint("write it as http://127.0.0.1:9250"),
                );
            }
            return self.reach(url, None);
        }
        let settings = self.settings.load(&[])?;
        let folder = &settings.server.data_dir;
        match data_dir::look(folder)? {
            Use::Server(server) => self.reach(&server.url, server.certificate.as_deref()),
            Use::Busy => Err(data_dir::busy(folder)),
            Use::Ours(dir) => {
                let app = App::open_in(self.prepare(dir, &settings)?, &settings).await?;
                Ok(Client::in_process(app))
            }
            Use::Missing if create => {
                let taken = data_dir::DataDir::take(folder)?;
                let app = App::open_in(self.prepare(taken, &settings)?, &settings).await?;
                Ok(Client::in_process(app))
            }
            Use::Missing => match self.default_server(&settings).await? {
                // An explicit folder was meant; asking some other server instead would be a surprise.
                Some(client) if self.settings.data_dir.is_none() => Ok(client),
                _ => Err(Failure::new(Exit::Unreachable, "no_data_folder", format!("there is no data folder {} and no server", folder.display()))
                    .hint("start one with `snapkeep serve`, name it with --server URL, or name its folder with --data-dir DIR")),
            },
        }
    }

    /// A client for `url`, that presents what it was given. `certificate`: what to trust unless told otherwise.
    fn reach(&self, url: &str, certificate: Option<&Path>) -> Result<Client, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(value) = credential::find(self.credential_file.as_ref())? {
            headers.insert(header::AUTHORIZATION, value);
        }
        let trusted = self.ca_file.as_deref().or(certificate);
        Client::http(url, headers, trusted.filter(|_| url.starts_with("https:")))
    }

    /// The server at the configured address, where one answers.
    async fn default_server(&self, settings: &Settings) -> Result<Option<Client>, Failure> {
        let Some(address) = settings.server.listen.first() else {
            return Ok(None);
        };
        let certificate = settings.tls.certificate.as_deref();
        let client = self.reach(&url_of(*address, certificate.is_some()), certificate)?;
        // Also one that refuses is there, and says itself what is missing.
        let is_there = match client.get::<Server>(&[]).await {
            Ok(_) => true,
            Err(failure) => failure.code == "unauthenticated",
        };
        Ok(is_there.then_some(client))
    }

    /// Offline work logs warnings only, unless more is asked for.
    fn prepare(
        &self,
        dir: data_dir::DataDir,
        settings: &Settings,
    ) -> Result<data_dir::DataDir, Failure> {
        // What the command was asked is answered by its error; how other repositories do is not asked.
        let level = if settings.log.level == "info" {
            "warn,snapkeep_engine::workers=error,snapkeep_api::native=error"
        } else {
            &settings.log.level
        };
        install_logging(settings.log.format, level)?;
        Ok(dir)
    }
}
