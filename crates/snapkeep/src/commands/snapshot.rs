//! `snapkeep snapshot`.

use clap::Subcommand;
use serde_json::{Map, Value, json};
use snapkeep_api::native::policies::types::LockSnapshot;
use snapkeep_api::native::types::{
    CloneSnapshot, CreateSnapshot, Job, JobState, Snapshot, SnapshotState, SnapshotStatus,
    Snapshots,
};

use super::Session;
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms, table, time};

/// `snapkeep snapshot …`.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Take a snapshot, and wait until it is stored and proved.
    #[command(after_help = "Examples:
  snapkeep snapshot create my_backup snapshot_1
  snapkeep snapshot create my_backup '<nightly-{now/d}>' --index 'logs-*' --index '-logs-debug'
  snapkeep snapshot create my_backup vectors --collection 'Article*'
  snapkeep snapshot create my_backup release --metadata '{\"taken_by\": \"alice\"}' --no-wait

Ctrl-C cancels the snapshot and leaves the repository as it was. Exit code 3: some shards are missing (PARTIAL).")]
    Create {
        /// Name of the repository.
        repository: String,
        /// Name of the new snapshot; date math is resolved.
        name: String,
        /// Index to take: name, alias, wildcard or `-` exclusion. Repeatable [default: all open indices, unless collections are
        /// named].
        #[arg(long = "index", short, value_name = "NAME", allow_hyphen_values = true)]
        indices: Vec<String>,
        /// Collection to take: name, wildcard or `-` exclusion. Repeatable [default: all collections, unless indices are named].
        #[arg(
            long = "collection",
            short,
            value_name = "NAME",
            allow_hyphen_values = true
        )]
        collections: Vec<String>,
        /// Pass over names that do not exist.
        #[arg(long)]
        ignore_unavailable: bool,
        /// Make it PARTIAL instead of FAILED when shards cannot be read.
        #[arg(long)]
        partial: bool,
        /// Leave templates and cluster settings out.
        #[arg(long)]
        no_global_state: bool,
        /// A JSON object to keep with it.
        #[arg(long, value_name = "JSON")]
        metadata: Option<String>,
        /// Return at once; `snapkeep snapshot status` tells how it goes.
        #[arg(long)]
        no_wait: bool,
    },
    /// List the snapshots of a repository, running ones included.
    Ls {
        /// Name of the repository.
        repository: String,
    },
    /// Show a snapshot: its indices and collections, their documents and sizes, and what failed.
    Show {
        /// Name of the repository.
        repository: String,
        /// Name of the snapshot.
        name: String,
    },
    /// Delete snapshots. One that is being taken is cancelled. Space is reclaimed by the next prune.
    Rm {
        /// Name of the repository.
        repository: String,
        /// Names of the snapshots.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show how far a snapshot is, or what it came to, shard by shard.
    Status {
        /// Name of the repository.
        repository: String,
        /// Name of the snapshot.
        name: String,
    },
    /// Lock a snapshot: nobody can delete it before the lock ends, whatever API is used.
    ///
    /// A lock can be extended, neither shortened nor taken back. It is kept in the repository.
    #[command(after_help = "Examples:
  snapkeep snapshot lock my_backup release --for 365d
  snapkeep snapshot lock my_backup release --until 2030-01-01T00:00:00Z")]
    Lock {
        /// Name of the repository.
        repository: String,
        /// Name of the snapshot.
        name: String,
        /// For so long from now, such as 30d.
        #[arg(
            long = "for",
            value_name = "DURATION",
            required_unless_present = "until",
            conflicts_with = "until"
        )]
        duration: Option<String>,
        /// Until this moment, RFC 3339.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Make a new snapshot from a part of an existing one. Nothing is copied.
    #[command(
        after_help = "Example:\n  snapkeep snapshot clone my_backup nightly-1 orders-only --index orders"
    )]
    Clone {
        /// Name of the repository.
        repository: String,
        /// Name of the existing snapshot.
        source: String,
        /// Name of the new snapshot.
        target: String,
        /// Index to take over; wildcards and `-` exclusions. Repeatable [default: all].
        #[arg(long = "index", short, value_name = "NAME", allow_hyphen_values = true)]
        indices: Vec<String>,
    },
}

