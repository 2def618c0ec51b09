//! Which server a command talks to.

use snapkeep_api::native::types::Server;

use super::backend::Client;
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
            return Ok(Client::http(url));
        }
        let settings = self.settings.load(&[])?;
        let folder = &settings.server.data_dir;
        match data_dir::look(folder)? {
            Use::Server(server) => Ok(Client::http(&server.url)),
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
            Use::Missing => match default_server(&settings).await {
                // An explicit folder was meant; asking some other server instead would be a surprise.
                Some(client) if self.settings.data_dir.is_none() => Ok(client),
                _ => Err(Failure::new(Exit::Unreachable, "no_data_folder", format!("there is no data folder {} and no server", folder.display()))
                    .hint("start one with `snapkeep serve`, name it with --server URL, or name its folder with --data-dir DIR")),
            },
        }
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

/// The server at the configured address, where one answers.
async fn default_server(settings: &Settings) -> Option<Client> {
    let client = Client::http(&url_of(*settings.server.listen.first()?));
    client.get::<Server>(&[]).await.is_ok().then_some(client)
}
