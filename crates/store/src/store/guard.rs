//! The second place that remembers what was acknowledged.
//!
//! The journal's reader stops in silence at damage in its middle and so drops the batches behind it. A
//! small file beside it holds, per shard, one more than the last acknowledged sequence number. At open
//! both are compared, so that such a loss is told and the shard gets a new history (increments then read
//! everything again).
//!
//! A slot is 64 bytes, so that it never crosses a disk sector: `data id 16 ‖ shard u32 ‖ next u64 ‖
//! checksum u64 (XXH3-64 of the bytes before) ‖ zeros`. It is written after the journal's sync and before
//! the acknowledgement, so it is never ahead of the journal and survives a kill; it is synced once a
//! second, so after a power loss it may be a second behind: a loss in that second goes unnoticed here.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use xxhash_rust::xxh3::xxh3_64;

use crate::StoreError;

const SLOT_BYTES: usize = 64;
const SUMMED_BYTES: usize = 28;
const FILE_NAME: &str = "acknowledged";

/// Names a shard's data: data id and shard number.
pub(crate) type ShardKey = ([u8; 16], u16);

pub(crate) struct Guard {
    /// Held shared by whoever will acknowledge operations.
    writers: RwLock<()>,
    file: File,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    used: HashMap<ShardKey, Slot>,
    free: Vec<u64>,
    count: u64,
    is_dirty: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    position: u64,
    next_seq_no: u64,
}

impl Guard {
    /// Opens or creates the file in `dir`; unreadable slots count as free.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let failed = |cause| StoreError::storage("open", path.display().to_string(), cause);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let bytes = std::fs::read(&path).map_err(failed)?;
        let mut slots = Slots::default();
        for (position, bytes) in bytes.chunks(SLOT_BYTES).enumerate() {
            let position = position as u64;
            slots.count = position + 1;
            match decode(bytes) {
                Some((key, next_seq_no)) => {
                    slots.used.insert(
                        key,
                        Slot {
                            position,
                            next_seq_no,
                        },
                    );
                }
                None => slots.free.push(position),
            }
        }
        Ok(Guard {
            writers: RwLock::default(),
            file,
            slots: Mutex::new(slots),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was acknowledged: one more than the last number, 0 when nothing.
    pub(crate) fn acknowledged(&self, key: &ShardKey) -> u64 {
        self.lock().used.get(key).map_or(0, |slot| slot.next_seq_no)
    }

    /// Notes that all operations below `next_seq_no` are acknowledged.
    pub(crate) fn acknowledge(&self, key: ShardKey, next_seq_no: u64) -> Result<(), StoreError> {
        let mut slots = self.lock();
        let position = match slots.used.get(&key) {
            // Two writers may come in either order; the number never goes back.
            Some(slot) if slot.next_seq_no >= next_seq_no => return Ok(()),
            Some(slot) => slot.position,
            None => slots.free.pop().unwrap_or_else(|| {
                slots.count += 1;
                slots.count - 1
            }),
        };
        self.write(position, &encode(&key, next_seq_no))?;
        slots.is_dirty = true;
        slots.used.insert(
            key,
            Slot {
                position,
                next_seq_no,
            },
        );
        Ok(())
    }

    /// Announces acknowledgements until the result is dropped. Taken before any shard's lock.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.writers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets shards that nobody can write any more, after those who still acknowledge: a late number of a
    /// removed shard would else be taken for its successor's.
    pub(crate) fn forget(
        &self,
        data_id: &[u8; 16],
        shards: &HashSet<u16>,
    ) -> Result<(), StoreError> {
        drop(self.writers.write().unwrap_or_else(PoisonError::into_inner));
        self.retain(|key| key.0 != *data_id || !shards.contains(&key.1))
    }

    /// Forgets everything that `is_known` does not know.
    pub(crate) fn retain(&self, is_known: impl Fn(&ShardKey) -> bool) -> Result<(), StoreError> {
        let mut slots = self.lock();
        let unknown: Vec<ShardKey> = slots
            .used
            .keys()
            .filter(|key| !is_known(key))
            .copied()
            .collect();
        for key in unknown {
            if let Some(slot) = slots.used.remove(&key) {
                self.write(slot.position, &[0; SLOT_BYTES])?;
                slots.free.push(slot.position);
                slots.is_dirty = true;
            }
        }
        Ok(())
    }

    /// Lowers a shard's number to what was found, after its loss has been told.
    pub(crate) fn reset(&self, key: ShardKey, next_seq_no: u64) -> Result<(), StoreError> {
        let mut slots = self.lock();
        let Some(position) = slots.used.get(&key).map(|slot| slot.position) else {
            return Ok(());
        };
        self.write(position, &encode(&key, next_seq_no))?;
        slots.is_dirty = true;
        slots.used.insert(
            key,
            Slot {
                position,
                next_seq_no,
            },
        );
        Ok(())
    }

    /// Syncs the file if it changed.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let was_dirty = std::mem::take(&mut self.lock().is_dirty);
        if !was_dirty {
            return Ok(());
        }
        self.file
            .sync_data()
            .map_err(|cause| StoreError::storage("sync", FILE_NAME, cause))
    }

    fn write(&self, position: u64, slot: &[u8; SLOT_BYTES]) -> Result<(), StoreError> {
        self.file
            .write_all_at(slot, position * SLOT_BYTES as u64)
            .map_err(|cause| StoreError::storage("write", FILE_NAME, cause))
    }
}

fn encode(key: &ShardKey, next_seq_no: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..16].copy_from_slice(&key.0);
    slot[16..20].copy_from_slice(&u32::from(key.1).to_le_bytes());
    slot[20..28].copy_from_slice(&next_seq_no.to_le_bytes());
    let sum = xxh3_64(&slot[..SUMMED_BYTES]);
    slot[28..36].copy_from_slice(&sum.to_le_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<(ShardKey, u64)> {
    let slot: &[u8; SLOT_BYTES] = slot.try_into().ok()?;
    let sum = u64::from_le_bytes(slot[28..36].try_into().ok()?);
    if sum != xxh3_64(&slot[..SUMMED_BYTES]) {
        return None;
    }
    let data_id: [u8; 16] = slot[..16].try_into().ok()?;
    let shard = u32::from_le_bytes(slot[16..20].try_into().ok()?);
    let next_seq_no = u64::from_le_bytes(slot[20..28].try_into().ok()?);
    Some(((data_id, u16::try_from(shard).ok()?), next_seq_no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_reopening_and_never_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (([1; 16], 0), ([1; 16], 1));
        let guard = Guard::open(dir.path()).unwrap();
        guard.acknowledge(a, 10).unwrap();
        guard.acknowledge(b, 7).unwrap();
        guard.acknowledge(a, 4).unwrap();
        drop(guard);
        let guard = Guard::open(dir.path()).unwrap();
        assert_eq!((guard.acknowledged(&a), guard.acknowledged(&b)), (10, 7));
        guard.retain(|key| key.1 == 1).unwrap();
        drop(guard);
        let guard = Guard::open(dir.path()).unwrap();
        assert_eq!((guard.acknowledged(&a), guard.acknowledged(&b)), (0, 7));
    }

    #[test]
    fn a_damaged_slot_counts_as_free() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::open(dir.path()).unwrap();
        guard.acknowledge(([1; 16], 0), 10).unwrap();
        drop(guard);
        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[21] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let guard = Guard::open(dir.path()).unwrap();
        assert_eq!(guard.acknowledged(&([1; 16], 0)), 0);
    }
}
