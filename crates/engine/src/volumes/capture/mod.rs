//! From captured disks to what a snapshot holds of them.
//!
//! A disk is read in pieces, many segments at a time. What the driver knows to be unchanged is taken over from the parent by
//! reference, after a sample of it was read and compared ([`audit`]); of the rest, what hashes as it did at the parent ([`digests`]) is
//! taken over too, zeros become holes, and only what is left is hashed, compressed and stored.

mod audit;
mod digests;
mod disk;
mod follow;
mod piece;
#[cfg(test)]
mod tests;
mod tokens;

pub(super) use disk::{
    CapturedDisk, DiskFailure, Purpose, WrittenDisk, save_tree, store_disk, store_json,
};
pub(super) use tokens::VolumeState;
