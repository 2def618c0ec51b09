//! Descriptions of indices and shards.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use snapkeep_drivers::{CapturedResource, ChangeToken};

use crate::model::FileStats;

/// Name of the description of an index.
pub(crate) const INDEX_FILE: &str = "index.json";
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
    /// [`super::FORMAT`].
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
}

impl Segment {
    /// Name of its docs file.
    pub(crate) fn docs_file(&self) -> String {
        format!("docs-{:012}.ndjson", self.first_seq_no)
    }

    /// Name of its gone file.
    pub(crate) fn gone_file(&self) -> String {
        format!("gone-{:012}.ndjson", self.first_seq_no)
    }

    /// Names and sizes of the files it has.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let docs = (self.documents > 0).then(|| (self.docs_file(), self.bytes));
        let gone = (self.gone > 0).then(|| (self.gone_file(), self.gone_bytes));
        docs.into_iter().chain(gone).collect()
    }

    /// Files and bytes of it.
    pub(crate) fn stats(&self) -> FileStats {
        FileStats {
            files: u64::from(self.documents > 0) + u64::from(self.gone > 0),
            bytes: self.bytes + self.gone_bytes,
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
            shard.segments[1].files()[1],
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
        };
        assert_eq!(segment(0).docs_file(), "docs-000000000000.ndjson");
        assert!(segment(9).docs_file() < segment(10).docs_file());
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
