//! `_cat/indices` and `_cat/count`.

use jiff::Timestamp;
use snapkeep_engine::selection::Expand;
use snapkeep_store::IndexState;

use crate::elasticsearch::call::{Call, Reply};
use crate::elasticsearch::cluster::health;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::indices::targets::{Defaults, select, stats_of};
use crate::elasticsearch::output::{Cell, Column, Table};
use crate::elasticsearch::response::EsResponse;

use super::time;

const COLUMNS: [Column; 13] = [
    Column::new("health", "h", "current health status"),
    Column::new("status", "s", "open/close status"),
    Column::new("index", "i,idx", "index name"),
    Column::new("uuid", "id,uuid", "index uuid"),
    Column::new(
        "pri",
        "p,shards.primary,shardsPrimary",
        "number of primary shards",
    )
    .right(),
    Column::new(
        "rep",
        "r,shards.replica,shardsReplica",
        "number of replica shards",
    )
    .right(),
    Column::new("docs.count", "dc,docsCount", "available docs").right(),
    Column::new("docs.deleted", "dd,docsDeleted", "deleted docs").right(),
    Column::new(
        "creation.date",
        "cd",
        "index creation date (millisecond value)",
    )
    .hidden(),
    Column::new(
        "creation.date.string",
        "cds",
        "index creation date (as string)",
    )
    .hidden(),
    Column::new(
        "store.size",
        "ss,storeSize",
        "store size of primaries & replicas",
    )
    .right(),
    Column::new("pri.store.size", "", "store size of primaries").right(),
    Column::new(
        "dataset.size",
        "",
        "total size of dataset (including the cache for partially mounted indices)",
    )
    .right(),
];

/// OpenSearch has no `dataset.size`.
const ES: &[Column] = &COLUMNS;
const OPENSEARCH: &[Column] = COLUMNS.split_at(12).0;

/// `GET /_cat/indices[/{index}]`.
pub fn indices(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let light = call.params.get("health");
    if let Some(other) = light.filter(|light| !matches!(*light, "green" | "yellow" | "red")) {
        return Err(EsError::illegal_argument(format!(
            "unknown cluster health status [{other}]"
        )));
    }
    call.params.bool("pri", false)?;
    let everything = Defaults {
        expand: Expand {
            open: true,
            closed: true,
            hidden: false,
        },
        ..Defaults::METADATA
    };
    let columns = if call.shape() == Shape::Es {
        ES
    } else {
        OPENSEARCH
    };
    let mut table = Table::new(columns);
    for meta in select(call, call.optional_arg("index"), &call.params, everything)? {
        let status = health::of_index(&meta).status.name();
        if light.is_some_and(|light| light != status) {
            continue;
        }
        let stats = if meta.state == IndexState::Open {
            let stats = stats_of(call.store(), &meta)?;
            if stats.is_none() {
                continue;
            }
            stats
        } else {
            None
        };
        let count = |number: Option<u64>| number.map_or(Cell::Null, Cell::from);
        let bytes = stats.map_or(Cell::Null, |stats| Cell::Bytes(stats.store_bytes));
        let created = Timestamp::from_millisecond(meta.created_ms)
            .map(|time| format!("{time:.3}"))
            .ok();
        let mut row = vec![
            Cell::from(status),
            Cell::from(if meta.state == IndexState::Closed {
                "close"
            } else {
                "open"
            }),
            Cell::from(meta.name.clone()),
            Cell::from(meta.uuid.clone()),
            Cell::from(u32::from(meta.shards)),
            Cell::from(meta.replicas),
            count(stats.map(|stats| stats.docs)),
            count(stats.map(|stats| stats.deleted)),
            Cell::Int(meta.created_ms),
            Cell::from(created),
            bytes.clone(),
            bytes.clone(),
            bytes,
        ];
        row.truncate(columns.len());
        table.push(row);
    }
    Ok(EsResponse::table(table))
}

const COUNT: &[Column] = &[
    Column::new("epoch", "t,time", "seconds since 1970-01-01 00:00:00"),
    Column::new("timestamp", "ts,hms,hhmmss", "time in HH:MM:SS"),
    Column::new("count", "dc,docs.count,docsCount", "the document count"),
];

/// `GET /_cat/count[/{index}]`.
pub fn count(call: &Call) -> Reply {
    let mut table = Table::new(COUNT);
    let mut docs = 0;
    for meta in select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )? {
        docs += stats_of(call.store(), &meta)?.map_or(0, |stats| stats.docs);
    }
    let [epoch, clock] = time::now();
    table.push(vec![epoch, clock, Cell::from(docs)]);
    Ok(EsResponse::table(table))
}
