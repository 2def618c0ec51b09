//! Points that an earlier process was making or deleting.

use std::sync::Arc;

use serde_json::{Value, json};

use super::delete::{Doomed, delete};
use super::job::ceased;
use crate::catalogue::{JobRow, SnapshotRow};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::jobs::{Outcome, end_recovered};
use crate::layout::PointRecord;
use crate::model::SnapshotInfo;
use crate::snapshots::failed;

/// What the next process needs to know of a point.
pub(super) fn input(record: &PointRecord, info: &SnapshotInfo) -> Value {
    json!({ "record": record, "info": info })
}

/// Notes that points could not be made. One whose snapshot was written all the same is found when its repository is looked at,
/// and is available then.
pub(crate) async fn fail_points(
    inner: &Arc<Inner>,
    row: &JobRow,
    reason: &str,
) -> Result<(), EngineError> {
    let now_ms = inner.config.clock.now_ms();
    let vault = row.input["vault"].as_str().unwrap_or_default();
    let mut write = inner.catalogue.write().await?;
    for point in row.input["points"].as_array().into_iter().flatten() {
        let record = serde_json::from_value::<PointRecord>(point["record"].clone());
        let info = serde_json::from_value::<SnapshotInfo>(point["info"].clone());
        let (Ok(mut record), Ok(info)) = (record, info) else {
            continue;
        };
        record.job_id.clone_from(&row.info.id);
        // It may have been noted just before the end of its job was.
        let name = &record.id;
        if inner.catalogue.snapshot(vault, name).await?.is_some() {
            continue;
        }
        let point = ceased(vault, &info.uuid, record, reason.to_owned(), now_ms);
        let snapshot = SnapshotRow {
            vault: vault.to_owned(),
            tree_id: None,
            info: failed(info, reason, now_ms),
        };
        write.put_snapshot(&snapshot, None).await?;
        write.put_point(&point).await?;
    }
    write.commit().await?;
    end_recovered(inner, row, Outcome::failure(reason)).await
}

/// Completes a deletion. It needs the repository, which may take its time or be out of reach. When this returns the points are marked as
/// being deleted, so that nobody begins to read them.
pub(crate) fn complete_point_deletion(inner: &Arc<Inner>, row: JobRow, reason: &'static str) {
    let inner = Arc::clone(inner);
    let parts: Result<Vec<Doomed>, _> = serde_json::from_value(row.input["parts"].clone());
    let keys: Vec<(String, String)> = parts
        .iter()
        .flatten()
        .flat_map(|part| part.uuids.iter().map(|it| (part.vault.clone(), it.clone())))
        .collect();
    inner.activity().deleting.extend(keys.iter().cloned());
    inner.runtime.clone().spawn(async move {
        let result = async {
            let parts = parts
                .map_err(|error| EngineError::Internal(format!("input of a deletion: {error}")))?;
            for part in &parts {
                delete(&inner, part).await?;
            }
            Ok::<_, EngineError>(())
        }
        .await;
        inner.activity().deleting.retain(|key| !keys.contains(key));
        let outcome = match result {
            Ok(()) => Outcome::success(None),
            Err(error) => Outcome::failure(format!("{reason}; completing it failed: {error}")),
        };
        if let Err(error) = end_recovered(&inner, &row, outcome).await {
            tracing::error!(job = row.info.id, %error, "the end of a job could not be noted");
        }
    });
}
