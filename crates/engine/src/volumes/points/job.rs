//! The work of a job that makes points, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use snapkeep_drivers::volume::host::{HostContext, HostSpec};
use snapkeep_drivers::volume::{DiskRequest, GroupCapture, VolumeError, capture};
use snapkeep_vault::BlobCache;

use super::accept::{AcceptedPoint, Parent};
use super::store::{settle, store_point};
use crate::catalogue::{PointRow, SnapshotRow, StoredPoint};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::jobs::{CANCELLED_ON_REQUEST, Outcome, RunningJob};
use crate::model::{PointStatus, VolumeInfo};
use crate::repositories::OpenVault;
use crate::snapshots::{Stored, failed};
use crate::volumes::capture::{CapturedDisk, VolumeState};
use crate::volumes::read::StoredDisk;
use crate::volumes::registry::source_of;
use crate::volumes::thaw::thaw;

/// Memory for what is read of parents beside their tables of blobs: nothing.
const NO_CACHE_BYTES: u64 = 1 << 20;

/// A job and what it is to do.
struct Call {
    job: Arc<RunningJob>,
    vault: Arc<OpenVault>,
    points: Vec<AcceptedPoint>,
}

/// Points that are captured together: one host, and one opinion on inconsistent views.
type Group<'a> = Vec<(usize, &'a AcceptedPoint)>;

/// What became of the capture of a point.
type Captured = Result<Vec<CapturedDisk>, EngineError>;

/// Begins the work.
pub(super) fn spawn(
    inner: &Arc<Inner>,
    job: Arc<RunningJob>,
    vault: Arc<OpenVault>,
    points: Vec<AcceptedPoint>,
) {
    let call = Arc::new(Call { job, vault, points });
    let of_work = Arc::clone(&call);
    inner.spawn_job(
        "points",
        move |inner| work(inner, &of_work),
        move |inner, result| inner.block_on(end(inner, &call, result)),
    );
}

/// Makes the points one after another; why some could not be made, by their ids.
fn work(inner: &Arc<Inner>, call: &Call) -> Result<Vec<(String, String)>, EngineError> {
    let _turn = inner.wait_turn(&call.job, &call.vault.snapshot_turns)?;
    for point in &call.points {
        point.running.snapshot.start();
    }
    let state = VolumeState::new(&inner.config.data_dir);
    state
        .create()
        .map_err(|error| EngineError::Internal(format!("the state of volumes: {error}")))?;
    thaw(&state);
    let captured = capture_all(inner, call, &state);
    let mut failures = Vec::new();
    for (point, captured) in call.points.iter().zip(captured) {
        let result = match captured {
            Ok(disks) if call.job.cancel.is_cancelled() => {
                settle(disks, None, &state);
                Err(EngineError::PointsFailed("cancelled".to_owned()))
            }
            Ok(disks) => store_point(inner, &call.vault, point, disks, &state),
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            let id = point.running.snapshot.accepted.name.clone();
            failures.push((id, format!("[{}] {error}", point.target.resource.id)));
        }
        inner.block_on(end_point(inner, call, point, result));
    }
    Ok(failures)
}

/// Captures all points, each group at one moment.
fn capture_all(inner: &Arc<Inner>, call: &Call, state: &VolumeState) -> Vec<Captured> {
    let mut captured: Vec<Option<Captured>> = call.points.iter().map(|_| None).collect();
    let snapshot_ms = inner.config.clock.now_ms();
    for group in groups(&call.points) {
        let results = match capture_group(inner, call, &group, state) {
            Ok(disks) => disks.into_iter().map(Ok).collect(),
            // One that cannot be captured must not keep the others from it.
            Err(_) if group.len() > 1 => group
                .iter()
                .map(|one| {
                    let disks = capture_group(inner, call, &vec![*one], state)?;
                    Ok(disks.into_iter().flatten().collect())
                })
                .collect(),
            Err(error) => vec![Err(error)],
        };
        for ((at, point), result) in group.into_iter().zip(results) {
            if let Ok(disks) = &result {
                let bytes = disks.iter().map(|disk| disk.capture.size_bytes()).sum();
                point.running.captured(snapshot_ms, bytes);
                if disks.iter().all(|disk| disk.capture.is_detached()) {
                    point.running.set_taken();
                }
            }
            captured[at] = Some(result);
        }
    }
    captured
        .into_iter()
        .map(|it| {
            it.unwrap_or_else(|| Err(EngineError::Internal("a point was not captured".to_owned())))
        })
        .collect()
}

