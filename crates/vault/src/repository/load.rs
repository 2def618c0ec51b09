//! Bringing the index of blobs up to date with the index files in the repository.

use super::Repository;
use super::open::check_name;
use super::retry::retry;
use crate::blob_index::{RunBuilder, RunDamage};
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{IndexFile, PackEntry, pack};
use crate::ids::{IndexId, PackId};
use crate::storage::FileKind;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Index files read at the same time. One of 50 000 blobs takes about 20 MiB while it is parsed.
const LOADERS_MAX: usize = 4;

/// What one loader found.
#[derive(Default)]
struct Loaded {
    unreadable: Vec<IndexId>,
    failure: Option<VaultError>,
}

impl Repository {
    /// Notices what other writers added to or removed from the repository. Cheap when nothing changed: one listing.
    pub fn refresh(&self) -> Result<(), VaultError> {
        let _refreshing = self
            .inner
            .refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // In this order: a running backup adds its index file to the repository first and to the index then, so that one that is
        // covered and not listed has really gone.
        let covered = self.inner.index.covered();
        let listed = self.list_index_files()?;
        let gone: HashSet<IndexId> = covered.difference(&listed).copied().collect();
        let added: Vec<IndexId> = listed.difference(&covered).copied().collect();
        let mut unreadable = Vec::new();
        if !added.is_empty() {
            unreadable = self.load(&added)?;
        }
        // Only after the new files are in: prune writes new index files before it removes the old ones, so that every blob
        // that stays is named at any moment.
        if !gone.is_empty() {
            self.inner.index.forget(&gone);
        }
        // Left out where a running backup added one file of a run itself meanwhile, or where a run could not be written anew.
        let covered = self.inner.index.covered();
        for id in listed.difference(&covered) {
            if !unreadable.contains(id) {
                unreadable.extend(self.load(&[*id])?);
            }
        }
        if !unreadable.is_empty() {
            self.recover_packs(&unreadable)?;
        }
        Ok(())
    }

    /// The index files in the repository.
    pub fn list_index_files(&self) -> Result<HashSet<IndexId>, VaultError> {
        let entries = retry(&CancelFlag::new(), || self.storage.list(FileKind::Index))?;
        Ok(entries
            .iter()
            .filter_map(|entry| entry.name.parse().ok())
            .collect())
    }

    /// Reads one index file.
    pub fn read_index_file(&self, id: &IndexId) -> Result<IndexFile, VaultError> {
        let name = id.to_string();
        let file = retry(&CancelFlag::new(), || {
            self.storage.get(FileKind::Index, &name)
        })?;
        check_name(Part::Index, &name, &file)?;
        IndexFile::open(&self.inner.key, &file)
            .map_err(|error| VaultError::damaged(Part::Index, id, error))
    }

    /// Reads the header of a pack of `pack_bytes` in at most two requests.
    pub fn read_pack_header(
        &self,
        id: &PackId,
        pack_bytes: u64,
    ) -> Result<Vec<PackEntry>, VaultError> {
        /// Most headers are within these last bytes.
        const GUESS_BYTES: u64 = 16 << 10;
        let damaged = |error| VaultError::damaged(Part::Pack, id, error);
        let name = id.to_string();
        let tail_len = pack_bytes.min(GUESS_BYTES);
        let never = CancelFlag::new();
        let tail = retry(&never, || {
            self.storage
                .get_range(FileKind::Data, &name, pack_bytes - tail_len, tail_len)
        })?;
        let trailer = tail
            .last_chunk::<{ pack::TRAILER_BYTES }>()
            .ok_or_else(|| damaged(crate::format::FormatError::TooShort))?;
        let header_len = u64::from(pack::sealed_header_len(*trailer, pack_bytes).map_err(damaged)?);
        let header_and_trailer = header_len + pack::TRAILER_BYTES as u64;
        let sealed = if header_and_trailer <= tail_len {
            let start = (tail_len - header_and_trailer) as usize;
            tail.slice(start..start + header_len as usize)
        } else {
            let start = pack_bytes - header_and_trailer;
            retry(&never, || {
                self.storage
                    .get_range(FileKind::Data, &name, start, header_len)
            })?
        };
        pack::open_header(&self.inner.key, &sealed, pack_bytes).map_err(damaged)
    }

    /// Drops a damaged part of the cached index and reads it anew.
    pub(crate) fn rebuild_damaged_run(&self, damage: &RunDamage) -> Result<(), VaultError> {
        self.inner.index.drop_damaged(damage);
        self.refresh()
    }

    /// Reads index files in parallel into runs; those that cannot be read are returned.
    fn load(&self, ids: &[IndexId]) -> Result<Vec<IndexId>, VaultError> {
        let next = AtomicUsize::new(0);
        let loaded = Mutex::new(Loaded::default());
        let loaders = self
            .inner
            .options
            .worker_count()
            .min(LOADERS_MAX)
            .min(ids.len());
        if loaders <= 1 {
            self.load_claimed(ids, &next, &loaded);
        } else {
            std::thread::scope(|scope| {
                for _ in 0..loaders {
                    scope.spawn(|| self.load_claimed(ids, &next, &loaded));
                }
            });
        }
        let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        match loaded.failure {
            Some(error) => Err(error),
            None => Ok(loaded.unreadable),
        }
    }

    fn load_claimed(&self, ids: &[IndexId], next: &AtomicUsize, loaded: &Mutex<Loaded>) {
        let mut builder = RunBuilder::default();
        while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
            match self.read_index_file(id) {
                Ok(file) => builder.add(*id, &file.packs),
                // Removed since it was listed, by someone who wrote its content elsewhere first.
                Err(VaultError::Storage(error)) if error.is_not_found() => {}
                Err(error) if error.is_damage() => {
                    self.warn(
                        format!("index/{id}"),
                        format!("{error}. Its packs are read from their own headers meanwhile"),
                    );
                    let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                    loaded.unreadable.push(*id);
                }
                Err(error) => {
                    let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                    loaded.failure.get_or_insert(error);
                    break;
                }
            }
            if builder.is_full() {
                self.inner.index.add(std::mem::take(&mut builder));
            }
        }
        self.inner.index.add(builder);
    }

    /// Makes up for index files that cannot be read: the packs that no readable index names are known from their headers.
    fn recover_packs(&self, unreadable: &[IndexId]) -> Result<(), VaultError> {
        let named: HashSet<PackId> = self
            .inner
            .index
            .view()
            .packs()
            .filter(|(_, file)| file.is_some())
            .map(|(id, _)| id)
            .collect();
        let mut packs = Vec::new();
        for entry in retry(&CancelFlag::new(), || self.storage.list(FileKind::Data))? {
            let Ok(id) = entry.name.parse::<PackId>() else {
                continue;
            };
            if named.contains(&id) {
                continue;
            }
            match self.read_pack_header(&id, entry.size_bytes) {
                Ok(entries) => packs.push((id, entries)),
                Err(error) if error.is_damage() => {
                    self.warn(format!("data/{id}"), error.to_string());
                }
                // Removed since it was listed.
                Err(VaultError::Storage(error)) if error.is_not_found() => {}
                // What could not be asked must not count as known to be empty.
                Err(error) => return Err(error),
            }
        }
        tracing::info!(packs = packs.len(), "packs read from their own headers");
        let mut files = self.inner.index.recovered_files();
        files.extend_from_slice(unreadable);
        self.inner.index.set_recovered(&files, &packs);
        Ok(())
    }
}
