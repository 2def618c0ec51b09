//! New volumes made of points.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::PointsTicket;

impl Engine {
    /// Makes a new volume in the folder of volumes that is as the point of another volume shows: a sparse raw file, or qcow2 where the
    /// source was qcow2. `resources` of the ticket is its id, which is a volume when the job has succeeded.
    pub async fn create_volume_from(
        &self,
        _point: &str,
        _volume_name: &str,
    ) -> Result<PointsTicket, EngineError> {
        todo!()
    }
}
