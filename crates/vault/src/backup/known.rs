//! Blobs that the running backup has taken on and no index file names yet.

use crate::format::{BlobKind, PackEntry};
use crate::ids::BlobId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;

/// Ids are SHA-256: any eight bytes of them are as good as a hash.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*tail);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.0 ^= u64::from(number) << 56;
    }

    fn write_usize(&mut self, number: usize) {
        self.0 ^= number as u64;
    }

    fn write_isize(&mut self, number: isize) {
        self.0 ^= number as u64;
    }
}

/// A map keyed by ids.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The new blobs of one backup with their plain lengths; about 50 bytes each until they are in an index file.
///
/// They belong to this backup alone: another one that relied on them would be broken when this one is aborted.
#[derive(Debug)]
pub(super) struct NewBlobs {
    shards: Vec<Mutex<Shard>>,
}

type Shard = IdMap<(BlobKind, BlobId), u32>;

impl NewBlobs {
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Claims a blob: of several workers that have the same new blob exactly one gets `true` and stores it.
    pub fn claim(&self, kind: BlobKind, id: &BlobId, plain_length: u32) -> bool {
        self.shard(id).insert((kind, *id), plain_length).is_none()
    }

    /// The plain length of a blob that some worker has claimed.
    pub fn length(&self, kind: BlobKind, id: &BlobId) -> Option<u32> {
        self.shard(id).get(&(kind, *id)).copied()
    }

    /// Forgets blobs that the index knows now.
    pub fn forget(&self, entries: &[PackEntry]) {
        for entry in entries {
            self.shard(&entry.id).remove(&(entry.kind, entry.id));
        }
    }

    fn shard(&self, id: &BlobId) -> MutexGuard<'_, Shard> {
        let number = usize::from(id.as_bytes()[0]) % SHARDS;
        self.shards[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_claimed_once_whatever_the_number_of_workers() {
        let blobs = NewBlobs::new();
        let ids: Vec<BlobId> = (0..1000_u32)
            .map(|n| BlobId::of(&n.to_le_bytes()))
            .collect();
        let claimed: usize = std::thread::scope(|scope| {
            let claim_all = || {
                ids.iter()
                    .filter(|id| blobs.claim(BlobKind::Data, id, 4))
                    .count()
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(claim_all)).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        assert_eq!(claimed, 1000);
        assert_eq!(blobs.length(BlobKind::Data, &ids[0]), Some(4));
        assert_eq!(blobs.length(BlobKind::Tree, &ids[0]), None);
    }
}
