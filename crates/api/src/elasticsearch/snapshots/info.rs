//! A snapshot as create and get show it.

use serde_json::{Map, Value, json};
use snapkeep_engine::{ShardFailure, SnapshotInfo};

use crate::elasticsearch::config::{ElasticsearchConfig, Shape};
use crate::elasticsearch::output::Readable;
use crate::elasticsearch::units;

/// Which parts are shown.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// All, or only what the list of a repository's content tells.
    pub verbose: bool,
    /// `repository`.
    pub repository: bool,
    /// `indices`.
    pub index_names: bool,
    /// `index_details`.
    pub index_details: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            verbose: true,
            repository: true,
            index_names: true,
            index_details: false,
        }
    }
}

/// Shows a snapshot.
pub fn show(
    info: &SnapshotInfo,
    parts: Parts,
    config: &ElasticsearchConfig,
    readable: Readable,
) -> Value {
    let is_es = config.shape == Shape::Es;
    let mut shown = Map::new();
    shown.insert("snapshot".into(), info.name.clone().into());
    shown.insert("uuid".into(), info.uuid.clone().into());
    if is_es && parts.repository {
        shown.insert("repository".into(), info.repository.clone().into());
    }
    if parts.verbose {
        shown.insert("version_id".into(), config.version.id(config.shape).into());
        shown.insert("version".into(), config.version.to_string().into());
        if !is_es {
            shown.insert("remote_store_index_shallow_copy".into(), false.into());
        }
    }
    if parts.index_names {
        shown.insert("indices".into(), info.index_names().into());
    }
    if parts.index_details && !info.indices.is_empty() {
        shown.insert("index_details".into(), index_details(info, readable));
    }
    shown.insert("data_streams".into(), json!([]));
    if !parts.verbose {
        shown.insert("state".into(), info.state.as_str().into());
        return Value::Object(shown);
    }
    shown.insert(
        "include_global_state".into(),
        info.include_global_state.into(),
    );
    if let Some(metadata) = &info.metadata {
        shown.insert("metadata".into(), metadata.clone().into());
    }
    shown.insert("state".into(), info.state.as_str().into());
    if let Some(reason) = &info.reason {
        shown.insert("reason".into(), reason.clone().into());
    }
    let end = info.end_ms.unwrap_or(0);
    shown.insert(
        "start_time".into(),
        units::iso_instant(info.start_ms).into(),
    );
    shown.insert("start_time_in_millis".into(), info.start_ms.into());
    shown.insert("end_time".into(), units::iso_instant(end).into());
    shown.insert("end_time_in_millis".into(), end.into());
    readable.millis(
        &mut shown,
        "duration",
        "duration_in_millis",
        duration_ms(info),
    );
    shown.insert(
        "failures".into(),
        info.failures
            .iter()
            .map(|failure| show_failure(failure, config))
            .collect(),
    );
    shown.insert("shards".into(), shards(info, config.shape));
    if is_es {
        shown.insert("feature_states".into(), json!([]));
    }
    Value::Object(shown)
}

/// How long it took; 0 while it runs.
pub fn duration_ms(info: &SnapshotInfo) -> i64 {
    info.end_ms.map_or(0, |end| (end - info.start_ms).max(0))
}

/// OpenSearch tells the shards of finished snapshots only.
fn shards(info: &SnapshotInfo, shape: Shape) -> Value {
    if info.is_running() && shape == Shape::OpenSearch {
        return json!({ "total": 0, "failed": 0, "successful": 0 });
    }
    json!({ "total": info.shards_total, "failed": info.shards_failed, "successful": info.shards_successful })
}

fn show_failure(failure: &ShardFailure, config: &ElasticsearchConfig) -> Value {
    // OpenSearch prints the name of the index where its uuid is meant.
    let index_uuid = if config.shape == Shape::OpenSearch {
        &failure.index
    } else {
        &failure.index_uuid
    };
    json!({
        "index": failure.index,
        "index_uuid": index_uuid,
        "shard_id": failure.shard,
        "reason": failure.reason,
        "node_id": config.node_id,
        "status": "INTERNAL_SERVER_ERROR",
    })
}

