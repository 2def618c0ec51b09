//! `snapkeep check`.

use std::collections::HashMap;

use serde_json::Value;
use snapkeep_api::native::types::{Check, Job, ReadData, Snapshots};

use super::Session;
use crate::client::{Client, ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms};

/// Problems that are shown; what is lost by them is shown in full.
const SHOWN_PROBLEMS: usize = 10;

/// Arguments of `snapkeep check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  snapkeep check my_backup                     Structure: everything that snapshots need is there
  snapkeep check my_backup --read-data         And read, decrypt and hash every byte
  snapkeep check my_backup --read-share 5%     And a random twentieth, for instance every night
  snapkeep check my_backup --read-data --repair

Exit code 4 means that damage was found; the report names it. A repair loses nothing more: it takes
what is damaged or missing out of the index, so that the next snapshot stores it again where the
documents are still there.")]
pub struct CheckArgs {
    /// Name of the repository.
    repository: String,

    /// Read every byte.
    #[arg(long, conflicts_with = "read_share")]
    read_data: bool,

    /// Read a random share of the packs, such as `5%` or `0.05`.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    read_share: Option<f64>,

    /// Repair first: rebuild the index from the packs and set damaged ones aside; nobody else may work in the repository.
    #[arg(long, conflicts_with = "read_share")]
    repair: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let share = number
        .trim()
        .parse::<f64>()
        .map_err(|_| "write for example 5% or 0.05".to_owned())?
        * factor;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("must be between 0% and 100%".to_owned())
    }
}

/// Runs it.
pub async fn run(arguments: CheckArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(arguments, &session).await;
    session.end(outcome).await
}

async fn work(arguments: CheckArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let read_data = match arguments.read_share {
        _ if arguments.read_data => ReadData::All,
        Some(share) => ReadData::Sample(share),
        None => ReadData::None,
    };
    let accepted: Job = client
        .post(
            &["repositories", &arguments.repository, "check"],
            &Check {
                read_data,
                repair: arguments.repair,
            },
        )
        .await?;
    let job = client.wait(accepted, output).await?;
    // A check that found something is a failed job with a report; without a report it could not check at all.
    let job = if reported(&job, "problem_count").is_some() {
        job
    } else {
        succeeded(job)?
    };
    let damaged = is_damaged(&job);
    let names = snapshot_names(client, &job).await?;
    output.show(&job, |job| summary(job, &names))?;
    Ok(if damaged { Exit::Damaged } else { Exit::Ok })
}

/// Names of the snapshots by their ids in the repository, where the report mentions any.
async fn snapshot_names(client: &Client, job: &Job) -> Result<HashMap<String, String>, Failure> {
    if listed(job, "losses").is_empty() {
        return Ok(HashMap::new());
    }
    let path = ["repositories", &job.repository, "snapshots"];
    let found: Snapshots = client.get(&path).await?;
    let named = found.snapshots.into_iter();
    Ok(named
        .filter_map(|snapshot| Some((snapshot.restic_id?, snapshot.name)))
        .collect())
}

fn reported<'a>(job: &'a Job, key: &str) -> Option<&'a Value> {
    job.result.as_ref()?.get(key)
}

fn is_damaged(job: &Job) -> bool {
    reported(job, "problem_count").and_then(Value::as_u64) != Some(0)
}

fn summary(job: &Job, names: &HashMap<String, String>) -> String {
    let took =
        duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
    let number = |key: &str| reported(job, key).and_then(Value::as_u64).unwrap_or(0);
    let read = match number("packs_read") {
        0 => "no pack was read; --read-data reads them all".to_owned(),
        packs => format!("{packs} read, {}", bytes(number("bytes_read"))),
    };
    let seen = format!(
        "{} snapshot(s), {} folder(s), {} pack(s), {read}; {took}",
        number("snapshots"),
        number("trees"),
        number("packs")
    );
    let repaired = reported(job, "repaired").map(repairs).unwrap_or_default();
    if !is_damaged(job) {
        return format!("{}: no damage found{repaired}\n  {seen}", job.repository);
    }
    let mut text = format!(
        "{}: {} problem(s) found{repaired}\n  {seen}",
        job.repository,
        number("problem_count")
    );
    for problem in listed(job, "problems").iter().take(SHOWN_PROBLEMS) {
        text.push_str(&format!(
            "\n  {} {}: {}",
            word(problem, "part"),
            word(problem, "id"),
            word(problem, "detail")
        ));
    }
    let more = number("problem_count").saturating_sub(SHOWN_PROBLEMS as u64);
    if more > 0 {
        text.push_str(&format!(
            "\n  and {more} more: snapkeep job show {}",
            job.id
        ));
    }
    for loss in listed(job, "losses") {
        text.push_str(&format!(
            "\n  lost: {} of snapshot {}",
            word(loss, "path"),
            names
                .get(word(loss, "snapshot"))
                .map_or(word(loss, "snapshot"), String::as_str)
        ));
    }
    let repository = &job.repository;
    text + &match reported(job, "repaired") {
        None => format!(
            "\nbring back what is missing from a copy of the storage; where there is none:\n  snapkeep check {repository} --read-data --repair"
        ),
        Some(_) => format!(
            "\nwhere the documents are still there, a new snapshot stores them again: snapkeep snapshot create {repository} NAME\n\
             snapshots that still lose something then can be deleted: snapkeep snapshot rm {repository} NAME"
        ),
    }
}

/// What a repair did.
fn repairs(report: &Value) -> String {
    let number = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "\n  repaired: {} pack(s) missing, {} damaged and set aside, {} added to the index, {} unreadable index file(s) replaced",
        number("packs_missing"),
        number("packs_set_aside"),
        number("packs_indexed"),
        number("indices_removed")
    )
}

fn listed<'a>(job: &'a Job, key: &str) -> &'a [Value] {
    reported(job, key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn word<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.5"), Ok(0.5));
        assert!(parse_share("200%").is_err());
        assert!(parse_share("half").is_err());
    }
}
