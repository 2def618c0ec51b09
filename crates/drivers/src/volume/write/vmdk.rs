//! VMDK of the kind `streamOptimized`: compressed grains with markers, written from beginning to end.
//!
//! The format is that of VMware's "Virtual Disk Format 5.0". A grain that is all zeros is left out. After the grains that a
//! grain table covers comes the table, after the last one the grain directory, a footer and the end marker. The header says
//! that the directory is told by the footer.

use std::io;

use flate2::{Compress, FlushCompress, Status};

use super::super::VolumeError;
use super::grid::{Grid, is_zero};
use super::sink::Sink;
use super::{DiskContent, WriteProgress, parallel};

const SECTOR_BYTES: u64 = 512;
const GRAIN_BYTES: u64 = 64 << 10;
const GRAIN_SECTORS: u64 = GRAIN_BYTES / SECTOR_BYTES;
/// Grains of a grain table.
const TABLE_GRAINS: u64 = 512;
/// Sectors before the first grain: header, descriptor, and the rest of a grain.
const OVERHEAD_SECTORS: u64 = 128;
const DESCRIPTOR_SECTORS: u64 = 20;
/// The header's word for "see the footer".
const DIRECTORY_AT_END: u64 = u64::MAX;

const MARKER_END: u32 = 0;
const MARKER_TABLE: u32 = 1;
const MARKER_DIRECTORY: u32 = 2;
const MARKER_FOOTER: u32 = 3;

/// Writes all of `content` to `sink`. `name` is the file's, which its descriptor repeats.
pub(super) fn write(
    sink: &mut Sink<'_>,
    name: &str,
    content: &dyn DiskContent,
    progress: &WriteProgress,
) -> Result<(), VolumeError> {
    let grid = Grid::new(content, GRAIN_BYTES)?;
    let mut writer = Writer::begin(sink, name, grid.size_bytes)?;
    parallel::add_data(&grid, progress, compress, |range, grains| {
        for (place, grain) in grains {
            writer.add(range.start / GRAIN_BYTES + place, &grain)?;
        }
        Ok(())
    })?;
    writer.finish()
}

/// The size of the disk in a VMDK for `size_bytes`: whole sectors.
pub(super) fn virtual_bytes(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(SECTOR_BYTES)
}

/// The grains of a unit that are not zeros, compressed, each with its place.
fn compress(mut data: Vec<u8>) -> Result<Vec<(u64, Vec<u8>)>, VolumeError> {
    data.resize(data.len().next_multiple_of(GRAIN_BYTES as usize), 0);
    let mut deflate = Compress::new(flate2::Compression::default(), true);
    let mut grains = Vec::new();
    for (place, grain) in data.chunks(GRAIN_BYTES as usize).enumerate() {
        if is_zero(grain) {
            continue;
        }
        deflate.reset();
        // What cannot be compressed grows a little.
        let mut small = Vec::with_capacity(grain.len() + grain.len() / 8);
        let status = deflate.compress_vec(grain, &mut small, FlushCompress::Finish);
        match status {
            Ok(Status::StreamEnd) => grains.push((place as u64, small)),
            Ok(_) => return Err(not_compressed(io::Error::other("no room"))),
            Err(error) => return Err(not_compressed(io::Error::other(error))),
        }
    }
    Ok(grains)
}

fn not_compressed(cause: io::Error) -> VolumeError {
    VolumeError::Io {
        operation: "compress a grain of".into(),
        path: "a VMDK file".into(),
        cause,
    }
}

struct Writer<'a, 'f> {
    sink: &'a mut Sink<'f>,
    capacity_sectors: u64,
    /// Where the grains of the open table are, in sectors.
    table: Vec<u32>,
    table_index: u64,
    /// Where the tables are, in sectors.
    directory: Vec<u32>,
}

impl<'a, 'f> Writer<'a, 'f> {
    fn begin(sink: &'a mut Sink<'f>, name: &str, size_bytes: u64) -> Result<Self, VolumeError> {
        let capacity_sectors = virtual_bytes(size_bytes) / SECTOR_BYTES;
        // A capacity of nothing marks a file that only describes others.
        if capacity_sectors == 0 {
            return Err(VolumeError::Unsupported {
                what: "a VMDK file for a disk without bytes".into(),
                hint: "use qcow2 or raw".into(),
            });
        }
        let tables = capacity_sectors.div_ceil(GRAIN_SECTORS * TABLE_GRAINS);
        // Offsets have 32 bits; a disk of that many tables could not be written either.
        if tables > u64::from(u32::MAX) / GRAIN_SECTORS {
            return Err(too_large());
        }
        let writer = Self {
            sink,
            capacity_sectors,
            table: vec![0; TABLE_GRAINS as usize],
            table_index: 0,
            directory: vec![0; tables as usize],
        };
        writer
            .sink
            .write(&header(capacity_sectors, DIRECTORY_AT_END))?;
        let mut descriptor = descriptor(name, capacity_sectors);
        descriptor.resize((DESCRIPTOR_SECTORS * SECTOR_BYTES) as usize, 0);
        writer.sink.write(&descriptor)?;
        let rest = OVERHEAD_SECTORS - 1 - DESCRIPTOR_SECTORS;
        writer
            .sink
            .write(&vec![0; (rest * SECTOR_BYTES) as usize])?;
        Ok(writer)
    }

