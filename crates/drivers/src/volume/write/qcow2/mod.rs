//! qcow2 version 3, written once and whole.
//!
//! The format is that of QEMU's `docs/interop/qcow2.txt`. The file is: header, L1 table, then data clusters and L2 tables as they
//! come, then the reference counts. Clusters of zeros are unallocated; there is no backing file, so they read as zeros.
//! Compressed clusters are packed without gaps.

mod clusters;
mod header;
mod refcounts;
mod writer;

pub(super) use writer::write;

/// Clusters of 64 KiB, QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER_BYTES: u64 = 1 << CLUSTER_BITS;
/// Entries of an L2 table, which is one cluster.
const L2_ENTRIES: u64 = CLUSTER_BYTES / 8;
/// Set in an entry of L1 or L2 whose cluster has exactly one reference.
const COPIED: u64 = 1 << 63;
