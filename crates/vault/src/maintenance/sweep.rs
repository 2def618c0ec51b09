//! The second phase of a prune: deleting packs that left the index, once nobody can still count on them.

use super::index_files::write_index;
use super::marks::{self, StoredMark};
use super::plan::{UsedBlobs, used_blobs};
use super::prune::PruneReport;
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::IndexPack;
use crate::ids::PackId;
use crate::repository::{Repository, retry};
use crate::storage::FileKind;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Deletions in flight at once: on remote storage each is a round trip.
const PARALLEL_DELETES: usize = 8;

/// Deletes or puts back the packs of all marks whose writers have ended.
///
/// A writer that began before a mark was sealed may have found blobs of its packs in the index and refer to them; when it has ended
/// its snapshot is there, and the blobs count as used. A writer that began later never saw those packs.
/// So: writers ended → look at snapshots → decide, in this order. Packs of marks that still wait come back too where a snapshot
/// needs them; nobody has to wait for the end of others to read it.
pub(super) fn sweep(
    repository: &Repository,
    stored: Vec<StoredMark>,
    known: Option<UsedBlobs>,
    cancel: &CancelFlag,
    report: &mut PruneReport,
) -> Result<(), VaultError> {
    let mut ready = Vec::new();
    let mut waiting = Vec::new();
    for mark in stored {
        match &mark.seal {
            Some(seal) if !marks::is_waiting(repository, seal)? => ready.push(mark),
            _ => waiting.push(mark),
        }
    }
    let waiting_packs = || waiting.iter().flat_map(|mark| &mark.mark.packs);
    report.packs_waiting += waiting_packs().count() as u64;
    // Asked anew only if snapshots have come, since before that no mark can have become needed.
    if ready.is_empty() && (waiting.is_empty() || known.is_some()) {
        return Ok(());
    }
    let used = match known {
        Some(used) => used,
        None => used_or_put_back(repository, ready.iter().chain(&waiting), cancel, report)?,
    };
    repository.refresh()?;
    let mut kept = indexed_packs(repository);
    for mark in &waiting {
        let (needed, _) = split(repository, &mark.mark.packs, &used, &kept)?;
        report.packs_put_back += needed.len() as u64;
        write_index(repository, needed)?;
    }
    // A pack that a later mark names too waits for the writers of both.
    kept.extend(waiting_packs().map(|pack| pack.id));
    for mark in ready {
        let (needed, unneeded) = split(repository, &mark.mark.packs, &used, &kept)?;
        report.packs_put_back += needed.len() as u64;
        write_index(repository, needed)?;
        delete_packs(repository, &unneeded, cancel)?;
        report.packs_deleted += unneeded.len() as u64;
        report.blobs_deleted += unneeded
            .iter()
            .map(|pack| pack.blobs.len() as u64)
            .sum::<u64>();
        // A crash before this line only makes the next prune delete what is gone already.
        marks::remove(repository, &mark.name)?;
    }
    repository.refresh()
}

/// What snapshots need. Where directories of theirs cannot be found all marked packs come back first: a writer that was killed
/// right after it had written its snapshot leaves it so.
pub(super) fn used_or_put_back<'a>(
    repository: &Repository,
    stored: impl Iterator<Item = &'a StoredMark>,
    cancel: &CancelFlag,
    report: &mut PruneReport,
) -> Result<UsedBlobs, VaultError> {
    let error = match used_blobs(repository, cancel) {
        Err(error) if error.is_damage() => error,
        result => return result,
    };
    repository.refresh()?;
    let indexed = indexed_packs(repository);
    let mut back = Vec::new();
    for pack in stored.flat_map(|mark| &mark.mark.packs) {
        if !indexed.contains(&pack.id)
            && !pack.blobs.is_empty()
            && repository
                .storage()
                .exists(FileKind::Data, &pack.id.to_string())?
        {
            back.push(pack.clone());
        }
    }
    if back.is_empty() {
        return Err(error);
    }
    report.packs_put_back += back.len() as u64;
    write_index(repository, back)?;
    repository.refresh()?;
    used_blobs(repository, cancel)
}

fn indexed_packs(repository: &Repository) -> HashSet<PackId> {
    let view = repository.index().view();
    view.packs().map(|(pack, _)| pack).collect()
}

/// Packs that a snapshot came to need, and packs that can go. Those that are `kept` anyway are in neither.
fn split(
    repository: &Repository,
    packs: &[IndexPack],
    used: &UsedBlobs,
    kept: &HashSet<PackId>,
) -> Result<(Vec<IndexPack>, Vec<IndexPack>), VaultError> {
    let mut needed = Vec::new();
    let mut unneeded = Vec::new();
    for pack in packs.iter().filter(|pack| !kept.contains(&pack.id)) {
        let mut is_needed = false;
        for entry in &pack.blobs {
            if used.contains(entry) && repository.locate(entry.kind, &entry.id)?.is_none() {
                is_needed = true;
                break;
            }
        }
        if is_needed {
            // A mark that came back after a power cut may name packs that are gone: those must not get into the index.
            if repository
                .storage()
                .exists(FileKind::Data, &pack.id.to_string())?
            {
                needed.push(pack.clone());
            }
        } else {
            unneeded.push(pack.clone());
        }
    }
    Ok((needed, unneeded))
}

fn delete_packs(
    repository: &Repository,
    packs: &[IndexPack],
    cancel: &CancelFlag,
) -> Result<(), VaultError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), VaultError> {
        while let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let name = pack.id.to_string();
            retry(cancel, || {
                repository.storage().delete(FileKind::Data, &name)
            })?;
        }
        Ok(())
    };
    if packs.len() == 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let count = PARALLEL_DELETES.min(packs.len());
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let crashed = |_| VaultError::Internal("deleting a pack panicked".to_owned());
            worker.join().map_err(crashed)??;
        }
        Ok(())
    })
}