fn groups(points: &[AcceptedPoint]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let key = |point: &AcceptedPoint| {
        let host = point.target.instance.as_ref().map(|it| it.id.clone());
        (host, point.allow_inconsistent)
    };
    for (at, point) in points.iter().enumerate() {
        match groups
            .iter_mut()
            .find(|group| key(group[0].1) == key(point))
        {
            Some(group) => group.push((at, point)),
            None => groups.push(vec![(at, point)]),
        }
    }
    groups
}

/// Captures a group; the disks by point.
fn capture_group(
    inner: &Arc<Inner>,
    call: &Call,
    group: &Group<'_>,
    state: &VolumeState,
) -> Result<Vec<Vec<CapturedDisk>>, EngineError> {
    let Some((_, first)) = group.first() else {
        return Ok(Vec::new());
    };
    // Asked again: when the point was accepted a rollback that has failed since may have been under way.
    for volume in group.iter().flat_map(|(_, point)| &point.target.volumes) {
        if let Some(reason) = inner.registry.suspension(&volume.id) {
            return Err(EngineError::VolumeSuspended {
                volume: volume.id.clone(),
                reason,
            });
        }
    }
    let mut requests = Vec::new();
    let mut reasons = Vec::new();
    for (_, point) in group {
        let parent = point.parent.as_ref().map(|parent| parent.uuid.as_str());
        for volume in &point.target.volumes {
            let token = state.token(&volume.id, parent);
            reasons.push(token.as_ref().err().cloned().filter(|_| parent.is_some()));
            requests.push(DiskRequest {
                source: source_of(volume),
                token: token.ok(),
            });
        }
    }
    let (spec, context) = host_of(inner, first);
    let host = spec.control(context);
    let driver_dir = state.driver_dir();
    let captures = capture(GroupCapture {
        disks: &requests,
        host: host.as_ref(),
        allow_inconsistent: first.allow_inconsistent,
        state_dir: &driver_dir,
    });
    let mut captures = captures.map_err(told)?.into_iter().zip(reasons);
    let mut points = Vec::new();
    for (_, point) in group {
        let mut disks = Vec::new();
        for volume in &point.target.volumes {
            let Some((capture, no_token)) = captures.next() else {
                return Err(EngineError::Internal("a disk was not captured".to_owned()));
            };
            disks.push(CapturedDisk {
                volume: volume.clone(),
                capture,
                parent: point
                    .parent
                    .as_ref()
                    .map(|parent| (parent.uuid.clone(), base(call, parent, volume))),
                no_token,
            });
        }
        points.push(disks);
    }
    Ok(points)
}

/// The disk of a volume in the parent, if it can be read.
fn base(call: &Call, parent: &Parent, volume: &VolumeInfo) -> Option<StoredDisk> {
    let tree = parent.tree_id.as_ref()?.parse().ok()?;
    let repository = call.vault.for_job(&call.job.cancel);
    let cache = BlobCache::new(repository, NO_CACHE_BYTES);
    match StoredDisk::open(cache, tree, Some(&volume.id)) {
        Ok(disk) => Some(disk),
        Err(error) => {
            tracing::warn!(volume = volume.id, %error, "the point before cannot be read; everything is read");
            None
        }
    }
}

/// What runs on the disks of a point.
fn host_of(inner: &Inner, point: &AcceptedPoint) -> (HostSpec, HostContext) {
    let target = &point.target;
    match &target.instance {
        Some(instance) => {
            let context = HostContext {
                instance: instance.id.clone(),
                name: instance.name.clone(),
                disks: inner
                    .registry
                    .volumes_of(instance)
                    .iter()
                    .map(source_of)
                    .collect(),
            };
            (instance.host.clone(), context)
        }
        None => {
            let context = HostContext {
                instance: target.resource.id.clone(),
                name: target.resource.name.clone(),
                disks: target.volumes.iter().map(source_of).collect(),
            };
            (HostSpec::None, context)
        }
    }
}

/// A failed capture in the words of the engine.
fn told(error: VolumeError) -> EngineError {
    match error {
        VolumeError::InUse {
            volume,
            users,
            reason,
        } => {
            let users: Vec<String> = users.iter().map(ToString::to_string).collect();
            EngineError::VolumeInUse {
                volume,
                users: users.join(", "),
                reason,
            }
        }
        other => EngineError::PointsFailed(other.to_string()),
    }
}

