//! `/snapkeep.json`: everything that describes a snapshot.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapkeep_drivers::{ChangeToken, ResourceKind, TenantStatus};

use super::shard::{hex_digest, shard_directory};
use super::volume::PointRecord;
use crate::model::{
    FileStats, LeftOutShard, PointDisk, ShardFailure, SnapshotCollection, SnapshotIndex,
    SnapshotInfo, SnapshotState,
};

/// Name of the file in the root of a snapshot.
pub(crate) const MANIFEST_FILE: &str = "snapkeep.json";
/// Version of the layout of snapshots that hold indices only.
pub(crate) const FORMAT: u32 = 1;
/// Version of the layout of snapshots that hold collections, unknown to what reads [`FORMAT`] only.
pub(crate) const COLLECTIONS_FORMAT: u32 = 2;
/// Version of the layout of snapshots that are points of volumes and instances. A higher one cannot be read.
pub(crate) const VOLUMES_FORMAT: u32 = 3;

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
    /// [`FORMAT`], [`COLLECTIONS_FORMAT`] where there are collections, [`VOLUMES_FORMAT`] of a point.
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
    /// The policy that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// Sorted by name.
    pub(crate) indices: Vec<ResourceManifest>,
    /// Sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collections: Vec<ResourceManifest>,
    /// The point that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) point: Option<PointRecord>,
    /// The disks of the point, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<PointDisk>,
}

/// An index or collection in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResourceManifest {
    pub(crate) name: String,
    pub(crate) uuid: String,
    /// Whether the shards are tenants.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) multi_tenant: bool,
    /// In order, one for each shard.
    pub(crate) shards: Vec<ShardManifest>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A shard in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardManifest {
    /// Number in an index, position in a collection.
    pub(crate) shard: u32,
    /// Name of the shard of a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
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
    /// Known by name and status only, and why; the snapshot is complete all the same.
    LeftOut {
        /// Its status.
        status: TenantStatus,
        /// The reason.
        reason: String,
    },
}

impl ShardManifest {
    /// The directory that it has in a snapshot.
    pub(crate) fn directory(&self) -> String {
        match &self.name {
            Some(name) => shard_directory(name),
            None => self.shard.to_string(),
        }
    }
}

impl Manifest {
    /// Reads a manifest. The version is looked at first.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_slice(json)?;
        if version.format > VOLUMES_FORMAT {
            return Err(ManifestError::Newer(version.format));
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// The resources of a kind.
    pub(crate) fn resources(&self, kind: ResourceKind) -> &[ResourceManifest] {
        match kind {
            ResourceKind::Index => &self.indices,
            ResourceKind::Collection => &self.collections,
        }
    }

    /// The version of the layout that tells its content.
    pub(crate) fn needed_format(&self) -> u32 {
        if self.point.is_some() {
            VOLUMES_FORMAT
        } else if self.collections.is_empty() {
            FORMAT
        } else {
            COLLECTIONS_FORMAT
        }
    }

    /// As lists show it.
    pub(crate) fn to_info(&self, repository: &str, restic_id: Option<String>) -> SnapshotInfo {
        let resources = [ResourceKind::Index, ResourceKind::Collection]
            .into_iter()
            .flat_map(|kind| self.resources(kind).iter().map(move |it| (kind, it)));
        let shards = resources.clone().flat_map(|(_, resource)| &resource.shards);
        let failures: Vec<ShardFailure> = resources
            .flat_map(|(kind, resource)| {
                resource
                    .shards
                    .iter()
                    .filter_map(move |shard| match &shard.result {
                        ShardResult::Captured { .. } | ShardResult::LeftOut { .. } => None,
                        ShardResult::Failed { reason } => Some(ShardFailure {
                            kind,
                            index: resource.name.clone(),
                            index_uuid: resource.uuid.clone(),
                            shard: shard.shard,
                            shard_name: shard.name.clone(),
                            reason: reason.clone(),
                        }),
                    })
            })
            .collect();
        let shard_count = shards.count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SnapshotInfo {
            repository: repository.to_owned(),
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            state: self.state,
            reason: None,
            indices: self
                .indices
                .iter()
                .map(ResourceManifest::to_index)
                .collect(),
            collections: self
                .collections
                .iter()
                .map(ResourceManifest::to_collection)
                .collect(),
            policy: self.policy.clone(),
            include_global_state: self.include_global_state,
            partial: self.partial,
            metadata: self.metadata.clone(),
            start_ms: self.start_ms,
            end_ms: Some(self.end_ms),
            shards_total: count(shard_count),
            shards_successful: count(shard_count - failures.len()),
            shards_failed: count(failures.len()),
            failures,
            written_by: self.written_by.clone(),
            restic_id,
            ..SnapshotInfo::default()
        }
    }
}

/// Sums over the captured shards of a resource.
#[derive(Default)]
struct Sums {
    documents: u64,
    size_bytes: u64,
    max_segments: u64,
}

impl ResourceManifest {
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for shard in &self.shards {
            if let ShardResult::Captured {
                documents,
                segments,
                total,
                ..
            } = &shard.result
            {
                sums.documents += documents;
                sums.size_bytes += total.bytes;
                sums.max_segments = sums.max_segments.max(*segments);
            }
        }
        sums
    }

