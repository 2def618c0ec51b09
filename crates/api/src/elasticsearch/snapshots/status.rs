//! `_status`: how far snapshots are, shard by shard.

use serde_json::{Map, Value, json};
use snapkeep_engine::{
    EngineError, FileStats, IndexStatus, ShardStage, ShardStatus, SnapshotPhase, SnapshotStatus,
};

use super::cat::now_ms;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::{from_engine, snapshot_missing};
use crate::elasticsearch::output::Readable;
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;

/// The running snapshots, or the named ones whatever their state.
pub async fn status(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let ignore_unavailable = request.params.bool("ignore_unavailable", false)?;
    let engine = &request.state.engine;
    let repository = request.captured("repository");
    let repository = (!repository.is_empty() && repository != "_all").then_some(repository);
    let names: Vec<String> = split_list(request.captured("snapshot"));
    let names_nothing = names.is_empty() || names == ["_all"];
    let mut found = Vec::new();
    match repository {
        Some(repository) if !names_nothing => {
            engine
                .repository(repository)
                .await
                .map_err(|error| from_engine(error, request.shape()))?;
            for name in names {
                match engine.snapshot_status(repository, &name).await {
                    Ok(status) => found.push(status),
                    Err(EngineError::SnapshotMissing { .. }) if ignore_unavailable => {}
                    Err(EngineError::SnapshotMissing { .. }) => {
                        return Err(snapshot_missing(repository, &name));
                    }
                    Err(error) => return Err(from_engine(error, request.shape())),
                }
            }
        }
        _ => found = engine.running_snapshots(repository).await,
    }
    found.retain(|status| request.caller.sees_repository(&status.info.repository));
    let indices = split_list(request.captured("index"));
    if !indices.is_empty() {
        keep_indices(&mut found, &indices, ignore_unavailable)?;
    }
    let look = Look {
        shape: request.shape(),
        readable: request.readable(),
        node_id: &request.state.config.node_id,
    };
    let shown: Value = found.iter().map(|status| look.snapshot(status)).collect();
    Ok(EsResponse::value(json!({ "snapshots": shown })))
}

fn keep_indices(
    found: &mut [SnapshotStatus],
    names: &[String],
    ignore_unavailable: bool,
) -> Result<(), EsError> {
    for status in found {
        let missing = names
            .iter()
            .find(|name| !status.indices.iter().any(|index| index.name == **name));
        if let (Some(missing), false) = (missing, ignore_unavailable) {
            let name = format!("{missing} and possibly more indices");
            let cause = format!(
                "indices [{name}] missing in snapshot [{}] of repository [{}]",
                status.info.name, status.info.repository
            );
            return Err(ErrorKind::IndexNotFound
                .error(format!("no such index [{name}]"))
                .field("index", name)
                .field("index_uuid", "_na_")
                .caused_by(EsError::illegal_argument(cause)));
        }
        status.indices.retain(|index| names.contains(&index.name));
    }
    Ok(())
}

struct Look<'a> {
    shape: Shape,
    readable: Readable,
    node_id: &'a str,
}

/// Sums of shards.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    incremental: FileStats,
    processed: FileStats,
    total: FileStats,
    start_ms: i64,
    end_ms: i64,
    stages: [u32; 5],
}

impl Sum {
    fn of<'a>(shards: impl IntoIterator<Item = &'a ShardStatus>) -> Self {
        let mut sum = Self::default();
        for shard in shards {
            sum.incremental += shard.incremental;
            sum.processed += shard.processed;
            sum.total += shard.total;
            if shard.start_ms > 0 {
                sum.start_ms = if sum.start_ms == 0 {
                    shard.start_ms
                } else {
                    sum.start_ms.min(shard.start_ms)
                };
                sum.end_ms = sum.end_ms.max(shard.start_ms + shard.time_ms);
            }
            sum.stages[shard.stage as usize] += 1;
        }
        sum
    }
}