    /// The sector at which the file goes on.
    fn sector(&self) -> Result<u32, VolumeError> {
        u32::try_from(self.sink.written() / SECTOR_BYTES).map_err(|_| too_large())
    }

    fn add(&mut self, grain: u64, data: &[u8]) -> Result<(), VolumeError> {
        if grain / TABLE_GRAINS != self.table_index {
            self.close_table()?;
            self.table_index = grain / TABLE_GRAINS;
        }
        self.table[(grain % TABLE_GRAINS) as usize] = self.sector()?;
        let mut bytes = Vec::with_capacity(data.len() + 12 + SECTOR_BYTES as usize);
        bytes.extend((grain * GRAIN_SECTORS).to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        self.sink.write(&bytes)
    }

    fn close_table(&mut self) -> Result<(), VolumeError> {
        if self.table.iter().all(|grain| *grain == 0) {
            return Ok(());
        }
        let table = little_endian(&self.table);
        self.directory[self.table_index as usize] = self.add_metadata(MARKER_TABLE, &table)?;
        self.table.fill(0);
        Ok(())
    }

    /// Adds a marker and what it announces, and returns the sector of the latter.
    fn add_metadata(&mut self, marker: u32, data: &[u8]) -> Result<u32, VolumeError> {
        let mut data = data.to_vec();
        data.resize(data.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        self.add_marker(marker, data.len() as u64 / SECTOR_BYTES)?;
        let sector = self.sector()?;
        self.sink.write(&data)?;
        Ok(sector)
    }

    fn add_marker(&mut self, marker: u32, sectors: u64) -> Result<(), VolumeError> {
        let mut bytes = Vec::with_capacity(SECTOR_BYTES as usize);
        bytes.extend(sectors.to_le_bytes());
        bytes.extend([0; 4]); // no grain
        bytes.extend(marker.to_le_bytes());
        bytes.resize(SECTOR_BYTES as usize, 0);
        self.sink.write(&bytes)
    }

    fn finish(mut self) -> Result<(), VolumeError> {
        self.close_table()?;
        let directory = little_endian(&self.directory);
        let directory = self.add_metadata(MARKER_DIRECTORY, &directory)?;
        let footer = header(self.capacity_sectors, u64::from(directory));
        self.add_metadata(MARKER_FOOTER, &footer)?;
        self.add_marker(MARKER_END, 0)
    }
}

fn too_large() -> VolumeError {
    VolumeError::Unsupported {
        what: "a VMDK file beyond 2 TiB".into(),
        hint: "use qcow2 or raw".into(),
    }
}

/// The sparse extent header, which the footer repeats. Little endian.
fn header(capacity_sectors: u64, directory_sector: u64) -> Vec<u8> {
    /// Line ends can be tested, grains are compressed, and there are markers.
    const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
    const DEFLATE: u16 = 1;
    let mut bytes = Vec::with_capacity(SECTOR_BYTES as usize);
    bytes.extend(b"KDMV");
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(FLAGS.to_le_bytes());
    bytes.extend(capacity_sectors.to_le_bytes());
    bytes.extend(GRAIN_SECTORS.to_le_bytes());
    bytes.extend(1u64.to_le_bytes()); // the descriptor's first sector
    bytes.extend(DESCRIPTOR_SECTORS.to_le_bytes());
    bytes.extend((TABLE_GRAINS as u32).to_le_bytes());
    bytes.extend(0u64.to_le_bytes()); // no redundant directory
    bytes.extend(directory_sector.to_le_bytes());
    bytes.extend(OVERHEAD_SECTORS.to_le_bytes());
    bytes.push(0); // shut down cleanly
    bytes.extend(b"\n \r\n"); // what a transfer as text would destroy
    bytes.extend(DEFLATE.to_le_bytes());
    bytes.resize(SECTOR_BYTES as usize, 0);
    bytes
}

/// The text that describes the disk. Its name is quoted there, so quotes and line ends in it are replaced.
fn descriptor(name: &str, capacity_sectors: u64) -> Vec<u8> {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    /// Longer names would not fit into the descriptor's sectors, and nothing reads them.
    const MAX_NAME_CHARS: usize = 200;
    let name: String = name
        .chars()
        .map(|c| if c == '"' || c.is_control() { '_' } else { c })
        .take(MAX_NAME_CHARS)
        .collect();
    let cylinders = capacity_sectors.div_ceil(HEADS * SECTORS);
    // Any identifier will do that is not all ones, which means "no parent".
    let identifier = (capacity_sectors as u32 ^ 0x5eed_0001) & 0x7fff_ffff;
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={identifier:08x}\nparentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\n# Extent description\n\
         RW {capacity_sectors} SPARSE \"{name}\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.virtualHWVersion = \"4\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{HEADS}\"\nddb.geometry.sectors = \"{SECTORS}\"\n\
         ddb.adapterType = \"lsilogic\"\n"
    )
    .into_bytes()
}

fn little_endian(entries: &[u32]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}
