//! `snapkeep key`.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use snapkeep_api::native::types::{AddKey, KeyAdded, Keys};
use zeroize::Zeroizing;

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{table, time};

/// Longest password that is read.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;

/// `snapkeep key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the passwords of a repository: who added them and when. The passwords themselves are never shown.
    Ls {
        /// Name of the repository.
        repository: String,
    },
    /// Add a password to a repository, for instance one that a person can type.
    ///
    /// The password is read from a file or from standard input, never from the command line, where every user of the machine could see it.
    #[command(after_help = "Examples:
  snapkeep key add my_backup --password-file new-password.txt
  pass show backup | snapkeep key add my_backup --label 'safe in Zurich'")]
    Add {
        /// Name of the repository.
        repository: String,
        /// File with the new password; a line break at its end does not count [default: standard input].
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// For whom it is; noted as the user name of the key.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
    },
    /// Remove a password from a repository. The one that the server uses cannot be removed.
    Rm {
        /// Name of the repository.
        repository: String,
        /// Id of the key, or its beginning where only one has it.
        id: String,
    },
}

/// Runs it.
pub async fn run(command: KeyCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(command, &session).await;
    session.end(outcome).await
}

async fn work(command: KeyCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        KeyCommand::Ls { repository } => {
            let found: Keys = client.get(&["repositories", &repository, "keys"]).await?;
            output.show(&found, |found| {
                let rows = found.keys.iter().map(|key| {
                    let id = key.id.chars().take(16).collect();
                    [
                        id,
                        key.username.clone(),
                        key.hostname.clone(),
                        moment(&key.created),
                        if key.current { "the server's" } else { "" }.to_owned(),
                    ]
                });
                table(["ID", "USER", "HOST", "CREATED", ""], rows)
            })?;
        }
        KeyCommand::Add {
            repository,
            password_file,
            label,
        } => {
            let mut wanted = AddKey {
                password: read_password(password_file)?,
                label,
            };
            let added: Result<KeyAdded, Failure> = client
                .post(&["repositories", &repository, "keys"], &wanted)
                .await;
            drop(Zeroizing::new(std::mem::take(&mut wanted.password)));
            output.show(&added?, |key| format!("password added as key {}", key.id))?;
        }
        KeyCommand::Rm { repository, id } => {
            client
                .delete(&["repositories", &repository, "keys", &id])
                .await?;
            output.show(&json!({"removed": id}), |_| format!("key {id} is removed; whoever knows its password can no longer open {repository}"))?;
        }
    }
    Ok(Exit::Ok)
}

/// Noted in keys with more digits than anybody reads.
fn moment(created: &str) -> String {
    match created.parse::<jiff::Timestamp>() {
        Ok(moment) => time(moment.as_millisecond()),
        Err(_) => created.to_owned(),
    }
}

/// Reads a password from a file or from standard input.
pub fn read_password(file: Option<PathBuf>) -> Result<String, Failure> {
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(path) => {
            let file = std::fs::File::open(&path).map_err(|cause| {
                Failure::usage(format!("cannot read {}: {cause}", path.display()))
            })?;
            file.take(MAX_PASSWORD_BYTES).read_to_string(&mut text)?;
        }
        None => {
            if std::io::stdin().is_terminal() {
                eprintln!(
                    "New password, then Enter and Ctrl-D (it is shown while you type; use --password-file to avoid that):"
                );
            }
            std::io::stdin()
                .lock()
                .take(MAX_PASSWORD_BYTES)
                .read_to_string(&mut text)?;
        }
    }
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::usage("the new password is empty")
            .hint("give one with --password-file FILE or on standard input"));
    }
    Ok(password.to_owned())
}
