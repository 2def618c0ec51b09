//! `snapkeep restore`.

use serde_json::{Map, Value};
use snapkeep_api::native::types::{Job, OnConflict, Restore};

use super::Session;
use super::job::details;
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::duration_ms;

/// Arguments of `snapkeep restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Indices are restored into missing or closed ones, never over an open one; every shard is compared
with the snapshot by count and digest before the index becomes visible. Collections are restored all
or none, vectors bit for bit. A restore that fails or is interrupted leaves nothing behind.

Examples:
  snapkeep restore my_backup nightly-1
  snapkeep restore my_backup nightly-1 --index 'logs-*' --index '-logs-old'
  snapkeep restore my_backup nightly-1 --collection Notes --tenant alice --rename 'Notes=NotesOfAlice'
  Beside the one that is there:
  snapkeep restore my_backup nightly-1 --index orders --rename '(.+)=restored-$1'")]
pub struct RestoreArgs {
    /// Name of the repository.
    repository: String,

    /// Name of the snapshot.
    snapshot: String,

    /// Index to restore; wildcards and `-` exclusions. Repeatable [default: all in the snapshot, unless collections are named].
    #[arg(long = "index", short, value_name = "NAME", allow_hyphen_values = true)]
    indices: Vec<String>,

    /// Collection to restore; wildcards and `-` exclusions. Repeatable [default: all in the snapshot, unless indices are named].
    #[arg(
        long = "collection",
        short,
        value_name = "NAME",
        allow_hyphen_values = true
    )]
    collections: Vec<String>,

    /// Tenant to restore, of collections with tenants. Repeatable [default: all].
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,

    /// What happens when a collection is there already: fail with nothing restored, skip it, or overwrite it.
    #[arg(long, value_name = "WHAT", default_value = "fail", value_parser = parse_conflict)]
    on_conflict: OnConflict,

    /// Restore under other names: a regular expression and what its matches become; `$1` is the first group.
    #[arg(long, value_name = "PATTERN=REPLACEMENT", value_parser = parse_rename)]
    rename: Option<(String, String)>,

    /// Set an index setting, such as `index.number_of_replicas=0`. Repeatable.
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = parse_rename)]
    settings: Vec<(String, String)>,

    /// Leave an index setting out; `*` allowed. Repeatable.
    #[arg(long = "ignore-setting", value_name = "KEY")]
    ignore_settings: Vec<String>,

    /// Do not restore aliases.
    #[arg(long)]
    no_aliases: bool,

    /// Restore templates and cluster settings too.
    #[arg(long)]
    global_state: bool,

    /// Restore indices that miss shards; the missing shards become empty.
    #[arg(long)]
    partial: bool,

    /// Return at once; `snapkeep job show` tells how it goes.
    #[arg(long)]
    no_wait: bool,
}

fn parse_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "fail" => Ok(OnConflict::Fail),
        "skip" => Ok(OnConflict::Skip),
        "overwrite" => Ok(OnConflict::Overwrite),
        _ => Err("write fail, skip or overwrite".to_owned()),
    }
}

fn parse_rename(text: &str) -> Result<(String, String), String> {
    let (left, right) = text
        .split_once('=')
        .ok_or("write it with = between the two")?;
    if left.is_empty() {
        Err("nothing stands before =".to_owned())
    } else {
        Ok((left.to_owned(), right.to_owned()))
    }
}

/// Runs it.
pub async fn run(arguments: RestoreArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(arguments, &session).await;
    session.end(outcome).await
}

async fn work(arguments: RestoreArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let (rename_pattern, rename_replacement) = arguments.rename.unzip();
    let setting = |(key, value): (String, String)| (key, Value::String(value));
    let request = Restore {
        indices: arguments.indices,
        collections: arguments.collections,
        tenants: arguments.tenants,
        on_conflict: arguments.on_conflict,
        rename_pattern,
        rename_replacement,
        include_aliases: !arguments.no_aliases,
        include_global_state: arguments.global_state,
        index_settings: arguments
            .settings
            .into_iter()
            .map(setting)
            .collect::<Map<_, _>>(),
        ignore_index_settings: arguments.ignore_settings,
        partial: arguments.partial,
    };
    let path = [
        "repositories",
        &arguments.repository,
        "snapshots",
        &arguments.snapshot,
        "restore",
    ];
    let accepted: Job = client.post(&path, &request).await?;
    if arguments.no_wait {
        output.show(&accepted, |job| {
            format!("restore of {} accepted as job {}", job.subject, job.id)
        })?;
        return Ok(Exit::Ok);
    }
    let job = client.wait(accepted, output).await?;
    let number = |key: &str| {
        job.result
            .as_ref()
            .and_then(|result| result.get(key))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    let (failed, successful) = (number("shards_failed"), number("shards_successful"));
    // Failed as a whole is a failure; some shards restored and some not is the operator's to look at.
    let job = if failed > 0 && successful > 0 {
        job
    } else {
        succeeded(job)?
    };
    output.show(&job, |job| summary(job, failed))?;
    Ok(if failed == 0 { Exit::Ok } else { Exit::Partial })
}

fn summary(job: &Job, failed: u64) -> String {
    let Some(result) = &job.result else {
        return details(job);
    };
    let took =
        duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
    let names = |key| {
        result
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let restored: Vec<&str> = names("indices")
        .chain(names("collections"))
        .filter_map(Value::as_str)
        .collect();
    let total = result
        .get("shards_total")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let mut text = format!(
        "restored {} in {took}: {} of {total} shard(s) verified",
        restored.join(", "),
        total - failed.min(total)
    );
    if let Some(error) = result.get("error").and_then(Value::as_str) {
        text.push_str(&format!("\n  {error}"));
    }
    text
}
