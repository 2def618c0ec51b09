//! `GET /_cat/snapshots`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::get::{of_repository, repository_names};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::output::{Cell, Column, Table};
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;
use crate::elasticsearch::units;

macro_rules! columns {
    ($($repository:expr)?) => {
        &[
            Column::new("id", "id,snapshot", "unique snapshot"),
            $($repository,)?
            Column::new("status", "s,status", "snapshot name").right(),
            Column::new("start_epoch", "ste,startEpoch", "start time in seconds since 1970-01-01 00:00:00"),
            Column::new("start_time", "sti,startTime", "start time in HH:MM:SS"),
            Column::new("end_epoch", "ete,endEpoch", "end time in seconds since 1970-01-01 00:00:00"),
            Column::new("end_time", "eti,endTime", "end time in HH:MM:SS"),
            Column::new("duration", "dur,duration", "duration").right(),
            Column::new("indices", "i,indices", "number of indices").right(),
            Column::new("successful_shards", "ss,successful_shards", "number of successful shards").right(),
            Column::new("failed_shards", "fs,failed_shards", "number of failed shards").right(),
            Column::new("total_shards", "ts,total_shards", "number of total shards").right(),
            Column::new("reason", "r,reason", "reason for failures").hidden(),
        ]
    };
}

const COLUMNS_ES: &[Column] = columns!(Column::new("repository", "re,repo", "repository name"));
const COLUMNS_OPENSEARCH: &[Column] = columns!();

/// Snapshots as a table.
pub async fn cat(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let ignore_unavailable = request.params.bool("ignore_unavailable", false)?;
    let is_es = request.shape() == Shape::Es;
    let mut table = Table::new(if is_es {
        COLUMNS_ES
    } else {
        COLUMNS_OPENSEARCH
    });
    if request.params.bool("help", false)? {
        // Help knows no repository: real servers call the one in the path an unknown parameter.
        if !request.captured("repository").is_empty() {
            let text = crate::elasticsearch::params::unrecognized(
                &request.path,
                "parameter",
                &["repository"],
                &[],
            );
            return Err(EsError::illegal_argument(text));
        }
        return Ok(EsResponse::table(table));
    }
    let expression = match request.captured_or_param("repository") {
        Some(expression) => expression,
        None if is_es => "_all",
        None => return Err(EsError::validation(&["repository is missing"])),
    };
    for repository in repository_names(&request, expression).await? {
        for info in of_repository(&request, &repository, "_all", ignore_unavailable).await? {
            let end = info.end_ms.unwrap_or(0);
            let until = info.end_ms.unwrap_or_else(now_ms);
            let hides_shards = info.is_running() && !is_es;
            let shards = |count: u32| Cell::from(if hides_shards { 0 } else { count });
            let mut row = vec![info.name.clone().into()];
            if is_es {
                row.push(info.repository.clone().into());
            }
            row.extend([
                info.state.as_str().into(),
                Cell::Int(info.start_ms / 1000),
                units::clock_time(info.start_ms).into(),
                Cell::Int(end / 1000),
                units::clock_time(end).into(),
                Cell::Millis((until - info.start_ms).max(0)),
                info.indices.len().into(),
                shards(info.shards_successful),
                shards(info.shards_failed),
                shards(info.shards_total),
                info.reason.clone().into(),
            ]);
            table.push(row);
        }
    }
    Ok(EsResponse::table(table))
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
