//! Checking a repository: that everything snapshots need is there and, if asked for, that every byte is what was written.

use super::index_files::for_each_index;
use super::losses::{Loss, name_losses};
use super::pack_check::PackChecker;
use super::walk::{TreeVisitor, TreeWalk};
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::pack::TRAILER_BYTES;
use crate::format::{BlobKind, IndexPack, NodeKind, OVERHEAD_BYTES, PackEntry, Tree};
use crate::ids::{BlobId, PackId, SnapshotId};
use crate::repository::{Repository, step_back};
use crate::storage::FileKind;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Packs that are verified as one piece of work before the next index files are opened.
const BATCH_PACKS: usize = 256;

/// How much of the stored data is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReadData {
    /// Only indices, snapshots and directories.
    None,
    /// Every byte.
    All,
    /// Every pack with this probability, 0 to 1.
    Sample(f64),
}

/// What to check.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// How much of the data is read.
    pub read_data: ReadData,
    /// Which packs a sample takes depends on this alone.
    pub sample_seed: u64,
    /// Stops the check.
    pub cancel: CancelFlag,
    /// Figures for people who wait.
    pub progress: Arc<CheckProgress>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            read_data: ReadData::None,
            sample_seed: rand::rng().random(),
            cancel: CancelFlag::new(),
            progress: Arc::default(),
        }
    }
}

/// How far a check is.
#[derive(Debug, Default)]
pub struct CheckProgress {
    /// Bytes of packs that will be read.
    pub bytes_total: AtomicU64,
    /// Bytes of packs that were read.
    pub bytes_done: AtomicU64,
    /// Directories that were read.
    pub trees_done: AtomicU64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of thing.
    pub part: Part,
    /// Which one, as 64 digits.
    pub id: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The result of a check.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Snapshots that could be read.
    pub snapshots: u64,
    /// Directories that could be read.
    pub trees: u64,
    /// Packs that an index names.
    pub packs: u64,
    /// Packs whose bytes were read.
    pub packs_read: u64,
    /// Bytes of packs that were read.
    pub bytes_read: u64,
    /// Packs that no index names: left by interrupted work, or being written. Prune removes the former.
    pub packs_without_index: u64,
    /// What is wrong. Empty means that the repository is good, as far as it was read.
    pub problems: Vec<Problem>,
    /// Paths of snapshots that cannot be restored whole because of the problems.
    pub losses: Vec<Loss>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, part: Part, id: impl std::fmt::Display, detail: impl std::fmt::Display) {
        self.problems.push(Problem {
            part,
            id: id.to_string(),
            detail: detail.to_string(),
        });
    }
}

impl Repository {
    /// Checks the repository. Damage is in the report; an error means that the check could not be made.
    pub fn check(&self, options: &CheckOptions) -> Result<CheckReport, VaultError> {
        // In an empty folder, such as one whose storage is not mounted, there would be no damage to be found.
        self.check_identity()?;
        let _lock = self.lock(false)?;
        let mut check = Check {
            repository: self,
            options,
            report: CheckReport::default(),
            lost: HashSet::new(),
            roots: Vec::new(),
        };
        check.read_snapshots()?;
        self.refresh()?;
        check.compare_packs()?;
        check.walk_trees()?;
        if options.read_data != ReadData::None {
            check.read_packs()?;
        }
        check.name_losses()?;
        Ok(check.report)
    }
}

struct Check<'a> {
    repository: &'a Repository,
    options: &'a CheckOptions,
    report: CheckReport,
    lost: HashSet<BlobId>,
    roots: Vec<(SnapshotId, BlobId)>,
}

