//! `snapkeep repo`.

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use snapkeep_api::native::types::{
    Cleaned, RegisterRepository, Repositories, Repository, Verified,
};
use zeroize::Zeroizing;

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{bytes, table};

/// `snapkeep repo …`.
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Register a repository, or change a registered one. Creates it where there is none yet.
    ///
    /// One that exists already keeps its snapshots: they are listed and can be restored at once.
    #[command(after_help = "Examples:
  snapkeep repo add my_backup --location my_backup
  snapkeep repo add my_backup --location /mount/backups/my_backup --max-snapshot-rate 50mb
  snapkeep repo add old --location /mount/backups/old --readonly")]
    Add {
        /// Name to register it under.
        name: String,
        /// Folder, below one of the --repo-root folders; relative to the first of them [default: NAME].
        #[arg(long, value_name = "DIR")]
        location: Option<String>,
        /// Limit on writing, such as 50mb a second; 0 for none [default: repositories.max_snapshot_bytes_per_sec, 20mb].
        #[arg(long, value_name = "BYTES")]
        max_snapshot_rate: Option<String>,
        /// Limit on reading, such as 50mb a second; 0 for none [default: repositories.max_restore_bytes_per_sec, 20mb].
        #[arg(long, value_name = "BYTES")]
        max_restore_rate: Option<String>,
        /// Refuse everything that writes.
        #[arg(long)]
        readonly: bool,
        /// Do not write and read back a probe.
        #[arg(long)]
        no_verify: bool,
    },
    /// List the registered repositories.
    Ls,
    /// Forget a repository. What is stored in it stays, and is back when it is registered again.
    Rm {
        /// Its name.
        name: String,
    },
    /// Write a probe into a repository, read it back and remove it.
    Verify {
        /// Its name.
        name: String,
    },
    /// Print what stock restic needs to use a repository, for a shell to evaluate.
    ///
    /// The output contains the password. It is read from the data folder, never from the server.
    #[command(after_help = "Example:
  eval \"$(snapkeep repo env my_backup --data-dir /var/lib/snapkeep)\"
  restic snapshots")]
    Env {
        /// Its name.
        name: String,
    },
    /// Remove what interrupted work left behind.
    Cleanup {
        /// Its name.
        name: String,
    },
}

/// Runs it.
pub async fn run(command: RepoCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = match command {
        RepoCommand::Add { .. } => Session::open_or_create(connect).await?,
        _ => Session::open(connect).await?,
    };
    let outcome = work(command, connect, &session).await;
    session.end(outcome).await
}

async fn work(
    command: RepoCommand,
    connect: &ConnectArgs,
    session: &Session,
) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        RepoCommand::Add {
            name,
            location,
            max_snapshot_rate,
            max_restore_rate,
            readonly,
            no_verify,
        } => {
            let mut settings = Map::new();
            settings.insert(
                "location".to_owned(),
                Value::String(location.unwrap_or_else(|| name.clone())),
            );
            for (key, value) in [
                ("max_snapshot_bytes_per_sec", max_snapshot_rate),
                ("max_restore_bytes_per_sec", max_restore_rate),
            ] {
                settings.extend(value.map(|rate| (key.to_owned(), Value::String(rate))));
            }
            if readonly {
                settings.insert("readonly".to_owned(), Value::Bool(true));
            }
            let wanted = RegisterRepository {
                kind: "fs".to_owned(),
                settings,
                verify: !no_verify,
            };
            let registered: Repository = client
                .call(Method::PUT, &["repositories", &name], Some(&wanted))
                .await?;
            output.show(&registered, |found| {
                let place = found.location.clone().unwrap_or_default();
                let next = if found.readonly {
                    format!("see what is in it: snapkeep snapshot ls {}", found.name)
                } else {
                    format!(
                        "take a snapshot: snapkeep snapshot create {} snapshot_1",
                        found.name
                    )
                };
                format!("repository {} is registered at {place}\n{next}", found.name)
            })?;
        }
        RepoCommand::Ls => {
            let found: Repositories = client.get(&["repositories"]).await?;
            output.show(&found, list)?;
        }
        RepoCommand::Rm { name } => {
            client.delete(&["repositories", &name]).await?;
            output.show(&json!({"removed": name}), |_| {
                format!("repository {name} is forgotten; what is stored in it stays")
            })?;
        }
        RepoCommand::Verify { name } => {
            let found: Verified = client.post(&["repositories", &name, "verify"], &()).await?;
            output.show(&found, |found| match found.probe_bytes {
                0 => format!("repository {name} can be read at {}", found.location),
                count => format!(
                    "repository {name} works at {}: {count} bytes written and read back",
                    found.location
                ),
            })?;
        }
        RepoCommand::Env { name } => environment(&name, connect, session).await?,
        RepoCommand::Cleanup { name } => {
            let cleaned: Cleaned = client
                .post(&["repositories", &name, "cleanup"], &())
                .await?;
            output.show(&cleaned, |cleaned| {
                format!(
                    "removed {} in {} file(s)",
                    bytes(cleaned.deleted_bytes),
                    cleaned.deleted_files
                )
            })?;
        }
    }
    Ok(Exit::Ok)
}

