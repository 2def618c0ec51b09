//! Renaming points.

use super::side;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{PointInfo, PointStatus};

/// Longest name, characters.
const MAX_NAME_CHARS: usize = 255;
/// Longest description, characters.
const MAX_DESCRIPTION_CHARS: usize = 4096;

/// Refuses names and descriptions that nobody can read in a list.
pub(super) fn check_texts(name: &str, description: &str) -> Result<(), EngineError> {
    let refused = |reason: String| EngineError::ResourceRefused {
        resource: name.chars().take(MAX_NAME_CHARS).collect(),
        reason,
    };
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(refused(format!(
            "a name has at most {MAX_NAME_CHARS} characters and no control characters"
        )));
    }
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if description.chars().count() > MAX_DESCRIPTION_CHARS || description.chars().any(is_odd) {
        return Err(refused(format!(
            "a description has at most {MAX_DESCRIPTION_CHARS} characters and no control characters"
        )));
    }
    Ok(())
}

impl Engine {
    /// Changes name and description of a point, where given.
    pub async fn update_point(
        &self,
        id: &str,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<PointInfo, EngineError> {
        let point = self.point(id).await?;
        match point.status {
            PointStatus::Available => {}
            PointStatus::Pending => {
                return Err(EngineError::PointPending { id: point.id });
            }
            PointStatus::Deleted => return Err(EngineError::PointMissing { id: point.id }),
            status => {
                return Err(EngineError::PointUnusable {
                    id: point.id,
                    status,
                    reason: point.reason,
                });
            }
        }
        let name = name.unwrap_or(point.name);
        let description = description.unwrap_or(point.description);
        check_texts(&name, &description)?;
        let engine = self.clone();
        let (repository, uuid) = (point.repository, point.snapshot_uuid);
        self.detached(async move {
            let inner = &engine.inner;
            let row = inner.registered(&repository).await?;
            let vault = inner.open_vault(&row).await?;
            side::name_point(inner, &vault, &uuid, &name, &description).await
        })
        .await?;
        self.point(id).await
    }
}
