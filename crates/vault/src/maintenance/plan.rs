//! Deciding which packs stay, which are rewritten and which go.

use super::check::pack_size;
use super::index_files::for_each_index;
use super::walk::{TreeVisitor, TreeWalk};
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::{BlobKind, IndexPack, PackEntry, Tree};
use crate::ids::{BlobId, IndexId, PackId, SnapshotId};
use crate::repository::Repository;
use crate::storage::FileKind;
use std::collections::{BTreeSet, HashSet};

/// Packs below this size are joined when there are many of them.
const SMALL_PACK_BYTES: u64 = 4 << 20;

/// So many small packs of a kind are worth joining.
const MANY_SMALL_PACKS: usize = 32;

/// Index files with fewer blobs are joined when there are many of them.
const SMALL_INDEX_BLOBS: usize = 5_000;

/// So many small index files are worth joining.
const MANY_SMALL_INDICES: usize = 32;

/// Blobs that snapshots need.
pub(super) struct UsedBlobs {
    /// The snapshots that were asked.
    snapshots: HashSet<SnapshotId>,
    pub(super) data: HashSet<BlobId>,
    pub(super) trees: HashSet<BlobId>,
}

impl UsedBlobs {
    /// Whether the answer holds for the snapshots that are there now: some may have gone, none may have come.
    pub(super) fn is_current(&self, repository: &Repository) -> Result<bool, VaultError> {
        let now = repository.storage().list(FileKind::Snapshot)?;
        let known = |name: &str| name.parse().is_ok_and(|id| self.snapshots.contains(&id));
        Ok(now.iter().all(|entry| known(&entry.name)))
    }

    pub(super) fn contains(&self, entry: &PackEntry) -> bool {
        match entry.kind {
            BlobKind::Data => self.data.contains(&entry.id),
            BlobKind::Tree => self.trees.contains(&entry.id),
        }
    }
}

/// Everything that any snapshot refers to. A directory that cannot be read ends the search: what it refers to is not known, and
/// nothing may be removed on a guess.
pub(super) fn used_blobs(
    repository: &Repository,
    cancel: &CancelFlag,
) -> Result<UsedBlobs, VaultError> {
    let mut collector = Collector {
        data: HashSet::new(),
    };
    let mut walk = TreeWalk::new(repository, cancel);
    let mut snapshots = HashSet::new();
    for entry in repository.storage().list(FileKind::Snapshot)? {
        let Ok(id) = entry.name.parse::<SnapshotId>() else {
            continue;
        };
        // Not `list_snapshots`, which leaves out damaged ones: what those refer to must stay.
        match repository.read_snapshot(&id) {
            Ok(snapshot) => walk.walk(snapshot.tree, &mut collector)?,
            Err(VaultError::MissingSnapshot { .. }) => {}
            Err(error) => return Err(error),
        }
        snapshots.insert(id);
    }
    Ok(UsedBlobs {
        snapshots,
        data: collector.data,
        trees: walk.visited().clone(),
    })
}

struct Collector {
    data: HashSet<BlobId>,
}

impl TreeVisitor for Collector {
    fn tree(&mut self, _id: &BlobId, tree: &Tree) -> Result<(), VaultError> {
        self.data.extend(
            tree.nodes()
                .iter()
                .flat_map(|node| node.content.iter().flatten()),
        );
        Ok(())
    }

    fn unreadable(&mut self, _id: &BlobId, error: VaultError) -> Result<(), VaultError> {
        Err(error)
    }
}

/// What a prune will do.
#[derive(Default)]
pub(super) struct Plan {
    /// Packs that leave the repository, the rewritten ones among them.
    pub(super) remove: Vec<IndexPack>,
    /// Blobs that are written into new packs first.
    pub(super) rewrite: Vec<IndexPack>,
    /// Small index files that are joined.
    pub(super) joined_indices: BTreeSet<IndexId>,
    /// Packs in no index and in no mark, with their sizes: left by work that was cut off.
    pub(super) stray: Vec<(PackId, u64)>,
    /// Bytes of packs that leave, and of what is written anew for them.
    pub(super) removed_bytes: u64,
    pub(super) rewritten_bytes: u64,
    /// Bytes nobody needs in packs that stay.
    pub(super) unused_bytes_kept: u64,
}

struct PackUse {
    pack: IndexPack,
    live: Vec<PackEntry>,
    live_bytes: u64,
    dead_bytes: u64,
}