impl Look<'_> {
    fn snapshot(&self, status: &SnapshotStatus) -> Value {
        let info = &status.info;
        let mut sum = Sum::of(status.indices.iter().flat_map(|index| &index.shards));
        // The snapshot as a whole begins before its first shard and ends after the last.
        sum.start_ms = info.start_ms;
        sum.end_ms = info.end_ms.unwrap_or_else(now_ms);
        let is_running = info.is_running();
        let indices: Map<String, Value> = status
            .indices
            .iter()
            .map(|index| (index.name.clone(), self.index(index, is_running)))
            .collect();
        json!({
            "snapshot": info.name,
            "repository": info.repository,
            "uuid": info.uuid,
            "state": state(status.phase, self.shape),
            "include_global_state": info.include_global_state,
            "shards_stats": stages(&sum),
            "stats": self.stats(&sum),
            "indices": indices,
        })
    }

    fn index(&self, index: &IndexStatus, is_running: bool) -> Value {
        let sum = Sum::of(&index.shards);
        let shards: Map<String, Value> = index
            .shards
            .iter()
            .map(|shard| (shard.shard.to_string(), self.shard(shard, is_running)))
            .collect();
        json!({ "shards_stats": stages(&sum), "stats": self.stats(&sum), "shards": shards })
    }

    fn shard(&self, shard: &ShardStatus, is_running: bool) -> Value {
        let mut shown = Map::new();
        let stage = match shard.stage {
            ShardStage::Init => "INIT",
            ShardStage::Started => "STARTED",
            ShardStage::Finalize => "FINALIZE",
            ShardStage::Done => "DONE",
            ShardStage::Failure => "FAILURE",
        };
        shown.insert("stage".into(), stage.into());
        shown.insert("stats".into(), self.stats(&Sum::of([shard])));
        if is_running {
            shown.insert("node".into(), self.node_id.into());
        }
        if let Some(reason) = &shard.reason {
            shown.insert("reason".into(), reason.clone().into());
        }
        Value::Object(shown)
    }

    fn files(&self, files: FileStats) -> Value {
        let mut shown = Map::new();
        shown.insert("file_count".into(), files.files.into());
        self.readable
            .bytes(&mut shown, "size", "size_in_bytes", files.bytes);
        Value::Object(shown)
    }

    fn stats(&self, sum: &Sum) -> Value {
        let mut shown = Map::new();
        shown.insert("incremental".into(), self.files(sum.incremental));
        if sum.processed.files != sum.incremental.files {
            shown.insert("processed".into(), self.files(sum.processed));
        }
        shown.insert("total".into(), self.files(sum.total));
        shown.insert("start_time_in_millis".into(), sum.start_ms.into());
        self.readable.millis(
            &mut shown,
            "time",
            "time_in_millis",
            (sum.end_ms - sum.start_ms).max(0),
        );
        if self.shape == Shape::Es {
            // What 5.x printed, and 6.4 to 6.8 beside the new keys.
            shown.insert("number_of_files".into(), sum.incremental.files.into());
            shown.insert("processed_files".into(), sum.processed.files.into());
            self.readable.bytes(
                &mut shown,
                "total_size",
                "total_size_in_bytes",
                sum.incremental.bytes,
            );
            self.readable.bytes(
                &mut shown,
                "processed_size",
                "processed_size_in_bytes",
                sum.processed.bytes,
            );
        }
        Value::Object(shown)
    }
}

/// Elasticsearch reports partial snapshots as `SUCCESS` here; a running one is `IN_PROGRESS`, as the source documents print it.
fn state(phase: SnapshotPhase, shape: Shape) -> &'static str {
    match (phase, shape) {
        (SnapshotPhase::Init | SnapshotPhase::Started, Shape::Es) => "IN_PROGRESS",
        (SnapshotPhase::Init | SnapshotPhase::Started, Shape::OpenSearch) => "STARTED",
        (SnapshotPhase::Aborted, _) => "ABORTED",
        (SnapshotPhase::Success, _) | (SnapshotPhase::Partial, Shape::Es) => "SUCCESS",
        (SnapshotPhase::Partial, Shape::OpenSearch) => "PARTIAL",
        (SnapshotPhase::Failed, _) => "FAILED",
    }
}

