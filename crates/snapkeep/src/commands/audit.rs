//! `snapkeep audit`.

use snapkeep_api::native::credentials::types::{AuditEntries, AuditEntry};

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{table, time};

/// Arguments of `snapkeep audit`.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Only what this credential did; `local` is whoever needed none.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,

    /// So many records at most, the newest first (1 to 1000).
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Runs it.
pub async fn run(arguments: AuditArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(arguments, &session).await;
    session.end(outcome).await
}

async fn work(arguments: AuditArgs, session: &Session) -> Result<Exit, Failure> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.principal.map(|name| ("principal", name)));
    let found: AuditEntries = session.client.get_with(&["audit"], &query).await?;
    session.output.show(&found, list)?;
    Ok(Exit::Ok)
}

fn list(found: &AuditEntries) -> String {
    if found.records.is_empty() {
        return "nothing was noted".to_owned();
    }
    let rows = found.records.iter().map(|entry| {
        [
            time(entry.at_ms),
            entry.principal.clone(),
            entry.address.clone().unwrap_or_default(),
            entry.action.clone(),
            object(entry),
            format!("{} ({})", entry.outcome, entry.status),
        ]
    });
    table(["TIME", "WHO", "FROM", "ACTION", "WHAT", "OUTCOME"], rows)
}

fn object(entry: &AuditEntry) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(entry.project.clone());
    parts.extend(entry.repository.clone());
    match entry.resources.as_slice() {
        [] if parts.is_empty() => parts.push(entry.request.clone()),
        [] => {}
        [first] => parts.push(first.clone()),
        [first, others @ ..] => parts.push(format!("{first} and {} more", others.len())),
    }
    parts.join(" / ")
}