/// Notes what became of a point, and that it is not being made any more.
async fn end_point(
    inner: &Arc<Inner>,
    call: &Call,
    point: &AcceptedPoint,
    result: Result<Stored, EngineError>,
) {
    let snapshot = &point.running.snapshot;
    let accepted = &snapshot.accepted;
    let now_ms = inner.config.clock.now_ms();
    let noted = async {
        let mut write = inner.catalogue.write().await?;
        let row = match result {
            Ok(stored) => {
                let row = stored.row(&call.vault.id, &accepted.repository);
                write.put_snapshot(&row, Some(&stored.manifest)).await?;
                metrics::counter!("snapkeep_points_total", "status" => "available").increment(1);
                row
            }
            Err(error) => {
                let reason = call
                    .job
                    .cancel_reason()
                    .unwrap_or_else(|| error.to_string());
                tracing::warn!(
                    point = accepted.name,
                    resource = point.target.resource.id,
                    reason,
                    "a point could not be made"
                );
                metrics::counter!("snapkeep_points_total", "status" => "ceased").increment(1);
                let mut info = failed(accepted.clone(), &reason, now_ms);
                info.cancelled = reason == CANCELLED_ON_REQUEST;
                let row = SnapshotRow {
                    vault: call.vault.id.clone(),
                    tree_id: None,
                    info,
                };
                if !snapshot.deleted.load(Ordering::Acquire) {
                    write.put_snapshot(&row, None).await?;
                    let record = point.running.record();
                    let ceased = ceased(&call.vault.id, &accepted.uuid, record, reason, now_ms);
                    write.put_point(&ceased).await?;
                }
                row
            }
        };
        write.commit().await?;
        Ok::<_, EngineError>(row)
    }
    .await;
    match noted {
        Ok(row) => snapshot.set_result(row.info),
        // A snapshot that was stored is safe in its repository and found there later.
        Err(error) => {
            tracing::error!(point = accepted.name, %error, "the end of a point could not be noted");
        }
    }
    point.running.set_done();
    let key = (call.vault.id.clone(), accepted.name.clone());
    let mut activity = inner.activity();
    activity.points.remove(&accepted.name);
    activity.snapshots.remove(&key);
}

/// A point that could not be made.
pub(super) fn ceased(
    vault: &str,
    uuid: &str,
    record: crate::layout::PointRecord,
    reason: String,
    now_ms: i64,
) -> PointRow {
    PointRow {
        vault: vault.to_owned(),
        uuid: uuid.to_owned(),
        name: record.name.clone(),
        description: record.description.clone(),
        status: PointStatus::Ceased,
        status_ms: now_ms,
        stored: StoredPoint {
            point: record,
            disks: Vec::new(),
            stored_bytes: 0,
            reason: Some(reason),
        },
        tree_id: None,
        locked_until_ms: None,
    }
}

/// Ends the job; points that the work did not come to have failed with it.
async fn end(inner: &Arc<Inner>, call: &Call, result: Result<Vec<(String, String)>, EngineError>) {
    let cancelled = call.job.cancel_reason();
    let outcome = match (result, cancelled) {
        (Ok(failures), _) if failures.is_empty() => {
            let ids: Vec<&String> = call.points.iter().map(id_of).collect();
            Outcome::success(Some(json!({ "points": ids })))
        }
        (Ok(_), Some(reason)) => Outcome::cancelled(reason),
        (Ok(failures), None) => {
            let told: Vec<String> = failures
                .into_iter()
                .map(|(id, reason)| format!("point {id} of {reason}"))
                .collect();
            Outcome::failure(told.join("; "))
        }
        (Err(error), cancelled) => {
            for point in &call.points {
                let is_open = inner.activity().points.contains_key(id_of(point));
                if is_open {
                    let failure = EngineError::PointsFailed(error.to_string());
                    end_point(inner, call, point, Err(failure)).await;
                }
            }
            match cancelled {
                Some(reason) => Outcome::cancelled(reason),
                None => Outcome::failure(error.to_string()),
            }
        }
    };
    let id = call.job.id();
    inner
        .end_job(&call.job, outcome, |activity| {
            activity.release_resources(&id);
        })
        .await;
}

fn id_of(point: &AcceptedPoint) -> &String {
    &point.running.snapshot.accepted.name
}
