//! `snapkeep config`.

use clap::Subcommand;

use crate::client::ConnectArgs;
use crate::config::{markdown_reference, toml_template};
use crate::exit::{Exit, Failure};
use crate::output::print_line;

/// `snapkeep config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the reference of all settings, in Markdown.
    Reference,
    /// Print a TOML file with every key, its default and its documentation.
    #[command(after_help = "Example:\n  snapkeep config template > snapkeep.toml")]
    Template,
    /// Read file, environment and flags, and say whether they can be used. Starts nothing.
    #[command(after_help = "Example:\n  snapkeep config check --config snapkeep.toml")]
    Check,
}

/// Runs it.
pub fn run(command: ConfigCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Reference => print_line(&markdown_reference())?,
        ConfigCommand::Template => print_line(&toml_template())?,
        ConfigCommand::Check => {
            let settings = connect.settings.load(&[])?;
            let report = serde_json::json!({
                "usable": true,
                "data_dir": settings.server.data_dir,
                "listen": settings.server.listen,
                "repository_roots": settings.repositories.roots,
                "elasticsearch_shape": settings.elasticsearch.shape,
                "log_level": settings.log.level,
            });
            let text = format!(
                "the configuration can be used: data in {}, listening on {:?}",
                settings.server.data_dir.display(),
                settings.server.listen
            );
            connect.output().show(&report, |_| text)?;
        }
    }
    Ok(Exit::Ok)
}
