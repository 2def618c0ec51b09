//! Counts what is asked of a storage.

use super::{FileEntry, FileKind, PutMode, Storage, StorageError};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Operations asked for and bytes moved since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OperationCounts {
    /// Files written.
    pub puts: u64,
    /// Files or parts of files read.
    pub gets: u64,
    /// Listings.
    pub lists: u64,
    /// Sizes asked for.
    pub sizes: u64,
    /// Files removed.
    pub deletes: u64,
    /// Bytes of files written.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
}

#[derive(Debug, Default)]
struct Counters {
    puts: AtomicU64,
    gets: AtomicU64,
    lists: AtomicU64,
    sizes: AtomicU64,
    deletes: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

/// A storage that counts. Operations count when they are asked for, bytes when they have moved.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn Storage>,
    counters: Counters,
}

impl Counting {
    /// Counts what is asked of `inner` through this.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self {
            inner,
            counters: Counters::default(),
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> OperationCounts {
        let counters = &self.counters;
        OperationCounts {
            puts: counters.puts.load(Relaxed),
            gets: counters.gets.load(Relaxed),
            lists: counters.lists.load(Relaxed),
            sizes: counters.sizes.load(Relaxed),
            deletes: counters.deletes.load(Relaxed),
            bytes_written: counters.bytes_written.load(Relaxed),
            bytes_read: counters.bytes_read.load(Relaxed),
        }
    }

    fn count_read(&self, result: Result<Bytes, StorageError>) -> Result<Bytes, StorageError> {
        self.counters.gets.fetch_add(1, Relaxed);
        let bytes = result?;
        let moved = bytes.len() as u64;
        self.counters.bytes_read.fetch_add(moved, Relaxed);
        Ok(bytes)
    }
}

impl Storage for Counting {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        self.counters.puts.fetch_add(1, Relaxed);
        let moved = data.len() as u64;
        self.inner.put(kind, name, data, mode)?;
        self.counters.bytes_written.fetch_add(moved, Relaxed);
        Ok(())
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        self.count_read(self.inner.get(kind, name))
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        self.count_read(self.inner.get_range(kind, name, offset, len))
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        self.counters.lists.fetch_add(1, Relaxed);
        self.inner.list(kind)
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        self.counters.sizes.fetch_add(1, Relaxed);
        self.inner.size(kind, name)
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        self.counters.deletes.fetch_add(1, Relaxed);
        self.inner.delete(kind, name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::battery::{self, with_memory};

    #[test]
    fn counting_keeps_the_contract() {
        with_memory(|memory| battery::run(&Counting::new(memory)));
    }

    #[test]
    fn operations_and_bytes_are_counted() {
        with_memory(|memory| {
            let counting = Counting::new(memory);
            let data = Bytes::from_static(b"12345");
            counting
                .put(FileKind::Config, "", data, PutMode::Create)
                .unwrap();
            counting.get_range(FileKind::Config, "", 1, 2).unwrap();
            assert!(counting.get(FileKind::Side, "missing").is_err());
            let counts = counting.counts();
            assert_eq!((counts.puts, counts.bytes_written), (1, 5));
            assert_eq!((counts.gets, counts.bytes_read), (2, 2));
        });
    }
}
