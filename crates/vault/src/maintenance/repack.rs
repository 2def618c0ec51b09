//! Copying blobs into new packs, sealed as they are, after each was verified.

use super::pack_check::windows;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::pack::open_blob;
use crate::format::{BlobKind, Decompressor, IndexPack, PackBuilder, PackEntry};
use crate::ids::BlobId;
use crate::repository::{Repository, retry};
use crate::storage::{FileKind, PutMode};

/// Size at which a new pack is closed.
const PACK_TARGET_BYTES: usize = 16 << 20;

/// What to do with a blob that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDamage {
    /// End with an error: nothing was removed yet.
    Fail,
    /// Leave it out and name it.
    LeaveOut,
}

/// The outcome of a copy.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// New packs, durable but in no index.
    pub(super) packs: Vec<IndexPack>,
    /// Blobs that were left out.
    pub(super) lost: Vec<BlobId>,
}

/// Copies the named blobs of the packs. `between` is called from time to time.
pub(super) fn copy_blobs(
    repository: &Repository,
    packs: &[IndexPack],
    on_damage: OnDamage,
    cancel: &CancelFlag,
    mut between: impl FnMut() -> Result<(), VaultError>,
) -> Result<Copied, VaultError> {
    let mut copier = Copier {
        repository,
        cancel,
        decompressor: Decompressor::new()
            .map_err(|error| VaultError::Internal(error.to_string()))?,
        opened: Vec::new(),
        scratch: Vec::new(),
        data: PackBuilder::new(BlobKind::Data, 0),
        trees: PackBuilder::new(BlobKind::Tree, 0),
        copied: Copied::default(),
    };
    for pack in packs {
        copier.copy_pack(pack, on_damage)?;
        between()?;
    }
    copier.close(BlobKind::Data)?;
    copier.close(BlobKind::Tree)?;
    Ok(copier.copied)
}

struct Copier<'a> {
    repository: &'a Repository,
    cancel: &'a CancelFlag,
    decompressor: Decompressor,
    opened: Vec<u8>,
    scratch: Vec<u8>,
    data: PackBuilder,
    trees: PackBuilder,
    copied: Copied,
}

impl Copier<'_> {
    fn copy_pack(&mut self, pack: &IndexPack, on_damage: OnDamage) -> Result<(), VaultError> {
        let mut entries = pack.blobs.clone();
        entries.sort_by_key(|entry| entry.offset);
        let name = pack.id.to_string();
        for window in windows(&entries) {
            let start = u64::from(window[0].offset);
            let end = window.last().map_or(start, PackEntry::end);
            let read = retry(self.cancel, || {
                self.repository
                    .storage()
                    .get_range(FileKind::Data, &name, start, end - start)
            });
            let bytes = match read {
                Ok(bytes) => bytes,
                Err(VaultError::Storage(error))
                    if on_damage == OnDamage::LeaveOut && !error.is_transient() =>
                {
                    self.copied.lost.extend(window.iter().map(|entry| entry.id));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for entry in window {
                let from = (u64::from(entry.offset) - start) as usize;
                self.copy_blob(entry, &bytes[from..from + entry.length as usize], on_damage)?;
            }
        }
        Ok(())
    }

    fn copy_blob(
        &mut self,
        entry: &PackEntry,
        sealed: &[u8],
        on_damage: OnDamage,
    ) -> Result<(), VaultError> {
        self.opened.clear();
        self.opened.extend_from_slice(sealed);
        let key = self.repository.master_key();
        let opened = open_blob(
            key,
            entry,
            &mut self.opened,
            &mut self.decompressor,
            &mut self.scratch,
        );
        if let Err(error) = opened {
            if on_damage == OnDamage::LeaveOut {
                self.copied.lost.push(entry.id);
                return Ok(());
            }
            let part = match entry.kind {
                BlobKind::Data => Part::Data,
                BlobKind::Tree => Part::Tree,
            };
            return Err(VaultError::damaged(part, entry.id, error));
        }
        if self.builder(entry.kind).is_full_for(sealed.len())
            || self.builder(entry.kind).blob_bytes() >= PACK_TARGET_BYTES
        {
            self.close(entry.kind)?;
        }
        self.builder(entry.kind)
            .add_sealed(entry.id, sealed, entry.uncompressed_length)
            .map_err(|error| VaultError::Internal(error.to_string()))?;
        Ok(())
    }

    fn builder(&mut self, kind: BlobKind) -> &mut PackBuilder {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        }
    }

    fn close(&mut self, kind: BlobKind) -> Result<(), VaultError> {
        let builder = std::mem::replace(self.builder(kind), PackBuilder::new(kind, 0));
        if builder.is_empty() {
            return Ok(());
        }
        let pack = builder.finish(self.repository.master_key());
        let name = pack.id.to_string();
        retry(self.cancel, || {
            let storage = self.repository.storage();
            storage.put(
                FileKind::Data,
                &name,
                pack.bytes.clone(),
                PutMode::Overwrite,
            )
        })?;
        self.copied.packs.push(IndexPack {
            id: pack.id,
            blobs: pack.entries,
        });
        Ok(())
    }
}
