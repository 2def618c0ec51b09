//! Fetching and proving blobs.

use crate::blob_index::BlobLocation;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::pack::open_blob;
use crate::format::{BlobKind, Decompressor, PackEntry};
use crate::ids::{BlobId, PackId};
use crate::repository::{Repository, retry};
use crate::storage::FileKind;
use bytes::Bytes;

/// Buffers of one reading thread.
pub(super) struct Fetcher<'a> {
    repository: &'a Repository,
    cancel: &'a CancelFlag,
    decompressor: Decompressor,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl<'a> Fetcher<'a> {
    pub fn new(repository: &'a Repository, cancel: &'a CancelFlag) -> Result<Self, VaultError> {
        let decompressor = Decompressor::new()
            .map_err(|error| VaultError::Internal(format!("no decompressor: {error}")))?;
        Ok(Self {
            repository,
            cancel,
            decompressor,
            plain: Vec::new(),
            sealed: Vec::new(),
        })
    }

    /// Reads a range of a pack; `None` if there is no such pack.
    pub fn read(
        &self,
        pack: &PackId,
        offset: u64,
        length: u64,
    ) -> Result<Option<Bytes>, VaultError> {
        let name = pack.to_string();
        retry(self.cancel, || {
            match self
                .repository
                .storage()
                .get_range(FileKind::Data, &name, offset, length)
            {
                Err(error) if error.is_not_found() => Ok(None),
                result => result.map(Some),
            }
        })
    }

    /// Opens a blob where it lies in memory.
    pub fn open<'b>(
        &'b mut self,
        entry: &PackEntry,
        sealed: &'b mut [u8],
    ) -> Result<&'b [u8], String> {
        let key = self.repository.master_key();
        open_blob(key, entry, sealed, &mut self.decompressor, &mut self.plain)
            .map_err(|error| error.to_string())
    }

    /// Reads one blob from wherever it is intact: its packs may have been rewritten by a prune since it was looked up, and a damaged
    /// blob may be there twice. `reason` is why the first attempt failed.
    pub fn fetch_any(
        &mut self,
        kind: BlobKind,
        id: &BlobId,
        reason: String,
    ) -> Result<&[u8], VaultError> {
        self.repository.refresh()?;
        let view = self.repository.index().view();
        let mut detail = reason;
        for location in view.get_all(kind, id)? {
            match self.try_location(kind, id, &location)? {
                Ok(()) => return Ok(&self.plain),
                Err(problem) => detail = problem,
            }
        }
        let part = match kind {
            BlobKind::Data => Part::Data,
            BlobKind::Tree => Part::Tree,
        };
        Err(VaultError::damaged(part, id, detail))
    }

    /// Reads the blob from one place into `plain`; the inner error says what is wrong there.
    fn try_location(
        &mut self,
        kind: BlobKind,
        id: &BlobId,
        location: &BlobLocation,
    ) -> Result<Result<(), String>, VaultError> {
        let pack = location.pack;
        let offset = u64::from(location.offset);
        let read = match self.read(&pack, offset, u64::from(location.length)) {
            Ok(read) => read,
            Err(VaultError::Storage(error)) if !error.is_transient() => {
                return Ok(Err(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let Some(bytes) = read else {
            return Ok(Err(format!("pack {pack} is missing")));
        };
        let entry = location.to_pack_entry(kind, *id);
        let mut sealed = std::mem::take(&mut self.sealed);
        sealed.clear();
        sealed.extend_from_slice(&bytes);
        let key = self.repository.master_key();
        let opened = open_blob(
            key,
            &entry,
            &mut sealed,
            &mut self.decompressor,
            &mut self.plain,
        );
        let result = match opened {
            Ok(plain) if entry.uncompressed_length.is_none() => Ok(Some(plain.to_vec())),
            Ok(_) => Ok(None),
            Err(error) => Err(format!("in pack {pack}: {error}")),
        };
        self.sealed = sealed;
        Ok(result.map(|raw| {
            if let Some(raw) = raw {
                self.plain = raw;
            }
        }))
    }
}
