//! Images made of points of instances.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{ImageFormat, ImageInfo, PointsTicket};

impl Engine {
    /// Makes an image of all disks of an instance as a point shows them, below `images/`. `resources` of the ticket is its id.
    pub async fn capture_image(
        &self,
        _point: &str,
        _image_name: &str,
        _format: ImageFormat,
    ) -> Result<PointsTicket, EngineError> {
        todo!()
    }

    /// The images that are complete, by id.
    pub async fn images(&self) -> Result<Vec<ImageInfo>, EngineError> {
        todo!()
    }
}
