//! `/snapkeep.json`: everything that describes a snapshot.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapkeep_drivers::ChangeToken;

use super::shard::hex_digest;
use crate::model::{FileStats, ShardFailure, SnapshotIndex, SnapshotInfo, SnapshotState};

/// Name of the file in the root of a snapshot.
pub(crate) const MANIFEST_FILE: &str = "snapkeep.json";
/// Version of the layout; a higher one cannot be read.
pub(crate) const FORMAT: u32 = 1;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// Written by a later version.
    #[error("format {0} is newer than this version of Snapkeep can read; upgrade Snapkeep")]
    Newer(u32),
    /// Not what it should be.
    #[error("not a description of a snapshot: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// The snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// Version of Snapkeep.
    pub(crate) written_by: String,
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) state: SnapshotState,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) include_global_state: bool,
    pub(crate) partial: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Map<String, Value>>,
    /// Nanoseconds that writing waited for the rate limit.
    #[serde(default)]
    pub(crate) throttled_ns: u64,
    /// Bytes that it added to the repository, as far as known when this was written; the catalogue knows all of them.
    #[serde(default)]
    pub(crate) stored_bytes: u64,
    /// Sorted by name.
    pub(crate) indices: Vec<IndexManifest>,
}

/// An index in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexManifest {
    pub(crate) name: String,
    pub(crate) uuid: String,
    /// In order, one for each shard of the index.
    pub(crate) shards: Vec<ShardManifest>,
}

/// A shard in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardManifest {
    pub(crate) shard: u32,
    pub(crate) start_ms: i64,
    pub(crate) time_ms: i64,
    #[serde(flatten)]
    pub(crate) result: ShardResult,
}

/// What became of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShardResult {
    /// Stored and proved.
    Captured {
        /// Live documents.
        documents: u64,
        /// Their digest.
        #[serde(with = "hex_digest")]
        digest: u128,
        /// For the next snapshot.
        token: ChangeToken,
        /// Number of segments.
        segments: u64,
        /// What this snapshot added.
        incremental: FileStats,
        /// All of it.
        total: FileStats,
    },
    /// Not stored, and why.
    Failed {
        /// The reason.
        reason: String,
    },
}

impl Manifest {
    /// Reads a manifest. The version is looked at first.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_slice(json)?;
        if version.format > FORMAT {
            return Err(ManifestError::Newer(version.format));
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// Whether the snapshot says itself that it does not hold a shard.
    pub(crate) fn is_failed_shard(&self, index: &str, shard: u32) -> bool {
        let index = self.indices.iter().find(|known| known.name == index);
        index.is_some_and(|index| {
            index.shards.iter().any(|known| {
                known.shard == shard && matches!(known.result, ShardResult::Failed { .. })
            })
        })
    }

    /// As lists show it.
    pub(crate) fn to_info(&self, repository: &str, restic_id: Option<String>) -> SnapshotInfo {
        let shards = || self.indices.iter().flat_map(|index| &index.shards);
        let failures: Vec<ShardFailure> = self
            .indices
            .iter()
            .flat_map(|index| {
                index.shards.iter().filter_map(|shard| match &shard.result {
                    ShardResult::Captured { .. } => None,
                    ShardResult::Failed { reason } => Some(ShardFailure {
                        index: index.name.clone(),
                        index_uuid: index.uuid.clone(),
                        shard: shard.shard,
                        reason: reason.clone(),
                        ..ShardFailure::default()
                    }),
                })
            })
            .collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SnapshotInfo {
            repository: repository.to_owned(),
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            state: self.state,
            reason: None,
            indices: self.indices.iter().map(IndexManifest::to_summary).collect(),
            include_global_state: self.include_global_state,
            partial: self.partial,
            metadata: self.metadata.clone(),
            start_ms: self.start_ms,
            end_ms: Some(self.end_ms),
            shards_total: count(shards().count()),
            shards_successful: count(shards().count() - failures.len()),
            shards_failed: count(failures.len()),
            failures,
            written_by: self.written_by.clone(),
            restic_id,
            ..SnapshotInfo::default()
        }
    }
}

impl IndexManifest {
    fn to_summary(&self) -> SnapshotIndex {
        let mut summary = SnapshotIndex {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            shard_count: u32::try_from(self.shards.len()).unwrap_or(u32::MAX),
            documents: 0,
            size_bytes: 0,
            max_segments_per_shard: 0,
        };
        for shard in &self.shards {
            if let ShardResult::Captured {
                documents,
                segments,
                total,
                ..
            } = &shard.result
            {
                summary.documents += documents;
                summary.size_bytes += total.bytes;
                summary.max_segments_per_shard = summary.max_segments_per_shard.max(*segments);
            }
        }
        summary
    }

    /// Whether a shard is missing.
    pub(crate) fn is_partial(&self) -> bool {
        self.shards
            .iter()
            .any(|shard| matches!(shard.result, ShardResult::Failed { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest as the first release writes it: it must stay readable.
    const SAMPLE: &str = include_str!("../../tests/samples/snapkeep-format-1.json");

    #[test]
    fn the_first_format_stays_readable() {
        let manifest = Manifest::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(manifest.name, "snapshot_1");
        let info = manifest.to_info("my_backup", None);
        assert_eq!(info.index_names(), ["index_1", "index_2"]);
        assert_eq!(
            (
                info.shards_total,
                info.shards_successful,
                info.shards_failed
            ),
            (3, 2, 1)
        );
        assert_eq!(info.failures[0].reason, "shard could not be read");
        assert_eq!(info.indices[0].documents, 42);
        let again = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::parse(&again).unwrap(), manifest);
    }

    #[test]
    fn a_later_format_is_told_apart_from_damage() {
        assert!(matches!(
            Manifest::parse(br#"{"format":2,"other":1}"#),
            Err(ManifestError::Newer(2))
        ));
        assert!(matches!(
            Manifest::parse(b"{}"),
            Err(ManifestError::Damaged(_))
        ));
    }
}
