//! Which blobs to fetch together.

use crate::blob_index::BlobLocation;
use crate::error::{Part, VaultError};
use crate::format::{BlobKind, PackEntry};
use crate::ids::{BlobId, PackId};
use crate::repository::Repository;
use std::collections::HashMap;
use std::ops::Range;

/// Blobs closer than this are fetched together: what lies between costs less than another request.
const GAP_MAX_BYTES: u64 = 512 << 10;
/// Longest single read, except for one blob that is longer itself.
const READ_MAX_BYTES: u64 = 8 << 20;
/// Positions that are planned at once, so that memory does not grow with the length of a request: about 8 MiB.
pub(super) const PLAN_POSITIONS: usize = 64 << 10;

/// One blob of a read.
#[derive(Debug)]
pub(super) struct PlannedBlob {
    pub entry: PackEntry,
    /// Which of [`Plan::positions`] want it.
    pub positions: Range<usize>,
}

/// One read from one pack.
#[derive(Debug)]
pub(super) struct PlannedRead {
    pub pack: PackId,
    pub offset: u64,
    pub length: u64,
    /// Ascending by offset; they may overlap only if they are the same.
    pub blobs: Vec<PlannedBlob>,
}

/// What to read for a row of ids.
#[derive(Debug)]
pub(super) struct Plan {
    pub reads: Vec<PlannedRead>,
    /// Positions in the row, those of the same blob side by side.
    pub positions: Vec<u32>,
}

impl Plan {
    /// Plans the blobs `ids`, at most [`PLAN_POSITIONS`]. `is_current` tells whether the index was refreshed already for this request.
    pub fn new(
        repository: &Repository,
        kind: BlobKind,
        ids: &[BlobId],
        is_current: &mut bool,
    ) -> Result<Self, VaultError> {
        let mut positions: Vec<u32> = (0..ids.len() as u32).collect();
        positions.sort_unstable_by_key(|position| (ids[*position as usize], *position));
        let mut found = Vec::new();
        let mut start = 0;
        while start < positions.len() {
            let id = ids[positions[start] as usize];
            let same = positions[start..]
                .iter()
                .take_while(|position| ids[**position as usize] == id);
            let end = start + same.count();
            let location = locate(repository, kind, &id, is_current)?;
            found.push((location, id, start..end));
            start = end;
        }
        // Packs in the order in which their first blob is wanted: a target written in order is kinder to its disk.
        let mut first_wanted: HashMap<PackId, u32> = HashMap::new();
        for (location, _, range) in &found {
            let wanted = positions[range.start];
            let first = first_wanted.entry(location.pack).or_insert(wanted);
            *first = (*first).min(wanted);
        }
        found.sort_unstable_by_key(|(location, _, _)| {
            (
                first_wanted.get(&location.pack).copied(),
                location.pack,
                location.offset,
            )
        });
        let mut reads: Vec<PlannedRead> = Vec::new();
        for (location, id, range) in found {
            let entry = location.to_pack_entry(kind, id);
            let blob = PlannedBlob {
                entry,
                positions: range,
            };
            match reads.last_mut().filter(|read| fits(read, &location)) {
                Some(read) => {
                    read.length = read.length.max(entry.end() - read.offset);
                    read.blobs.push(blob);
                }
                None => reads.push(PlannedRead {
                    pack: location.pack,
                    offset: u64::from(entry.offset),
                    length: u64::from(entry.length),
                    blobs: vec![blob],
                }),
            }
        }
        Ok(Self { reads, positions })
    }
}

fn fits(read: &PlannedRead, location: &BlobLocation) -> bool {
    let start = u64::from(location.offset);
    let end = start + u64::from(location.length);
    read.pack == location.pack
        && start <= read.offset + read.length + GAP_MAX_BYTES
        && end - read.offset <= READ_MAX_BYTES
}

/// Where a blob lies; another writer may just have added it, so that a miss looks again once.
pub(super) fn locate(
    repository: &Repository,
    kind: BlobKind,
    id: &BlobId,
    is_current: &mut bool,
) -> Result<BlobLocation, VaultError> {
    let mut found = repository.locate(kind, id)?;
    if found.is_none() && !*is_current {
        repository.refresh()?;
        *is_current = true;
        found = repository.locate(kind, id)?;
    }
    let part = match kind {
        BlobKind::Data => Part::Data,
        BlobKind::Tree => Part::Tree,
    };
    found.ok_or(VaultError::MissingBlob { part, id: *id })
}