    fn to_index(&self) -> SnapshotIndex {
        let sums = self.sums();
        SnapshotIndex {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            shard_count: u32::try_from(self.shards.len()).unwrap_or(u32::MAX),
            documents: sums.documents,
            size_bytes: sums.size_bytes,
            max_segments_per_shard: sums.max_segments,
        }
    }

    fn to_collection(&self) -> SnapshotCollection {
        let sums = self.sums();
        let name = |shard: &ShardManifest| shard.name.clone().unwrap_or_default();
        SnapshotCollection {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            multi_tenant: self.multi_tenant,
            shards: self.shards.iter().map(name).collect(),
            left_out: self
                .shards
                .iter()
                .filter_map(|shard| match &shard.result {
                    ShardResult::LeftOut { status, reason } => Some(LeftOutShard {
                        shard: name(shard),
                        status: *status,
                        reason: reason.clone(),
                    }),
                    _ => None,
                })
                .collect(),
            documents: sums.documents,
            size_bytes: sums.size_bytes,
            max_segments_per_shard: sums.max_segments,
        }
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
    fn the_format_with_collections_stays_readable() {
        let sample = include_str!("../../tests/samples/snapkeep-format-2.json");
        let manifest = Manifest::parse(sample.as_bytes()).unwrap();
        assert_eq!(manifest.needed_format(), 2);
        let info = manifest.to_info("my_backup", None);
        assert_eq!(info.collection_names(), ["Article"]);
        let article = &info.collections[0];
        assert_eq!(article.shards, ["tenant1", "tenant2", "tenant3"]);
        assert_eq!((article.documents, article.left_out.len()), (42, 1));
        assert_eq!(article.left_out[0].shard, "tenant2");
        assert_eq!(
            (
                info.shards_total,
                info.shards_successful,
                info.shards_failed
            ),
            (3, 2, 1)
        );
        assert_eq!(info.failures[0].shard_name.as_deref(), Some("tenant3"));
        assert_eq!(info.policy.as_deref(), Some("nightly"));
        let again = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::parse(&again).unwrap(), manifest);
    }

    #[test]
    fn the_format_with_points_stays_readable() {
        let sample = include_str!("../../tests/samples/snapkeep-format-3.json");
        let manifest = Manifest::parse(sample.as_bytes()).unwrap();
        assert_eq!(manifest.needed_format(), 3);
        let point = manifest.point.as_ref().unwrap();
        assert_eq!(point.ancestors, ["ss-0000001", "ss-0000002"]);
        assert_eq!(point.resource.id, "i-0000001");
        let disks: Vec<u64> = manifest
            .volumes
            .iter()
            .map(|disk| disk.size_bytes)
            .collect();
        assert_eq!(disks, [10_737_418_240, 1_073_741_824]);
        let info = manifest.to_info("volumes", None);
        assert_eq!((info.name.as_str(), info.indices.len()), ("ss-0000003", 0));
        let again = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::parse(&again).unwrap(), manifest);
    }

    #[test]
    fn a_later_format_is_told_apart_from_damage() {
        assert!(matches!(
            Manifest::parse(br#"{"format":4,"other":1}"#),
            Err(ManifestError::Newer(4))
        ));
        assert!(matches!(
            Manifest::parse(b"{}"),
            Err(ManifestError::Damaged(_))
        ));
    }
}