/// Runs it.
pub async fn run(command: SnapshotCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(command, &session).await;
    session.end(outcome).await
}

async fn work(command: SnapshotCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        SnapshotCommand::Create {
            repository,
            name,
            indices,
            collections,
            ignore_unavailable,
            partial,
            no_global_state,
            metadata,
            no_wait,
        } => {
            let metadata = metadata.map(|text| parse_metadata(&text)).transpose()?;
            let wanted = CreateSnapshot {
                name,
                indices,
                collections,
                ignore_unavailable,
                partial,
                include_global_state: !no_global_state,
                metadata,
            };
            let accepted: Job = client
                .post(&["repositories", &repository, "snapshots"], &wanted)
                .await?;
            if no_wait {
                output.show(&accepted, |job| {
                    format!("snapshot {} accepted as job {}", job.subject, job.id)
                })?;
                return Ok(Exit::Ok);
            }
            let job = client.wait(accepted, output).await?;
            if job.state == JobState::Cancelled {
                // Its record would keep the name taken.
                client
                    .delete(&["repositories", &repository, "snapshots", &job.subject])
                    .await?;
            }
            let job = succeeded(job)?;
            let taken: SnapshotStatus = client
                .get(&[
                    "repositories",
                    &repository,
                    "snapshots",
                    &job.subject,
                    "status",
                ])
                .await?;
            output.show(&taken, outcome)?;
            Ok(exit_of(taken.snapshot.state))
        }
        SnapshotCommand::Ls { repository } => {
            let found: Snapshots = client
                .get(&["repositories", &repository, "snapshots"])
                .await?;
            output.show(&found, list)?;
            Ok(Exit::Ok)
        }
        SnapshotCommand::Show { repository, name } => {
            let found: Snapshot = client
                .get(&["repositories", &repository, "snapshots", &name])
                .await?;
            output.show(&found, details)?;
            Ok(Exit::Ok)
        }
        SnapshotCommand::Rm { repository, names } => {
            for (done, name) in names.iter().enumerate() {
                let path = ["repositories", &repository, "snapshots", name];
                client.delete(&path).await.map_err(|mut failure| {
                    if done > 0 {
                        let before = names[..done].join(", ");
                        failure.message = format!("{} ({before}: deleted)", failure.message);
                    }
                    failure
                })?;
            }
            output.show(&json!({"deleted": names}), |_| {
                format!(
                    "deleted {}; reclaim the space: snapkeep prune {repository}",
                    names.join(", ")
                )
            })?;
            Ok(Exit::Ok)
        }
        SnapshotCommand::Status { repository, name } => {
            let found: SnapshotStatus = client
                .get(&["repositories", &repository, "snapshots", &name, "status"])
                .await?;
            output.show(&found, status)?;
            Ok(exit_of(found.snapshot.state))
        }
        SnapshotCommand::Lock {
            repository,
            name,
            duration,
            until,
        } => {
            let wanted = LockSnapshot { duration, until };
            let path = ["repositories", &repository, "snapshots", &name, "lock"];
            let locked: Snapshot = client.post(&path, &wanted).await?;
            output.show(&locked, |locked| {
                let until = locked.locked_until_ms.map(time).unwrap_or_default();
                format!("snapshot {} is locked until {until}", locked.name)
            })?;
            Ok(Exit::Ok)
        }
        SnapshotCommand::Clone {
            repository,
            source,
            target,
            indices,
        } => {
            let wanted = CloneSnapshot { target, indices };
            let made: Snapshot = client
                .post(
                    &["repositories", &repository, "snapshots", &source, "clone"],
                    &wanted,
                )
                .await?;
            output.show(&made, |made| {
                format!(
                    "snapshot {} made from {source}: {}",
                    made.name,
                    contents(made)
                )
            })?;
            Ok(Exit::Ok)
        }
    }
}

