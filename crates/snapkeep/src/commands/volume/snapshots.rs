//! Snapshots of volumes and instances: taking, listing, applying, deleting.

use std::collections::BTreeSet;

use http::Method;
use snapkeep_api::native::types::Job;
use snapkeep_api::native::volumes::types::{
    ApplyVolumeSnapshot, CreateVolume, CreateVolumeSnapshots, RenameVolumeSnapshot, Volume,
    VolumeJob, VolumeSnapshot, VolumeSnapshots,
};

use super::super::{Session, confirm::confirm};
use super::names::{id_of, ids_of};
use super::show;
use crate::client::{Client, succeeded};
use crate::exit::{Exit, Failure};
use crate::output::{bytes, duration_ms, time};

pub(super) const SNAPSHOT_EXAMPLES: &str = "\
The first snapshot of a volume stores everything that is not a hole, each further one what has
changed; every one can be restored by itself. A disk that somebody writes to is refused unless a
consistent view can be had (a reflink clone, QEMU, hooks of an instance), or --allow-inconsistent
is given.

Examples:
  snapkeep volume snapshot database --name nightly
  snapkeep volume snapshot vol-abc1234 vol-def5678      Both at one moment
  snapkeep volume snapshot i-abc1234 --full             All disks of an instance, a new chain";

/// Arguments of `snapkeep volume snapshot`.
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    /// Volumes and instances, by id or name.
    #[arg(required = true, value_name = "RESOURCE")]
    resources: Vec<String>,

    /// Name of the snapshots.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    name: String,

    /// Description of the snapshots.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,

    /// Begin a new chain instead of adding to the one there is.
    #[arg(long)]
    full: bool,

    /// Go on where no consistent view of a disk in use can be had. It is noted on the snapshot.
    #[arg(long)]
    allow_inconsistent: bool,

    /// Repository to keep them in [default: volumes.repository of the configuration].
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,

    /// Return at once; `snapkeep job show` tells how it goes.
    #[arg(long)]
    no_wait: bool,
}

/// Takes snapshots.
pub async fn take(arguments: SnapshotArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let wanted = CreateVolumeSnapshots {
        resources: ids_of(client, &arguments.resources).await?,
        name: arguments.name,
        description: arguments.description,
        full: arguments.full,
        allow_inconsistent: arguments.allow_inconsistent,
        repository: arguments.repository,
    };
    let accepted: VolumeJob = client.post(&["volume-snapshots"], &wanted).await?;
    if arguments.no_wait {
        return later(&accepted, session);
    }
    succeeded(client.wait(accepted.job, output).await?)?;
    let mut snapshots = Vec::new();
    for id in &accepted.snapshots {
        snapshots.push(one(client, id).await?);
    }
    let total = snapshots.len() as u64;
    output.show(&VolumeSnapshots { snapshots, total }, |taken| {
        let lines = taken.snapshots.iter().map(show::taken);
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Ok)
}

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  snapkeep volume snapshots
  snapkeep volume snapshots database --full
  snapkeep volume snapshots --status deleted,ceased       What is gone, for two hours, and what failed
  snapkeep volume snapshots --root ss-abc1234 --json      The increments of a chain";

/// Arguments of `snapkeep volume snapshots`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only those of this volume or instance, by id or name.
    resource: Option<String>,

    /// Only full ones.
    #[arg(long, conflicts_with = "increments")]
    full: bool,

    /// Only increments.
    #[arg(long)]
    increments: bool,

    /// Only those with one of these, separated by commas: pending, available, suspended, deleted, ceased [default: all but the
    /// last two].
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,

    /// Only those whose id, name, description or resource contains this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Only the increments of the chain that began with this one.
    #[arg(long, value_name = "SNAPSHOT")]
    root: Option<String>,

    /// Pass over so many.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    offset: u64,

    /// At most so many, up to 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
}

