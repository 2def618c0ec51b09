//! Pages of sorted entries: 85 entries, a checksum and their number.

use super::entry::{ENTRY_BYTES, RawEntry};
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Length of a page.
pub(super) const PAGE_BYTES: usize = 4096;
/// Entries in a full page.
pub(super) const PAGE_ENTRIES: usize = 85;

const ENTRIES_END: usize = PAGE_ENTRIES * ENTRY_BYTES;
const CHECKSUM_END: usize = ENTRIES_END + 8;
const COUNT_END: usize = CHECKSUM_END + 2;

/// A page in memory.
pub(super) type Page = [u8; PAGE_BYTES];

/// Appends the page number `page_no` with these entries, at most [`PAGE_ENTRIES`], to `out`.
pub(super) fn append_page(page_no: u64, entries: &[[u8; ENTRY_BYTES]], out: &mut Vec<u8>) {
    let start = out.len();
    for entry in entries {
        out.extend_from_slice(entry);
    }
    out.resize(start + ENTRIES_END, 0);
    let count = entries.len() as u16;
    let sum = checksum(page_no, count, &out[start..start + ENTRIES_END]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.resize(start + PAGE_BYTES, 0);
}

/// The seed binds a page to its place, so that a page read from the wrong offset is noticed too.
fn checksum(page_no: u64, count: u16, entries: &[u8]) -> u64 {
    xxh3_64_with_seed(entries, page_no << 16 | u64::from(count))
}

/// The entries of a page that was read as number `page_no`; `None` if it is damaged.
pub(super) fn check_page(page_no: u64, page: &Page) -> Option<&[[u8; ENTRY_BYTES]]> {
    let (entries, rest) = page.split_at(ENTRIES_END);
    let stored: [u8; 8] = rest[..8].try_into().ok()?;
    let count: [u8; 2] = page[CHECKSUM_END..COUNT_END].try_into().ok()?;
    let count = u16::from_le_bytes(count);
    let is_intact = usize::from(count) <= PAGE_ENTRIES
        && checksum(page_no, count, entries) == u64::from_le_bytes(stored);
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    is_intact.then(|| &entries[..usize::from(count)])
}

/// Calls `found` with every entry of `id` in a page's entries; whether the next page may hold more.
pub(super) fn find_all(
    entries: &[[u8; ENTRY_BYTES]],
    id: &[u8; 32],
    found: &mut dyn FnMut(RawEntry),
) -> bool {
    let first = entries.partition_point(|entry| entry[..32].cmp(&id[..]) == Ordering::Less);
    for entry in &entries[first..] {
        if entry[..32] != id[..] {
            return false;
        }
        found(RawEntry::decode(entry));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(count: u8) -> Vec<u8> {
        let entries: Vec<[u8; ENTRY_BYTES]> = (0..count).map(|n| [n; ENTRY_BYTES]).collect();
        let mut out = Vec::new();
        append_page(7, &entries, &mut out);
        out
    }

    #[test]
    fn a_page_gives_its_entries_back() {
        for count in [0, 1, 85] {
            let page: Page = page_of(count).try_into().unwrap();
            let entries = check_page(7, &page).unwrap();
            assert_eq!(entries.len(), usize::from(count));
        }
    }

    #[test]
    fn a_changed_or_misplaced_page_is_refused() {
        let page: Page = page_of(3).try_into().unwrap();
        assert!(check_page(8, &page).is_none());
        for position in [0, 200, ENTRIES_END, CHECKSUM_END] {
            let mut changed = page;
            changed[position] ^= 1;
            assert!(check_page(7, &changed).is_none(), "{position}");
        }
    }
}
