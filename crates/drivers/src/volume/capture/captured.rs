//! A captured disk, of whatever kind.

use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;

use super::generation::Generation;
use super::reflink::Anchor;
use super::stat::FileStat;
use super::{Changes, DiskCapture};
use crate::volume::source::DiskReader;
use crate::volume::{Consistency, DiskToken, Extent, VolumeError};

/// How it is found out that a disk was not written to while it was read.
#[derive(Debug)]
pub(super) enum Watch {
    /// What is read cannot change, or is known to change.
    Nothing,
    /// A file keeps its inode's times.
    File { file: File, stat: FileStat },
    /// A file that is known to change keeps its size at least.
    Length { file: File, size_bytes: u64 },
    /// The kernel's count of what was written to a device stays.
    Device {
        file: File,
        statistics: PathBuf,
        sectors: u64,
    },
}

impl Watch {
    /// Starts to watch a file.
    pub(super) fn file(file: File, stat: FileStat) -> Self {
        Self::File { file, stat }
    }

    /// Starts to watch a block device by its folder in sysfs. Where it has no statistics it cannot be watched.
    pub(super) fn device(file: File, sysfs: PathBuf) -> Self {
        let statistics = sysfs.join("stat");
        match count_written(&statistics) {
            Some(sectors) => Self::Device {
                file,
                statistics,
                sectors,
            },
            None => Self::Nothing,
        }
    }

    fn verify(&self, volume: &str) -> Result<(), VolumeError> {
        let inconsistent = |reason: &str| VolumeError::Inconsistent {
            volume: volume.to_owned(),
            reason: reason.to_owned(),
        };
        let look = |file: &File| file.metadata().map_err(VolumeError::io("look at", volume));
        match self {
            Self::Nothing => Ok(()),
            Self::File { file, stat } if FileStat::of(&look(file)?) != *stat => {
                Err(inconsistent("it was written to while it was read"))
            }
            Self::Length { file, size_bytes } if look(file)?.len() < *size_bytes => {
                Err(inconsistent("it became smaller while it was read"))
            }
            Self::Device {
                file,
                statistics,
                sectors,
            } => {
                // What was read may have come from memory, where others had written it; the device counts it only now.
                file.sync_all()
                    .map_err(VolumeError::io("write out", volume))?;
                match count_written(statistics) {
                    Some(now) if now == *sectors => Ok(()),
                    _ => Err(inconsistent("it was written to while it was read")),
                }
            }
            Self::File { .. } | Self::Length { .. } => Ok(()),
        }
    }
}

/// Sectors written and, since Linux 4.18, discarded: the seventh and the fourteenth figure of a device's statistics
/// (`Documentation/block/stat.rst`). Flushes, ours among them, have no sectors.
fn count_written(statistics: &PathBuf) -> Option<u64> {
    let text = fs::read_to_string(statistics).ok()?;
    let figure = |at: usize| text.split_ascii_whitespace().nth(at);
    let written: u64 = figure(6)?.parse().ok()?;
    let discarded: u64 = figure(13).unwrap_or("0").parse().ok()?;
    Some(written.wrapping_add(discarded))
}

/// A disk at one moment.
pub(super) struct Captured {
    pub(super) reader: Box<dyn DiskReader>,
    pub(super) changes: Changes,
    pub(super) consistency: Consistency,
    pub(super) is_detached: bool,
    pub(super) watch: Watch,
    /// A clone that is only read, not kept.
    pub(super) scratch: Option<Anchor>,
    pub(super) generation: Generation,
}

/// A [`Captured`] that is settled at the latest when it is dropped.
pub(super) struct OpenCapture(Option<Captured>);

impl OpenCapture {
    pub(super) fn new(captured: Captured) -> Self {
        Self(Some(captured))
    }

    fn get(&self) -> &Captured {
        // Only `settle` and `drop` take it, and nobody can call anything after those.
        match &self.0 {
            Some(captured) => captured,
            None => unreachable!("a settled capture cannot be asked"),
        }
    }

    fn end(&mut self, kept_as: Option<&str>) -> Option<DiskToken> {
        let captured = self.0.take()?;
        // Lets go of QEMU's locks first, or the bitmaps of the image could not be changed.
        drop(captured.reader);
        drop(captured.scratch);
        match kept_as {
            Some(snapshot) => captured.generation.kept(snapshot),
            None => captured.generation.failed(),
        }
    }
}

impl DiskCapture for OpenCapture {
    fn size_bytes(&self) -> u64 {
        self.get().reader.size_bytes()
    }

    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        self.get().reader.extents(range)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.get().reader.read_at(offset, buffer)
    }

    fn changes(&self) -> &Changes {
        &self.get().changes
    }

    fn consistency(&self) -> Consistency {
        self.get().consistency
    }

    fn is_detached(&self) -> bool {
        self.get().is_detached
    }

    fn verify(&self) -> Result<(), VolumeError> {
        let captured = self.get();
        captured.watch.verify(&captured.generation.source.volume)
    }

    fn settle(
        mut self: Box<Self>,
        kept_as: Option<&str>,
    ) -> Result<Option<DiskToken>, VolumeError> {
        Ok(self.end(kept_as))
    }
}

impl Drop for OpenCapture {
    fn drop(&mut self) {
        self.end(None);
    }
}
