//! Reclaiming the space of blobs that no snapshot needs.

use super::index_files::{delete_index, for_each_index, write_index};
use super::lease::PruneLease;
use super::marks::{self, StoredMark};
use super::plan::{Plan, make_plan};
use super::repack::{OnDamage, copy_blobs};
use super::sweep::{sweep, used_or_put_back};
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::IndexPack;
use crate::ids::{IndexId, PackId};
use crate::repository::Repository;
use std::collections::HashSet;

/// Bytes nobody needs that may stay in packs, relative to the needed ones, unless told otherwise.
const DEFAULT_MAX_UNUSED: f64 = 0.05;

/// How to prune.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// Share of unneeded bytes that may stay in partly used packs, relative to the needed ones. 0 rewrites all such packs.
    pub max_unused: f64,
    /// Stops the prune between two steps; what it has done so far stays valid.
    pub cancel: CancelFlag,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            max_unused: DEFAULT_MAX_UNUSED,
            cancel: CancelFlag::new(),
        }
    }
}

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Packs that left the index in this run.
    pub packs_marked: u64,
    /// Bytes of those packs.
    pub bytes_marked: u64,
    /// Bytes that were written anew because they shared packs with unneeded ones.
    pub bytes_rewritten: u64,
    /// Packs deleted from the storage.
    pub packs_deleted: u64,
    /// Blobs in the deleted packs.
    pub blobs_deleted: u64,
    /// Bytes by which the packs in the storage shrank or, once writers have ended, will shrink.
    pub bytes_reclaimed: u64,
    /// Packs that wait for the end of writers that may have seen them.
    pub packs_waiting: u64,
    /// Marked packs that a snapshot came to need.
    pub packs_put_back: u64,
    /// Unneeded bytes that stay in partly used packs.
    pub bytes_unused_kept: u64,
}

impl Repository {
    /// Removes what no snapshot needs, beside running backups. See the documentation of this module's folder for the two phases.
    ///
    /// Nothing is removed when a snapshot or an index file cannot be read: repair the repository first.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport, VaultError> {
        let cancel = &options.cancel;
        self.check_identity()?;
        let _lock = self.lock(false)?;
        let mut lease = PruneLease::take(self)?;
        let mut report = PruneReport::default();
        self.refresh()?;
        let mut stored = marks::read_marks(self)?;
        let used = used_or_put_back(self, stored.iter(), cancel, &mut report)?;
        for mark in stored.iter_mut().filter(|mark| mark.seal.is_none()) {
            marks::seal(self, mark)?;
        }
        let marked: HashSet<PackId> = stored
            .iter()
            .flat_map(|mark| &mark.mark.packs)
            .map(|pack| pack.id)
            .collect();
        let plan = make_plan(self, &used, &marked, options.max_unused)?;
        report.bytes_unused_kept = plan.unused_bytes_kept;
        report.bytes_rewritten = plan.rewritten_bytes;
        if let Some(mark) = self.apply(plan, &mut lease, cancel, &mut report)? {
            stored.push(mark);
        }
        let is_current = used.is_current(self)?;
        sweep(
            self,
            stored,
            is_current.then_some(used),
            cancel,
            &mut report,
        )?;
        Ok(report)
    }

    /// The first phase. Every step is durable before the next begins; after a crash between any two of them all blobs that
    /// snapshots need are in the index:
    /// copies are indexed → the mark is written → index files without the packs are written → the old index files go → the seal.
    fn apply(
        &self,
        plan: Plan,
        lease: &mut PruneLease<'_>,
        cancel: &CancelFlag,
        report: &mut PruneReport,
    ) -> Result<Option<StoredMark>, VaultError> {
        let copied = copy_blobs(self, &plan.rewrite, OnDamage::Fail, cancel, || {
            lease.renew()
        })?;
        write_index(self, copied.packs)?;
        let removed: HashSet<PackId> = plan.remove.iter().map(|pack| pack.id).collect();
        let mut packs = plan.remove;
        let stray_bytes: u64 = plan.stray.iter().map(|(_, size)| size).sum();
        // What a stray holds is not known and need not be: no snapshot can refer to it unless its writer indexes it first.
        packs.extend(plan.stray.into_iter().map(|(id, _)| IndexPack {
            id,
            blobs: Vec::new(),
        }));
        report.packs_marked = packs.len() as u64;
        report.bytes_marked = plan.removed_bytes + stray_bytes;
        report.bytes_reclaimed = report.bytes_marked.saturating_sub(plan.rewritten_bytes);
        let mut mark = if packs.is_empty() {
            None
        } else {
            Some(marks::write_mark(self, packs)?)
        };
        lease.renew()?;
        replace_indices(self, &removed, &plan.joined_indices.into_iter().collect())?;
        self.refresh()?;
        if let Some(mark) = &mut mark {
            marks::seal(self, mark)?;
        }
        Ok(mark)
    }
}

/// Writes all index files anew that name one of the packs or are to be joined, without those packs.
fn replace_indices(
    repository: &Repository,
    removed: &HashSet<PackId>,
    joined: &HashSet<IndexId>,
) -> Result<(), VaultError> {
    if removed.is_empty() && joined.is_empty() {
        return Ok(());
    }
    let mut kept: Vec<IndexPack> = Vec::new();
    let mut replaced = Vec::new();
    let mut known: HashSet<PackId> = HashSet::new();
    for_each_index(repository, |index| {
        let file = index.content?;
        let is_affected = file.packs.iter().any(|pack| removed.contains(&pack.id));
        if !is_affected && !joined.contains(&index.id) {
            return Ok(());
        }
        replaced.push(index.id);
        for pack in file.packs {
            if !removed.contains(&pack.id) && known.insert(pack.id) {
                kept.push(pack);
            }
        }
        Ok(())
    })?;
    let written = write_index(repository, kept)?;
    replaced.retain(|id| !written.contains(id));
    delete_index(repository, &replaced)
}
