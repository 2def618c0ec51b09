//! `snapkeep job`.

use clap::Subcommand;
use snapkeep_api::native::types::{Job, JobState, Jobs};

use super::Session;
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms, table, time};

/// `snapkeep job …`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs, the newest first.
    Ls {
        /// Only those that have not ended.
        #[arg(long)]
        running: bool,
    },
    /// Show a job: how far it is, or what came out.
    Show {
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Wait until it has ended. Ctrl-C cancels it.
        #[arg(long)]
        wait: bool,
    },
    /// Ask a job to stop. It ends within two seconds and leaves the repository as it was.
    Cancel {
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

/// Runs it.
pub async fn run(command: JobCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(command, &session).await;
    session.end(outcome).await
}

async fn work(command: JobCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        JobCommand::Ls { running } => {
            let mut found: Jobs = client.get(&["jobs"]).await?;
            found
                .jobs
                .retain(|job| !running || !job.state.is_finished());
            output.show(&found, list)?;
        }
        JobCommand::Show { id, wait } => {
            let mut job: Job = client.get(&["jobs", &id]).await?;
            if wait {
                job = succeeded(client.wait(job, output).await?)?;
            }
            output.show(&job, details)?;
        }
        JobCommand::Cancel { id } => {
            let job: Job = client.post(&["jobs", &id, "cancel"], &()).await?;
            output.show(&job, |job| match job.state.is_finished() {
                true => format!("job {} has ended ({})", job.id, word(job.state)),
                false => format!("job {} is being cancelled", job.id),
            })?;
        }
    }
    Ok(Exit::Ok)
}

fn list(found: &Jobs) -> String {
    if found.jobs.is_empty() {
        return "no jobs".to_owned();
    }
    let rows = found.jobs.iter().map(|job| {
        let took = match (job.started_ms, job.finished_ms) {
            (Some(start), Some(end)) => duration_ms(end - start),
            _ => job.progress.phase.clone(),
        };
        [
            job.id.clone(),
            job.kind.as_str().to_owned(),
            job.repository.clone(),
            job.subject.clone(),
            word(job.state).to_owned(),
            time(job.created_ms),
            took,
        ]
    });
    table(
        [
            "ID",
            "KIND",
            "REPOSITORY",
            "SUBJECT",
            "STATE",
            "ACCEPTED",
            "TOOK",
        ],
        rows,
    )
}

/// What there is to say about a job.
pub fn details(job: &Job) -> String {
    let mut lines = vec![
        format!("job       {}", job.id),
        format!("kind      {}", job.kind.as_str()),
    ];
    lines.push(format!("on        {} {}", job.repository, job.subject));
    if !job.resources.is_empty() {
        lines.push(format!("concerns  {}", job.resources.join(", ")));
    }
    lines.push(format!("state     {}", word(job.state)));
    lines.push(format!("accepted  {}", time(job.created_ms)));
    if let (Some(start), Some(end)) = (job.started_ms, job.finished_ms) {
        lines.push(format!("took      {}", duration_ms(end - start)));
    }
    let progress = &job.progress;
    if progress.bytes_done > 0 {
        lines.push(format!(
            "read      {} of {}",
            bytes(progress.bytes_done),
            bytes(progress.bytes_total.max(progress.bytes_done))
        ));
    }
    if progress.stored_bytes > 0 {
        lines.push(format!("stored    {}", bytes(progress.stored_bytes)));
    }
    if progress.throttled_ms > 0 {
        lines.push(format!(
            "throttled {}",
            duration_ms(i64::try_from(progress.throttled_ms).unwrap_or(i64::MAX))
        ));
    }
    if let Some(error) = &job.error {
        lines.push(format!("error     {error}"));
    }
    if let Some(result) = &job.result {
        lines.push(format!("result    {result:#}"));
    }
    lines.join("\n")
}

fn word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}