/// Reads `--metadata`.
pub fn parse_metadata(text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text).map_err(|cause| {
        Failure::usage(format!("--metadata is no JSON object: {cause}"))
            .hint(r#"write for example --metadata '{"taken_by": "alice"}'"#)
    })
}

/// How the program ends with a snapshot in this state.
pub fn exit_of(state: SnapshotState) -> Exit {
    match state {
        SnapshotState::Success | SnapshotState::InProgress => Exit::Ok,
        SnapshotState::Partial => Exit::Partial,
        SnapshotState::Failed | SnapshotState::Incompatible => Exit::Failed,
    }
}

/// The state as it is written everywhere.
pub fn word(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::InProgress => "IN_PROGRESS",
        SnapshotState::Success => "SUCCESS",
        SnapshotState::Failed => "FAILED",
        SnapshotState::Partial => "PARTIAL",
        SnapshotState::Incompatible => "INCOMPATIBLE",
    }
}

fn documents(snapshot: &Snapshot) -> u64 {
    let of_indices = snapshot.indices.iter().map(|index| index.documents);
    let of_collections = snapshot.collections.iter();
    of_indices
        .chain(of_collections.map(|collection| collection.documents))
        .sum()
}

fn size(snapshot: &Snapshot) -> u64 {
    let of_indices = snapshot.indices.iter().map(|index| index.size_bytes);
    let of_collections = snapshot.collections.iter();
    of_indices
        .chain(of_collections.map(|collection| collection.size_bytes))
        .sum()
}

/// How many indices and collections, as far as there are any.
fn resources(snapshot: &Snapshot) -> String {
    match (snapshot.indices.len(), snapshot.collections.len()) {
        (indices, 0) => format!("{indices} index(es)"),
        (0, collections) => format!("{collections} collection(s)"),
        (indices, collections) => format!("{indices} index(es), {collections} collection(s)"),
    }
}

fn contents(snapshot: &Snapshot) -> String {
    format!(
        "{}, {} document(s), {}",
        resources(snapshot),
        documents(snapshot),
        bytes(size(snapshot))
    )
}

fn took(snapshot: &Snapshot) -> String {
    snapshot
        .end_ms
        .map(|end| duration_ms(end - snapshot.start_ms))
        .unwrap_or_default()
}

fn list(found: &Snapshots) -> String {
    if found.snapshots.is_empty() {
        return "no snapshots".to_owned();
    }
    let rows = found.snapshots.iter().map(|snapshot| {
        let collections = snapshot.collections.iter().map(|it| it.name.as_str());
        let names: Vec<&str> = snapshot
            .indices
            .iter()
            .map(|index| index.name.as_str())
            .chain(collections)
            .collect();
        let mut indices = names.iter().take(3).copied().collect::<Vec<_>>().join(",");
        if names.len() > 3 {
            indices.push_str(&format!(" and {} more", names.len() - 3));
        }
        if let Some(disks) = &snapshot.disks_of {
            indices.push_str(&format!("disks of {} ({})", disks.id, disks.name));
        }
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let is_locked = snapshot.locked_until_ms.is_some_and(|until| until > now_ms);
        let locked = if is_locked { ", locked" } else { "" };
        [
            snapshot.name.clone(),
            format!("{}{locked}", word(snapshot.state)),
            time(snapshot.start_ms),
            took(snapshot),
            documents(snapshot).to_string(),
            bytes(size(snapshot)),
            indices,
        ]
    });
    table(
        [
            "NAME",
            "STATE",
            "STARTED",
            "TOOK",
            "DOCUMENTS",
            "SIZE",
            "CONTENTS",
        ],
        rows,
    )
}

/// What came of taking a snapshot.
pub fn outcome(taken: &SnapshotStatus) -> String {
    let snapshot = &taken.snapshot;
    let mut text = match snapshot.end_ms {
        Some(_) => format!(
            "snapshot {} {} in {}: {}",
            snapshot.name,
            word(snapshot.state),
            took(snapshot),
            contents(snapshot)
        ),
        // What it will contain is known at its end.
        None => format!(
            "snapshot {} {} since {}: {}",
            snapshot.name,
            word(snapshot.state),
            time(snapshot.start_ms),
            resources(snapshot)
        ),
    };
    if taken.stored_bytes > 0 {
        text.push_str(&format!(
            ", {} added to the repository",
            bytes(taken.stored_bytes)
        ));
    }
    if taken.throttled_ms > 0 {
        text.push_str(&format!(
            "\n  {} of this was waiting for the rate limit",
            duration_ms(i64::try_from(taken.throttled_ms).unwrap_or(i64::MAX))
        ));
    }
    text + &failures(snapshot)
}

