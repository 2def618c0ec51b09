//! Progress and results of snapshots, shard by shard.

use std::collections::HashMap;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::layout::{Manifest, ResourceManifest, ShardManifest, ShardResult};
use crate::model::{
    FileStats, IndexStatus, ResourceKind, ShardStage, ShardStatus, SnapshotInfo, SnapshotPhase,
    SnapshotState, SnapshotStatus,
};

/// What `_status` says of shards that were never begun because others failed.
const SKIPPED: &str = "skipped";

impl Engine {
    /// Progress or result of one snapshot, shard by shard.
    pub async fn snapshot_status(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<SnapshotStatus, EngineError> {
        let inner = &self.inner;
        let missing = || EngineError::SnapshotMissing {
            repository: repository.to_owned(),
            snapshot: name.to_owned(),
        };
        let vault = inner.vault_id(repository).await?.ok_or_else(missing)?;
        let key = (vault.clone(), name.to_owned());
        let running = inner.activity().snapshots.get(&key).cloned();
        if let Some(running) = running.filter(|running| running.result().is_none()) {
            return Ok(running.status(inner.config.clock.now_ms()));
        }
        let mut info = inner
            .catalogue
            .snapshot(&vault, name)
            .await?
            .ok_or_else(missing)?
            .info;
        repository.clone_into(&mut info.repository);
        let manifest = inner.catalogue.manifest(&vault, &info.uuid).await?;
        Ok(match manifest {
            Some(manifest) => of_finished(info, &manifest),
            None => of_failed(info),
        })
    }

    /// Progress of the running snapshots, of one repository (registered or not) or all, by start time.
    pub async fn running_snapshots(&self, repository: Option<&str>) -> Vec<SnapshotStatus> {
        let now_ms = self.inner.config.clock.now_ms();
        let mut running: Vec<SnapshotStatus> = {
            let activity = self.inner.activity();
            let wanted = activity.snapshots.values().filter(|running| {
                repository.is_none_or(|name| name == running.accepted.repository)
            });
            wanted.map(|running| running.status(now_ms)).collect()
        };
        running
            .sort_by(|a, b| (a.info.start_ms, &a.info.name).cmp(&(b.info.start_ms, &b.info.name)));
        running
    }

    /// Indices that snapshots are being taken of, sorted.
    pub fn indices_in_snapshots(&self) -> Vec<String> {
        let activity = self.inner.activity();
        let mut names: Vec<String> = activity
            .snapshots
            .values()
            .flat_map(|running| running.accepted.index_names())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn of_finished(info: SnapshotInfo, manifest: &Manifest) -> SnapshotStatus {
    let of_resource = |resource: &ResourceManifest| IndexStatus {
        name: resource.name.clone(),
        shards: resource.shards.iter().map(of_shard).collect(),
    };
    let phase = match info.state {
        SnapshotState::Partial => SnapshotPhase::Partial,
        SnapshotState::Failed | SnapshotState::Incompatible => SnapshotPhase::Failed,
        SnapshotState::InProgress | SnapshotState::Success => SnapshotPhase::Success,
    };
    SnapshotStatus {
        info,
        phase,
        indices: manifest.indices.iter().map(of_resource).collect(),
        collections: manifest.collections.iter().map(of_resource).collect(),
        throttled_ns: manifest.throttled_ns,
        stored_bytes: manifest.stored_bytes,
    }
}

fn of_shard(shard: &ShardManifest) -> ShardStatus {
    let nothing = FileStats::default();
    let (stage, incremental, total, reason) = match &shard.result {
        ShardResult::Captured {
            incremental, total, ..
        } => (ShardStage::Done, *incremental, *total, None),
        ShardResult::LeftOut { reason, .. } => {
            (ShardStage::Done, nothing, nothing, Some(reason.clone()))
        }
        ShardResult::Failed { reason } => {
            (ShardStage::Failure, nothing, nothing, Some(reason.clone()))
        }
    };
    ShardStatus {
        shard: shard.shard,
        name: shard.name.clone(),
        stage,
        incremental,
        processed: incremental,
        total,
        start_ms: shard.start_ms,
        time_ms: shard.time_ms,
        reason,
    }
}

fn of_failed(info: SnapshotInfo) -> SnapshotStatus {
    let reasons: HashMap<(ResourceKind, &str, u32), &str> = info
        .failures
        .iter()
        .map(|failure| {
            let key = (failure.kind, failure.index.as_str(), failure.shard);
            (key, failure.reason.as_str())
        })
        .collect();
    let failed = |kind, resource: &str, shard, name: Option<&String>| ShardStatus {
        shard,
        name: name.cloned(),
        stage: ShardStage::Failure,
        incremental: FileStats::default(),
        processed: FileStats::default(),
        total: FileStats::default(),
        start_ms: info.start_ms,
        time_ms: 0,
        reason: Some(
            reasons
                .get(&(kind, resource, shard))
                .unwrap_or(&SKIPPED)
                .to_string(),
        ),
    };
    let indices = info.indices.iter().map(|index| IndexStatus {
        name: index.name.clone(),
        shards: (0..index.shard_count)
            .map(|shard| failed(ResourceKind::Index, &index.name, shard, None))
            .collect(),
    });
    let collections = info.collections.iter().map(|collection| IndexStatus {
        name: collection.name.clone(),
        shards: (0..)
            .zip(&collection.shards)
            .map(|(shard, name)| {
                failed(
                    ResourceKind::Collection,
                    &collection.name,
                    shard,
                    Some(name),
                )
            })
            .collect(),
    });
    let (indices, collections) = (indices.collect(), collections.collect());
    SnapshotStatus {
        info,
        phase: SnapshotPhase::Failed,
        indices,
        collections,
        throttled_ns: 0,
        stored_bytes: 0,
    }
}
