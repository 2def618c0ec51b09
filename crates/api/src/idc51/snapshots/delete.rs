//! `DELETE …/volume_snapshots[/{id}]`: a snapshot and all that hang on it.

use super::named;
use crate::auth::Need;
use crate::idc51::call::{Call, Idc51Result};
use crate::idc51::jobs;

/// Begins a job `DeleteSnapshots`. All that are named, in the path and as `snapshot` or `snapshots` in the query, go at once, and with
/// them every increment that was made after them in their chain. `cascade=0` deletes what is named and nothing else.
pub async fn delete(call: Call, id: Option<&str>) -> Idc51Result {
    call.check_zone()?;
    let mut in_query = call.query.list("snapshot")?;
    in_query.extend(call.query.list("snapshots")?);
    let ids = named::union(named::in_path(id), &in_query);
    if ids.is_empty() {
        return Err(named::no_snapshot_named());
    }
    let cascade = call.query.flag("cascade")?.unwrap_or(true);
    named::points(&call, Need::administer("DeleteSnapshots"), &ids).await?;
    let ticket = call.state.engine.delete_points(&ids, cascade).await?;
    jobs::accepted(&call, ticket).await
}