/// Lists snapshots.
pub(super) async fn list(arguments: ListArgs, session: &Session) -> Result<Exit, Failure> {
    let mut query = vec![
        ("offset", arguments.offset.to_string()),
        ("limit", arguments.limit.to_string()),
    ];
    if arguments.full || arguments.increments {
        query.push(("full", arguments.full.to_string()));
    }
    let resource = match &arguments.resource {
        Some(resource) => Some(id_of(&session.client, resource).await?),
        None => None,
    };
    let given = [
        ("resource", resource),
        ("status", arguments.status),
        ("search", arguments.search),
        ("root", arguments.root),
    ];
    query.extend(
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    let found: VolumeSnapshots = session
        .client
        .get_with(&["volume-snapshots"], &query)
        .await?;
    session.output.show(&found, show::snapshots)?;
    Ok(Exit::Ok)
}

/// Shows one.
pub(super) async fn show_one(id: &str, session: &Session) -> Result<Exit, Failure> {
    let found = one(&session.client, id).await?;
    session.output.show(&found, show::snapshot)?;
    Ok(Exit::Ok)
}

pub(super) const ROLLBACK_EXAMPLES: &str = "\
The host is stopped where the instance says how, only blocks that differ are written, and the host
is started again. A file is replaced in one step; a block device is written in place under a
record, so that a rollback cut off at any point is finished by the next start of the server.
Several snapshots of one host: it is stopped once. What was written since is lost, unless
--safety-snapshot keeps it.

Examples:
  snapkeep volume rollback ss-abc1234
  snapkeep volume rollback ss-abc1234 ss-def5678 --safety-snapshot --yes";

/// Arguments of `snapkeep volume rollback`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// Snapshots of volumes and instances.
    #[arg(required = true, value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Take a snapshot of what is there first.
    #[arg(long)]
    safety_snapshot: bool,

    /// Do not ask.
    #[arg(long, short)]
    yes: bool,

    /// Return at once; `snapkeep job show` tells how it goes.
    #[arg(long)]
    no_wait: bool,
}

/// Brings volumes back to what they were.
pub(super) async fn roll_back(arguments: RollbackArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let mut meant = Vec::new();
    for id in &arguments.snapshots {
        let snapshot = one(client, id).await?;
        let resource = &snapshot.resource;
        meant.push(format!(
            "{} ({}) to {}",
            resource.id,
            resource.name,
            time(snapshot.snapshot_ms)
        ));
    }
    let loss = match arguments.safety_snapshot {
        true => "It is snapshotted first.",
        false => "What was written since is lost (--safety-snapshot keeps it).",
    };
    confirm(
        &format!("Roll back {}? {loss}", meant.join(", ")),
        arguments.yes,
    )?;
    let (first, with) = split(&arguments.snapshots)?;
    let wanted = ApplyVolumeSnapshot {
        with: with.to_vec(),
        safety_snapshot: arguments.safety_snapshot,
    };
    let accepted: VolumeJob = client
        .post(&["volume-snapshots", first, "apply"], &wanted)
        .await?;
    if arguments.no_wait {
        return later(&accepted, session);
    }
    let job = succeeded(client.wait(accepted.job, output).await?)?;
    output.show(&job, |job| rolled_back(job, &meant))?;
    Ok(Exit::Ok)
}

fn split(snapshots: &[String]) -> Result<(&str, &[String]), Failure> {
    let (first, with) = snapshots
        .split_first()
        .ok_or_else(|| Failure::usage("name a snapshot"))?;
    Ok((first, with))
}

fn rolled_back(job: &Job, meant: &[String]) -> String {
    let took =
        duration_ms(job.finished_ms.unwrap_or_default() - job.started_ms.unwrap_or_default());
    let mut text = format!("rolled back {} in {took}", meant.join(", "));
    let result = job.result.as_ref();
    let list = |key: &str| result.and_then(|it| it.get(key)?.as_array());
    for volume in list("volumes").into_iter().flatten() {
        let outcome = &volume["outcome"];
        let count = |key: &str| bytes(outcome[key].as_u64().unwrap_or_default());
        text.push_str(&format!(
            "\n  {}: {} compared, {} written, {} made holes",
            volume["volume"].as_str().unwrap_or_default(),
            count("compared_bytes"),
            count("written_bytes"),
            count("punched_bytes")
        ));
    }
    for kept in list("safety_points").into_iter().flatten() {
        text.push_str(&format!(
            "\n  what was there before is snapshot {}",
            kept.as_str().unwrap_or_default()
        ));
    }
    text
}

/// Arguments of `snapkeep volume create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// A snapshot of a volume, such as ss-abc1234.
    snapshot: String,

    /// Name of the new volume.
    name: String,

    /// Return at once; `snapkeep job show` tells how it goes.
    #[arg(long)]
    no_wait: bool,
}

/// Makes a volume from a snapshot.
pub(super) async fn create(arguments: CreateArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let wanted = CreateVolume {
        name: arguments.name,
    };
    let path = ["volume-snapshots", &arguments.snapshot, "volume"];
    let accepted: VolumeJob = client.post(&path, &wanted).await?;
    if arguments.no_wait {
        return later(&accepted, session);
    }
    let job = succeeded(client.wait(accepted.job, output).await?)?;
    let id = job
        .resources
        .iter()
        .find(|id| id.starts_with("vol-"))
        .ok_or_else(|| Failure::failed("the job does not say which volume it made"))?;
    let made: Volume = client.get(&["volumes", id]).await?;
    output.show(&made, |made| {
        format!(
            "volume {} ({}) is {}: {}",
            made.id,
            made.name,
            made.location,
            show::kind_and_size(made)
        )
    })?;
    Ok(Exit::Ok)
}

