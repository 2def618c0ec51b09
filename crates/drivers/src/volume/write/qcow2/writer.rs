//! Placing clusters in the file, and the tables that tell where they are.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::super::VolumeError;
use super::super::grid::Grid;
use super::super::staged::{ensure_room, failed};
use super::super::{Compression, DiskContent, WriteProgress, parallel};
use super::clusters::{Piece, Unit, prepare};
use super::header::Header;
use super::refcounts::Refcounts;
use super::{CLUSTER_BITS, CLUSTER_BYTES, COPIED, L2_ENTRIES};

/// QEMU opens no file with a larger L1 table (32 MiB): disks end at 2 PiB.
const MAX_L1_ENTRIES: u64 = (32 << 20) / 8;
/// Sizes are told in sectors.
const SECTOR_BYTES: u64 = 512;
/// An entry of L2 whose cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Where a compressed cluster's entry has the number of its further sectors: 62 - (CLUSTER_BITS - 8).
const COMPRESSED_SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);

/// Writes all of `content` into the empty `file` and returns the length of the file. It is complete then, not durable.
pub(in super::super) fn write(
    file: &File,
    path: &Path,
    content: &dyn DiskContent,
    compression: Compression,
    progress: &WriteProgress,
) -> Result<u64, VolumeError> {
    let grid = Grid::new(content, CLUSTER_BYTES)?;
    if compression == Compression::None {
        ensure_room(file, path, grid.data_bytes())?;
    }
    let mut writer = Writer::new(file, path, grid.size_bytes)?;
    parallel::add_data(
        &grid,
        progress,
        |data| prepare(data, compression),
        |range, clusters| writer.add(range.start >> CLUSTER_BITS, &clusters),
    )?;
    writer.finish(compression)
}

struct Writer<'a> {
    file: &'a File,
    path: &'a Path,
    virtual_bytes: u64,
    /// The first cluster of the file that is not used yet.
    next: u64,
    /// Where the next compressed cluster goes when it fits into the rest of that cluster.
    packed: Option<u64>,
    refcounts: Refcounts,
    l1: Vec<u64>,
    l2: Vec<u64>,
    /// Which part of the disk `l2` is of.
    l2_index: u64,
}

