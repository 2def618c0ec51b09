//! Ends what an earlier process left unfinished.
//!
//! Nothing half-written is referenced: a snapshot counts from its restic snapshot on, an index from the last step of its
//! restore on. So unfinished snapshots and restores only have to be told as failed; a snapshot whose restic snapshot was written all
//! the same is found by comparing the repository with the catalogue and then replaces the failed one. Deletions are completed, and so are
//! rollbacks of volumes: half of one is neither the old content nor the new.

use std::sync::Arc;

use crate::catalogue::{JobRow, SnapshotRow};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::jobs::Outcome;
use crate::jobs::lifecycle::ended_by;
use crate::model::{JobKind, SnapshotInfo};
use crate::snapshots::{failed, finish_deletion};
use crate::volumes::{
    complete_point_deletion, fail_points, finish_volume, remove_leftovers, resume_rollbacks,
};

/// What clients read.
const REASON: &str = "the server stopped before it was done";

/// Goes through the jobs of earlier processes. Called before any new work.
pub(crate) async fn recover(inner: &Arc<Inner>) -> Result<(), EngineError> {
    let now_ms = inner.config.clock.now_ms();
    let rows = inner.catalogue.take_over_jobs(&inner.owner, now_ms).await?;
    inner
        .catalogue
        .fail_unfinished_recoveries(REASON, now_ms)
        .await?;
    inner
        .catalogue
        .fail_unfinished_restores(REASON, now_ms)
        .await?;
    remove_leftovers(inner).await?;
    let mut rollbacks = Vec::new();
    for row in rows {
        tracing::warn!(
            job = row.info.id,
            kind = row.info.kind.as_str(),
            subject = row.info.subject,
            "{REASON}"
        );
        match row.info.kind {
            JobKind::Snapshot => fail_snapshot(inner, &row).await?,
            // Deletions need the repository, which may take its time or be out of reach.
            JobKind::Delete => complete_deletion(inner, row),
            JobKind::VolumeSnapshot => fail_points(inner, &row, REASON).await?,
            JobKind::VolumeDelete => complete_point_deletion(inner, row, REASON),
            JobKind::Restore
            | JobKind::Clone
            | JobKind::Check
            | JobKind::Prune
            | JobKind::ImageCapture => {
                end(inner, &row, Outcome::failure(REASON)).await?;
            }
            JobKind::VolumeCreate => {
                let outcome = match finish_volume(inner, &row).await {
                    Ok(true) => Outcome::success(None),
                    Ok(false) => Outcome::failure(REASON),
                    Err(error) => {
                        Outcome::failure(format!("{REASON}; completing it failed: {error}"))
                    }
                };
                end(inner, &row, outcome).await?;
            }
            JobKind::VolumeApply => rollbacks.push(row),
        }
    }
    for row in resume_rollbacks(inner, rollbacks).await? {
        let reason = format!("{REASON}; nothing was changed");
        end(inner, &row, Outcome::failure(reason)).await?;
    }
    Ok(())
}

/// Notes the end of a job of an earlier process.
pub(crate) async fn end(inner: &Inner, row: &JobRow, outcome: Outcome) -> Result<(), EngineError> {
    let info = ended_by(row.info.clone(), outcome, inner.config.clock.now_ms());
    let mut write = inner.catalogue.write().await?;
    inner.note_job_end(&mut write, &info).await?;
    write.commit().await
}

async fn fail_snapshot(inner: &Inner, row: &JobRow) -> Result<(), EngineError> {
    let info = ended_by(
        row.info.clone(),
        Outcome::failure(REASON),
        inner.config.clock.now_ms(),
    );
    let accepted: Option<SnapshotInfo> = serde_json::from_value(row.input["info"].clone()).ok();
    let vault = row.input["vault"].as_str();
    let mut write = inner.catalogue.write().await?;
    // It may have been noted just before the end of its job was, or another may have its name by now.
    if let (Some(accepted), Some(vault)) = (accepted, vault)
        && inner
            .catalogue
            .snapshot(vault, &accepted.name)
            .await?
            .is_none()
    {
        let failed = failed(accepted, REASON, inner.config.clock.now_ms());
        let snapshot = SnapshotRow {
            vault: vault.to_owned(),
            tree_id: None,
            info: failed,
        };
        write.put_snapshot(&snapshot, None).await?;
    }
    inner.note_job_end(&mut write, &info).await?;
    write.commit().await
}

fn complete_deletion(inner: &Arc<Inner>, row: JobRow) {
    let inner = Arc::clone(inner);
    inner.runtime.clone().spawn(async move {
        let outcome = match finish_deletion(&inner, &row.info.repository, &row.input).await {
            Ok(()) => Outcome::success(None),
            Err(error) => Outcome::failure(format!("{REASON}; completing it failed: {error}")),
        };
        if let Err(error) = end(&inner, &row, outcome).await {
            tracing::error!(job = row.info.id, %error, "the end of a job could not be noted");
        }
    });
}