impl Check<'_> {
    fn read_snapshots(&mut self) -> Result<(), VaultError> {
        for entry in self.repository.storage().list(FileKind::Snapshot)? {
            let Ok(id) = entry.name.parse::<SnapshotId>() else {
                continue;
            };
            match self.repository.read_snapshot(&id) {
                Ok(snapshot) => {
                    self.report.snapshots += 1;
                    self.roots.push((id, snapshot.tree));
                }
                // Deleted since it was listed.
                Err(VaultError::MissingSnapshot { .. }) => {}
                Err(error) if error.is_damage() => self.report.add(Part::Snapshot, id, error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Every pack of the index must be there with the size that its blobs add up to.
    fn compare_packs(&mut self) -> Result<(), VaultError> {
        let mut stored: HashMap<PackId, u64> = HashMap::new();
        for entry in self.repository.storage().list(FileKind::Data)? {
            if let Ok(id) = entry.name.parse() {
                stored.insert(id, entry.size_bytes);
            }
        }
        let mut indexed: HashSet<PackId> = HashSet::new();
        let mut suspects = Vec::new();
        for_each_index(self.repository, |index| {
            let file = match index.content {
                Ok(file) => file,
                Err(error) => {
                    self.report.add(Part::Index, index.id, error);
                    return Ok(());
                }
            };
            for pack in &file.packs {
                if !indexed.insert(pack.id) {
                    continue;
                }
                let expected = pack_size(&pack.blobs);
                if stored.get(&pack.id) != Some(&expected) {
                    suspects.push(pack.clone());
                }
            }
            Ok(())
        })?;
        self.judge(suspects)?;
        self.report.packs = indexed.len() as u64;
        self.report.packs_without_index =
            stored.keys().filter(|id| !indexed.contains(*id)).count() as u64;
        Ok(())
    }

    /// Looks again at packs that were not listed as they should be: a running backup may have written one since, or a prune taken
    /// it away.
    fn judge(&mut self, suspects: Vec<IndexPack>) -> Result<(), VaultError> {
        if suspects.is_empty() {
            return Ok(());
        }
        let storage = self.repository.storage();
        let mut wrong = Vec::new();
        for pack in suspects {
            let expected = pack_size(&pack.blobs);
            match storage.size(FileKind::Data, &pack.id.to_string()) {
                Ok(size) if size == expected => {}
                Ok(size) => {
                    wrong.push((pack, format!("is {size} bytes long instead of {expected}")))
                }
                Err(error) if error.is_not_found() => wrong.push((pack, "is missing".to_owned())),
                Err(error) => return Err(error.into()),
            }
        }
        self.repository.refresh()?;
        let view = self.repository.index().view();
        let named: HashSet<PackId> = view.packs().map(|(pack, _)| pack).collect();
        for (pack, problem) in wrong {
            if named.contains(&pack.id) {
                self.report.add(Part::Pack, pack.id, problem);
                self.lost.extend(pack.blobs.iter().map(|entry| entry.id));
            }
        }
        Ok(())
    }

    fn walk_trees(&mut self) -> Result<(), VaultError> {
        let mut walk = TreeWalk::new(self.repository, &self.options.cancel);
        let mut visitor = StructureVisitor {
            repository: self.repository,
            progress: &self.options.progress,
            report: &mut self.report,
            lost: &mut self.lost,
        };
        for (_, root) in &self.roots {
            walk.walk(*root, &mut visitor)?;
        }
        Ok(())
    }

    fn read_packs(&mut self) -> Result<(), VaultError> {
        let mut seen: HashSet<PackId> = HashSet::new();
        let mut sampler = StdRng::seed_from_u64(self.options.sample_seed);
        let share = match self.options.read_data {
            ReadData::Sample(share) => share.clamp(0.0, 1.0),
            _ => 1.0,
        };
        let mut batch: Vec<IndexPack> = Vec::new();
        let repository = self.repository;
        for_each_index(repository, |index| {
            let packs = index.content.map(|file| file.packs).unwrap_or_default();
            for pack in packs {
                if seen.insert(pack.id) && sampler.random_bool(share) {
                    let bytes = pack_size(&pack.blobs);
                    self.options
                        .progress
                        .bytes_total
                        .fetch_add(bytes, Ordering::Relaxed);
                    batch.push(pack);
                }
            }
            if batch.len() >= BATCH_PACKS {
                self.read_batch(&std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        self.read_batch(&batch)
    }

    /// Verifies packs on all cores; each thread takes the next pack when it is done with one.
    fn read_batch(&mut self, packs: &[IndexPack]) -> Result<(), VaultError> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new((&mut self.report, &mut self.lost));
        let (repository, options) = (self.repository, self.options);
        let work = || -> Result<(), VaultError> {
            let mut checker = PackChecker::new(repository)?;
            while let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if options.cancel.is_cancelled() {
                    return Err(VaultError::Cancelled);
                }
                let size = pack_size(&pack.blobs);
                let findings = match checker.check(pack, size) {
                    Ok(findings) => findings,
                    // Missing or cut off: already told when sizes were compared.
                    Err(VaultError::Storage(error)) if !error.is_transient() => continue,
                    Err(error) => return Err(error),
                };
                options
                    .progress
                    .bytes_done
                    .fetch_add(size, Ordering::Relaxed);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.0.packs_read += 1;
                found.0.bytes_read += findings.bytes_read;
                for problem in findings.problems {
                    found.0.add(Part::Pack, pack.id, problem);
                }
                found
                    .1
                    .extend(findings.bad_blobs.into_iter().map(|(_, id)| id));
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let count = repository.options().worker_count().min(packs.len());
            let niceness = repository.options().niceness;
            let work_behind_others = move || {
                step_back(niceness);
                work()
            };
            let workers: Vec<_> = (0..count)
                .map(|_| scope.spawn(work_behind_others))
                .collect();
            for worker in workers {
                let crashed = |_| VaultError::Internal("verifying a pack panicked".to_owned());
                worker.join().map_err(crashed)??;
            }
            Ok(())
        })
    }

    fn name_losses(&mut self) -> Result<(), VaultError> {
        if !self.lost.is_empty() {
            self.report.losses = name_losses(self.repository, &self.roots, &self.lost)?;
        }
        Ok(())
    }
}

struct StructureVisitor<'a> {
    repository: &'a Repository,
    progress: &'a CheckProgress,
    report: &'a mut CheckReport,
    lost: &'a mut HashSet<BlobId>,
}

impl TreeVisitor for StructureVisitor<'_> {
    fn tree(&mut self, id: &BlobId, tree: &Tree) -> Result<(), VaultError> {
        self.report.trees += 1;
        self.progress.trees_done.fetch_add(1, Ordering::Relaxed);
        for node in tree.nodes() {
            match node.kind {
                NodeKind::File if node.content.is_none() => {
                    self.report.add(
                        Part::Tree,
                        id,
                        format!("file {} has no content list", node.name_text()),
                    );
                }
                NodeKind::Dir if node.subtree.is_none() => {
                    self.report.add(
                        Part::Tree,
                        id,
                        format!("folder {} has no tree", node.name_text()),
                    );
                }
                _ => {}
            }
            for blob in node.content.iter().flatten() {
                if self.repository.locate(BlobKind::Data, blob)?.is_none()
                    && self.lost.insert(*blob)
                {
                    self.report.add(Part::Data, blob, "is in no index");
                }
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, id: &BlobId, error: VaultError) -> Result<(), VaultError> {
        self.lost.insert(*id);
        self.report.add(Part::Tree, id, error);
        Ok(())
    }
}

/// The size of a pack with these blobs.
pub(super) fn pack_size(blobs: &[PackEntry]) -> u64 {
    let header: u64 = blobs
        .iter()
        .map(|entry| {
            if entry.uncompressed_length.is_some() {
                41
            } else {
                37
            }
        })
        .sum();
    let end = blobs.iter().map(PackEntry::end).max().unwrap_or_default();
    end + header + (OVERHEAD_BYTES + TRAILER_BYTES) as u64
}
