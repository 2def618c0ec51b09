//! Single blobs, directories and small files.

use super::blobs::ReadOptions;
use super::fetch::Fetcher;
use super::plan::locate;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{BlobKind, Node, Tree};
use crate::ids::BlobId;
use crate::repository::Repository;
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

impl Repository {
    /// Reads one data blob.
    pub fn read_blob(&self, id: &BlobId) -> Result<Bytes, VaultError> {
        self.read_one(BlobKind::Data, id)
    }

    /// Reads a directory.
    pub fn read_tree(&self, id: &BlobId) -> Result<Tree, VaultError> {
        let plain = self.read_one(BlobKind::Tree, id)?;
        Tree::parse(&plain).map_err(|error| VaultError::damaged(Part::Tree, id, error))
    }

    /// Reads a file into memory; one of more than `max_bytes` is refused before anything is read.
    pub fn read_file(&self, content: &[BlobId], max_bytes: u64) -> Result<Vec<u8>, VaultError> {
        let mut is_current = false;
        let mut offsets = Vec::with_capacity(content.len());
        let mut size: u64 = 0;
        for id in content {
            offsets.push(size as usize);
            let location = locate(self, BlobKind::Data, id, &mut is_current)?;
            size += u64::from(location.plain_length());
            if size > max_bytes {
                return Err(VaultError::TooLarge {
                    what: "a file to be read into memory".to_owned(),
                    size,
                    limit: max_bytes,
                });
            }
        }
        if let [id] = content {
            return Ok(self.read_blob(id)?.into());
        }
        let file = Mutex::new(vec![0; size as usize]);
        self.read_blobs(content, &ReadOptions::default(), &|position, plain| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let start = offsets[position];
            // Content that is proved has the length that its index entry told, or the entry lied.
            let room = file
                .get_mut(start..start + plain.len())
                .ok_or("a blob is longer than the index says")?;
            room.copy_from_slice(plain);
            Ok(())
        })?;
        Ok(file.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The node at `path` below the directory `root`, names separated by `/`; `None` if there is none.
    pub fn find(&self, root: BlobId, path: &str) -> Result<Option<Node>, VaultError> {
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut directory = root;
        while let Some(name) = names.next() {
            let tree = self.read_tree(&directory)?;
            let Some(node) = tree.find(name.as_bytes()) else {
                return Ok(None);
            };
            if names.peek().is_none() {
                return Ok(Some(node.clone()));
            }
            match node.subtree {
                Some(subtree) => directory = subtree,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn read_one(&self, kind: BlobKind, id: &BlobId) -> Result<Bytes, VaultError> {
        let location = locate(self, kind, id, &mut false)?;
        let never = CancelFlag::new();
        let mut fetcher = Fetcher::new(self, &never)?;
        let read = fetcher.read(
            &location.pack,
            u64::from(location.offset),
            u64::from(location.length),
        );
        let problem = match read {
            Ok(Some(bytes)) => {
                let mut sealed = bytes.to_vec();
                match fetcher.open(&location.to_pack_entry(kind, *id), &mut sealed) {
                    Ok(plain) => return Ok(Bytes::copy_from_slice(plain)),
                    Err(problem) => format!("in pack {}: {problem}", location.pack),
                }
            }
            Ok(None) => format!("pack {} is missing", location.pack),
            Err(VaultError::Storage(error)) if !error.is_transient() => error.to_string(),
            Err(error) => return Err(error),
        };
        fetcher
            .fetch_any(kind, id, problem)
            .map(Bytes::copy_from_slice)
    }
}
