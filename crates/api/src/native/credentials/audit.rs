//! Looking at the audit log.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use snapkeep_engine::AuditQuery;

use super::types::{AuditEntries, AuditFilter};
use crate::native::problem::Answer;
use crate::native::router::NativeState;
use crate::native::types::Problem;

/// Records listed unless told.
const DEFAULT_LIMIT: usize = 100;

/// Lists who did what, the newest first: every change and every refusal.
#[utoipa::path(get, path = "/api/v1/audit", tag = "credentials", params(AuditFilter), responses((status = 200, body = AuditEntries), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn audit(
    State(state): State<NativeState>,
    filter: Result<Query<AuditFilter>, QueryRejection>,
) -> Answer<Json<AuditEntries>> {
    let Query(filter) = filter?;
    let query = AuditQuery {
        principal: filter.principal,
        since_ms: filter.since_ms.unwrap_or(0),
        limit: filter.limit.unwrap_or(DEFAULT_LIMIT),
    };
    let records = state.engine.audit(&query).await?;
    Ok(Json(AuditEntries {
        records: records.into_iter().map(Into::into).collect(),
    }))
}
