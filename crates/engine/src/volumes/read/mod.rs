//! Reading disks of points: for rollbacks, exports, new volumes, images and the NBD server.
//!
//! A disk is stored in pieces, each the file `disk.raw` in a directory `disk-NNNN` of its own, cut into blocks of one size.
//! [`StoredDisk`] finds the blob of a block through tables that are loaded piece by piece, so that memory does not grow with the disk.
//! It needs a repository and the tree of a snapshot only: commands without a server use it as the engine does.

mod ahead;
mod api;
mod content;
mod disk;
mod error;
mod export;
mod open;
mod piece;
#[cfg(test)]
mod tests;

pub(crate) use api::HeldPoint;
pub use disk::{DISK_CACHE_BYTES, DiskShape, StoredDisk};
pub use error::ReadError;
pub use export::{ExportError, export_disk};
pub use open::stored_disks;
pub(in crate::volumes) use piece::Piece;
