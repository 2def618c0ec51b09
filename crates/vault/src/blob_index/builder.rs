//! Building a run from entries.

use super::entry::{ENTRY_BYTES, PACKS_MAX, RawEntry, fence_key, filter_key};
use super::meta::{PackRow, RunFilter, RunMeta};
use super::page::{PAGE_ENTRIES, append_page};
use super::run::{Pages, Run};
use crate::format::{IndexPack, PackEntry};
use crate::ids::{IndexId, PackId, RepositoryId};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries that are sorted in memory at once: 12 MiB.
pub(crate) const BUILDER_ENTRIES: usize = 1 << 18;
/// Pages are written out in pieces of this size.
const WRITE_BYTES: usize = 256 << 10;

static RUN_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A number that no other run of this process has.
pub(super) fn next_run_number() -> u64 {
    RUN_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Collects whole index files in memory until they become a run.
#[derive(Debug, Default)]
pub(crate) struct RunBuilder {
    files: Vec<IndexId>,
    packs: Vec<PackRow>,
    entries: Vec<[u8; ENTRY_BYTES]>,
}

impl RunBuilder {
    /// Adds the packs of one index file.
    pub fn add(&mut self, file: IndexId, packs: &[IndexPack]) {
        self.begin_file(file);
        for pack in packs {
            self.add_pack(pack.id, &pack.blobs);
        }
    }

    /// Says that the packs added next are those of `file`.
    pub fn begin_file(&mut self, file: IndexId) {
        self.files.push(file);
    }

    /// Adds one pack of the file begun last.
    pub fn add_pack(&mut self, id: PackId, blobs: &[PackEntry]) {
        let number = self.packs.len() as u32;
        let file = self.files.len().saturating_sub(1) as u32;
        self.packs.push(PackRow { id, file });
        for blob in blobs {
            self.entries.push(RawEntry::new(blob, number).encode());
        }
    }

    /// Whether it should become a run before more is added.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= BUILDER_ENTRIES || self.packs.len() >= PACKS_MAX / 2
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Sorts what was added and writes it into `dir`, or keeps it in memory. May be called again after an error.
    pub(super) fn build(
        &mut self,
        repository: RepositoryId,
        dir: Option<&Path>,
    ) -> io::Result<Run> {
        self.entries.sort_unstable();
        let mut writer = RunWriter::create(dir)?;
        for entry in &self.entries {
            writer.push(entry)?;
        }
        writer.finish(repository, self.files.clone(), self.packs.clone())
    }
}

/// Writes sorted entries as pages, then the tables.
pub(super) struct RunWriter {
    target: Target,
    /// Entries of the page that is being filled.
    page: Vec<[u8; ENTRY_BYTES]>,
    /// Finished pages that are not written yet; all of them for a run in memory.
    pages: Vec<u8>,
    fences: Vec<u64>,
    keys: Vec<u64>,
}

enum Target {
    Memory,
    File {
        file: File,
        temporary: PathBuf,
        path: PathBuf,
    },
}

impl RunWriter {
    /// A writer into `dir`, or into memory.
    pub fn create(dir: Option<&Path>) -> io::Result<Self> {
        let target = match dir {
            None => Target::Memory,
            Some(dir) => {
                let name = format!("{:016x}", rand::random::<u64>());
                let temporary = dir.join(format!("{name}.tmp"));
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(&temporary)?;
                Target::File {
                    file,
                    temporary,
                    path: dir.join(format!("{name}.run")),
                }
            }
        };
        Ok(Self {
            target,
            page: Vec::with_capacity(PAGE_ENTRIES),
            pages: Vec::new(),
            fences: Vec::new(),
            keys: Vec::new(),
        })
    }

    /// Appends an entry; they must come in order.
    pub fn push(&mut self, entry: &[u8; ENTRY_BYTES]) -> io::Result<()> {
        let id = &RawEntry::decode(entry).id;
        if self.page.is_empty() {
            self.fences.push(fence_key(id));
        }
        self.keys.push(filter_key(id));
        self.page.push(*entry);
        if self.page.len() == PAGE_ENTRIES {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> io::Result<()> {
        let page_no = self.fences.len().saturating_sub(1) as u64;
        append_page(page_no, &self.page, &mut self.pages);
        self.page.clear();
        if let Target::File { file, .. } = &mut self.target
            && self.pages.len() >= WRITE_BYTES
        {
            file.write_all(&self.pages)?;
            self.pages.clear();
        }
        Ok(())
    }

    /// Ends the run. It is not synced: a file that a power cut damages is noticed by its checksums and built again.
    pub fn finish(
        mut self,
        repository: RepositoryId,
        files: Vec<IndexId>,
        packs: Vec<PackRow>,
    ) -> io::Result<Run> {
        if !self.page.is_empty() {
            self.end_page()?;
        }
        let meta = RunMeta {
            repository,
            count: self.keys.len() as u64,
            files,
            packs,
            fences: self.fences,
            filter: RunFilter::build(self.keys),
        };
        let pages = match self.target {
            Target::Memory => Pages::Memory(self.pages),
            Target::File {
                mut file,
                temporary,
                path,
            } => {
                self.pages.extend_from_slice(&meta.encode());
                let written = file
                    .write_all(&self.pages)
                    .and_then(|()| fs::rename(&temporary, &path));
                if let Err(error) = written {
                    let _ = fs::remove_file(&temporary);
                    return Err(error);
                }
                Pages::File { file, path }
            }
        };
        Ok(Run {
            number: next_run_number(),
            meta,
            pages,
            is_recovered: false,
        })
    }
}
