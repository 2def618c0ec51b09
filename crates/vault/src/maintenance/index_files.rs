//! Reading and rewriting the index files of a repository, a few at a time.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::{Compressor, DEFAULT_LEVEL, IndexFile, IndexPack};
use crate::ids::IndexId;
use crate::repository::{Repository, retry};
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;

/// Most blobs in an index file that is written here; the same as restic's, so that no reader meets larger ones.
pub(super) const MAX_BLOBS_PER_FILE: usize = 50_000;

/// An index file as listed, opened or with the reason why it cannot be.
pub(super) struct ListedIndex {
    pub(super) id: IndexId,
    pub(super) content: Result<IndexFile, VaultError>,
}

/// Opens every index file, one after another. A file that vanishes meanwhile was replaced by another writer and is left out.
pub(super) fn for_each_index(
    repository: &Repository,
    mut visit: impl FnMut(ListedIndex) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let mut ids: Vec<IndexId> = repository.list_index_files()?.into_iter().collect();
    ids.sort();
    for id in ids {
        let content = match repository.read_index_file(&id) {
            Err(VaultError::Storage(error)) if error.is_not_found() => continue,
            Err(error) if !error.is_damage() => return Err(error),
            content => content,
        };
        visit(ListedIndex { id, content })?;
    }
    Ok(())
}

/// Writes packs into as many new index files as needed and returns their ids. They are durable when this returns.
pub(super) fn write_index(
    repository: &Repository,
    packs: Vec<IndexPack>,
) -> Result<Vec<IndexId>, VaultError> {
    let mut compressor =
        Compressor::new(DEFAULT_LEVEL).map_err(|error| VaultError::Internal(error.to_string()))?;
    let mut written = Vec::new();
    let mut file = IndexFile::default();
    let mut blobs = 0;
    for pack in packs {
        blobs += pack.blobs.len();
        file.packs.push(pack);
        if blobs >= MAX_BLOBS_PER_FILE {
            written.push(write_file(
                repository,
                &mut compressor,
                std::mem::take(&mut file),
            )?);
            blobs = 0;
        }
    }
    if !file.packs.is_empty() {
        written.push(write_file(repository, &mut compressor, file)?);
    }
    Ok(written)
}

fn write_file(
    repository: &Repository,
    compressor: &mut Compressor,
    file: IndexFile,
) -> Result<IndexId, VaultError> {
    let sealed = file
        .seal(repository.master_key(), compressor)
        .map_err(|error| VaultError::Internal(error.to_string()))?;
    let id = IndexId::of(&sealed);
    let bytes = Bytes::from(sealed);
    retry(&CancelFlag::new(), || {
        let storage = repository.storage();
        storage.put(
            FileKind::Index,
            &id.to_string(),
            bytes.clone(),
            PutMode::Overwrite,
        )
    })?;
    Ok(id)
}

/// Removes index files whose content is durable elsewhere.
pub(super) fn delete_index(repository: &Repository, ids: &[IndexId]) -> Result<(), VaultError> {
    for id in ids {
        retry(&CancelFlag::new(), || {
            repository
                .storage()
                .delete(FileKind::Index, &id.to_string())
        })?;
    }
    Ok(())
}
