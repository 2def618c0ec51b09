//! The first cluster.

use super::super::Compression;
use super::CLUSTER_BITS;

const MAGIC: u32 = 0x5146_49fb;
const VERSION: u32 = 3;
/// Reference counts of 1 << 4 bits.
const REFCOUNT_ORDER: u32 = 4;
/// Incompatible feature: the header names a compression other than deflate.
const FEATURE_COMPRESSION_TYPE: u64 = 1 << 3;
const COMPRESSION_ZSTD: u8 = 1;

pub(super) struct Header {
    pub(super) virtual_bytes: u64,
    pub(super) l1_offset: u64,
    pub(super) l1_entries: u32,
    pub(super) refcount_table_offset: u64,
    pub(super) refcount_table_clusters: u32,
    pub(super) compression: Compression,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let zstd = self.compression == Compression::Zstd;
        // The field for the compression came late: readers that do not know it get the header they know.
        let (features, header_bytes) = match zstd {
            true => (FEATURE_COMPRESSION_TYPE, 112),
            false => (0, 104),
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(MAGIC.to_be_bytes());
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 12]); // no backing file: its name's offset and length
        bytes.extend(CLUSTER_BITS.to_be_bytes());
        bytes.extend(self.virtual_bytes.to_be_bytes());
        bytes.extend([0; 4]); // not encrypted
        bytes.extend(self.l1_entries.to_be_bytes());
        bytes.extend(self.l1_offset.to_be_bytes());
        bytes.extend(self.refcount_table_offset.to_be_bytes());
        bytes.extend(self.refcount_table_clusters.to_be_bytes());
        bytes.extend([0; 12]); // no snapshots: their number and offset
        bytes.extend(u64::to_be_bytes(features));
        bytes.extend([0; 16]); // compatible and autoclear features
        bytes.extend(REFCOUNT_ORDER.to_be_bytes());
        bytes.extend(u32::to_be_bytes(header_bytes));
        if zstd {
            bytes.push(COMPRESSION_ZSTD);
            bytes.extend([0; 7]);
        }
        bytes.extend([0; 8]); // end of the header's extensions
        bytes
    }
}
