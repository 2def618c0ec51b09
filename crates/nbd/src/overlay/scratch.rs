//! The file of an overlay.
//!
//! A page of 4 KiB with magic number, version, granule size, disk size and the text that says where it belongs; a map with one byte a
//! granule; the granules, each where the disk has it, behind the next multiple of 64 KiB. What was never written takes no space.
//!
//! Order: a flush makes the granules durable first and then writes the map that speaks of them. A power cut between the two leaves a
//! map that tells of less than there is, which are writes that were never confirmed as durable.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use crate::error::NbdError;

/// What is copied at once, bytes.
pub(super) const GRANULE_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4096;
const MAGIC: &[u8; 8] = b"SNAPKOVL";
const VERSION: u32 = 1;
/// Magic number, version, granule size, disk size, length of the text.
const FIXED_BYTES: usize = 28;
const MAX_TEXT_BYTES: usize = 3 << 10;
/// A map of 1 GiB: disks of 64 TiB.
const MAX_GRANULES: u64 = 1 << 30;

/// Where the content of a granule is. The numbers are those of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granule {
    /// In the disk below.
    Below = 0,
    /// In the file.
    Written = 1,
    /// All zeroes.
    Zero = 2,
}

/// The file, and its map in memory.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    map: Vec<AtomicU8>,
    data_start: u64,
    /// Pages of the map that differ from the file. Nothing when the file is not kept.
    changed: Option<Mutex<BTreeSet<usize>>>,
}

/// Sizes of the parts: granules, bytes of the map, start of the data.
fn layout(size_bytes: u64) -> io::Result<(usize, u64, u64)> {
    let granules = size_bytes.div_ceil(GRANULE_BYTES);
    if granules > MAX_GRANULES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the disk is larger than 64 TiB",
        ));
    }
    let map_bytes = granules.next_multiple_of(PAGE_BYTES);
    let data_start = (PAGE_BYTES + map_bytes).next_multiple_of(GRANULE_BYTES);
    Ok((granules as usize, map_bytes, data_start))
}

impl Scratch {
    /// A file that nobody finds again.
    pub(super) fn temporary(file: File, size_bytes: u64) -> io::Result<Self> {
        let (granules, _, data_start) = layout(size_bytes)?;
        file.set_len(data_start + size_bytes)?;
        Ok(Self {
            file,
            map: (0..granules).map(|_| AtomicU8::new(0)).collect(),
            data_start,
            changed: None,
        })
    }