/// Compares the index with what is used. `max_unused` is the share of unneeded bytes that may stay, relative to the needed ones.
pub(super) fn make_plan(
    repository: &Repository,
    used: &UsedBlobs,
    marked: &HashSet<PackId>,
    max_unused: f64,
) -> Result<Plan, VaultError> {
    // Before the index: a pack that a writer finishes in between is then in the index, not taken for a stray.
    let stored = repository.storage().list(FileKind::Data)?;
    let mut plan = Plan::default();
    let mut survey = Survey::default();
    for_each_index(repository, |index| {
        let file = index.content?;
        if file.blob_count() < SMALL_INDEX_BLOBS {
            survey.small_indices.push(index.id);
        }
        for pack in file.packs {
            survey.add(pack, used, &mut plan);
        }
        Ok(())
    })?;
    if survey.small_indices.len() >= MANY_SMALL_INDICES {
        plan.joined_indices.extend(survey.small_indices.iter());
    }
    for entry in stored {
        if let Ok(id) = entry.name.parse::<PackId>()
            && !survey.seen.contains(&id)
            && !marked.contains(&id)
        {
            plan.stray.push((id, entry.size_bytes));
        }
    }
    survey.choose_rewrites(max_unused, &mut plan);
    Ok(plan)
}

#[derive(Default)]
struct Survey {
    /// Packs that an index names.
    seen: HashSet<PackId>,
    /// Blobs met in an earlier pack: a second copy is not needed.
    placed: HashSet<BlobId>,
    /// Packs that hold something nobody needs, or are small.
    candidates: Vec<PackUse>,
    small_indices: Vec<IndexId>,
    live_bytes: u64,
    dead_bytes: u64,
}

impl Survey {
    fn add(&mut self, pack: IndexPack, used: &UsedBlobs, plan: &mut Plan) {
        if !self.seen.insert(pack.id) {
            return;
        }
        let mut pack_use = PackUse {
            live: Vec::new(),
            live_bytes: 0,
            dead_bytes: 0,
            pack,
        };
        for entry in &pack_use.pack.blobs {
            if used.contains(entry) && self.placed.insert(entry.id) {
                pack_use.live.push(*entry);
                pack_use.live_bytes += u64::from(entry.length);
            } else {
                pack_use.dead_bytes += u64::from(entry.length);
            }
        }
        self.live_bytes += pack_use.live_bytes;
        if pack_use.live.is_empty() {
            plan.removed_bytes += pack_size(&pack_use.pack.blobs);
            plan.remove.push(pack_use.pack);
            return;
        }
        self.dead_bytes += pack_use.dead_bytes;
        if pack_use.dead_bytes > 0 || pack_use.live_bytes < SMALL_PACK_BYTES {
            self.candidates.push(pack_use);
        }
    }

    /// Rewrites the packs with the largest share of waste until little enough is left, and joins small ones if they are many.
    fn choose_rewrites(mut self, max_unused: f64, plan: &mut Plan) {
        let waste =
            |pack: &PackUse| pack.dead_bytes as f64 / (pack.dead_bytes + pack.live_bytes) as f64;
        self.candidates
            .sort_by(|a, b| waste(b).total_cmp(&waste(a)));
        let allowed = (self.live_bytes as f64 * max_unused) as u64;
        let joined: Vec<BlobKind> = [BlobKind::Data, BlobKind::Tree]
            .into_iter()
            .filter(|kind| {
                let small = self.candidates.iter().filter(|pack| is_small(pack, *kind));
                small.count() >= MANY_SMALL_PACKS
            })
            .collect();
        plan.unused_bytes_kept = self.dead_bytes;
        for candidate in self.candidates {
            let is_joined = joined.iter().any(|kind| is_small(&candidate, *kind));
            let is_wasteful = candidate.dead_bytes > 0 && plan.unused_bytes_kept > allowed;
            if !is_joined && !is_wasteful {
                continue;
            }
            plan.unused_bytes_kept -= candidate.dead_bytes;
            plan.removed_bytes += pack_size(&candidate.pack.blobs);
            plan.rewritten_bytes += candidate.live_bytes;
            plan.rewrite.push(IndexPack {
                id: candidate.pack.id,
                blobs: candidate.live,
            });
            plan.remove.push(candidate.pack);
        }
    }
}

fn is_small(pack: &PackUse, kind: BlobKind) -> bool {
    pack.live_bytes < SMALL_PACK_BYTES && pack.live.iter().all(|entry| entry.kind == kind)
}
