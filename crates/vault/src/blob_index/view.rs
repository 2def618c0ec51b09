//! The index as it is at one moment.

use super::entry::{BlobLocation, IndexedBlob, RawEntry};
use super::page::PAGE_BYTES;
use super::run::{Run, RunDamage};
use crate::format::BlobKind;
use crate::ids::{BlobId, IndexId, PackId};
use std::sync::Arc;

/// The index at one moment; it does not change while it is held, and costs nothing to hold.
///
/// Every entry has an *ordinal* from 0 to [`len`](Self::len) - 1 that is stable for the view, so that a set of entries can be a
/// bitmap.
#[derive(Debug, Clone)]
pub struct IndexView {
    pub(super) runs: Arc<Vec<Arc<Run>>>,
}

impl IndexView {
    /// Number of entries; a blob that is in two packs counts twice.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.meta.count).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index files that are covered, and whether each names packs durably (not recovered from pack headers).
    pub fn files(&self) -> impl Iterator<Item = IndexId> + '_ {
        self.runs
            .iter()
            .flat_map(|run| run.meta.files.iter().copied())
    }

    /// Every pack that is known, with the index file that names it. A pack named twice comes twice.
    pub fn packs(&self) -> impl Iterator<Item = (PackId, Option<IndexId>)> + '_ {
        self.runs.iter().flat_map(|run| {
            run.meta.packs.iter().map(|row| {
                let file = run.meta.files.get(row.file as usize).copied();
                (row.id, file.filter(|_| !run.is_recovered))
            })
        })
    }

    /// The first place of a blob.
    pub fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Option<BlobLocation>, RunDamage> {
        self.first(kind, id, |_| true)
    }

    /// The first place that an index file in the repository names; what new snapshots may rely on.
    pub fn get_durable(
        &self,
        kind: BlobKind,
        id: &BlobId,
    ) -> Result<Option<BlobLocation>, RunDamage> {
        self.first(kind, id, |run| !run.is_recovered)
    }

    fn first(
        &self,
        kind: BlobKind,
        id: &BlobId,
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Option<BlobLocation>, RunDamage> {
        for run in self.runs.iter().filter(|run| is_wanted(run)) {
            let mut location = None;
            run.find(id.as_bytes(), &mut |entry| {
                if entry.kind == kind && location.is_none() {
                    location = run.meta.location(&entry);
                }
            })?;
            if location.is_some() {
                return Ok(location);
            }
        }
        Ok(None)
    }

    /// All places of a blob, each once.
    pub fn get_all(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<BlobLocation>, RunDamage> {
        let mut locations = Vec::new();
        for run in self.runs.iter() {
            run.find(id.as_bytes(), &mut |entry| {
                if entry.kind == kind {
                    locations.extend(run.meta.location(&entry));
                }
            })?;
        }
        locations.sort_unstable();
        locations.dedup();
        Ok(locations)
    }

    /// Calls `visit` with every entry and its ordinal; sorted by id within each run only.
    pub fn for_each(&self, visit: &mut dyn FnMut(u64, IndexedBlob)) -> Result<(), RunDamage> {
        let mut ordinal = 0;
        for run in self.runs.iter() {
            for page_no in 0..run.page_count() {
                let mut buffer = [0; PAGE_BYTES];
                for bytes in run.page(page_no, &mut buffer)? {
                    let entry = RawEntry::decode(bytes);
                    if let Some(location) = run.meta.location(&entry) {
                        let id = BlobId::from_bytes(entry.id);
                        visit(
                            ordinal,
                            IndexedBlob {
                                id,
                                kind: entry.kind,
                                location,
                            },
                        );
                    }
                    ordinal += 1;
                }
            }
        }
        Ok(())
    }
}
