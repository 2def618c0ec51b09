//! Hosts that a crash left frozen, or in the middle of a capture.

use std::sync::Arc;

use snapkeep_drivers::volume::host::recover_freezes;
use snapkeep_drivers::volume::recover_captures;

use super::capture::VolumeState;
use crate::engine::Inner;
use crate::error::EngineError;

/// Thaws what an earlier process left frozen, before anything else is begun: whoever uses those disks waits for it. Then cleans up after
/// its captures.
pub(crate) async fn thaw_leftovers(inner: &Arc<Inner>) -> Result<(), EngineError> {
    inner
        .blocking(|inner| {
            let state = VolumeState::new(&inner.config.data_dir);
            thaw(&state);
            recover_captures(&state.driver_dir());
            Ok(())
        })
        .await
}

/// Thaws what is still frozen although it should not be; what fails is told and tried again the next time. Blocks.
pub(super) fn thaw(state: &VolumeState) {
    match recover_freezes(&state.driver_dir()) {
        Ok(recovered) => {
            for left in recovered {
                let state = if left.result.is_ok() { "ok" } else { "failed" };
                metrics::counter!("snapkeep_hosts_thawed_total", "result" => state).increment(1);
            }
        }
        Err(error) => {
            tracing::error!(%error, "whether hosts were left frozen cannot be found out; look at them yourself");
        }
    }
}
