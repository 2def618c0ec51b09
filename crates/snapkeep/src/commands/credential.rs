//! `snapkeep credential`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use snapkeep_api::native::credentials::types::{
    AddCredential, Credential, CredentialKind, CredentialLimits, CredentialList, CredentialRole,
    IssuedCredential, RotateCredential,
};
use zeroize::Zeroizing;

use super::Session;
use super::key::read_password;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{table, time};

/// What a credential is proved with.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindName {
    /// Name and password (Basic); also obtains tokens.
    Password,
    /// Id and random key, for `ApiKey` and `Bearer`: Elasticsearch and Weaviate clients, scripts.
    ApiKey,
    /// Access key and secret, for signed requests of Huawei's and Alibaba's SDKs.
    AccessKey,
}

/// What a credential allows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    /// Reads.
    Viewer,
    /// Also takes snapshots, restores, writes data and runs policies.
    Operator,
    /// Also registers repositories, deletes snapshots, and keeps policies and credentials.
    Admin,
}

/// `snapkeep credential …`.
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// List credentials: names, roles and limits. Secrets are never shown again.
    Ls,
    /// Make a credential and print its secret, once.
    ///
    /// From the first credential on, all requests need one; the first must be an admin. Made before the server starts, with --data-dir, or
    /// while it runs.
    #[command(after_help = "Examples:
  snapkeep credential add admin --role admin
  snapkeep credential add nightly --role operator --kind api-key --repository my_backup
  snapkeep credential add css --role operator --kind access-key --project 6204a5bd270343b5885144cf9c8c158d
  snapkeep credential add alice --role viewer --password-file alice.txt --resource 'logs-*'")]
    Add {
        /// Its name: letters, digits and . _ @ -
        name: String,
        /// What it allows.
        #[arg(long, value_enum)]
        role: RoleName,
        /// What it is proved with.
        #[arg(long, value_enum, default_value = "password")]
        kind: KindName,
        /// Only this repository; `*` stands for any characters. Repeatable.
        #[arg(long = "repository", value_name = "PATTERN")]
        repositories: Vec<String>,
        /// Only this index or collection; `*` stands for any characters. Repeatable.
        #[arg(long = "resource", value_name = "PATTERN")]
        resources: Vec<String>,
        /// Only this project (clouds). Repeatable.
        #[arg(long = "project", value_name = "PATTERN")]
        projects: Vec<String>,
        /// File with the password, for kind password; `-` is standard input [default: one is generated].
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give a credential a new secret and print it, once. The old one and all tokens are void at once.
    Rotate {
        /// Its name.
        name: String,
        /// File with the new password, for kind password; `-` is standard input [default: one is generated].
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Remove a credential. The last admin stays.
    Rm {
        /// Its name.
        name: String,
    },
}

/// Runs it.
pub async fn run(command: CredentialCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = match command {
        CredentialCommand::Add { .. } => Session::open_or_create(connect).await?,
        _ => Session::open(connect).await?,
    };
    let outcome = work(command, &session).await;
    session.end(outcome).await
}

async fn work(command: CredentialCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        CredentialCommand::Ls => {
            let found: CredentialList = client.get(&["credentials"]).await?;
            output.show(&found, list)?;
        }
        CredentialCommand::Add {
            name,
            role,
            kind,
            repositories,
            resources,
            projects,
            password_file,
        } => {
            let some = |patterns: Vec<String>| (!patterns.is_empty()).then_some(patterns);
            let mut wanted = AddCredential {
                name,
                kind: kind.into(),
                role: role.into(),
                limits: CredentialLimits {
                    repositories: some(repositories),
                    resources: some(resources),
                    projects: some(projects),
                },
                password: password(password_file)?,
            };
            let issued: Result<IssuedCredential, Failure> =
                client.post(&["credentials"], &wanted).await;
            drop(wanted.password.take().map(Zeroizing::new));
            output.show(&issued?, show)?;
        }
        CredentialCommand::Rotate {
            name,
            password_file,
        } => {
            let wanted = RotateCredential {
                password: password(password_file)?,
            };
            let issued: IssuedCredential = client
                .post(&["credentials", &name, "rotate"], &wanted)
                .await?;
            output.show(&issued, show)?;
        }
        CredentialCommand::Rm { name } => {
            client.delete(&["credentials", &name]).await?;
            output.show(&json!({ "removed": name }), |_| {
                format!("credential {name} is removed and refused from now on")
            })?;
        }
    }
    Ok(Exit::Ok)
}

fn password(file: Option<PathBuf>) -> Result<Option<String>, Failure> {
    match file {
        None => Ok(None),
        Some(file) if file.as_os_str() == "-" => read_password(None).map(Some),
        Some(file) => read_password(Some(file)).map(Some),
    }
}

fn list(found: &CredentialList) -> String {
    if found.credentials.is_empty() {
        return "no credentials: requests need none, and the server listens on loopback only"
            .to_owned();
    }
    let rows = found.credentials.iter().map(|credential| {
        [
            credential.name.clone(),
            role(credential.role).to_owned(),
            kind(credential.kind).to_owned(),
            credential.key_id.clone(),
            limits(&credential.limits),
            time(credential.rotated_ms),
        ]
    });
    table(
        ["NAME", "ROLE", "KIND", "ID", "LIMITS", "SECRET SINCE"],
        rows,
    )
}

fn limits(limits: &CredentialLimits) -> String {
    let parts = [
        ("repositories", &limits.repositories),
        ("resources", &limits.resources),
        ("projects", &limits.projects),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, patterns)| Some(format!("{name} {}", patterns.as_ref()?.join(", "))))
        .collect();
    match shown.is_empty() {
        true => "none".to_owned(),
        false => shown.join("; "),
    }
}

fn show(issued: &IssuedCredential) -> String {
    let Credential { name, key_id, .. } = &issued.credential;
    let secret = &issued.secret;
    let how = match issued.credential.kind {
        CredentialKind::Password => format!(
            "password: {secret}\n\nFor Basic authentication: curl -u {name} …; for commands: write {name}:PASSWORD into a file and name it with --credential-file."
        ),
        CredentialKind::ApiKey => format!(
            "id:      {key_id}\nkey:     {secret}\nencoded: {}\n\nClients send `Authorization: ApiKey ENCODED`, or `Bearer ENCODED`; commands read ENCODED from --credential-file.",
            issued.encoded.as_deref().unwrap_or_default()
        ),
        CredentialKind::AccessKey => format!(
            "access key: {key_id}\nsecret:     {secret}\n\nFor the SDKs of Huawei and Alibaba Cloud (AK and SK)."
        ),
    };
    format!(
        "credential {name} ({})\n{how}\nThe secret is not shown again; `snapkeep credential rotate {name}` makes a new one.",
        role(issued.credential.role)
    )
}

fn role(role: CredentialRole) -> &'static str {
    match role {
        CredentialRole::Viewer => "viewer",
        CredentialRole::Operator => "operator",
        CredentialRole::Admin => "admin",
    }
}

fn kind(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Password => "password",
        CredentialKind::ApiKey => "api key",
        CredentialKind::AccessKey => "access key",
    }
}

impl From<KindName> for CredentialKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Password => Self::Password,
            KindName::ApiKey => Self::ApiKey,
            KindName::AccessKey => Self::AccessKey,
        }
    }
}

impl From<RoleName> for CredentialRole {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}