    /// A file to be continued or made.
    pub(super) fn kept(path: &Path, size_bytes: u64, belongs_to: &str) -> Result<Self, NbdError> {
        let problem = |cause: String| NbdError::Setup {
            operation: "cannot use the overlay",
            object: path.display().to_string(),
            cause,
        };
        let head = header(size_bytes, belongs_to).map_err(|cause| problem(cause.to_string()))?;
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => {
                Self::continued(file, size_bytes, &head).map_err(|cause| problem(cause.to_string()))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Self::made(path, size_bytes, &head).map_err(|cause| problem(cause.to_string()))
            }
            Err(cause) => Err(problem(cause.to_string())),
        }
    }

    fn made(path: &Path, size_bytes: u64, head: &[u8]) -> io::Result<Self> {
        let (granules, _, data_start) = layout(size_bytes)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // It gets its name when it is complete, so that what has the name always is an overlay.
        let new = tempfile::NamedTempFile::new_in(folder)?;
        lock(new.as_file())?;
        new.as_file().set_len(data_start + size_bytes)?;
        new.as_file().write_all_at(head, 0)?;
        new.as_file().sync_all()?;
        let file = new.persist_noclobber(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            file,
            map: (0..granules).map(|_| AtomicU8::new(0)).collect(),
            data_start,
            changed: Some(Mutex::default()),
        })
    }

    fn continued(file: File, size_bytes: u64, head: &[u8]) -> io::Result<Self> {
        let (granules, map_bytes, data_start) = layout(size_bytes)?;
        lock(&file)?;
        let mut found = vec![0; PAGE_BYTES as usize];
        let is_complete = file.metadata()?.len() >= data_start + size_bytes;
        if file.read_exact_at(&mut found, 0).is_err() || !found.starts_with(MAGIC) {
            return Err(io::Error::other("it is no overlay; name another file"));
        }
        if found[8..12] != head[8..12] {
            return Err(io::Error::other(
                "it was made by another version of this program",
            ));
        }
        if !found.starts_with(head) || found[head.len()..].iter().any(|byte| *byte != 0) {
            let other = text_of(&found);
            return Err(io::Error::other(format!(
                "it belongs to another disk: {other}; name another file, or serve that snapshot"
            )));
        }
        if !is_complete {
            return Err(io::Error::other("it was cut off; name another file"));
        }
        let mut map = vec![0; map_bytes as usize];
        file.read_exact_at(&mut map, PAGE_BYTES)?;
        map.truncate(granules);
        if map.iter().any(|state| *state > Granule::Zero as u8) {
            return Err(io::Error::other("its map is damaged; name another file"));
        }
        Ok(Self {
            file,
            map: map.into_iter().map(AtomicU8::new).collect(),
            data_start,
            changed: Some(Mutex::default()),
        })
    }

    pub(super) fn granule(&self, granule: u64) -> Granule {
        match self.map[granule as usize].load(Ordering::Acquire) {
            0 => Granule::Below,
            1 => Granule::Written,
            _ => Granule::Zero,
        }
    }

    /// How many granules are in a state.
    pub(super) fn count(&self, state: Granule) -> u64 {
        let is_it = |found: &&AtomicU8| found.load(Ordering::Relaxed) == state as u8;
        self.map.iter().filter(is_it).count() as u64
    }

    /// The lock of the granule is held, and its content is in the file.
    pub(super) fn set(&self, granule: u64, state: Granule) {
        let before = self.map[granule as usize].swap(state as u8, Ordering::AcqRel);
        if let Some(changed) = &self.changed
            && before != state as u8
        {
            lock_set(changed).insert(granule as usize / PAGE_BYTES as usize);
        }
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.data_start + offset)
    }

    pub(super) fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, self.data_start + offset)
    }

    /// Gives the storage of a range back.
    pub(super) fn give_up(&self, range: Range<u64>) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let start = self.data_start + range.start;
        // Not all file systems can; then the space stays in use, which is all.
        let _ = fallocate(&self.file, flags, start, range.end - range.start);
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        let Some(changed) = &self.changed else {
            return Ok(());
        };
        // Taken before the data is made durable: whoever is in the map by now has its data in the file. One that joins the map
        // meanwhile must not be written with it.
        let pages: Vec<(usize, Vec<u8>)> = {
            let mut changed = lock_set(changed);
            let numbers = std::mem::take(&mut *changed);
            let page = |number| (number, self.page(number));
            numbers.into_iter().map(page).collect()
        };
        let written = self.file.sync_data().and_then(|()| {
            for (number, page) in &pages {
                let start = PAGE_BYTES + *number as u64 * PAGE_BYTES;
                self.file.write_all_at(page, start)?;
            }
            match pages.is_empty() {
                true => Ok(()),
                false => self.file.sync_data(),
            }
        });
        if written.is_err() {
            lock_set(changed).extend(pages.iter().map(|(number, _)| *number));
        }
        written
    }

    fn page(&self, number: usize) -> Vec<u8> {
        let start = number * PAGE_BYTES as usize;
        let end = (start + PAGE_BYTES as usize).min(self.map.len());
        let states = self.map[start..end].iter();
        states.map(|state| state.load(Ordering::Acquire)).collect()
    }
}

fn lock_set(set: &Mutex<BTreeSet<usize>>) -> MutexGuard<'_, BTreeSet<usize>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two servers that write to one overlay would destroy it.
fn lock(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::other("another server uses it"))
}

fn header(size_bytes: u64, belongs_to: &str) -> io::Result<Vec<u8>> {
    if belongs_to.len() > MAX_TEXT_BYTES {
        return Err(io::Error::other(
            "the description of the disk below is too long",
        ));
    }
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend((GRANULE_BYTES as u32).to_le_bytes());
    head.extend(size_bytes.to_le_bytes());
    head.extend((belongs_to.len() as u32).to_le_bytes());
    head.extend(belongs_to.as_bytes());
    Ok(head)
}

/// What a page with a header says about where the file belongs.
fn text_of(page: &[u8]) -> String {
    let mut length = [0; 4];
    length.copy_from_slice(&page[FIXED_BYTES - 4..FIXED_BYTES]);
    let length = (u32::from_le_bytes(length) as usize).min(MAX_TEXT_BYTES);
    String::from_utf8_lossy(&page[FIXED_BYTES..FIXED_BYTES + length]).into_owned()
}
