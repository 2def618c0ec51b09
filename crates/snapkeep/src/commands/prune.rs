//! `snapkeep prune`.

use snapkeep_api::native::types::Job;

use super::Session;
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms};

/// Arguments of `snapkeep prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs beside snapshots and restores; nothing is locked out. Packs that no snapshot needs are first
marked, and deleted only after every writer that could have seen them has ended, so the space of a
deletion may be reclaimed by the next prune.

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
    let job = succeeded(client.wait(accepted, output).await?)?;
    output.show(&job, summary)?;
    Ok(Exit::Ok)
}

fn summary(job: &Job) -> String {
    let took =
        duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
    let number = |key: &str| {
        let result = job.result.as_ref()?;
        result.get(key)?.as_u64().filter(|count| *count > 0)
    };
    let mut text = format!(
        "pruned {} in {took}: {} reclaimed",
        job.repository,
        bytes(number("bytes_reclaimed").unwrap_or(0))
    );
    let details = [
        ("packs_deleted", "pack(s) deleted"),
        (
            "packs_waiting",
            "pack(s) wait until every writer that may have seen them has ended; a later prune deletes them",
        ),
        (
            "packs_put_back",
            "marked pack(s) put back, because a snapshot came to need them",
        ),
    ];
    for (key, words) in details {
        if let Some(count) = number(key) {
            text.push_str(&format!("\n{count:>8} {words}"));
        }
    }
    if let Some(kept) = number("bytes_unused_kept") {
        text.push_str(&format!(
            "\n  {} of unneeded data stay in packs that are mostly needed",
            bytes(kept)
        ));
    }
    text
}
