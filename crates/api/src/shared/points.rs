//! Snapshots of volumes and instances, as far as a caller may see them.

use snapkeep_engine::{Engine, EngineError, PointInfo, PointPage, PointQuery};

use crate::auth::Caller;

/// A page of what a query asks for. For a caller who is confined what lies outside is taken out first, so that pages and totals are
/// its own.
pub async fn page(
    engine: &Engine,
    caller: &Caller,
    query: PointQuery,
) -> Result<PointPage, EngineError> {
    let is_confined = caller
        .principal()
        .is_none_or(|principal| !principal.limits.is_none());
    if !is_confined {
        return engine.points(query).await;
    }
    let (offset, limit) = (query.offset, query.limit);
    let all = PointQuery {
        offset: 0,
        limit: usize::MAX,
        ..query
    };
    let mut seen = engine.points(all).await?.points;
    seen.retain(|point: &PointInfo| {
        caller.sees_repository(&point.repository) && caller.sees_resource(&point.resource.id)
    });
    Ok(PointPage {
        total: seen.len(),
        points: seen.into_iter().skip(offset).take(limit).collect(),
    })
}
