//! Raw disks: the bytes as they are, zeros as holes.

use std::fs::File;
use std::path::Path;

use super::super::VolumeError;
use super::grid::{Grid, zero_runs};
use super::sink::Sink;
use super::staged::{ensure_room, failed};
use super::{Checksum, DiskContent, WriteProgress, parallel};

/// Zeros are looked for in pages of this size: the block of most file systems.
const PAGE_BYTES: usize = 4096;

/// Writes all of `content` into the empty `file`. Returns its checksum.
pub(super) fn write(
    file: &File,
    path: &Path,
    checksum: Checksum,
    content: &dyn DiskContent,
    progress: &WriteProgress,
) -> Result<Option<String>, VolumeError> {
    let grid = Grid::new(content, 1)?;
    ensure_room(file, path, grid.data_bytes())?;
    file.set_len(grid.size_bytes)
        .map_err(failed("set the size of", path))?;
    let mut sink = Sink::new(file, path, 0, checksum);
    parallel::ordered(
        grid.data_units(),
        grid.unit_bytes,
        progress,
        |unit| grid.read(unit),
        |unit, data| {
            let start = grid.range(unit).start;
            let before = sink.written();
            sink.skip_zeros(start - before, progress)?;
            for (run, zero) in zero_runs(&data, PAGE_BYTES, PAGE_BYTES) {
                if zero {
                    sink.skip_zeros(run.len() as u64, progress)?;
                } else {
                    progress.add_written(run.len() as u64);
                    sink.write(&data[run])?;
                }
            }
            progress.add_done(sink.written() - before);
            Ok(())
        },
    )?;
    let rest = grid.size_bytes - sink.written();
    sink.skip_zeros(rest, progress)?;
    progress.add_done(rest);
    Ok(sink.finish())
}
