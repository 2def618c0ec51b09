//! `snapkeep check`.

use serde_json::Value;
use snapkeep_api::native::types::{Check, Job, ReadData};

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::duration_ms;

/// Arguments of `snapkeep check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  snapkeep check my_backup                     Structure: everything that snapshots need is there
  snapkeep check my_backup --read-data         And read, decrypt and hash every byte
  snapkeep check my_backup --read-share 5%     And a random twentieth, for instance every night

Exit code 4 means that damage was found; the report names it.")]
pub struct CheckArgs {
    /// Name of the repository.
    repository: String,

    /// Read every byte.
    #[arg(long, conflicts_with = "read_share")]
    read_data: bool,

    /// Read a random share of the packs, such as `5%` or `0.05`.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    read_share: Option<f64>,
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
            &Check { read_data },
        )
        .await?;
    let job = client.wait(accepted, output).await?;
    let problems = problems(&job);
    output.show(&job, |job| {
        let took =
            duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
        let mut text = match problems.len() {
            0 => format!("{}: no damage found ({took})", job.repository),
            count => format!("{}: {count} problem(s) found ({took})", job.repository),
        };
        for problem in &problems {
            text.push_str(&format!("\n  {problem}"));
        }
        if let Some(Value::Object(report)) = &job.result {
            for (key, value) in report.iter().filter(|(_, value)| value.is_number()) {
                text.push_str(&format!(
                    "\n{:>12}  {}",
                    value.to_string(),
                    key.replace('_', " ")
                ));
            }
        }
        text
    })?;
    Ok(if problems.is_empty() {
        Exit::Ok
    } else {
        Exit::Damaged
    })
}

/// The problems in a report, in words.
fn problems(job: &Job) -> Vec<String> {
    let listed = job
        .result
        .as_ref()
        .and_then(|report| report.get("problems").or_else(|| report.get("errors")))
        .and_then(Value::as_array);
    let text = |problem: &Value| {
        problem
            .as_str()
            .map_or_else(|| problem.to_string(), str::to_owned)
    };
    listed
        .map(|problems| problems.iter().map(text).collect())
        .unwrap_or_default()
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
