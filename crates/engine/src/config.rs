//! What the engine needs to know at start.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::model::{AddInstance, AddVolume};

/// Rate for repositories that do not set one: 20 MiB a second.
pub const DEFAULT_BYTES_PER_SEC: u64 = 20 << 20;
/// Operations (snapshots, deletions, clones) that may be under way at one time.
pub const MAX_CONCURRENT_OPERATIONS: usize = 1000;

/// Configuration of an engine. [`EngineConfig::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Folder of the catalogue, the repository password and caches; created when missing. One engine at a time.
    pub data_dir: PathBuf,
    /// Folders in which repositories may lie; a relative `location` is resolved against the first. Created when missing.
    pub repo_roots: Vec<PathBuf>,
    /// Limit on writing for repositories that do not set one; none = unlimited.
    pub snapshot_bytes_per_sec: Option<u64>,
    /// Limit on reading for repositories that do not set one; none = unlimited.
    pub restore_bytes_per_sec: Option<u64>,
    /// Memory of one snapshot beside the index of blobs, bytes.
    pub memory_limit_bytes: u64,
    /// Threads for compression and encryption; 0 = all cores.
    pub workers: usize,
    /// Operations that may be under way at one time.
    pub max_concurrent_operations: usize,
    /// Whether policies run by themselves. Off for a process that does one thing and ends: what is due meanwhile is caught up by
    /// the next one that has it on.
    pub run_policies: bool,
    /// Volumes and instances.
    pub volumes: VolumesConfig,
    /// The time.
    pub clock: Clock,
}

/// Points in a chain when nothing else is configured.
pub const DEFAULT_MAX_CHAIN: usize = 30;
/// Most points in a chain that can be configured.
pub const MAX_CHAIN: usize = 1000;

/// Where volumes and instances are, and how points are made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumesConfig {
    /// Folder whose raw and qcow2 files are volumes; new ones are made there. Need not exist.
    pub folder: PathBuf,
    /// Folder of the `….toml` files that describe instances; `instances` in [`Self::folder`] is looked at too.
    pub instances_folder: PathBuf,
    /// Folder of images.
    pub images_folder: PathBuf,
    /// The repository of points for which none is named; made in the first repository root when there is none.
    pub repository: String,
    /// Points in a chain; the next one is full. 1: all are.
    pub max_chain: usize,
    /// Volumes of the configuration.
    pub volumes: Vec<AddVolume>,
    /// Instances of the configuration.
    pub instances: Vec<AddInstance>,
}

impl VolumesConfig {
    /// Defaults for a data folder: `volumes/`, `instances/` and `images/` in it.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join("volumes"),
            instances_folder: data_dir.join("instances"),
            images_folder: data_dir.join("images"),
            repository: "volumes".to_owned(),
            max_chain: DEFAULT_MAX_CHAIN,
            volumes: Vec::new(),
            instances: Vec::new(),
        }
    }
}

impl EngineConfig {
    /// Defaults for a data folder: repositories below `repositories/` in it, 20 MiB a second both ways.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            repo_roots: vec![data_dir.join("repositories")],
            volumes: VolumesConfig::new(&data_dir),
            data_dir,
            snapshot_bytes_per_sec: Some(DEFAULT_BYTES_PER_SEC),
            restore_bytes_per_sec: Some(DEFAULT_BYTES_PER_SEC),
            memory_limit_bytes: 256 << 20,
            workers: 0,
            max_concurrent_operations: MAX_CONCURRENT_OPERATIONS,
            run_policies: true,
            clock: Clock::system(),
        }
    }
}
