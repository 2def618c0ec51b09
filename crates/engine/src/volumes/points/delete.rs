//! Deleting points, alone or with all that hang on them.
//!
//! No point needs another to be restored: the cascade is a rule of the lists. The restic snapshots go first, durably, then the rows; a crash
//! between the two is made good at the next start, because the job says what was to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::known::KnownPoints;
use super::side;
use crate::catalogue::{PointRow, SnapshotRow};
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, InUse, ReadonlyOperation};
use crate::jobs::{Activity, JobSpec, Outcome};
use crate::model::{JobKind, PointStatus, PointsTicket};
use crate::policies::refuse_locked;
use crate::repositories::OpenVault;
use crate::snapshots::forget;

/// Points of one repository that are to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Doomed {
    pub(super) repository: String,
    pub(super) vault: String,
    /// Of their snapshots.
    pub(super) uuids: Vec<String>,
}

impl Engine {
    /// Deletes points; with `cascade` all that hang on them too, otherwise these alone. Refused as a whole when one of them may
    /// not be deleted now.
    pub async fn delete_points(
        &self,
        ids: &[String],
        cascade: bool,
    ) -> Result<PointsTicket, EngineError> {
        let (engine, ids) = (self.clone(), ids.to_vec());
        self.detached(async move { engine.delete_points_here(&ids, cascade).await })
            .await
    }

    async fn delete_points_here(
        &self,
        ids: &[String],
        cascade: bool,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        if ids.is_empty() {
            return Err(EngineError::NothingNamed { what: "point" });
        }
        self.refresh_points().await?;
        let known = KnownPoints::load(inner).await?;
        let rows = chosen(&known, ids, cascade)?;
        let doomed = by_vault(&known, &rows)?;
        for part in &doomed {
            inner
                .writable_vault(&part.repository, ReadonlyOperation::DeleteSnapshot)
                .await?;
            refuse_locked_points(inner, part, &rows).await?;
        }
        let points: Vec<String> = rows.iter().map(|row| row.id().to_owned()).collect();
        let resources: BTreeSet<String> = rows
            .iter()
            .map(|row| row.stored.point.resource.id.clone())
            .collect();
        let resources: Vec<String> = resources.into_iter().collect();
        let keys: Vec<(String, String)> = rows
            .iter()
            .map(|row| (row.vault.clone(), row.uuid.clone()))
            .collect();
        let Some(first) = doomed.first() else {
            return Err(EngineError::NothingNamed { what: "point" });
        };
        let spec = JobSpec {
            kind: JobKind::VolumeDelete,
            repository: &first.repository,
            vault: &first.vault,
            subject: &points.join(","),
            resources: &points,
            input: json!({ "parts": doomed }),
        };
        let job = inner
            .begin_job(
                spec,
                |activity, job| {
                    refuse_used(activity, &rows)?;
                    activity.claim_resources(&resources, &job.id())?;
                    activity.deleting.extend(keys.iter().cloned());
                    Ok(())
                },
                |activity| {
                    activity.deleting.retain(|key| !keys.contains(key));
                    activity.busy.retain(|it, _| !resources.contains(it));
                },
            )
            .await?;
        let ticket = PointsTicket {
            job_id: job.id(),
            points: points.clone(),
            resources: points,
        };
        let inner = Arc::clone(inner);
        inner.runtime.clone().spawn(async move {
            let mut result = Ok(());
            for part in &doomed {
                result = delete(&inner, part).await;
                if result.is_err() {
                    break;
                }
            }
            let outcome = match &result {
                Ok(()) => Outcome::success(None),
                Err(error) => Outcome::failure(error.to_string()),
            };
            let id = job.id();
            inner
                .end_job(&job, outcome, |activity| {
                    activity.deleting.retain(|key| !keys.contains(key));
                    activity.release_resources(&id);
                })
                .await;
        });
        Ok(ticket)
    }
}