impl<'a> Writer<'a> {
    fn new(file: &'a File, path: &'a Path, size_bytes: u64) -> Result<Self, VolumeError> {
        let virtual_bytes = size_bytes.next_multiple_of(SECTOR_BYTES);
        let l1_entries = virtual_bytes.div_ceil(CLUSTER_BYTES * L2_ENTRIES).max(1);
        if l1_entries > MAX_L1_ENTRIES {
            return Err(VolumeError::Unsupported {
                what: format!("a qcow2 file for a disk of {size_bytes} bytes"),
                hint: "use raw for disks beyond 2 PiB".into(),
            });
        }
        let mut writer = Self {
            file,
            path,
            virtual_bytes,
            next: 0,
            packed: None,
            refcounts: Refcounts::default(),
            l1: vec![0; l1_entries as usize],
            l2: vec![0; L2_ENTRIES as usize],
            l2_index: 0,
        };
        let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER_BYTES);
        writer.allocate(1 + l1_clusters);
        Ok(writer)
    }

    /// Takes clusters at the end of the file, each used once, and returns the offset of the first.
    fn allocate(&mut self, clusters: u64) -> u64 {
        let first = self.next;
        for cluster in first..first + clusters {
            self.refcounts.add(cluster);
        }
        self.next += clusters;
        first << CLUSTER_BITS
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.file
            .write_all_at(data, offset)
            .map_err(failed(format!("write at {offset} of"), self.path))
    }

    /// Adds clusters of the disk from `first` on. Units come in the order of the disk.
    fn add(&mut self, first: u64, unit: &Unit) -> Result<(), VolumeError> {
        for piece in &unit.pieces {
            match piece {
                Piece::Plain(run) => {
                    let clusters = (run.len() as u64) >> CLUSTER_BITS;
                    let offset = self.allocate(clusters);
                    self.write_at(offset, &unit.data[run.clone()])?;
                    let from = first + (run.start as u64 >> CLUSTER_BITS);
                    for n in 0..clusters {
                        self.set_entry(from + n, (offset + (n << CLUSTER_BITS)) | COPIED)?;
                    }
                }
                Piece::Compressed(start, data) => {
                    let offset = self.pack(data.len() as u64);
                    self.write_at(offset, data)?;
                    let last_byte = offset + data.len() as u64 - 1;
                    let further_sectors = last_byte / SECTOR_BYTES - offset / SECTOR_BYTES;
                    let entry = COMPRESSED | (further_sectors << COMPRESSED_SECTORS_SHIFT) | offset;
                    self.set_entry(first + (*start as u64 >> CLUSTER_BITS), entry)?;
                }
            }
        }
        self.close_settled_counts()
    }

    /// Finds a place for `bytes` (less than a cluster) of compressed data and counts its clusters.
    fn pack(&mut self, bytes: u64) -> u64 {
        let offset = match self.packed {
            Some(offset) if bytes <= CLUSTER_BYTES - offset % CLUSTER_BYTES => offset,
            // It may go on in the next cluster when that one is free.
            Some(offset) if (offset >> CLUSTER_BITS) + 1 == self.next => {
                self.next += 1;
                offset
            }
            _ => {
                self.next += 1;
                (self.next - 1) << CLUSTER_BITS
            }
        };
        let end = offset + bytes;
        for cluster in offset >> CLUSTER_BITS..=(end - 1) >> CLUSTER_BITS {
            self.refcounts.add(cluster);
        }
        self.packed = (!end.is_multiple_of(CLUSTER_BYTES)).then_some(end);
        offset
    }

    fn set_entry(&mut self, cluster: u64, entry: u64) -> Result<(), VolumeError> {
        let index = cluster / L2_ENTRIES;
        if index != self.l2_index {
            self.close_l2()?;
            self.l2_index = index;
        }
        self.l2[(cluster % L2_ENTRIES) as usize] = entry;
        Ok(())
    }

    fn close_l2(&mut self) -> Result<(), VolumeError> {
        if self.l2.iter().all(|entry| *entry == 0) {
            return Ok(());
        }
        let offset = self.allocate(1);
        self.write_at(offset, &big_endian(&self.l2))?;
        self.l1[self.l2_index as usize] = offset | COPIED;
        self.l2.fill(0);
        Ok(())
    }

    fn close_settled_counts(&mut self) -> Result<(), VolumeError> {
        loop {
            let changing = self
                .packed
                .map_or(self.next, |offset| offset >> CLUSTER_BITS);
            if !self.refcounts.is_settled_before(changing.min(self.next)) {
                return Ok(());
            }
            self.close_counts()?;
        }
    }

    fn close_counts(&mut self) -> Result<(), VolumeError> {
        let offset = self.allocate(1);
        match self.refcounts.close_first(offset) {
            Some(counts) => self.write_at(offset, &counts),
            None => Ok(()),
        }
    }

    fn finish(mut self, compression: Compression) -> Result<u64, VolumeError> {
        self.close_l2()?;
        let (table_clusters, blocks) = self.refcounts.rest(self.next);
        let table_offset = self.allocate(table_clusters);
        // All are counted before the first is written: the blocks count themselves.
        let first_block = self.allocate(blocks);
        for block in 0..blocks {
            let offset = first_block + (block << CLUSTER_BITS);
            if let Some(counts) = self.refcounts.close_first(offset) {
                self.write_at(offset, &counts)?;
            }
        }
        self.write_at(table_offset, &self.refcounts.table())?;
        self.write_at(CLUSTER_BYTES, &big_endian(&self.l1))?;
        let header = Header {
            virtual_bytes: self.virtual_bytes,
            l1_offset: CLUSTER_BYTES,
            l1_entries: self.l1.len() as u32,
            refcount_table_offset: table_offset,
            refcount_table_clusters: table_clusters as u32,
            compression,
        };
        self.write_at(0, &header.encode())?;
        let bytes = self.next << CLUSTER_BITS;
        self.file
            .set_len(bytes)
            .map_err(failed("set the size of", self.path))?;
        Ok(bytes)
    }
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}
