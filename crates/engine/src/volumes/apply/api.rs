//! Rollbacks as dialects ask for them.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::PointsTicket;

impl Engine {
    /// Rolls volumes and instances back to points, one for each resource. What uses the disks is stopped for it, once for all disks of
    /// an instance, and started again if it ran; only what differs is written. With `safety_snapshot` a point of each resource as it is
    /// now is made first. Everything that can be wrong with the request is told here, before anything changes.
    ///
    /// Cut off at any moment by a crash the rollback is finished when the engine starts again. Until it is, the volumes are suspended.
    pub async fn apply_points(
        &self,
        _points: &[String],
        _safety_snapshot: bool,
    ) -> Result<PointsTicket, EngineError> {
        todo!()
    }
}