fn failures(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    if let Some(reason) = &snapshot.reason {
        text.push_str(&format!("\n  reason: {reason}"));
    }
    for failure in &snapshot.failures {
        let number = failure.shard.to_string();
        let shard = failure.shard_name.as_ref().unwrap_or(&number);
        text.push_str(&format!(
            "\n  [{}][{shard}] failed: {}",
            failure.index, failure.reason
        ));
    }
    text
}

fn details(snapshot: &Snapshot) -> String {
    let mut lines = vec![
        format!("snapshot  {}", snapshot.name),
        format!("uuid      {}", snapshot.uuid),
        format!("state     {}", word(snapshot.state)),
        format!("started   {}", time(snapshot.start_ms)),
        format!("took      {}", took(snapshot)),
        format!(
            "shards    {} of {} proved",
            snapshot.shards_successful, snapshot.shards_total
        ),
    ];
    lines.extend(
        snapshot
            .restic_id
            .as_ref()
            .map(|id| format!("restic    {id}")),
    );
    lines.extend(
        snapshot
            .policy
            .as_ref()
            .map(|policy| format!("policy    {policy}")),
    );
    lines.extend(
        snapshot
            .locked_until_ms
            .map(|until| format!("locked    until {}", time(until))),
    );
    lines.extend(
        snapshot
            .metadata
            .as_ref()
            .map(|metadata| format!("metadata  {}", Value::Object(metadata.clone()))),
    );
    let rows = snapshot.indices.iter().map(|index| {
        [
            index.name.clone(),
            index.shards.to_string(),
            index.documents.to_string(),
            bytes(index.size_bytes),
        ]
    });
    let mut text = format!("{}{}", lines.join("\n"), failures(snapshot));
    if let Some(disks) = &snapshot.disks_of {
        let id = &snapshot.name;
        return format!(
            "{text}\n\nIt is of {} ({}): snapkeep volume show {id}",
            disks.id, disks.name
        );
    }
    if !snapshot.indices.is_empty() || snapshot.collections.is_empty() {
        let indices = table(["INDEX", "SHARDS", "DOCUMENTS", "SIZE"], rows);
        text.push_str(&format!("\n\n{indices}"));
    }
    if !snapshot.collections.is_empty() {
        let rows = snapshot.collections.iter().map(|collection| {
            let what = if collection.multi_tenant {
                " tenants"
            } else {
                ""
            };
            [
                collection.name.clone(),
                format!("{}{what}", collection.shards),
                collection.documents.to_string(),
                bytes(collection.size_bytes),
            ]
        });
        let collections = table(["COLLECTION", "SHARDS", "OBJECTS", "SIZE"], rows);
        text.push_str(&format!("\n\n{collections}"));
    }
    for collection in &snapshot.collections {
        for shard in &collection.left_out {
            text.push_str(&format!(
                "\n[{}][{}] is not in it: {}",
                collection.name, shard.name, shard.reason
            ));
        }
    }
    text
}

fn status(found: &SnapshotStatus) -> String {
    let rows = found.shards.iter().map(|shard| {
        let reason = shard.reason.clone().unwrap_or_default();
        [
            shard.index.clone(),
            shard
                .name
                .clone()
                .unwrap_or_else(|| shard.shard.to_string()),
            shard.stage.clone(),
            bytes(shard.processed_bytes),
            bytes(shard.new_bytes),
            bytes(shard.total_bytes),
            reason,
        ]
    });
    let shards = table(
        ["INDEX", "SHARD", "STAGE", "READ", "OF NEW", "IN ALL", ""],
        rows,
    );
    format!("{}\n\n{shards}", outcome(found))
}
