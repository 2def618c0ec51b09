//! The end of a backup: last packs, index, snapshot, in this order.

use super::BackupSummary;
use super::packer::PACK_TARGET_BYTES;
use super::session::{Session, lock};
use super::source::SinkClosed;
use super::upload::Uploads;
use crate::error::VaultError;
use crate::format::{Compressor, FormatError, PackBuilder, SnapshotFile, Time};
use crate::ids::SnapshotId;
use crate::repository::retry_unless;
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) fn finish(
    session: &Arc<Session>,
    mut snapshot: SnapshotFile,
    started: Time,
) -> Result<(SnapshotId, BackupSummary), VaultError> {
    session.check_failure()?;
    upload_last_packs(session)?;
    Uploads::wait_all(session)?;
    session.write_remaining_index()?;
    let ended = Time::now();
    let summary = BackupSummary {
        started,
        ended,
        data_blobs: session.data_blobs.load(Ordering::Relaxed),
        tree_blobs: session.tree_blobs.load(Ordering::Relaxed),
        data_added: session.bytes_new.load(Ordering::Relaxed),
        data_added_packed: session.bytes_stored.load(Ordering::Relaxed),
        total_bytes_processed: session.bytes_processed.load(Ordering::Relaxed),
    };
    if let Some(figures) = &mut snapshot.summary {
        figures.backup_start = started;
        figures.backup_end = ended;
        figures.data_blobs = summary.data_blobs.cast_signed();
        figures.tree_blobs = summary.tree_blobs.cast_signed();
        figures.data_added = summary.data_added;
        figures.data_added_packed = summary.data_added_packed;
        figures.total_bytes_processed = summary.total_bytes_processed;
    }
    session.check_failure()?;
    session.check_lock()?;
    session.keep_relied()?;
    let id = write_snapshot(session, &snapshot)?;
    if let Err(error) = session.keep_relied() {
        remove_snapshot(session, id);
        return Err(error);
    }
    session.release_lock();
    Ok((id, summary))
}

/// Puts the packs that are not full together as far as they fit, and uploads them.
fn upload_last_packs(session: &Arc<Session>) -> Result<(), VaultError> {
    let key = session.repository.master_key();
    let mut workers = session.take_idle_workers();
    let builders = workers
        .iter_mut()
        .filter_map(|worker| worker.packer.take_builder())
        .collect();
    let mut packs = Vec::new();
    if let Some(worker) = workers.first_mut() {
        for builder in combine(builders)? {
            packs.push(worker.packer.seal(key, builder)?);
        }
    }
    drop(workers);
    packs.extend(lock(&session.tree_packer).finish(key)?);
    // A single pack needs no thread.
    if packs.len() == 1 && session.uploads.is_idle() {
        return packs.into_iter().try_for_each(|pack| session.upload(pack));
    }
    for pack in packs {
        Uploads::submit(session, pack).map_err(|SinkClosed| session.take_failure())?;
    }
    Ok(())
}

/// Moves the blobs of smaller packs into larger ones while they stay below the target size.
fn combine(mut builders: Vec<PackBuilder>) -> Result<Vec<PackBuilder>, VaultError> {
    builders.sort_by_key(|builder| std::cmp::Reverse(builder.blob_bytes()));
    let mut combined: Vec<PackBuilder> = Vec::with_capacity(builders.len());
    for builder in builders {
        let target = combined
            .iter_mut()
            .find(|target| target.blob_bytes() + builder.blob_bytes() <= PACK_TARGET_BYTES);
        match target {
            Some(target) => target.append(&builder).map_err(internal)?,
            None => combined.push(builder),
        }
    }
    Ok(combined)
}

fn write_snapshot(session: &Session, snapshot: &SnapshotFile) -> Result<SnapshotId, VaultError> {
    let sealed = Compressor::new(session.options.zstd_level)
        .and_then(|mut compressor| snapshot.seal(session.repository.master_key(), &mut compressor))
        .map_err(internal)?;
    let id = SnapshotId::of(&sealed);
    let name = id.to_string();
    let data = Bytes::from(sealed);
    let storage = session.repository.storage();
    let written = retry_unless(&|| session.is_ending(), || {
        storage.put(FileKind::Snapshot, &name, data.clone(), PutMode::Overwrite)
    });
    if let Err(error) = written {
        // After an error the file may be there all the same; nobody may find a snapshot of a backup that was reported as failed.
        remove_snapshot(session, id);
        return Err(error);
    }
    Ok(id)
}

fn remove_snapshot(session: &Session, id: SnapshotId) {
    let storage = session.repository.storage();
    if let Err(error) = storage.delete(FileKind::Snapshot, &id.to_string()) {
        tracing::warn!(snapshot = %id, %error, "a failed backup may have left its snapshot");
    }
}

fn internal(error: FormatError) -> VaultError {
    VaultError::Internal(format!("encoding failed: {error}"))
}