fn list(found: &Repositories) -> String {
    if found.repositories.is_empty() {
        return "no repositories are registered\nregister one: snapkeep repo add NAME --location DIR".to_owned();
    }
    let rate = |limit: Option<u64>| {
        limit.map_or_else(
            || "unlimited".to_owned(),
            |count| format!("{}/s", bytes(count)),
        )
    };
    let rows = found.repositories.iter().map(|repository| {
        let location = repository
            .settings
            .get("location")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let state = match &repository.trouble {
            Some(trouble) => trouble.clone(),
            None if repository.readonly => "read-only".to_owned(),
            None => "ok".to_owned(),
        };
        let (write, read) = (
            rate(repository.max_snapshot_bytes_per_sec),
            rate(repository.max_restore_bytes_per_sec),
        );
        [
            repository.name.clone(),
            repository.kind.clone(),
            location,
            write,
            read,
            state,
        ]
    });
    table(
        [
            "NAME",
            "TYPE",
            "LOCATION",
            "WRITE LIMIT",
            "READ LIMIT",
            "STATE",
        ],
        rows,
    )
}

async fn environment(name: &str, connect: &ConnectArgs, session: &Session) -> Result<(), Failure> {
    let found: Repository = session.client.get(&["repositories", name]).await?;
    let access = ResticAccess::read(&found, connect)?;
    let variables =
        json!({"RESTIC_REPOSITORY": access.location, "RESTIC_PASSWORD": access.password.as_str()});
    session.output.show(&variables, |_| {
        // Exported first: then every further line is a plain assignment, for readers that are no shell.
        let export = "export RESTIC_REPOSITORY= RESTIC_PASSWORD=";
        format!(
            "{export}\nRESTIC_REPOSITORY={}\nRESTIC_PASSWORD={}",
            shell_quoted(&access.location),
            shell_quoted(&access.password)
        )
    })
}

/// What it takes to open a repository without the server.
pub(super) struct ResticAccess {
    /// Where it is, as restic is told.
    pub(super) location: String,
    /// Its password; the data folder has it, the server does not give it out.
    pub(super) password: Zeroizing<String>,
}

impl ResticAccess {
    /// The access to a repository that the server describes.
    pub(super) fn read(repository: &Repository, connect: &ConnectArgs) -> Result<Self, Failure> {
        let location = repository.location.clone().ok_or_else(|| {
            let trouble = repository.trouble.as_deref();
            let trouble = trouble.unwrap_or("it could not be opened");
            let name = &repository.name;
            Failure::failed(format!("repository {name} cannot be used: {trouble}"))
        })?;
        let data_dir = connect.settings.load(&[])?.server.data_dir;
        let key_file = data_dir.join("repository.key");
        let password = std::fs::read_to_string(&key_file).map(Zeroizing::new).map_err(|cause| {
            Failure::failed(format!("cannot read the repository password {}: {cause}", key_file.display()))
                .hint("name the server's data folder with --data-dir, and run as the user who owns it; the server does not give passwords out")
        })?;
        let password = Zeroizing::new(password.trim_ascii_end().to_owned());
        Ok(Self { location, password })
    }
}

/// The text as one word of a POSIX shell; quoted only where needed.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '/' | '.' | '_' | '-' | ':' | '@' | '+' | '=' | ',')
    };
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "/mount/backups/my_backup",
            "",
            "with space",
            "it's",
            "$HOME `id` \"x\" \\",
            "a\nb",
        ] {
            let script = format!("printf %s {}", shell_quoted(text));
            let shell = std::process::Command::new("sh")
                .arg("-c")
                .arg(script)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), text);
        }
    }
}
