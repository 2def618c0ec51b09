//! Points: making, listing, renaming and deleting them.

mod api;

use std::sync::Arc;

use crate::catalogue::JobRow;
use crate::engine::Inner;
use crate::error::EngineError;

pub(crate) async fn fail_points(_inner: &Inner, _row: &JobRow, _reason: &str) -> Result<(), EngineError> {
    todo!()
}

pub(crate) fn complete_point_deletion(_inner: &Arc<Inner>, _row: JobRow) {
    todo!()
}
