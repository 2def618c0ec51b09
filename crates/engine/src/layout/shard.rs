//! Descriptions of indices and shards.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use snapkeep_drivers::{
    CapturedCollection, CapturedResource, ChangeToken, CollectionShard, ResourceKind,
};

use crate::model::FileStats;

/// Name of the description of an index.
pub(crate) const INDEX_FILE: &str = "index.json";
/// Name of the description of a collection.
pub(crate) const CLASS_FILE: &str = "class.json";
/// Name of the description of a shard.
pub(crate) const SHARD_FILE: &str = "shard.json";
/// Name of the file with the global state.
pub(crate) const CLUSTER_FILE: &str = "cluster.json";

/// `index.json`: what to make the index from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexDescription {
    /// [`super::FORMAT`].
    pub(crate) format: u32,
    /// Settings, mappings, aliases as the driver gave them.
    #[serde(flatten)]
    pub(crate) resource: CapturedResource,
}

/// `class.json`: what to make the collection from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CollectionDescription {
    /// [`super::COLLECTIONS_FORMAT`].
    pub(crate) format: u32,
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) multi_tenant: bool,
    pub(crate) created_ms: i64,
    /// As the driver gave it.
    pub(crate) class: Value,
    pub(crate) aliases: Vec<String>,
    /// Shards or tenants in the order of their numbers.
    pub(crate) shards: Vec<CollectionShard>,
}

impl CollectionDescription {
    /// Describes a captured collection.
    pub(crate) fn of(resource: &CapturedResource, collection: &CapturedCollection) -> Self {
        Self {
            format: super::COLLECTIONS_FORMAT,
            name: resource.name.clone(),
            uuid: resource.uuid.clone(),
            multi_tenant: collection.multi_tenant,
            created_ms: collection.created_ms,
            class: collection.class.clone(),
            aliases: resource.aliases.keys().cloned().collect(),
            shards: collection.shards.clone(),
        }
    }
}

/// The directory of a shard of a collection: its name, with everything but letters, digits, `_` and `-` of ASCII written as `%` and
/// two hexadecimal digits for each byte.
pub(crate) fn shard_directory(name: &str) -> String {
    let mut directory = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            directory.push(char::from(byte));
        } else {
            directory.push_str(&format!("%{byte:02X}"));
        }
    }
    directory
}

/// `cluster.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GlobalState {
    /// [`super::FORMAT`].
    pub(crate) format: u32,
    /// As the driver gave it.
    pub(crate) state: Value,
}

/// `shard.json`: how to put the documents of a shard together. The same shard always has the same description, so that an
/// unchanged one costs a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardDescription {
    /// [`super::FORMAT`], of a shard of a collection [`super::COLLECTIONS_FORMAT`].
    pub(crate) format: u32,
    /// Live documents.
    pub(crate) documents: u64,
    /// Sum of the hashes of the live documents.
    #[serde(with = "hex_digest")]
    pub(crate) digest: u128,
    /// Where the next snapshot goes on.
    pub(crate) token: ChangeToken,
    /// Oldest first. Their ranges do not overlap and are in order.
    pub(crate) segments: Vec<Segment>,
}

/// A segment: documents numbered `first_seq_no..next_seq_no`, and copies in older segments that died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) first_seq_no: u64,
    pub(crate) next_seq_no: u64,
    /// Document copies in the docs file; 0 = there is no such file.
    pub(crate) documents: u64,
    /// Bytes of the docs file.
    pub(crate) bytes: u64,
    /// Longest line in the docs file, bytes.
    pub(crate) longest_line_bytes: u64,
    /// Entries in the gone file; 0 = there is no such file.
    pub(crate) gone: u64,
    /// Bytes of the gone file.
    pub(crate) gone_bytes: u64,
    /// Bytes of the vectors file; 0 = there is no such file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) vector_bytes: u64,
    /// How the files of a collection can be read in pieces: both are cut into blobs at the end of each part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<SegmentPart>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A stretch of a segment: so many lines, their bytes, and the bytes of the vectors that belong to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentPart {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) vector_bytes: u64,
}

impl Segment {
    /// Name of the file of documents or objects.
    pub(crate) fn docs_file(&self, kind: ResourceKind) -> String {
        let what = match kind {
            ResourceKind::Index => "docs",
            ResourceKind::Collection => "objects",
        };
        format!("{what}-{:012}.ndjson", self.first_seq_no)
    }

    /// Name of its vectors file.
    pub(crate) fn vectors_file(&self) -> String {
        format!("vectors-{:012}.f32", self.first_seq_no)
    }

    /// Name of its gone file.
    pub(crate) fn gone_file(&self) -> String {
        format!("gone-{:012}.ndjson", self.first_seq_no)
    }

