//! Listing points.

use super::known::KnownPoints;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{PointInfo, PointPage, PointQuery, PointStatus};

/// Whether a query wants a point.
fn is_wanted(query: &PointQuery, point: &PointInfo) -> bool {
    let by_id = query.ids.is_empty() || query.ids.contains(&point.id);
    let by_resource = query
        .resource
        .as_ref()
        .is_none_or(|resource| *resource == point.resource.id);
    let by_type = query.full.is_none_or(|full| full == point.full);
    let by_status = if query.statuses.is_empty() {
        point.status.is_living() || (!query.ids.is_empty() && point.status == PointStatus::Ceased)
    } else {
        query.statuses.contains(&point.status)
    };
    let by_root = query
        .root
        .as_ref()
        .is_none_or(|root| point.root_id == *root && point.id != *root);
    let by_word = query.search.as_ref().is_none_or(|word| {
        let word = word.to_lowercase();
        [
            &point.id,
            &point.name,
            &point.description,
            &point.resource.id,
            &point.resource.name,
        ]
        .into_iter()
        .any(|text| text.to_lowercase().contains(&word))
    });
    by_id && by_resource && by_type && by_status && by_root && by_word
}

impl Engine {
    /// Points, youngest first.
    pub async fn points(&self, query: PointQuery) -> Result<PointPage, EngineError> {
        self.refresh_points().await?;
        let known = KnownPoints::load(&self.inner).await?;
        let mut points = known.infos(&self.inner);
        points.retain(|point| is_wanted(&query, point));
        points.sort_by(|a, b| (b.create_ms, &b.id).cmp(&(a.create_ms, &a.id)));
        let total = points.len();
        let points = points
            .into_iter()
            .skip(query.offset)
            .take(query.limit)
            .collect();
        Ok(PointPage { points, total })
    }

    /// One point, whatever its status.
    pub async fn point(&self, id: &str) -> Result<PointInfo, EngineError> {
        let known = KnownPoints::load(&self.inner).await?;
        let known = if known.rows_of(id).is_empty() {
            self.refresh_points().await?;
            KnownPoints::load(&self.inner).await?
        } else {
            known
        };
        let points = known.infos(&self.inner);
        let mut named = points.into_iter().filter(|point| point.id == id);
        // Of a copied repository there may be two: one that lives comes first.
        let first = named.next();
        let best = match first {
            Some(point) if !point.status.is_living() => {
                Some(named.find(|it| it.status.is_living()).unwrap_or(point))
            }
            other => other,
        };
        best.ok_or_else(|| EngineError::PointMissing { id: id.to_owned() })
    }
}
