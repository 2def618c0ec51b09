//! Repairing a repository as far as its content allows, and naming what is lost.

use super::check::pack_size;
use super::index_files::{delete_index, for_each_index, write_index};
use super::lease::PruneLease;
use super::losses::{Loss, name_losses};
use super::pack_check::PackChecker;
use super::repack::{OnDamage, copy_blobs};
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::IndexPack;
use crate::ids::{BlobId, IndexId, PackId};
use crate::repository::{Repository, retry};
use crate::storage::{FileKind, PutMode};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Where damaged packs are set aside, below the folder of our own files.
const DAMAGED_FOLDER: &str = "damaged";

/// How to repair.
#[derive(Debug, Clone, Default)]
pub struct RepairOptions {
    /// Read every byte to find damaged packs; otherwise only those are found whose size is wrong.
    pub read_data: bool,
    /// Stops the repair before it changes anything.
    pub cancel: CancelFlag,
}

/// What a repair did.
#[derive(Debug, Clone, Default)]
pub struct RepairReport {
    /// Index files that could not be read and were removed.
    pub indices_removed: u64,
    /// Packs that no index named and that are in the index now.
    pub packs_indexed: u64,
    /// Packs that the index named but that are not there.
    pub packs_missing: u64,
    /// Damaged packs, set aside as `snapkeep/damaged/<id>`; what was whole in them was copied to new packs.
    pub packs_set_aside: u64,
    /// Blobs that are gone for good.
    pub blobs_lost: Vec<BlobId>,
    /// Paths of snapshots that cannot be restored whole.
    pub losses: Vec<Loss>,
}

impl Repository {
    /// Rebuilds the index from the packs, saves what is whole in damaged packs, and says which paths of which snapshots are lost.
    ///
    /// Needs the repository for itself: fails with [`VaultError::Locked`] while anyone else works in it. Damaged packs are set aside, not
    /// deleted; snapshots are left as they are.
    pub fn repair(&self, options: &RepairOptions) -> Result<RepairReport, VaultError> {
        self.check_identity()?;
        let _lock = self.lock(true)?;
        let mut lease = PruneLease::take(self)?;
        let mut survey = Survey::new(self)?;
        survey.index_stray_packs(self)?;
        survey.find_damage(self, options)?;
        let mut report = RepairReport {
            indices_removed: survey.unreadable.len() as u64,
            packs_indexed: survey.found.len() as u64,
            packs_missing: survey.missing.len() as u64,
            packs_set_aside: survey.damaged.len() as u64,
            ..RepairReport::default()
        };
        let damaged: Vec<IndexPack> = survey.damaged.values().cloned().collect();
        let copied = copy_blobs(self, &damaged, OnDamage::LeaveOut, &options.cancel, || {
            lease.renew()
        })?;
        let mut lost: HashSet<BlobId> = copied.lost.into_iter().collect();
        lost.extend(
            survey
                .missing
                .values()
                .flat_map(|pack| &pack.blobs)
                .map(|entry| entry.id),
        );
        survey.rewrite(self, copied.packs)?;
        for pack in survey.damaged.keys() {
            set_aside(self, pack)?;
        }
        self.refresh()?;
        // Another copy of a blob may be in a pack that is whole.
        let mut blobs_lost = Vec::new();
        for id in lost {
            let data = self.locate(crate::format::BlobKind::Data, &id)?;
            if data.is_none() && self.locate(crate::format::BlobKind::Tree, &id)?.is_none() {
                blobs_lost.push(id);
            }
        }
        blobs_lost.sort();
        report.losses = self.named_losses(&blobs_lost)?;
        report.blobs_lost = blobs_lost;
        Ok(report)
    }

    fn named_losses(&self, lost: &[BlobId]) -> Result<Vec<Loss>, VaultError> {
        let roots: Vec<_> = self
            .list_snapshots()?
            .into_iter()
            .map(|(id, snapshot)| (id, snapshot.tree))
            .collect();
        name_losses(self, &roots, &lost.iter().copied().collect())
    }
}

