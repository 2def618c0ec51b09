//! `snapkeep policy`.

mod add;
mod show;

use clap::Subcommand;
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use snapkeep_api::native::policies::types::{
    Policies, Policy, PolicyRun, PolicyRuns, RetentionPreview, RunState,
};
use snapkeep_api::native::types::{Job, SnapshotStatus};

use super::{Session, snapshot};
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};

/// `snapkeep policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Make a policy, or replace one: what is snapshotted when, and how long it is kept.
    #[command(after_help = add::EXAMPLES)]
    Add(Box<add::AddArgs>),
    /// List all policies, those made through other APIs included.
    Ls,
    /// Show a policy: what it does, how it does, what is next.
    Show {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
    },
    /// Take a snapshot as a policy says, now, and wait until it is stored and proved.
    Run {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
        /// Return at once; `snapkeep policy runs` tells how it went.
        #[arg(long)]
        no_wait: bool,
    },
    /// Remove a policy and its history. Its snapshots stay.
    Rm {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
    },
    /// Let a policy run by itself again. What it missed meanwhile is not made up for.
    Enable {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
    },
    /// Keep a policy from running by itself: no snapshots, no retention, no verification.
    Disable {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
    },
    /// List what a policy did, the newest first: snapshots, retention, verification, what was skipped and why.
    Runs {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
        /// At most so many, up to 200.
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Tell which snapshots retention would remove and keep, and why. Nothing is removed.
    #[command(after_help = "Examples:
  snapkeep policy preview nightly
  snapkeep policy preview nightly --at 2027-06-30T00:00:00Z    What would be left of today's snapshots then")]
    Preview {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
        /// The moment, RFC 3339 [default: now].
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// Apply the retention of a policy now instead of waiting for its schedule.
    Retain {
        /// Its name, or slm/NAME, sm/NAME for one made through another API.
        name: String,
    },
}

/// Runs it.
pub async fn run(command: PolicyCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(command, &session).await;
    session.end(outcome).await
}

async fn work(command: PolicyCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        PolicyCommand::Add(arguments) => {
            let (name, wanted) = arguments.policy()?;
            let made: Policy = client
                .call(Method::PUT, &["policies", &name], Some(&wanted))
                .await?;
            output.show(&made, show::added)?;
        }
        PolicyCommand::Ls => {
            let found: Policies = client.get(&["policies"]).await?;
            output.show(&found, show::list)?;
        }
        PolicyCommand::Show { name } => {
            let found: Policy = client.get(&["policies", &name]).await?;
            output.show(&found, show::details)?;
        }
        PolicyCommand::Run { name, no_wait } => return begin(&name, no_wait, session).await,
        PolicyCommand::Rm { name } => {
            client.delete(&["policies", &name]).await?;
            output.show(&json!({"removed": name}), |_| {
                format!("policy {name} is removed; its snapshots stay")
            })?;
        }
        PolicyCommand::Enable { name } => {
            let switched: Policy = client.post(&["policies", &name, "enable"], &()).await?;
            output.show(&switched, |policy| {
                format!("policy {} is enabled: {}", policy.id, show::next(policy))
            })?;
        }
        PolicyCommand::Disable { name } => {
            let switched: Policy = client.post(&["policies", &name, "disable"], &()).await?;
            output.show(&switched, |policy| {
                format!(
                    "policy {} is disabled; run it by hand: snapkeep policy run {}",
                    policy.id, policy.id
                )
            })?;
        }
        PolicyCommand::Runs { name, limit } => {
            let query = [("limit", limit.to_string())];
            let found: PolicyRuns = client
                .get_with(&["policies", &name, "runs"], &query)
                .await?;
            output.show(&found, show::runs)?;
        }
        PolicyCommand::Preview { name, at } => {
            let query: Vec<(&str, String)> = at
                .map(|at| ("at_ms", at.as_millisecond().to_string()))
                .into_iter()
                .collect();
            let found: RetentionPreview = client
                .get_with(&["policies", &name, "retention"], &query)
                .await?;
            output.show(&found, show::preview)?;
        }
        PolicyCommand::Retain { name } => {
            let done: PolicyRun = client.post(&["policies", &name, "retention"], &()).await?;
            output.show(&done, show::retained)?;
            if done.state == RunState::Failed {
                return Ok(Exit::Failed);
            }
            if !done.undeleted.is_empty() {
                return Ok(Exit::Partial);
            }
        }
    }
    Ok(Exit::Ok)
}

async fn begin(name: &str, no_wait: bool, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let accepted: Job = client.post(&["policies", name, "run"], &()).await?;
    if no_wait {
        output.show(&accepted, |job| {
            format!("snapshot {} accepted as job {}", job.subject, job.id)
        })?;
        return Ok(Exit::Ok);
    }
    let job = succeeded(client.wait(accepted, output).await?)?;
    let path = [
        "repositories",
        &job.repository,
        "snapshots",
        &job.subject,
        "status",
    ];
    let taken: SnapshotStatus = client.get(&path).await?;
    output.show(&taken, snapshot::outcome)?;
    Ok(snapshot::exit_of(taken.snapshot.state))
}
