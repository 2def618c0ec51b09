//! Keys and rows as they lie in the key-value engine. Integers in keys are big endian, so that byte
//! order is number order; integers in rows are little endian.
//!
//! * `ops`: `shard u16 ‖ seq_no u64` → [`encode_op`]; live documents only.
//! * `ids`: `shard u16 ‖ id` → [`IdRow`].
//! * `gone`: `shard u16 ‖ seq_no u64` of the killing operation → [`encode_gone`].
//! * `meta`: `shard/<data id>/<shard u16>` → [`ShardState`], and JSON records.

use crate::{DocumentRef, StoreError};

/// Version byte of every row.
const FORMAT: u8 = 1;

/// Key of an `ops` or `gone` row.
pub(crate) fn seq_key(shard: u16, seq_no: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&shard.to_be_bytes());
    key[2..].copy_from_slice(&seq_no.to_be_bytes());
    key
}

/// Sequence number in an `ops` or `gone` key.
pub(crate) fn seq_of_key(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.get(2..10).and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(u64::from_be_bytes)
        .ok_or_else(|| damaged("operation key", "too short"))
}

/// Key of an `ids` row.
pub(crate) fn id_key(shard: u16, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + id.len());
    key.extend_from_slice(&shard.to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

/// Flags of an `ops` row.
const HAS_ROUTING: u8 = 1;
const HAS_TAIL: u8 = 2;

/// Writes an `ops` row: `format u8 ‖ flags u8 ‖ version u64 ‖ id length u16 ‖ id ‖ [routing length u16 ‖
/// routing] ‖ [source length u32] ‖ source ‖ [tail]`; flag 1 = has routing, flag 2 = has a tail and so the
/// length of the source.
pub(crate) fn encode_op(
    row: &mut Vec<u8>,
    id: &str,
    routing: Option<&str>,
    version: u64,
    source: &[u8],
    tail: &[u8],
) {
    row.clear();
    row.reserve(32 + id.len() + source.len() + tail.len());
    row.push(FORMAT);
    let routing_flag = if routing.is_some() { HAS_ROUTING } else { 0 };
    let tail_flag = if tail.is_empty() { 0 } else { HAS_TAIL };
    row.push(routing_flag | tail_flag);
    row.extend_from_slice(&version.to_le_bytes());
    row.extend_from_slice(&(id.len() as u16).to_le_bytes());
    row.extend_from_slice(id.as_bytes());
    if let Some(routing) = routing {
        row.extend_from_slice(&(routing.len() as u16).to_le_bytes());
        row.extend_from_slice(routing.as_bytes());
    }
    if !tail.is_empty() {
        row.extend_from_slice(&(source.len() as u32).to_le_bytes());
    }
    row.extend_from_slice(source);
    row.extend_from_slice(tail);
}

/// Reads an `ops` row.
pub(crate) fn decode_op(seq_no: u64, row: &[u8]) -> Result<DocumentRef<'_>, StoreError> {
    let mut reader = Reader {
        bytes: row,
        object: "document",
    };
    reader.format()?;
    let flags = reader.u8()?;
    let version = reader.u64()?;
    let id = reader.text()?;
    let routing = if flags & HAS_ROUTING != 0 {
        Some(reader.text()?)
    } else {
        None
    };
    let source = if flags & HAS_TAIL != 0 {
        let source_bytes = reader.u32()? as usize;
        reader.take(source_bytes)?
    } else {
        std::mem::take(&mut reader.bytes)
    };
    Ok(DocumentRef {
        id,
        routing,
        version,
        seq_no,
        source,
        tail: reader.bytes,
    })
}

/// Writes a `gone` row: `format u8 ‖ old seq_no u64 ‖ hash u128 ‖ id`.
pub(crate) fn encode_gone(row: &mut Vec<u8>, old_seq_no: u64, hash: u128, id: &str) {
    row.clear();
    row.push(FORMAT);
    row.extend_from_slice(&old_seq_no.to_le_bytes());
    row.extend_from_slice(&hash.to_le_bytes());
    row.extend_from_slice(id.as_bytes());
}

/// Reads a `gone` row: old sequence number, hash, id.
pub(crate) fn decode_gone(row: &[u8]) -> Result<(u64, u128, &str), StoreError> {
    let mut reader = Reader {
        bytes: row,
        object: "tombstone",
    };
    reader.format()?;
    let old_seq_no = reader.u64()?;
    let hash = reader.u128()?;
    let id = std::str::from_utf8(reader.bytes).map_err(|_| damaged("tombstone", "id not UTF-8"))?;
    Ok((old_seq_no, hash, id))
}

/// Where the newest copy of an id is, or that it was deleted a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRow {
    /// Operation that wrote or deleted it.
    pub(crate) seq_no: u64,
    /// `_version` after that operation.
    pub(crate) version: u64,
    /// Hash of the live copy; 0 when deleted.
    pub(crate) hash: u128,
    /// Bytes of its source and tail; 0 when deleted.
    pub(crate) source_bytes: u32,
    /// Deletion time in milliseconds since 1970; `None`: live.
    pub(crate) deleted_ms: Option<u64>,
}

