//! `_cat/shards`.

use snapkeep_engine::selection::Expand;
use snapkeep_store::IndexState;

use crate::elasticsearch::call::{Call, Reply};
use crate::elasticsearch::indices::targets::{Defaults, select};
use crate::elasticsearch::output::{Cell, Column, Table};
use crate::elasticsearch::response::EsResponse;

const COLUMNS: &[Column] = &[
    Column::new("index", "i,idx", "index name"),
    Column::new("shard", "s,sh", "shard name"),
    Column::new("prirep", "p,pr,primaryOrReplica", "primary or replica"),
    Column::new("state", "st", "shard state"),
    Column::new("docs", "d,dc", "number of docs in shard").right(),
    Column::new(
        "store",
        "sto",
        "store size of shard (how much disk it uses)",
    )
    .right(),
    Column::new("ip", "", "ip of node where it lives"),
    Column::new("id", "", "unique id of node where it lives").hidden(),
    Column::new("node", "n", "name of node where it lives"),
    Column::new("unassigned.reason", "ur", "reason shard became unassigned").hidden(),
    Column::new("seq_no.max", "sqm,maxSeqNo", "max sequence number")
        .hidden()
        .right(),
    Column::new(
        "seq_no.local_checkpoint",
        "sql,localCheckpoint",
        "local checkpoint",
    )
    .hidden()
    .right(),
    Column::new(
        "seq_no.global_checkpoint",
        "sqg,globalCheckpoint",
        "global checkpoint",
    )
    .hidden()
    .right(),
];

/// `GET /_cat/shards[/{index}]`. Bytes are those of the documents in the shard.
pub fn shards(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let everything = Defaults {
        expand: Expand::ALL,
        ..Defaults::METADATA
    };
    let view = call.store().peek();
    let config = call.config();
    let host = config
        .address
        .rsplit_once(':')
        .map_or(config.address.as_str(), |(host, _)| host);
    let mut table = Table::new(COLUMNS);
    for meta in select(call, call.optional_arg("index"), &call.params, everything)? {
        let state = if meta.state == IndexState::Restoring {
            "INITIALIZING"
        } else {
            "STARTED"
        };
        for number in 0..meta.shards {
            let shard = if meta.is_open() {
                view.shard(&meta.name, number)
            } else {
                None
            };
            let seq_no = || {
                let max = shard.as_ref().map(|shard| {
                    shard
                        .max_seq_no()
                        .and_then(|max| i64::try_from(max).ok())
                        .unwrap_or(-1)
                });
                max.map_or(Cell::Null, Cell::Int)
            };
            table.push(vec![
                Cell::from(meta.name.clone()),
                Cell::from(u32::from(number)),
                Cell::from("p"),
                Cell::from(state),
                shard
                    .as_ref()
                    .map_or(Cell::Null, |shard| Cell::from(shard.live_count())),
                shard
                    .as_ref()
                    .map_or(Cell::Null, |shard| Cell::Bytes(shard.source_bytes())),
                Cell::from(host),
                Cell::from(config.node_id.clone()),
                Cell::from(config.node_name.clone()),
                Cell::Null,
                seq_no(),
                seq_no(),
                seq_no(),
            ]);
            for _ in 0..meta.replicas {
                let mut row = vec![
                    Cell::from(meta.name.clone()),
                    Cell::from(u32::from(number)),
                    Cell::from("r"),
                    Cell::from("UNASSIGNED"),
                ];
                row.resize(COLUMNS.len(), Cell::Null);
                row[9] = Cell::from("INDEX_CREATED");
                table.push(row);
            }
        }
    }
    Ok(EsResponse::table(table))
}