/// The rows that are to go, in the order in which they were named, each once.
fn chosen<'a>(
    known: &'a KnownPoints,
    ids: &[String],
    cascade: bool,
) -> Result<Vec<&'a PointRow>, EngineError> {
    let mut rows: Vec<&PointRow> = Vec::new();
    for id in ids {
        let row = existing(known, id)?;
        let mut with = vec![row];
        if cascade && row.status.is_living() {
            let chains = known.chains(&row.vault, &row.stored.point.resource.id);
            for dependant in chains.descendants(id) {
                if known.running(&dependant).is_some() {
                    return Err(EngineError::PointPending { id: dependant });
                }
                with.extend(known.living(&row.vault, &dependant));
            }
        }
        for row in with {
            if !rows.iter().any(|other| other.uuid == row.uuid) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn existing<'a>(known: &'a KnownPoints, id: &str) -> Result<&'a PointRow, EngineError> {
    if known.running(id).is_some() {
        return Err(EngineError::PointPending { id: id.to_owned() });
    }
    let rows = known.rows_of(id);
    let is_there = |row: &&&PointRow| row.status != PointStatus::Deleted;
    let living = rows.iter().find(|row| row.status.is_living());
    living
        .or_else(|| rows.iter().find(is_there))
        .copied()
        .ok_or_else(|| EngineError::PointMissing { id: id.to_owned() })
}

fn by_vault(known: &KnownPoints, rows: &[&PointRow]) -> Result<Vec<Doomed>, EngineError> {
    let mut parts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        parts.entry(&row.vault).or_default().push(row.uuid.clone());
    }
    let part = |(vault, uuids): (&str, Vec<String>)| {
        let repository = known.repository(vault).cloned();
        Ok(Doomed {
            repository: repository.ok_or_else(|| EngineError::RepositoryMissing {
                name: vault.to_owned(),
            })?,
            vault: vault.to_owned(),
            uuids,
        })
    };
    parts.into_iter().map(part).collect()
}

/// Of a point that could not be made there is nothing to keep.
async fn refuse_locked_points(
    inner: &Arc<Inner>,
    part: &Doomed,
    rows: &[&PointRow],
) -> Result<(), EngineError> {
    let of_part = rows
        .iter()
        .filter(|row| row.vault == part.vault && row.status.is_living());
    let named = of_part.map(|row| (row.id().to_owned(), row.uuid.clone()));
    let named = named.collect();
    let vault = open(inner, &part.repository).await?;
    refuse_locked(inner, &part.repository, &vault, named).await
}

fn refuse_used(activity: &Activity, rows: &[&PointRow]) -> Result<(), EngineError> {
    for row in rows {
        let key = (row.vault.clone(), row.uuid.clone());
        let by = if activity.deleting.contains(&key) {
            Some(InUse::Delete)
        } else {
            activity.reader_of(&row.vault, &row.uuid)
        };
        if let Some(by) = by {
            return Err(EngineError::PointInUse {
                id: row.id().to_owned(),
                by,
            });
        }
    }
    Ok(())
}

async fn open(inner: &Arc<Inner>, repository: &str) -> Result<Arc<OpenVault>, EngineError> {
    let row = inner.registered(repository).await?;
    inner.open_vault(&row).await
}

/// Removes points from their repository, then from the catalogue, and says which is the head now.
pub(super) async fn delete(inner: &Arc<Inner>, part: &Doomed) -> Result<(), EngineError> {
    let known = KnownPoints::load(inner).await?;
    let uuids = part.uuids.iter();
    let points: Vec<&PointRow> = uuids
        .filter_map(|uuid| known.row(&part.vault, uuid))
        .collect();
    // Locked since they were chosen, or since the server stopped? From here on a lock sees that its snapshot is being deleted.
    refuse_locked_points(inner, part, &points).await?;
    let heads = heads_after(&known, part, &points);
    let vault = open(inner, &part.repository).await?;
    let rows: Vec<SnapshotRow> = inner
        .catalogue
        .snapshots(&part.vault)
        .await?
        .into_iter()
        .filter(|row| part.uuids.contains(&row.info.uuid))
        .collect();
    forget(inner, &vault, &rows).await?;
    for (resource, head) in heads {
        side::set_head(inner, &vault, &resource, head.as_deref()).await?;
    }
    side::remove_names(inner, &vault, part.uuids.clone()).await;
    Ok(())
}

/// The heads of resources whose head is to go, by the uuids of their snapshots.
fn heads_after(
    known: &KnownPoints,
    part: &Doomed,
    points: &[&PointRow],
) -> BTreeMap<String, Option<String>> {
    let mut gone: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for row in points {
        let resource = row.stored.point.resource.id.as_str();
        gone.entry(resource)
            .or_default()
            .insert(row.id().to_owned());
    }
    let mut heads = BTreeMap::new();
    for (resource, gone) in gone {
        let chains = known.chains(&part.vault, resource);
        if chains.head().is_some_and(|head| gone.contains(head)) {
            let head = chains.head_without(&gone);
            let row = head.and_then(|head| known.living(&part.vault, &head));
            heads.insert(resource.to_owned(), row.map(|row| row.uuid.clone()));
        }
    }
    heads
}