fn stages(sum: &Sum) -> Value {
    let count = |stage: ShardStage| sum.stages[stage as usize];
    json!({
        "initializing": count(ShardStage::Init),
        "started": count(ShardStage::Started),
        "finalizing": count(ShardStage::Finalize),
        "done": count(ShardStage::Done),
        "failed": count(ShardStage::Failure),
        "total": sum.stages.iter().sum::<u32>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::sample;
    use super::*;
    use snapkeep_engine::SnapshotState;

    fn shard(number: u32, stage: ShardStage, read: u64) -> ShardStatus {
        let files = |count| FileStats {
            files: count,
            bytes: count * 824,
        };
        ShardStatus {
            shard: number,
            stage,
            incremental: files(4),
            processed: files(read),
            total: files(5),
            start_ms: 1_530_148_959_688,
            time_ms: 77,
            reason: None,
            name: None,
        }
    }

    fn running() -> SnapshotStatus {
        let mut info = sample("my_backup", "snapshot_3", 1_530_148_959_600);
        info.state = SnapshotState::InProgress;
        info.end_ms = None;
        SnapshotStatus {
            info,
            phase: SnapshotPhase::Started,
            indices: vec![IndexStatus {
                name: "i".into(),
                shards: vec![
                    shard(0, ShardStage::Started, 2),
                    shard(1, ShardStage::Done, 4),
                ],
            }],
            collections: Vec::new(),
            throttled_ns: 0,
            stored_bytes: 0,
        }
    }

    fn look(shape: Shape) -> Look<'static> {
        Look {
            shape,
            readable: Readable(false),
            node_id: "node",
        }
    }

    #[test]
    fn a_running_snapshot_is_in_progress_as_the_source_document_prints_it() {
        let shown = look(Shape::Es).snapshot(&running());
        assert_eq!(shown["state"], "IN_PROGRESS");
        assert_eq!(
            shown["shards_stats"],
            json!({"initializing": 0, "started": 1, "finalizing": 0, "done": 1, "failed": 0, "total": 2})
        );
        let shards = &shown["indices"]["i"]["shards"];
        assert_eq!(shards["0"]["stage"], "STARTED");
        assert_eq!(shards["0"]["node"], "node");
        assert_eq!(
            shards["1"]["stats"],
            json!({"incremental": {"file_count": 4, "size_in_bytes": 3296}, "total": {"file_count": 5, "size_in_bytes": 4120},
                "start_time_in_millis": 1_530_148_959_688_i64, "time_in_millis": 77, "number_of_files": 4,
                "processed_files": 4, "total_size_in_bytes": 3296, "processed_size_in_bytes": 3296})
        );
        assert_eq!(shards["0"]["stats"]["processed"]["file_count"], 2);
    }

    #[test]
    fn opensearch_has_the_new_keys_only() {
        let shown = look(Shape::OpenSearch).snapshot(&running());
        assert_eq!(shown["state"], "STARTED");
        assert!(shown["stats"].get("number_of_files").is_none());
        assert_eq!(shown["stats"]["incremental"]["file_count"], 8);
    }

    #[test]
    fn partial_is_success_in_elasticsearch_only() {
        assert_eq!(state(SnapshotPhase::Partial, Shape::Es), "SUCCESS");
        assert_eq!(state(SnapshotPhase::Partial, Shape::OpenSearch), "PARTIAL");
    }

    #[test]
    fn an_index_that_is_not_there_is_told() {
        let mut found = vec![running()];
        let error = keep_indices(&mut found, &["nosuch".into()], false)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("no such index [nosuch and possibly more indices]"),
            "{error}"
        );
        assert!(keep_indices(&mut found, &["i".into()], false).is_ok());
    }
}
