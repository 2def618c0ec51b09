//! `snapkeep prune`.

use snapkeep_api::native::types::Job;

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms};

/// Arguments of `snapkeep prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs beside snapshots and restores; nothing is locked out. Packs that no snapshot needs are first marked and deleted only
after every writer that could have seen them has ended, so the space of a deletion may be reclaimed by the next prune.

Example:
  snapkeep prune my_backup")]
pub struct PruneArgs {
    /// Name of the repository.
    repository: String,
}

/// Runs it.
pub async fn run(arguments: PruneArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(arguments, &session).await;
    session.end(outcome).await
}

async fn work(arguments: PruneArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let accepted: Job = client
        .post(&["repositories", &arguments.repository, "prune"], &())
        .await?;
    let job = client.wait(accepted, output).await?;
    output.show(&job, |job| {
        let number = |key: &str| {
            job.result
                .as_ref()
                .and_then(|result| result.get(key))
                .and_then(serde_json::Value::as_u64)
        };
        let took =
            duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
        let mut text = format!("pruned {} in {took}", job.repository);
        for (key, words) in [
            ("deleted_bytes", "deleted now"),
            ("freed_bytes", "freed"),
            ("marked_bytes", "marked, deleted by a later prune"),
        ] {
            if let Some(count) = number(key) {
                text.push_str(&format!("\n{:>12}  {words}", bytes(count)));
            }
        }
        text
    })?;
    Ok(Exit::Ok)
}
