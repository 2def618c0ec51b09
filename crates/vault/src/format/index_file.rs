//! Index files: which blobs lie where in which pack.

use super::{Compressor, FormatError, MasterKey, PackEntry, unpacked};
use crate::ids::{IndexId, PackId};
use serde::{Deserialize, Deserializer, Serialize};

/// One file below `index/`. All blobs of a pack are in the same index file. Fields of other tools (rustic's
/// `packs_to_delete`) are not kept; restic drops them as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Index files that this one replaces; history only.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub supersedes: Vec<IndexId>,
    /// Packs with their blobs.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub packs: Vec<IndexPack>,
}

/// One pack in an index file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPack {
    /// The pack.
    pub id: PackId,
    /// Its blobs. Not necessarily in the order of their offsets.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub blobs: Vec<PackEntry>,
}

/// Go writes an empty list as `null` where it was never filled.
pub(super) fn null_as_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl IndexFile {
    /// The file as stored.
    pub fn seal(
        &self,
        key: &MasterKey,
        compressor: &mut Compressor,
    ) -> Result<Vec<u8>, FormatError> {
        let json = serde_json::to_vec(self).map_err(|error| FormatError::json(&error))?;
        unpacked::encode(key, compressor, &json)
    }

    /// Opens the file.
    pub fn open(key: &MasterKey, file: &[u8]) -> Result<Self, FormatError> {
        Self::parse(&unpacked::decode(key, file)?)
    }

    /// Reads the plain JSON. Every entry lies within the 4 GiB that a pack may have.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        let index: Self =
            serde_json::from_slice(json).map_err(|error| FormatError::json(&error))?;
        for entry in index.packs.iter().flat_map(|pack| &pack.blobs) {
            entry.check()?;
        }
        Ok(index)
    }

    /// Number of blobs in all packs.
    pub fn blob_count(&self) -> usize {
        self.packs.iter().map(|pack| pack.blobs.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BlobKind;
    use crate::ids::BlobId;

    #[test]
    fn an_index_is_written_as_restic_writes_it() {
        let blob = BlobId::of(b"blob");
        let pack = PackId::of(b"pack");
        let entry = PackEntry {
            id: blob,
            kind: BlobKind::Data,
            offset: 0,
            length: 40,
            uncompressed_length: None,
        };
        let tree = PackEntry {
            kind: BlobKind::Tree,
            offset: 40,
            uncompressed_length: Some(99),
            ..entry
        };
        let index = IndexFile {
            supersedes: Vec::new(),
            packs: vec![IndexPack {
                id: pack,
                blobs: vec![entry, tree],
            }],
        };
        let json = format!(
            r#"{{"packs":[{{"id":"{pack}","blobs":[{{"id":"{blob}","type":"data","offset":0,"length":40}},{{"id":"{blob}","type":"tree","offset":40,"length":40,"uncompressed_length":99}}]}}]}}"#
        );
        assert_eq!(serde_json::to_string(&index).unwrap(), json);
        assert_eq!(IndexFile::parse(json.as_bytes()).unwrap(), index);
        assert_eq!(index.blob_count(), 2);

        let key = MasterKey::generate();
        let file = index.seal(&key, &mut Compressor::new(3).unwrap()).unwrap();
        assert_eq!(IndexFile::open(&key, &file).unwrap(), index);
    }

    #[test]
    fn lists_that_go_never_filled_and_fields_of_rustic_are_read() {
        let json = br#"{"supersedes":null,"packs":null,"packs_to_delete":[{"id":"x"}]}"#;
        assert_eq!(IndexFile::parse(json).unwrap(), IndexFile::default());
    }

    #[test]
    fn entries_beyond_4_gib_or_shorter_than_a_mac_are_refused() {
        let id = "00".repeat(32);
        for (offset, length) in [(u32::MAX, 40), (0, 31)] {
            let json = format!(
                r#"{{"packs":[{{"id":"{id}","blobs":[{{"id":"{id}","type":"data","offset":{offset},"length":{length}}}]}}]}}"#
            );
            assert!(IndexFile::parse(json.as_bytes()).is_err());
        }
    }
}
