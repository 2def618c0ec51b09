//! One sorted run, in memory or in a file.

use super::entry::{ENTRY_BYTES, RawEntry, fence_key, filter_key};
use super::meta::{FOOTER_BYTES, Footer, RunMeta};
use super::page::{PAGE_BYTES, Page, check_page, find_all};
use crate::error::VaultError;
use crate::ids::RepositoryId;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A run that cannot be read any more; it is to be dropped and built again from the index files.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cached index {} is damaged: {detail}", path.display())]
pub struct RunDamage {
    /// The file.
    pub path: PathBuf,
    /// How it shows.
    pub detail: String,
    /// Which run, in the words of the index.
    pub(super) run: u64,
}

impl From<RunDamage> for VaultError {
    fn from(damage: RunDamage) -> Self {
        Self::Local {
            operation: "reading the cached index",
            path: damage.path,
            source: io::Error::other(damage.detail),
        }
    }
}

/// Where the pages of a run are.
#[derive(Debug)]
pub(super) enum Pages {
    Memory(Vec<u8>),
    File { file: File, path: PathBuf },
}

/// One run. Its entries never change.
#[derive(Debug)]
pub(super) struct Run {
    /// Distinguishes runs of one process.
    pub number: u64,
    pub meta: RunMeta,
    pub pages: Pages,
    /// Whether its packs were found by their own headers because an index file cannot be read. Nothing durable names them, so that new
    /// snapshots must not rely on them.
    pub is_recovered: bool,
}

impl Run {
    /// Opens a run's file; the text says why it cannot be used.
    pub fn open(path: &Path, repository: RepositoryId, number: u64) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let file = File::open(path).map_err(text)?;
        let size = file.metadata().map_err(text)?.len();
        let footer_start = size
            .checked_sub(FOOTER_BYTES as u64)
            .ok_or("it is cut off")?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, footer_start)
            .map_err(text)?;
        let footer = Footer::decode(&footer, size).ok_or("its end is damaged or missing")?;
        let mut meta = vec![0; footer.meta_len as usize];
        file.read_exact_at(&mut meta, footer.meta_start())
            .map_err(text)?;
        let meta = RunMeta::decode(&footer, &meta).ok_or("its tables are damaged")?;
        if meta.repository != repository {
            return Err(format!("it belongs to repository {}", meta.repository));
        }
        Ok(Self {
            number,
            meta,
            pages: Pages::File {
                file,
                path: path.to_owned(),
            },
            is_recovered: false,
        })
    }

    /// The file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match &self.pages {
            Pages::Memory(_) => None,
            Pages::File { path, .. } => Some(path),
        }
    }

    /// Calls `found` with every entry of `id`.
    pub fn find(&self, id: &[u8; 32], found: &mut dyn FnMut(RawEntry)) -> Result<(), RunDamage> {
        if !self.meta.filter.may_contain(filter_key(id)) {
            return Ok(());
        }
        let key = fence_key(id);
        // The page before the first whose fence is not below the key can end with the id; pages from there on may begin with it.
        let first = self.meta.fences.partition_point(|fence| *fence < key);
        let mut page_no = first.saturating_sub(1);
        let mut buffer = [0; PAGE_BYTES];
        while self
            .meta
            .fences
            .get(page_no)
            .is_some_and(|fence| *fence <= key)
        {
            let entries = self.page(page_no, &mut buffer)?;
            let is_at_end = find_all(entries, id, found);
            if !is_at_end {
                break;
            }
            page_no += 1;
        }
        Ok(())
    }

    /// The entries of one page, read into `buffer` unless they are in memory.
    pub fn page<'a>(
        &'a self,
        page_no: usize,
        buffer: &'a mut Page,
    ) -> Result<&'a [[u8; ENTRY_BYTES]], RunDamage> {
        match &self.pages {
            Pages::Memory(pages) => {
                let (pages, _) = pages.as_chunks::<PAGE_BYTES>();
                pages
                    .get(page_no)
                    .and_then(|page| check_page(page_no as u64, page))
                    .ok_or_else(|| self.damage("a page in memory does not match its checksum"))
            }
            Pages::File { file, .. } => {
                file.read_exact_at(buffer, page_no as u64 * PAGE_BYTES as u64)
                    .map_err(|error| self.damage(&error.to_string()))?;
                check_page(page_no as u64, buffer)
                    .ok_or_else(|| self.damage("a page does not match its checksum"))
            }
        }
    }

    /// Number of pages.
    pub fn page_count(&self) -> usize {
        self.meta.fences.len()
    }

    fn damage(&self, detail: &str) -> RunDamage {
        RunDamage {
            path: self.path().map_or_else(PathBuf::new, Path::to_owned),
            detail: detail.to_owned(),
            run: self.number,
        }
    }
}