/// Arguments of `snapkeep volume rename`.
#[derive(Debug, clap::Args)]
pub struct RenameArgs {
    /// The snapshot, such as ss-abc1234.
    snapshot: String,

    /// Its new name.
    #[arg(required_unless_present = "description")]
    name: Option<String>,

    /// Its new description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// Renames a snapshot.
pub(super) async fn rename(arguments: RenameArgs, session: &Session) -> Result<Exit, Failure> {
    let wanted = RenameVolumeSnapshot {
        name: arguments.name,
        description: arguments.description,
    };
    let path = ["volume-snapshots", &arguments.snapshot];
    let renamed: VolumeSnapshot = session
        .client
        .call(Method::PATCH, &path, Some(&wanted))
        .await?;
    session.output.show(&renamed, |renamed| {
        format!("snapshot {} is named `{}`", renamed.id, renamed.name)
    })?;
    Ok(Exit::Ok)
}

pub(super) const DELETE_EXAMPLES: &str = "\
Examples:
  snapkeep volume delete ss-abc1234                    This one alone; later ones stay whole
  snapkeep volume delete ss-abc1234 --cascade --yes    And every increment taken on top of it";

/// Arguments of `snapkeep volume delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The snapshots.
    #[arg(required = true, value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Delete the increments that were taken on top of them too.
    #[arg(long)]
    cascade: bool,

    /// Do not ask before a cascade.
    #[arg(long, short)]
    yes: bool,
}

/// Deletes snapshots.
pub(super) async fn delete(arguments: DeleteArgs, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    let mut repositories = BTreeSet::new();
    let mut going = Vec::new();
    for id in &arguments.snapshots {
        let snapshot = one(client, id).await?;
        if arguments.cascade {
            going.extend(later_ones(client, &snapshot).await?);
        }
        repositories.insert(snapshot.repository);
    }
    going.retain(|id| !arguments.snapshots.contains(id));
    going.sort();
    going.dedup();
    if !going.is_empty() {
        let question = format!(
            "Delete {} and with it {} later: {}?",
            arguments.snapshots.join(", "),
            going.len(),
            going.join(", ")
        );
        confirm(&question, arguments.yes)?;
    }
    let mut deleted: Vec<String> = Vec::new();
    for id in &arguments.snapshots {
        // One that was named may have gone with another.
        if deleted.contains(id) {
            continue;
        }
        let query = [("cascade", arguments.cascade.to_string())];
        let accepted: VolumeJob = client
            .delete_with(&["volume-snapshots", id], &query)
            .await?;
        succeeded(client.wait(accepted.job, output).await?)?;
        deleted.extend(accepted.snapshots);
    }
    output.show(&serde_json::json!({"deleted": deleted}), |_| {
        let prunes: Vec<String> = repositories
            .iter()
            .map(|name| format!("snapkeep prune {name}"))
            .collect();
        format!(
            "deleted {}; reclaim the space: {}",
            deleted.join(", "),
            prunes.join(", ")
        )
    })?;
    Ok(Exit::Ok)
}

/// What was taken on top of a snapshot, near and far.
async fn later_ones(client: &Client, snapshot: &VolumeSnapshot) -> Result<Vec<String>, Failure> {
    let query = [
        ("resource", snapshot.resource.id.clone()),
        ("limit", "1000".to_owned()),
    ];
    let all: VolumeSnapshots = client.get_with(&["volume-snapshots"], &query).await?;
    let mut found = vec![snapshot.id.clone()];
    // The newest come first, so that reversed every parent comes before its children.
    for candidate in all.snapshots.iter().rev() {
        if candidate
            .parent_id
            .as_ref()
            .is_some_and(|parent| found.contains(parent))
        {
            found.push(candidate.id.clone());
        }
    }
    Ok(found.split_off(1))
}

/// One snapshot.
pub async fn one(client: &Client, id: &str) -> Result<VolumeSnapshot, Failure> {
    client.get(&["volume-snapshots", id]).await
}

/// Tells of a job that nobody waits for.
pub fn later(accepted: &VolumeJob, session: &Session) -> Result<Exit, Failure> {
    session.output.show(accepted, |accepted| {
        format!(
            "accepted as job {} on {}; follow it: snapkeep job show {0} --wait",
            accepted.job.id,
            accepted.job.resources.join(", ")
        )
    })?;
    Ok(Exit::Ok)
}
