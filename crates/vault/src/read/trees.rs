//! Reading many directories of one snapshot.

use super::fetch::Fetcher;
use super::plan::locate;
use crate::blob_index::BlobLocation;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{BlobKind, Tree};
use crate::ids::{BlobId, PackId};
use crate::repository::Repository;
use crate::storage::FileKind;
use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes fetched at once around a directory that is wanted: its neighbours were written with it and will be wanted next.
const WINDOW_BYTES: u64 = 2 << 20;
/// Windows kept.
const WINDOWS_MAX: usize = 4;

/// Reads directories one after another with few requests. At most 8 MiB are kept, and one longer directory.
pub(crate) struct TreeReader<'a> {
    repository: &'a Repository,
    windows: VecDeque<Window>,
    is_current: bool,
}

struct Window {
    pack: PackId,
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn slice(&self, location: &BlobLocation) -> Option<&[u8]> {
        if self.pack != location.pack {
            return None;
        }
        let start = u64::from(location.offset).checked_sub(self.start)? as usize;
        self.bytes.get(start..start + location.length as usize)
    }
}

impl<'a> TreeReader<'a> {
    pub fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            windows: VecDeque::new(),
            is_current: false,
        }
    }

    /// Reads the directory `id`, from wherever it is intact.
    pub fn read(&mut self, id: &BlobId) -> Result<Tree, VaultError> {
        let location = locate(self.repository, BlobKind::Tree, id, &mut self.is_current)?;
        let mut sealed = match self
            .windows
            .iter()
            .find_map(|window| window.slice(&location))
        {
            Some(sealed) => sealed.to_vec(),
            None => match self.fetch_window(&location) {
                Some(sealed) => sealed,
                None => return self.repository.read_tree(id),
            },
        };
        let never = CancelFlag::new();
        let mut fetcher = Fetcher::new(self.repository, &never)?;
        match fetcher.open(&location.to_pack_entry(BlobKind::Tree, *id), &mut sealed) {
            Ok(plain) => {
                Tree::parse(plain).map_err(|error| VaultError::damaged(Part::Tree, id, error))
            }
            // Told or mended by the careful way.
            Err(_) => self.repository.read_tree(id),
        }
    }

    /// Fetches the surroundings of a blob; the blob. `None` if anything is wrong, which the careful way will tell.
    fn fetch_window(&mut self, location: &BlobLocation) -> Option<Vec<u8>> {
        let storage = self.repository.storage();
        let name = location.pack.to_string();
        let size = storage.size(FileKind::Data, &name).ok()?;
        let blob_start = u64::from(location.offset);
        let blob_end = blob_start + u64::from(location.length);
        let start = blob_start.saturating_sub(WINDOW_BYTES / 2);
        let end = (start + WINDOW_BYTES).min(size).max(blob_end);
        let bytes = storage
            .get_range(FileKind::Data, &name, start, end - start)
            .ok()?;
        let window = Window {
            pack: location.pack,
            start,
            bytes,
        };
        let sealed = window.slice(location)?.to_vec();
        self.windows.truncate(WINDOWS_MAX - 1);
        self.windows.push_front(window);
        Some(sealed)
    }
}