impl IdRow {
    pub(crate) fn encode(&self) -> [u8; 46] {
        let mut row = [0; 46];
        row[0] = FORMAT;
        row[1] = u8::from(self.deleted_ms.is_some());
        row[2..10].copy_from_slice(&self.seq_no.to_le_bytes());
        row[10..18].copy_from_slice(&self.version.to_le_bytes());
        row[18..34].copy_from_slice(&self.hash.to_le_bytes());
        row[34..38].copy_from_slice(&self.source_bytes.to_le_bytes());
        row[38..46].copy_from_slice(&self.deleted_ms.unwrap_or(0).to_le_bytes());
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader {
            bytes: row,
            object: "id",
        };
        reader.format()?;
        let deleted = reader.u8()? & 1 == 1;
        let seq_no = reader.u64()?;
        let version = reader.u64()?;
        let hash = reader.u128()?;
        let source_bytes = reader.u32()?;
        let deleted_ms = reader.u64()?;
        Ok(IdRow {
            seq_no,
            version,
            hash,
            source_bytes,
            deleted_ms: deleted.then_some(deleted_ms),
        })
    }
}

/// Counters of a shard, written in the same batch as the operations they count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ShardState {
    /// Number of the next operation.
    pub(crate) next_seq_no: u64,
    /// Live documents.
    pub(crate) live: u64,
    /// Sum of their hashes.
    pub(crate) digest: u128,
    /// Bytes of their sources and tails.
    pub(crate) source_bytes: u64,
    /// Rows in `gone`.
    pub(crate) gone: u64,
    /// `gone` is complete from this operation on.
    pub(crate) gone_floor: u64,
    /// Identity of the numbering.
    pub(crate) history: [u8; 16],
}

impl ShardState {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(80);
        row.push(FORMAT);
        row.extend_from_slice(&self.next_seq_no.to_le_bytes());
        row.extend_from_slice(&self.live.to_le_bytes());
        row.extend_from_slice(&self.digest.to_le_bytes());
        row.extend_from_slice(&self.source_bytes.to_le_bytes());
        row.extend_from_slice(&self.gone.to_le_bytes());
        row.extend_from_slice(&self.gone_floor.to_le_bytes());
        row.extend_from_slice(&self.history);
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader {
            bytes: row,
            object: "shard counters",
        };
        reader.format()?;
        Ok(ShardState {
            next_seq_no: reader.u64()?,
            live: reader.u64()?,
            digest: reader.u128()?,
            source_bytes: reader.u64()?,
            gone: reader.u64()?,
            gone_floor: reader.u64()?,
            history: reader.array()?,
        })
    }
}

fn damaged(object: &str, reason: &str) -> StoreError {
    StoreError::Damaged {
        object: object.to_owned(),
        reason: reason.to_owned(),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    object: &'static str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], StoreError> {
        match self.bytes.split_at_checked(len) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(damaged(self.object, "cut short")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn format(&mut self) -> Result<(), StoreError> {
        match self.u8()? {
            FORMAT => Ok(()),
            other => Err(damaged(self.object, &format!("unknown format {other}"))),
        }
    }

    fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn u128(&mut self) -> Result<u128, StoreError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a str, StoreError> {
        let len = u16::from_le_bytes(self.array()?);
        let bytes = self.take(usize::from(len))?;
        std::str::from_utf8(bytes).map_err(|_| damaged(self.object, "not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_document_row_reads_back(id in ".{0,40}", routing in proptest::option::of(".{0,20}"), version: u64, seq_no: u64, source: Vec<u8>, tail: Vec<u8>) {
            let mut row = Vec::new();
            encode_op(&mut row, &id, routing.as_deref(), version, &source, &tail);
            let document = decode_op(seq_no, &row).unwrap();
            prop_assert_eq!(document, DocumentRef { id: &id, routing: routing.as_deref(), version, seq_no, source: &source, tail: &tail });
        }

        #[test]
        fn counters_and_ids_read_back(next_seq_no: u64, live: u64, digest: u128, deleted_ms in proptest::option::of(any::<u64>())) {
            let state = ShardState { next_seq_no, live, digest, source_bytes: 3, gone: 4, gone_floor: 5, history: [7; 16] };
            prop_assert_eq!(ShardState::decode(&state.encode()).unwrap(), state);
            let row = IdRow { seq_no: next_seq_no, version: live, hash: digest, source_bytes: 9, deleted_ms };
            prop_assert_eq!(IdRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode_op(0, &bytes);
            let _ = decode_gone(&bytes);
            let _ = IdRow::decode(&bytes);
            let _ = ShardState::decode(&bytes);
            let _ = seq_of_key(&bytes);
        }
    }

    /// Rows written by version 1 stay readable.
    #[test]
    fn a_stored_row_of_version_one_still_opens() {
        let mut row = vec![1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, b'a', 2, 0, b'r', b's'];
        row.extend_from_slice(b"{}");
        let document = decode_op(9, &row).unwrap();
        assert_eq!((document.id, document.routing), ("a", Some("rs")));
        assert_eq!((document.version, document.source), (5, &b"{}"[..]));
        let mut row = vec![1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, b'a', 2, 0, 0, 0];
        row.extend_from_slice(b"{}\x00\x00\x80\x3f");
        let object = decode_op(9, &row).unwrap();
        assert_eq!(
            (object.source, object.tail),
            (&b"{}"[..], &1.0f32.to_le_bytes()[..])
        );
    }
}
