//! `_stats`: documents, bytes and, per shard, sequence numbers and identity.

use serde_json::{Map, Value, json};
use snapkeep_store::{IndexMeta, IndexStats, ShardView};

use super::render;
use super::targets::{Defaults, select, stats_of};
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::params::split_list;

/// Metrics that Elasticsearch has and this server has nothing to say about.
const UNKEPT: &[&str] = &[
    "bulk",
    "completion",
    "denseVector",
    "dense_vector",
    "fielddata",
    "flush",
    "get",
    "indexing",
    "mappings",
    "merge",
    "node_mappings",
    "query_cache",
    "recovery",
    "refresh",
    "request_cache",
    "search",
    "segments",
    "shard_stats",
    "sparse_vector",
    "suggest",
    "translog",
    "warmer",
];

/// Which metrics are shown.
#[derive(Clone, Copy)]
struct Metrics {
    docs: bool,
    store: bool,
}

/// `GET [/{index}]/_stats[/{metric}]`.
pub fn stats(call: &Call) -> Reply {
    let metrics = metrics(call)?;
    let level = call.params.get("level").unwrap_or("indices");
    if !matches!(level, "cluster" | "indices" | "shards") {
        return Err(EsError::illegal_argument(format!(
            "level parameter must be one of [cluster] or [indices] or [shards] but was [{level}]"
        )));
    }
    call.params.bool("include_segment_file_sizes", false)?;
    call.params.bool("include_unloaded_segments", false)?;
    call.params.bool("forbid_closed_indices", true)?;
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    let view = if level == "shards" {
        Some(call.store().view()?)
    } else {
        None
    };
    let mut all = IndexStats::default();
    let mut indices = Map::new();
    for meta in &chosen {
        let Some(own) = stats_of(call.store(), meta)? else {
            continue;
        };
        all.docs += own.docs;
        all.deleted += own.deleted;
        all.store_bytes += own.store_bytes;
        if level == "cluster" {
            continue;
        }
        let numbers = render_metrics(metrics, &own, call.shape());
        let mut one = Map::from_iter([("uuid".to_owned(), json!(meta.uuid))]);
        if call.shape() == Shape::Es {
            one.insert(
                "health".into(),
                json!(
                    crate::elasticsearch::cluster::health::of_index(meta)
                        .status
                        .name()
                ),
            );
            one.insert("status".into(), json!("open"));
        }
        one.insert("primaries".into(), numbers.clone());
        one.insert("total".into(), numbers);
        if let Some(view) = &view {
            let shards = (0..meta.shards).filter_map(|number| {
                let shard = view.shard(&meta.name, number)?;
                Some((
                    number.to_string(),
                    json!([render_shard(call, metrics, meta, &own, &shard)]),
                ))
            });
            one.insert("shards".into(), Value::Object(shards.collect()));
        }
        indices.insert(meta.name.clone(), Value::Object(one));
    }
    let numbers = render_metrics(metrics, &all, call.shape());
    let mut answer = json!({
        "_shards": render::shards_header(&chosen),
        "_all": {"primaries": numbers, "total": numbers},
    });
    if level != "cluster" {
        answer["indices"] = Value::Object(indices);
    }
    ok(answer)
}

fn metrics(call: &Call) -> Result<Metrics, EsError> {
    let wanted = split_list(call.arg("metric"));
    let mut metrics = Metrics {
        docs: wanted.is_empty(),
        store: wanted.is_empty(),
    };
    for metric in &wanted {
        match metric.as_str() {
            "_all" => {
                metrics = Metrics {
                    docs: true,
                    store: true,
                }
            }
            "docs" => metrics.docs = true,
            "store" => metrics.store = true,
            known if UNKEPT.contains(&known) => {
                return Err(EsError::illegal_argument(format!(
                    "metric [{known}] of [_stats] is not supported by this server"
                )));
            }
            unknown => {
                return Err(EsError::illegal_argument(format!(
                    "request [{}] contains unrecognized metric: [{unknown}]",
                    call.path
                )));
            }
        }
    }
    Ok(metrics)
}

fn render_metrics(metrics: Metrics, stats: &IndexStats, shape: Shape) -> Value {
    let mut shown = Map::new();
    if metrics.docs {
        shown.insert(
            "docs".into(),
            json!({"count": stats.docs, "deleted": stats.deleted}),
        );
    }
    if metrics.store {
        shown.insert(
            "store".into(),
            match shape {
                Shape::Es => json!({
                    "size_in_bytes": stats.store_bytes,
                    "total_data_set_size_in_bytes": stats.store_bytes,
                    "reserved_in_bytes": 0,
                }),
                Shape::OpenSearch => {
                    json!({"size_in_bytes": stats.store_bytes, "reserved_in_bytes": 0})
                }
            },
        );
    }
    Value::Object(shown)
}

/// One shard: what tells a reader whether anything changed since it last looked.
fn render_shard(
    call: &Call,
    metrics: Metrics,
    meta: &IndexMeta,
    index: &IndexStats,
    shard: &ShardView,
) -> Value {
    let max_seq_no = shard
        .max_seq_no()
        .map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX));
    // The store counts bytes and dead copies by index; a shard has its even share.
    let own = IndexStats {
        docs: shard.live_count(),
        deleted: index.deleted / u64::from(meta.shards.max(1)),
        store_bytes: index.store_bytes / u64::from(meta.shards.max(1)),
    };
    let mut shown = json!({
        "routing": {"state": "STARTED", "primary": true, "node": call.config().node_id, "relocating_node": null},
    });
    if let (Some(shown), Value::Object(numbers)) = (
        shown.as_object_mut(),
        render_metrics(metrics, &own, call.shape()),
    ) {
        shown.extend(numbers);
    }
    shown["commit"] = json!({
        "id": format!("{:032x}", shard.digest()),
        "generation": max_seq_no + 1,
        "user_data": {
            "local_checkpoint": max_seq_no.to_string(),
            "max_seq_no": max_seq_no.to_string(),
            "history_uuid": shard.history().history_uuid,
        },
        "num_docs": shard.live_count(),
    });
    shown["seq_no"] = json!({"max_seq_no": max_seq_no, "local_checkpoint": max_seq_no, "global_checkpoint": max_seq_no});
    shown["retention_leases"] = json!({"primary_term": 1, "version": 0, "leases": []});
    shown
}
