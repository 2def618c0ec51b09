//! Points as dialects see them.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{CreatePoints, PointInfo, PointPage, PointQuery, PointsTicket};

impl Engine {
    /// Accepts points of volumes and instances, all at one moment. Everything that can be wrong with the request is told here,
    /// before anything changes.
    pub async fn create_points(&self, _request: CreatePoints) -> Result<PointsTicket, EngineError> {
        todo!()
    }

    /// Points, youngest first.
    pub async fn points(&self, _query: PointQuery) -> Result<PointPage, EngineError> {
        todo!()
    }

    /// One point, whatever its status.
    pub async fn point(&self, _id: &str) -> Result<PointInfo, EngineError> {
        todo!()
    }

    /// Changes name and description of a point, where given.
    pub async fn update_point(
        &self,
        _id: &str,
        _name: Option<String>,
        _description: Option<String>,
    ) -> Result<PointInfo, EngineError> {
        todo!()
    }

    /// Deletes points; with `cascade` all that hang on them too, otherwise these alone. Refused as a whole when one of them may
    /// not be deleted now.
    pub async fn delete_points(
        &self,
        _ids: &[String],
        _cascade: bool,
    ) -> Result<PointsTicket, EngineError> {
        todo!()
    }
}