    /// Names and sizes of the files it has.
    pub(crate) fn files(&self, kind: ResourceKind) -> Vec<(String, u64)> {
        let docs = (self.documents > 0).then(|| (self.docs_file(kind), self.bytes));
        let vectors = (self.vector_bytes > 0).then(|| (self.vectors_file(), self.vector_bytes));
        let gone = (self.gone > 0).then(|| (self.gone_file(), self.gone_bytes));
        docs.into_iter().chain(vectors).chain(gone).collect()
    }

    /// Files and bytes of it.
    pub(crate) fn stats(&self) -> FileStats {
        FileStats {
            files: u64::from(self.documents > 0)
                + u64::from(self.vector_bytes > 0)
                + u64::from(self.gone > 0),
            bytes: self.bytes + self.vector_bytes + self.gone_bytes,
        }
    }
}

impl ShardDescription {
    /// Document copies in all segments, dead ones included.
    pub(crate) fn copies(&self) -> u64 {
        self.segments.iter().map(|segment| segment.documents).sum()
    }
}

/// A digest as 32 hexadecimal digits.
pub(crate) mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        digest: &u128,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{digest:032x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Descriptions as the first release writes them: they must stay readable and be written alike, because equal content is what
    /// makes an unchanged shard cost nothing.
    #[test]
    fn the_first_formats_stay_readable() {
        let sample = include_str!("../../tests/samples/shard-format-1.json");
        let shard: ShardDescription = serde_json::from_str(sample).unwrap();
        assert_eq!(
            (shard.documents, shard.copies(), shard.segments.len()),
            (2, 4, 2)
        );
        assert_eq!(
            shard.segments[1].files(ResourceKind::Index)[1],
            ("gone-000000000003.ndjson".to_owned(), 48)
        );
        assert_eq!(
            format!("{}\n", serde_json::to_string_pretty(&shard).unwrap()),
            sample
        );
        let sample = include_str!("../../tests/samples/index-format-1.json");
        let index: IndexDescription = serde_json::from_str(sample).unwrap();
        assert_eq!(
            (index.resource.name.as_str(), index.resource.shards),
            ("index_1", 2)
        );
        assert_eq!(index.resource.settings["index.number_of_replicas"], "1");
    }

    /// As the first release with collections writes them.
    #[test]
    fn descriptions_of_collections_stay_readable() {
        let sample = include_str!("../../tests/samples/collection-shard-format-2.json");
        let shard: ShardDescription = serde_json::from_str(sample).unwrap();
        let parts: Vec<u64> = shard.segments[0]
            .parts
            .iter()
            .map(|part| part.vector_bytes)
            .collect();
        assert_eq!(parts, [16, 8]);
        assert_eq!(
            format!("{}\n", serde_json::to_string_pretty(&shard).unwrap()),
            sample
        );
        let sample = include_str!("../../tests/samples/class-format-2.json");
        let class: CollectionDescription = serde_json::from_str(sample).unwrap();
        assert_eq!(class.shards[1].status, snapkeep_drivers::TenantStatus::Cold);
        assert_eq!(
            format!("{}\n", serde_json::to_string_pretty(&class).unwrap()),
            sample
        );
    }

    #[test]
    fn shards_of_collections_get_directories_that_are_file_names() {
        assert_eq!(shard_directory("tenant-1_A"), "tenant-1_A");
        assert_eq!(shard_directory(".."), "%2E%2E");
        assert_eq!(shard_directory("a/b%é"), "a%2Fb%25%C3%A9");
    }

    proptest::proptest! {
        #[test]
        fn different_shards_get_different_directories(one in ".{0,12}", other in ".{0,12}") {
            proptest::prop_assert_eq!(one == other, shard_directory(&one) == shard_directory(&other));
            proptest::prop_assert!(!shard_directory(&one).contains(['/', '.']));
        }
    }

    #[test]
    fn files_are_named_by_the_first_number_so_that_they_sort() {
        let segment = |first_seq_no| Segment {
            first_seq_no,
            next_seq_no: first_seq_no + 1,
            documents: 1,
            bytes: 10,
            longest_line_bytes: 10,
            gone: 0,
            gone_bytes: 0,
            vector_bytes: 0,
            parts: Vec::new(),
        };
        let name = |first| segment(first).docs_file(ResourceKind::Index);
        assert_eq!(name(0), "docs-000000000000.ndjson");
        assert!(name(9) < name(10));
        assert_eq!(
            segment(7).docs_file(ResourceKind::Collection),
            "objects-000000000007.ndjson"
        );
        assert_eq!(segment(300_000).gone_file(), "gone-000000300000.ndjson");
        assert_eq!(
            segment(0).stats(),
            FileStats {
                files: 1,
                bytes: 10
            }
        );
    }
}
