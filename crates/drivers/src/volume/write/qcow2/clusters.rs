//! The clusters of a unit, ready to be placed.

use std::io;
use std::ops::Range;

use flate2::{Compress, FlushCompress, Status};

use super::super::super::VolumeError;
use super::super::Compression;
use super::super::grid::{is_zero, zero_runs};
use super::CLUSTER_BYTES;

/// QEMU inflates with a window of 4 KiB: distances beyond it must not occur.
const DEFLATE_WINDOW_BITS: u8 = 12;
const ZSTD_LEVEL: i32 = 3;

/// Some clusters of a unit. Clusters of zeros are left out.
pub(super) enum Piece {
    /// Clusters in a row as they are: this part of the unit's data.
    Plain(Range<usize>),
    /// One cluster, compressed, and where it is in the unit.
    Compressed(usize, Vec<u8>),
}

/// A unit in whole clusters.
pub(super) struct Unit {
    pub(super) data: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
}

/// Cuts `data` into clusters and compresses them.
pub(super) fn prepare(mut data: Vec<u8>, compression: Compression) -> Result<Unit, VolumeError> {
    let cluster = CLUSTER_BYTES as usize;
    data.resize(data.len().next_multiple_of(cluster), 0);
    let mut pieces = Vec::new();
    if compression == Compression::None {
        pieces.extend(
            zero_runs(&data, cluster, cluster)
                .into_iter()
                .filter(|(_, zero)| !zero)
                .map(|(run, _)| Piece::Plain(run)),
        );
        return Ok(Unit { data, pieces });
    }
    let mut compressor = Compressor::new(compression)?;
    let mut needs_data = false;
    for start in (0..data.len()).step_by(cluster) {
        let whole = &data[start..start + cluster];
        if is_zero(whole) {
            continue;
        }
        match compressor.compress(whole)? {
            Some(small) => pieces.push(Piece::Compressed(start, small)),
            None => {
                needs_data = true;
                match pieces.last_mut() {
                    Some(Piece::Plain(last)) if last.end == start => last.end += cluster,
                    _ => pieces.push(Piece::Plain(start..start + cluster)),
                }
            }
        }
    }
    if !needs_data {
        data = Vec::new();
    }
    Ok(Unit { data, pieces })
}

enum Compressor {
    Deflate(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    fn new(compression: Compression) -> Result<Self, VolumeError> {
        match compression {
            Compression::Zstd => zstd::bulk::Compressor::new(ZSTD_LEVEL)
                .map(Self::Zstd)
                .map_err(not_compressed),
            Compression::Zlib | Compression::None => {
                Ok(Self::Deflate(Compress::new_with_window_bits(
                    flate2::Compression::default(),
                    false,
                    DEFLATE_WINDOW_BITS,
                )))
            }
        }
    }

    /// The compressed cluster, or nothing when it does not become smaller.
    fn compress(&mut self, cluster: &[u8]) -> Result<Option<Vec<u8>>, VolumeError> {
        // A sector less than a cluster: nearly as much would save no room and cost time at each read.
        let limit = cluster.len() - 512;
        match self {
            Self::Zstd(zstd) => {
                let small = zstd.compress(cluster).map_err(not_compressed)?;
                Ok((small.len() <= limit).then_some(small))
            }
            Self::Deflate(deflate) => {
                deflate.reset();
                let mut small = Vec::with_capacity(limit);
                let status = deflate
                    .compress_vec(cluster, &mut small, FlushCompress::Finish)
                    .map_err(|error| not_compressed(io::Error::other(error)))?;
                Ok((status == Status::StreamEnd).then_some(small))
            }
        }
    }
}

fn not_compressed(cause: io::Error) -> VolumeError {
    VolumeError::Io {
        operation: "compress a cluster of".into(),
        path: "a qcow2 file".into(),
        cause,
    }
}
