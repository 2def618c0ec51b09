//! Reclaims the space of deleted snapshots, some time after the deletion and beside whatever else runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Step, Worker};
use crate::engine::Inner;
use crate::error::EngineError;

/// How long further deletions are waited for, so that many in a row cost one prune.
const GATHER: Duration = Duration::from_secs(2);
/// Pause while there is nothing to do. Packs that an earlier round only marked are removed then.
const PAUSE: Duration = Duration::from_secs(600);

/// Name by which it is woken.
pub(crate) const NAME: &str = "repository-prune";

#[derive(Default)]
pub(crate) struct PruneWorker {
    pruned: u64,
    reclaimed_bytes: u64,
}

impl Worker for PruneWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn step(&mut self, inner: &Arc<Inner>) -> Result<Step, EngineError> {
        let due: BTreeSet<String> = inner.vaults.take_prune_requests();
        if due.is_empty() {
            let status = format!(
                "{} rounds, {} bytes reclaimed",
                self.pruned, self.reclaimed_bytes
            );
            return Ok(Step::Idle(PAUSE, status));
        }
        tokio::time::sleep(GATHER).await;
        for vault in due {
            match inner.prune_in_background(&vault).await {
                Ok(report) => {
                    self.pruned += 1;
                    self.reclaimed_bytes += report.deleted_bytes;
                }
                Err(error) => {
                    inner.vaults.request_prune(&vault);
                    return Err(error);
                }
            }
        }
        Ok(Step::More)
    }
}
