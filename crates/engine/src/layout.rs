//! What a snapshot looks like inside, readable with nothing but restic and a text editor.
//!
//! ```text
//! /snapkeep.json                                  the snapshot itself: [`Manifest`]
//! /cluster.json                                   templates and cluster settings, where asked for
//! /indices/<index>/index.json                     [`IndexDescription`]
//! /indices/<index>/<shard>/shard.json             [`ShardDescription`]
//! /indices/<index>/<shard>/docs-<first>.ndjson    documents of a segment, one a line
//! /indices/<index>/<shard>/gone-<first>.ndjson    copies in older segments that died until this one was written
//! /collections/<Class>/class.json                 [`CollectionDescription`]
//! /collections/<Class>/<shard>/shard.json         [`ShardDescription`]; the directory is named by [`shard_directory`]
//! /collections/<Class>/<shard>/objects-<first>.ndjson, vectors-<first>.f32, gone-<first>.ndjson
//! /volumes/<vol-id>/volume.json                   [`VolumeDescription`]
//! /volumes/<vol-id>/disk-0000/disk.raw, …         the disk, cut into pieces
//! /instances/<i-id>/instance.json                 [`InstanceDescription`]
//! ```
//!
//! Segments are written once and shared by all later snapshots. A document copy counts when no gone file lists its number.

pub(crate) mod lines;
mod manifest;
mod shard;
mod volume;

pub(crate) use manifest::{
    COLLECTIONS_FORMAT, FORMAT, MANIFEST_FILE, Manifest, ManifestError, ResourceManifest,
    ShardManifest, ShardResult, VOLUMES_FORMAT,
};
pub(crate) use shard::{
    CLASS_FILE, CLUSTER_FILE, CollectionDescription, GlobalState, INDEX_FILE, IndexDescription,
    SHARD_FILE, Segment, SegmentPart, ShardDescription, shard_directory,
};
pub(crate) use volume::{
    DISK_FILE, INSTANCE_FILE, INSTANCES_DIRECTORY, InstanceDescription, PIECE_BLOCKS, PointRecord,
    VOLUME_FILE, VOLUMES_DIRECTORY, VolumeDescription, block_bytes, piece_directory,
};
