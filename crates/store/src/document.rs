//! Documents and the hash that proves them.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_128;

/// One document with its own copy of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `_id`, 1 to 512 bytes.
    pub id: String,
    /// `_routing`, when the writer gave one.
    pub routing: Option<String>,
    /// `_version`, starting at 1 unless external.
    pub version: u64,
    /// `_seq_no` of the operation that wrote this copy.
    pub seq_no: u64,
    /// `_primary_term`; one node never fails over, so it is always 1.
    pub primary_term: u64,
    /// `_source`, byte for byte as it came.
    pub source: Vec<u8>,
    /// Vectors of an object of a collection, raw little-endian `f32`; empty in an index.
    pub tail: Vec<u8>,
}

/// One document borrowed from the store's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentRef<'a> {
    /// `_id`.
    pub id: &'a str,
    /// `_routing`, when the writer gave one.
    pub routing: Option<&'a str>,
    /// `_version`.
    pub version: u64,
    /// `_seq_no` of the operation that wrote this copy.
    pub seq_no: u64,
    /// `_source`, byte for byte as it came.
    pub source: &'a [u8],
    /// Vectors of an object of a collection, raw little-endian `f32`; empty in an index.
    pub tail: &'a [u8],
}

impl Document {
    /// The same document, borrowed.
    pub fn as_ref(&self) -> DocumentRef<'_> {
        DocumentRef {
            id: &self.id,
            routing: self.routing.as_deref(),
            version: self.version,
            seq_no: self.seq_no,
            source: &self.source,
            tail: &self.tail,
        }
    }
}

impl DocumentRef<'_> {
    /// A copy that outlives the scan.
    pub fn to_owned(&self) -> Document {
        Document {
            id: self.id.to_owned(),
            routing: self.routing.map(str::to_owned),
            version: self.version,
            seq_no: self.seq_no,
            primary_term: 1,
            source: self.source.to_vec(),
            tail: self.tail.to_vec(),
        }
    }

    /// [`document_hash`] of this document.
    pub fn hash(&self) -> u128 {
        document_hash(
            self.id,
            self.routing,
            self.version,
            self.seq_no,
            self.source,
            self.tail,
        )
    }
}

/// Largest hash buffer a thread keeps between calls, in bytes.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// The contribution of one live document to its shard's digest.
///
/// XXH3-128 (seed 0) of: `u32 id length ‖ id ‖ u8 routing present ‖ u32 routing length ‖ routing ‖
/// u64 version ‖ u64 seq_no ‖ u64 source length ‖ source ‖ tail`, integers little endian; the tail is the
/// vectors of an object and empty elsewhere. A shard's digest is the sum of these over its live documents
/// modulo 2^128. Stored in snapshots: never change it.
pub fn document_hash(
    id: &str,
    routing: Option<&str>,
    version: u64,
    seq_no: u64,
    source: &[u8],
    tail: &[u8],
) -> u128 {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        let routing_bytes = routing.unwrap_or_default().as_bytes();
        buffer.extend_from_slice(&(id.len() as u32).to_le_bytes());
        buffer.extend_from_slice(id.as_bytes());
        buffer.push(u8::from(routing.is_some()));
        buffer.extend_from_slice(&(routing_bytes.len() as u32).to_le_bytes());
        buffer.extend_from_slice(routing_bytes);
        buffer.extend_from_slice(&version.to_le_bytes());
        buffer.extend_from_slice(&seq_no.to_le_bytes());
        buffer.extend_from_slice(&(source.len() as u64).to_le_bytes());
        buffer.extend_from_slice(source);
        buffer.extend_from_slice(tail);
        let hash = xxh3_128(buffer);
        if buffer.capacity() > KEPT_BUFFER_BYTES {
            *buffer = Vec::new();
        }
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_counts_towards_the_hash() {
        let base = document_hash("a", None, 1, 0, b"{}", &[]);
        assert_ne!(base, document_hash("b", None, 1, 0, b"{}", &[]));
        assert_ne!(base, document_hash("a", Some(""), 1, 0, b"{}", &[]));
        assert_ne!(base, document_hash("a", None, 2, 0, b"{}", &[]));
        assert_ne!(base, document_hash("a", None, 1, 1, b"{}", &[]));
        assert_ne!(base, document_hash("a", None, 1, 0, b"{ }", &[]));
        assert_ne!(base, document_hash("a", None, 1, 0, b"{}", &[0; 4]));
        assert_eq!(base, document_hash("a", None, 1, 0, b"{}", &[]));
    }

    /// The value is stored in snapshots, so it is pinned here.
    #[test]
    fn the_hash_is_the_published_one() {
        let mut encoded = Vec::new();
        encoded.extend_from_slice(&[1, 0, 0, 0, b'a', 1, 1, 0, 0, 0, b'r']);
        encoded.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        encoded.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']);
        assert_eq!(
            document_hash("a", Some("r"), 3, 7, b"{}", &[]),
            xxh3_128(&encoded)
        );
        encoded.extend_from_slice(&1.0f32.to_le_bytes());
        assert_eq!(
            document_hash("a", Some("r"), 3, 7, b"{}", &1.0f32.to_le_bytes()),
            xxh3_128(&encoded)
        );
    }
}
