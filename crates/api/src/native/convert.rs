//! From the engine's terms to those of this API.

use snapkeep_engine as engine;

use super::policies;
use super::types::{
    Cleaned, Job, JobKind, JobProgress, JobState, Key, LeftOutShard, Repository, ShardFailure,
    ShardStatus, Snapshot, SnapshotCollection, SnapshotIndex, SnapshotState, SnapshotStatus,
    Verified,
};

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

impl From<engine::RepositoryInfo> for Repository {
    fn from(info: engine::RepositoryInfo) -> Self {
        Self {
            name: info.name,
            kind: info.kind,
            settings: info.settings,
            location: None,
            id: info.uuid,
            readonly: info.readonly,
            max_snapshot_bytes_per_sec: info.snapshot_bytes_per_sec,
            max_restore_bytes_per_sec: info.restore_bytes_per_sec,
            trouble: info.trouble,
        }
    }
}

impl From<engine::Verification> for Verified {
    fn from(found: engine::Verification) -> Self {
        Self {
            location: found.location,
            probe_bytes: found.probe_bytes,
        }
    }
}

impl From<engine::CleanupResult> for Cleaned {
    fn from(result: engine::CleanupResult) -> Self {
        Self {
            deleted_bytes: result.deleted_bytes,
            deleted_files: result.deleted_blobs,
        }
    }
}

impl From<engine::KeyDescription> for Key {
    fn from(key: engine::KeyDescription) -> Self {
        Self {
            id: key.id,
            username: key.username,
            hostname: key.hostname,
            created: key.created,
            current: key.current,
        }
    }
}

impl From<engine::SnapshotState> for SnapshotState {
    fn from(state: engine::SnapshotState) -> Self {
        match state {
            engine::SnapshotState::InProgress => Self::InProgress,
            engine::SnapshotState::Success => Self::Success,
            engine::SnapshotState::Failed => Self::Failed,
            engine::SnapshotState::Partial => Self::Partial,
            engine::SnapshotState::Incompatible => Self::Incompatible,
        }
    }
}

impl From<engine::SnapshotInfo> for Snapshot {
    fn from(info: engine::SnapshotInfo) -> Self {
        let index = |index: engine::SnapshotIndex| SnapshotIndex {
            name: index.name,
            shards: index.shard_count,
            documents: index.documents,
            size_bytes: index.size_bytes,
        };
        let left_out = |shard: engine::LeftOutShard| LeftOutShard {
            name: shard.shard,
            reason: shard.reason,
        };
        let collection = |collection: engine::SnapshotCollection| SnapshotCollection {
            name: collection.name,
            multi_tenant: collection.multi_tenant,
            shards: u32::try_from(collection.shards.len()).unwrap_or(u32::MAX),
            documents: collection.documents,
            size_bytes: collection.size_bytes,
            left_out: collection.left_out.into_iter().map(left_out).collect(),
        };
        let failure = |failure: engine::ShardFailure| ShardFailure {
            index: failure.index,
            shard: failure.shard,
            shard_name: failure.shard_name,
            reason: failure.reason,
        };
        Self {
            repository: info.repository,
            name: info.name,
            uuid: info.uuid,
            state: info.state.into(),
            reason: info.reason,
            indices: info.indices.into_iter().map(index).collect(),
            collections: info.collections.into_iter().map(collection).collect(),
            disks_of: None,
            include_global_state: info.include_global_state,
            metadata: info.metadata,
            policy: info.policy.as_deref().map(policies::id_of),
            locked_until_ms: info.locked_until_ms,
            start_ms: info.start_ms,
            end_ms: info.end_ms,
            shards_total: info.shards_total,
            shards_successful: info.shards_successful,
            shards_failed: info.shards_failed,
            failures: info.failures.into_iter().map(failure).collect(),
            restic_id: info.restic_id,
        }
    }
}

impl From<engine::SnapshotStatus> for SnapshotStatus {
    fn from(status: engine::SnapshotStatus) -> Self {
        let phase = match status.phase {
            engine::SnapshotPhase::Init => "INIT",
            engine::SnapshotPhase::Started => "STARTED",
            engine::SnapshotPhase::Aborted => "ABORTED",
            engine::SnapshotPhase::Success => "SUCCESS",
            engine::SnapshotPhase::Partial => "PARTIAL",
            engine::SnapshotPhase::Failed => "FAILED",
        };
        let mut shards = Vec::new();
        for index in status.indices.into_iter().chain(status.collections) {
            shards.extend(
                index
                    .shards
                    .into_iter()
                    .map(|shard| shard_status(&index.name, shard)),
            );
        }
        Self {
            snapshot: status.info.into(),
            phase: phase.to_owned(),
            shards,
            stored_bytes: status.stored_bytes,
            throttled_ms: status.throttled_ns / NANOSECONDS_PER_MILLISECOND,
        }
    }
}

fn shard_status(index: &str, shard: engine::ShardStatus) -> ShardStatus {
    let stage = match shard.stage {
        engine::ShardStage::Init => "INIT",
        engine::ShardStage::Started => "STARTED",
        engine::ShardStage::Finalize => "FINALIZE",
        engine::ShardStage::Done => "DONE",
        engine::ShardStage::Failure => "FAILURE",
    };
    ShardStatus {
        index: index.to_owned(),
        shard: shard.shard,
        name: shard.name,
        stage: stage.to_owned(),
        new_bytes: shard.incremental.bytes,
        processed_bytes: shard.processed.bytes,
        total_bytes: shard.total.bytes,
        reason: shard.reason,
    }
}

impl From<engine::JobInfo> for Job {
    fn from(job: engine::JobInfo) -> Self {
        let kind = match job.kind {
            engine::JobKind::Snapshot => JobKind::Snapshot,
            engine::JobKind::Restore => JobKind::Restore,
            engine::JobKind::Delete => JobKind::Delete,
            engine::JobKind::Clone => JobKind::Clone,
            engine::JobKind::Check => JobKind::Check,
            engine::JobKind::Prune => JobKind::Prune,
            engine::JobKind::VolumeSnapshot => JobKind::VolumeSnapshot,
            engine::JobKind::VolumeDelete => JobKind::VolumeDelete,
            engine::JobKind::VolumeApply => JobKind::VolumeApply,
            engine::JobKind::VolumeCreate => JobKind::VolumeCreate,
            engine::JobKind::ImageCapture => JobKind::ImageCapture,
        };
        let state = match job.state {
            engine::JobState::Queued => JobState::Queued,
            engine::JobState::Running => JobState::Running,
            engine::JobState::Succeeded => JobState::Succeeded,
            engine::JobState::Failed => JobState::Failed,
            engine::JobState::Cancelled => JobState::Cancelled,
        };
        let progress = JobProgress {
            phase: job.progress.phase,
            bytes_done: job.progress.bytes_done,
            bytes_total: job.progress.bytes_total,
            items_done: job.progress.items_done,
            items_total: job.progress.items_total,
            stored_bytes: job.progress.stored_bytes,
            throttled_ms: job.progress.throttled_ns / NANOSECONDS_PER_MILLISECOND,
        };
        Self {
            id: job.id,
            kind,
            repository: job.repository,
            subject: job.subject,
            resources: job.resources,
            state,
            created_ms: job.created_ms,
            started_ms: job.started_ms,
            finished_ms: job.finished_ms,
            progress,
            error: job.error,
            result: job.result,
        }
    }
}