fn index_details(info: &SnapshotInfo, readable: Readable) -> Value {
    let mut details = Map::new();
    for index in &info.indices {
        let mut detail = Map::new();
        detail.insert("shard_count".into(), index.shard_count.into());
        readable.bytes(&mut detail, "size", "size_in_bytes", index.size_bytes);
        detail.insert(
            "max_segments_per_shard".into(),
            index.max_segments_per_shard.into(),
        );
        details.insert(index.name.clone(), detail.into());
    }
    Value::Object(details)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use snapkeep_engine::{SnapshotIndex, SnapshotState};

    /// A finished snapshot of one index with one shard.
    pub fn sample(repository: &str, name: &str, start_ms: i64) -> SnapshotInfo {
        SnapshotInfo {
            repository: repository.into(),
            name: name.into(),
            uuid: "n7YIayyZTm2hwg8BeWbydA".into(),
            state: SnapshotState::Success,
            reason: None,
            indices: vec![SnapshotIndex {
                name: ".kibana".into(),
                uuid: "u".into(),
                shard_count: 1,
                documents: 1,
                size_bytes: 3296,
                max_segments_per_shard: 1,
            }],
            include_global_state: true,
            partial: false,
            metadata: None,
            start_ms,
            end_ms: Some(start_ms + 314),
            failures: vec![],
            shards_total: 1,
            shards_successful: 1,
            shards_failed: 0,
            written_by: "0.1.0".into(),
            restic_id: None,
            ..SnapshotInfo::default()
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_keys_of_the_source_document_are_there_in_order() {
        let mut config = ElasticsearchConfig::new(Shape::Es, "node");
        config.version = "5.5.3".parse().unwrap();
        let info = sample("r", "es-cn-1", 1_530_148_959_609);
        let shown = show(&info, Parts::default(), &config, Readable(false));
        assert_eq!(
            keys(&shown),
            [
                "snapshot",
                "uuid",
                "repository",
                "version_id",
                "version",
                "indices",
                "data_streams",
                "include_global_state",
                "state",
                "start_time",
                "start_time_in_millis",
                "end_time",
                "end_time_in_millis",
                "duration_in_millis",
                "failures",
                "shards",
                "feature_states"
            ]
        );
        assert_eq!(shown["version_id"], 5_050_399);
        assert_eq!(shown["start_time"], "2018-06-28T01:22:39.609Z");
        assert_eq!(shown["duration_in_millis"], 314);
        assert_eq!(
            shown["shards"],
            json!({"total": 1, "failed": 0, "successful": 1})
        );
    }

    #[test]
    fn opensearch_has_its_own_keys_and_no_others() {
        let config = ElasticsearchConfig::new(Shape::OpenSearch, "node");
        let shown = show(
            &sample("r", "s", 1),
            Parts::default(),
            &config,
            Readable(true),
        );
        assert_eq!(
            keys(&shown),
            [
                "snapshot",
                "uuid",
                "version_id",
                "version",
                "remote_store_index_shallow_copy",
                "indices",
                "data_streams",
                "include_global_state",
                "state",
                "start_time",
                "start_time_in_millis",
                "end_time",
                "end_time_in_millis",
                "duration",
                "duration_in_millis",
                "failures",
                "shards"
            ]
        );
        let brief = show(
            &sample("r", "s", 1),
            Parts {
                verbose: false,
                ..Parts::default()
            },
            &config,
            Readable(false),
        );
        assert_eq!(
            keys(&brief),
            ["snapshot", "uuid", "indices", "data_streams", "state"]
        );
    }

    #[test]
    fn a_running_snapshot_has_not_ended() {
        let mut info = sample("r", "s", 5);
        info.state = SnapshotState::InProgress;
        info.end_ms = None;
        info.shards_successful = 0;
        let es = show(
            &info,
            Parts::default(),
            &ElasticsearchConfig::new(Shape::Es, "n"),
            Readable(false),
        );
        assert_eq!(
            (
                &es["state"],
                &es["end_time_in_millis"],
                &es["duration_in_millis"]
            ),
            (&json!("IN_PROGRESS"), &json!(0), &json!(0))
        );
        assert_eq!(es["end_time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(
            es["shards"],
            json!({"total": 1, "failed": 0, "successful": 0})
        );
        let opensearch = show(
            &info,
            Parts::default(),
            &ElasticsearchConfig::new(Shape::OpenSearch, "n"),
            Readable(false),
        );
        assert_eq!(opensearch["shards"]["total"], 0);
    }

    #[test]
    fn details_of_indices_on_demand() {
        let config = ElasticsearchConfig::new(Shape::Es, "n");
        let parts = Parts {
            index_details: true,
            index_names: false,
            repository: false,
            ..Parts::default()
        };
        let shown = show(&sample("r", "s", 1), parts, &config, Readable(true));
        assert_eq!(
            shown["index_details"][".kibana"],
            json!({"shard_count": 1, "size": "3.2kb", "size_in_bytes": 3296, "max_segments_per_shard": 1})
        );
        assert!(shown.get("indices").is_none() && shown.get("repository").is_none());
    }
}
