//! Storing one captured point.

use std::sync::Arc;

use snapkeep_drivers::volume::VolumeError;
use snapkeep_vault::{BackupOptions, BackupProgress, Node, Time, VaultError};

use super::accept::AcceptedPoint;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{
    INSTANCE_FILE, INSTANCES_DIRECTORY, InstanceDescription, MANIFEST_FILE, Manifest,
    VOLUMES_DIRECTORY, VOLUMES_FORMAT,
};
use crate::model::{PointKind, SnapshotState};
use crate::repositories::OpenVault;
use crate::snapshots::{Stored, complete};
use crate::volumes::capture::{
    CapturedDisk, DiskFailure, Purpose, VolumeState, WrittenDisk, save_tree, store_disk, store_json,
};

/// Why a point could not be stored, in the words of the engine.
fn told(repository: &str, failure: DiskFailure) -> EngineError {
    match failure {
        DiskFailure::Vault(error @ VaultError::Source { .. }) => {
            EngineError::PointsFailed(error.to_string())
        }
        DiskFailure::Vault(error) => EngineError::RepositoryUnavailable {
            repository: repository.to_owned(),
            reason: error.to_string(),
        },
        DiskFailure::Source(error) => EngineError::PointsFailed(error.to_string()),
        DiskFailure::Proof(_) => EngineError::PointsFailed(failure.to_string()),
        DiskFailure::Internal(text) => EngineError::Internal(text),
    }
}

/// Stores a point and lets go of the captures, which then know whether it is durable. Blocks.
pub(super) fn store_point(
    inner: &Arc<Inner>,
    vault: &OpenVault,
    point: &AcceptedPoint,
    disks: Vec<CapturedDisk>,
    state: &VolumeState,
) -> Result<Stored, EngineError> {
    let mut written = Vec::new();
    let result = write(inner, vault, point, &disks, state, &mut written);
    let uuid = &point.running.snapshot.accepted.uuid;
    let kept_as = result.is_ok().then_some(uuid.as_str());
    settle(disks, kept_as, state);
    for disk in written {
        match kept_as {
            Some(_) => disk.keep_digests(),
            None => disk.discard(),
        }
    }
    result.map_err(|failure| told(&point.running.snapshot.accepted.repository, failure))
}

/// Ends captures and keeps what the drivers remember.
pub(super) fn settle(disks: Vec<CapturedDisk>, kept_as: Option<&str>, state: &VolumeState) {
    for disk in disks {
        let volume = disk.volume.id;
        let token = match disk.capture.settle(kept_as) {
            Ok(token) => token,
            Err(error) => {
                tracing::warn!(volume, %error, "changes of a volume cannot be followed; the next snapshot reads everything");
                None
            }
        };
        // After a failure what was kept before still holds, unless there is something in its place.
        if (kept_as.is_some() || token.is_some())
            && let Err(error) = state.keep_token(&volume, token.as_ref())
        {
            tracing::warn!(volume, %error, "changes of a volume cannot be noted; the next snapshot reads everything");
        }
    }
}

fn write(
    inner: &Inner,
    vault: &OpenVault,
    point: &AcceptedPoint,
    disks: &[CapturedDisk],
    state: &VolumeState,
    written: &mut Vec<WrittenDisk>,
) -> Result<Stored, DiskFailure> {
    let running = &point.running.snapshot;
    let record = point.running.record();
    let cancel = &running.job.cancel;
    let options = BackupOptions {
        cancel: cancel.clone(),
        progress: Arc::clone(&running.progress),
        ..BackupOptions::default()
    };
    let backup = vault
        .for_counted_job(cancel, &running.sent)
        .backup(options)?;
    let millisecond = u32::try_from(record.snapshot_ms.rem_euclid(1000)).unwrap_or_default();
    let time = Time::from_unix(record.snapshot_ms.div_euclid(1000), millisecond * 1_000_000);
    let purpose = Purpose {
        repository: &vault.id,
        snapshot: &running.accepted.uuid,
        time,
    };
    for disk in disks {
        written.push(store_disk(&backup, disk, state, purpose)?);
    }
    for disk in disks {
        disk.capture.verify().map_err(DiskFailure::Source)?;
    }
    point.running.set_taken();
    let accepted = &running.accepted;
    let manifest = Manifest {
        format: VOLUMES_FORMAT,
        written_by: accepted.written_by.clone(),
        name: accepted.name.clone(),
        uuid: accepted.uuid.clone(),
        state: SnapshotState::Success,
        start_ms: accepted.start_ms,
        end_ms: inner.config.clock.now_ms(),
        include_global_state: false,
        partial: false,
        metadata: accepted.metadata.clone(),
        throttled_ns: running.throttled_ns(),
        stored_bytes: BackupProgress::value(&running.progress.bytes_stored),
        policy: None,
        indices: Vec::new(),
        collections: Vec::new(),
        point: Some(record),
        volumes: written.iter().map(|disk| disk.disk.clone()).collect(),
    };
    let volumes = written.iter().map(|disk| disk.node.clone()).collect();
    let nothing = save_tree(&backup, Vec::new())?;
    let mut root = vec![
        store_json(&backup, MANIFEST_FILE, &manifest, time)?,
        // What reads format 1 expects the folder of indices, empty or not.
        Node::dir("indices", time, nothing),
        Node::dir(VOLUMES_DIRECTORY, time, save_tree(&backup, volumes)?),
    ];
    if point.target.resource.kind == PointKind::Instance
        && let Some(instance) = &point.target.instance
    {
        let description = InstanceDescription {
            layout: VOLUMES_FORMAT,
            id: instance.id.clone(),
            name: instance.name.clone(),
            description: instance.description.clone(),
            disks: instance.volumes.clone(),
            host: instance.host.clone(),
        };
        let file = store_json(&backup, INSTANCE_FILE, &description, time)?;
        let own = Node::dir(instance.id.as_str(), time, save_tree(&backup, vec![file])?);
        let instances = save_tree(&backup, vec![own])?;
        root.push(Node::dir(INSTANCES_DIRECTORY, time, instances));
    }
    let root = save_tree(&backup, root)?;
    // The last moment at which a cancellation leaves nothing behind.
    if cancel.is_cancelled() {
        return Err(DiskFailure::Source(VolumeError::Cancelled));
    }
    Ok(complete(backup, manifest, root, time, running)?)
}
