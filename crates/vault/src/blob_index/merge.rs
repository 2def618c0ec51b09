//! Making one run of several.

use super::builder::RunWriter;
use super::entry::{ENTRY_BYTES, RawEntry};
use super::meta::PackRow;
use super::page::PAGE_BYTES;
use super::run::{Run, RunDamage};
use crate::ids::{IndexId, RepositoryId};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// No run grows beyond this by merging: building its filter takes 40 bytes an entry for a moment.
const RUN_ENTRIES_MAX: u64 = 16 << 20;
/// Runs of less than this many entries are merged whenever there are two of them.
const SMALL_RUN_ENTRIES: u64 = 4096;

/// Why runs could not be merged.
#[derive(Debug)]
pub(super) enum MergeError {
    Damage(RunDamage),
    Io(io::Error),
}

/// Numbers of the runs that should become one; empty if the runs are fine as they are.
///
/// The smallest are taken together as long as the next is less than twice as large as all before it, so that an entry is
/// moved a logarithmic number of times and the number of runs stays logarithmic too.
pub(super) fn runs_to_merge(runs: &[Arc<Run>]) -> HashSet<u64> {
    let mut sizes: Vec<(u64, u64)> = runs
        .iter()
        .filter(|run| !run.is_recovered)
        .map(|run| (run.meta.count, run.number))
        .collect();
    sizes.sort_unstable();
    let mut chosen = HashSet::new();
    let mut sum = 0;
    for (count, number) in sizes {
        let is_close = count <= SMALL_RUN_ENTRIES || count < 2 * sum;
        if !chosen.is_empty() && (!is_close || sum + count > RUN_ENTRIES_MAX) {
            break;
        }
        sum += count;
        chosen.insert(number);
    }
    if chosen.len() < 2 {
        HashSet::new()
    } else {
        chosen
    }
}

/// One run with the entries of all `runs`, except those of index files in `gone`. Pages stream through: memory is
/// a page a run and the new run's filter.
pub(super) fn merge(
    runs: &[Arc<Run>],
    gone: &HashSet<IndexId>,
    repository: RepositoryId,
    dir: Option<&Path>,
) -> Result<Run, MergeError> {
    let mut files = Vec::new();
    let mut packs = Vec::new();
    let mut cursors = Vec::with_capacity(runs.len());
    for run in runs {
        let first_file = files.len() as u32;
        // Old number of each index file in this run -> its new number, if it stays.
        let mut file_numbers = Vec::with_capacity(run.meta.files.len());
        for file in &run.meta.files {
            if gone.contains(file) {
                file_numbers.push(None);
            } else {
                file_numbers.push(Some(files.len() as u32));
                files.push(*file);
            }
        }
        debug_assert!(first_file as usize <= files.len());
        let mut pack_numbers = Vec::with_capacity(run.meta.packs.len());
        for pack in &run.meta.packs {
            let file = file_numbers.get(pack.file as usize).copied().flatten();
            pack_numbers.push(file.map(|file| {
                packs.push(PackRow { id: pack.id, file });
                packs.len() as u32 - 1
            }));
        }
        cursors.push(Cursor {
            run,
            pack_numbers,
            page_no: 0,
            position: 0,
            page: Vec::new(),
        });
    }

    let mut writer = RunWriter::create(dir).map_err(MergeError::Io)?;
    let mut heap = BinaryHeap::with_capacity(cursors.len());
    for (number, cursor) in cursors.iter_mut().enumerate() {
        if let Some(entry) = cursor.next().map_err(MergeError::Damage)? {
            heap.push(Reverse((entry, number)));
        }
    }
    while let Some(Reverse((entry, number))) = heap.pop() {
        writer.push(&entry).map_err(MergeError::Io)?;
        if let Some(entry) = cursors[number].next().map_err(MergeError::Damage)? {
            heap.push(Reverse((entry, number)));
        }
    }
    writer
        .finish(repository, files, packs)
        .map_err(MergeError::Io)
}

/// Walks over a run and gives its entries the pack numbers of the new run.
struct Cursor<'a> {
    run: &'a Run,
    pack_numbers: Vec<Option<u32>>,
    page_no: usize,
    position: usize,
    page: Vec<[u8; ENTRY_BYTES]>,
}

impl Cursor<'_> {
    fn next(&mut self) -> Result<Option<[u8; ENTRY_BYTES]>, RunDamage> {
        loop {
            if self.position == self.page.len() {
                if self.page_no == self.run.page_count() {
                    return Ok(None);
                }
                let mut buffer = [0; PAGE_BYTES];
                let entries = self.run.page(self.page_no, &mut buffer)?;
                self.page.clear();
                self.page.extend_from_slice(entries);
                self.position = 0;
                self.page_no += 1;
                continue;
            }
            let mut entry = RawEntry::decode(&self.page[self.position]);
            self.position += 1;
            if let Some(pack) = self
                .pack_numbers
                .get(entry.pack as usize)
                .copied()
                .flatten()
            {
                entry.pack = pack;
                return Ok(Some(entry.encode()));
            }
        }
    }
}