struct Survey {
    stored: HashMap<PackId, u64>,
    unreadable: Vec<IndexId>,
    /// Index files that stay as they are unless one of their packs is missing or damaged.
    readable: Vec<IndexId>,
    /// Packs of the index that are there.
    indexed: BTreeMap<PackId, IndexPack>,
    missing: BTreeMap<PackId, IndexPack>,
    damaged: BTreeMap<PackId, IndexPack>,
    /// Packs that no index named.
    found: BTreeMap<PackId, IndexPack>,
}

impl Survey {
    fn new(repository: &Repository) -> Result<Self, VaultError> {
        let stored = repository.storage().list(FileKind::Data)?;
        let stored = stored
            .into_iter()
            .filter_map(|entry| Some((entry.name.parse().ok()?, entry.size_bytes)))
            .collect();
        let mut survey = Self {
            stored,
            unreadable: Vec::new(),
            readable: Vec::new(),
            indexed: BTreeMap::new(),
            missing: BTreeMap::new(),
            damaged: BTreeMap::new(),
            found: BTreeMap::new(),
        };
        for_each_index(repository, |index| {
            let Ok(file) = index.content else {
                survey.unreadable.push(index.id);
                return Ok(());
            };
            survey.readable.push(index.id);
            for pack in file.packs {
                let target = match survey.stored.get(&pack.id) {
                    None => &mut survey.missing,
                    Some(size) if *size != pack_size(&pack.blobs) => &mut survey.damaged,
                    Some(_) => &mut survey.indexed,
                };
                target.insert(pack.id, pack);
            }
            Ok(())
        })?;
        Ok(survey)
    }

    /// Packs without index come back into it, those too that a prune took out: a snapshot may have come to need them, and what
    /// none needs the next prune takes out again.
    fn index_stray_packs(&mut self, repository: &Repository) -> Result<(), VaultError> {
        for (id, size) in &self.stored {
            if self.indexed.contains_key(id) || self.damaged.contains_key(id) {
                continue;
            }
            match repository.read_pack_header(id, *size) {
                Ok(blobs) => {
                    self.found.insert(*id, IndexPack { id: *id, blobs });
                }
                Err(error) if error.is_damage() => {
                    let blobs = Vec::new();
                    self.damaged.insert(*id, IndexPack { id: *id, blobs });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn find_damage(
        &mut self,
        repository: &Repository,
        options: &RepairOptions,
    ) -> Result<(), VaultError> {
        if !options.read_data {
            return Ok(());
        }
        let mut checker = PackChecker::new(repository)?;
        let mut bad = Vec::new();
        for pack in self.indexed.values().chain(self.found.values()) {
            if options.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            if !checker
                .check(pack, pack_size(&pack.blobs))?
                .problems
                .is_empty()
            {
                bad.push(pack.id);
            }
        }
        for id in bad {
            let pack = self.indexed.remove(&id).or_else(|| self.found.remove(&id));
            if let Some(pack) = pack {
                self.damaged.insert(id, pack);
            }
        }
        Ok(())
    }

    /// One new index of all packs that are whole; the old index files go when it is durable.
    fn rewrite(&self, repository: &Repository, copied: Vec<IndexPack>) -> Result<(), VaultError> {
        let is_clean = self.unreadable.is_empty()
            && self.missing.is_empty()
            && self.damaged.is_empty()
            && self.found.is_empty();
        if is_clean {
            return Ok(());
        }
        let whole = self.indexed.values().chain(self.found.values()).cloned();
        let written = write_index(repository, whole.chain(copied).collect())?;
        let mut replaced: Vec<IndexId> = self
            .readable
            .iter()
            .chain(&self.unreadable)
            .copied()
            .collect();
        replaced.retain(|id| !written.contains(id));
        delete_index(repository, &replaced)
    }
}

/// Moves a damaged pack out of the way of every tool, without losing its bytes.
fn set_aside(repository: &Repository, pack: &PackId) -> Result<(), VaultError> {
    let storage = repository.storage();
    let name = pack.to_string();
    let keep = CancelFlag::new();
    let bytes = retry(&keep, || storage.get(FileKind::Data, &name))?;
    let aside = format!("{DAMAGED_FOLDER}/{name}");
    retry(&keep, || {
        storage.put(FileKind::Side, &aside, bytes.clone(), PutMode::Overwrite)
    })?;
    retry(&keep, || storage.delete(FileKind::Data, &name))
}
