//! Snapshot files: one moment of a set of files.

use super::index_file::null_as_empty;
use super::{Compressor, FormatError, MasterKey, Time, unpacked};
use crate::ids::{BlobId, SnapshotId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One file below `snapshots/`. Fields of other tools are kept in `other`; stock tools drop what they do not know when they
/// rewrite a snapshot, so that nothing may depend on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// When the backup began.
    pub time: Time,
    /// The snapshot that this one was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// The directory at its root.
    pub tree: BlobId,
    /// What was saved.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub paths: Vec<String>,
    /// Host that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// User that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Number of the user, 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Number of the group, 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// Patterns that were left out.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub excludes: Vec<String>,
    /// Labels.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tags: Vec<String>,
    /// The first id of a snapshot that was rewritten since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SnapshotId>,
    /// Program that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
    /// What the backup did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<SnapshotSummary>,
    /// Fields of other tools.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Figures of the backup that made a snapshot; sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are restic's and say it")]
pub struct SnapshotSummary {
    pub backup_start: Time,
    pub backup_end: Time,
    #[serde(default)]
    pub files_new: u64,
    #[serde(default)]
    pub files_changed: u64,
    #[serde(default)]
    pub files_unmodified: u64,
    #[serde(default)]
    pub dirs_new: u64,
    #[serde(default)]
    pub dirs_changed: u64,
    #[serde(default)]
    pub dirs_unmodified: u64,
    #[serde(default)]
    pub data_blobs: i64,
    #[serde(default)]
    pub tree_blobs: i64,
    #[serde(default)]
    pub data_added: u64,
    #[serde(default)]
    pub data_added_packed: u64,
    #[serde(default)]
    pub total_files_processed: u64,
    #[serde(default)]
    pub total_bytes_processed: u64,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SnapshotFile {
    /// A snapshot of `tree`, made now, with everything else empty.
    pub fn new(tree: BlobId) -> Self {
        Self {
            time: Time::now(),
            parent: None,
            tree,
            paths: Vec::new(),
            hostname: String::new(),
            username: String::new(),
            uid: 0,
            gid: 0,
            excludes: Vec::new(),
            tags: Vec::new(),
            original: None,
            program_version: String::new(),
            summary: None,
            other: Map::new(),
        }
    }

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

    /// Reads the plain JSON.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        serde_json::from_slice(json).map_err(|error| FormatError::json(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As restic 0.18 writes it, with a field of rustic and one nobody knows.
    const SAMPLE: &str = r#"{"time":"2024-05-01T10:00:00.5+02:00","parent":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","tree":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","paths":["/a"],"hostname":"h","username":"root","gid":5,"excludes":["*.o"],"tags":["t"],"program_version":"restic 0.18.0","summary":{"backup_start":"2024-05-01T10:00:00Z","backup_end":"2024-05-01T10:00:01Z","files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":2,"dirs_changed":0,"dirs_unmodified":0,"data_blobs":1,"tree_blobs":3,"data_added":10,"data_added_packed":9,"total_files_processed":1,"total_bytes_processed":5},"label":"rustic","unknown":{"deep":[1,2]}}"#;

    #[test]
    fn snapshots_of_other_tools_come_back_as_they_were() {
        let snapshot = SnapshotFile::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(snapshot.tags, ["t"]);
        assert_eq!(snapshot.other["label"], "rustic");
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), SAMPLE);
    }

    #[test]
    fn the_smallest_snapshot_is_read() {
        let id = "00".repeat(32);
        let json = format!(r#"{{"time":"2024-05-01T10:00:00Z","tree":"{id}","paths":null}}"#);
        let snapshot = SnapshotFile::parse(json.as_bytes()).unwrap();
        assert_eq!(snapshot.paths, Vec::<String>::new());
    }

    #[test]
    fn a_snapshot_is_sealed_and_opened() {
        let key = MasterKey::generate();
        let snapshot = SnapshotFile::new(BlobId::of(b"tree"));
        let file = snapshot
            .seal(&key, &mut Compressor::new(3).unwrap())
            .unwrap();
        assert_eq!(SnapshotFile::open(&key, &file).unwrap(), snapshot);
    }
}
