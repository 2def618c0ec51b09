//! Ends the runs that an earlier process left unfinished.

use std::sync::Arc;

use super::run::outcome;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::model::{PolicyKey, PolicyRun, RunKind, RunState};

/// What clients read.
const REASON: &str = "the server stopped before it was done";

/// Goes through the runs of earlier processes. Called when their jobs have been ended and before any new work.
pub(crate) async fn recover(inner: &Arc<Inner>) -> Result<(), EngineError> {
    for (key, run) in inner.catalogue.unfinished_policy_runs().await? {
        let run = ended(inner, &key, run).await?;
        tracing::warn!(policy = %key, run = run.id, "{REASON}");
        match run.kind {
            RunKind::Snapshot => inner.note_run_end(&key, &run).await?,
            RunKind::Retention | RunKind::Verification => inner.note_run(&key, &run).await?,
        }
    }
    Ok(())
}

/// The run with its end: that of its snapshot when that had ended.
async fn ended(
    inner: &Arc<Inner>,
    key: &PolicyKey,
    mut run: PolicyRun,
) -> Result<PolicyRun, EngineError> {
    run.ended_ms = Some(inner.config.clock.now_ms().max(run.started_ms));
    run.state = RunState::Failed;
    run.reason = Some(REASON.to_owned());
    if let (Some(name), Some(uuid)) = (&run.snapshot, &run.snapshot_uuid) {
        let repositories = inner.catalogue.repositories().await?;
        let vault = repositories
            .into_iter()
            .find(|row| row.name == run.repository)
            .and_then(|row| row.vault);
        if let Some(vault) = vault
            && let Some(row) = inner.catalogue.snapshot(&vault, name).await?
            && row.info.uuid == *uuid
        {
            let (state, reason) = outcome(&row.info);
            run.ended_ms = row.info.end_ms.or(run.ended_ms);
            run.state = state;
            run.reason = reason;
        }
    }
    tracing::debug!(policy = %key, run = run.id, state = ?run.state, "a run was ended after a restart");
    Ok(run)
}
