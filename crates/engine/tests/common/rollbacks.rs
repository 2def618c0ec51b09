//! Volumes outside of the folder of volumes, and hosts, for tests that write to them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use snapkeep_drivers::StoreDriver;
use snapkeep_drivers::volume::host::{Hook, HookSpec};
use snapkeep_engine::{
    AddInstance, AddVolume, Engine, EngineConfig, EngineError, HostSpec, JobInfo, JobState,
    PointInfo, PointsTicket, RollbackMode,
};

use super::volumes::{create, point_of};
use super::{World, config};

/// Bytes of a block of small disks.
pub const BLOCK: usize = 256 << 10;

/// A disk of so many blocks whose content follows from the seed; every fourth block is zeros.
pub fn disk(seed: u64, blocks: usize) -> Vec<u8> {
    let mut bytes = vec![0; blocks * BLOCK];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for (number, block) in bytes.chunks_mut(BLOCK).enumerate() {
        if number % 4 == 3 {
            continue;
        }
        for word in block.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
    }
    bytes
}

/// The disk with one block changed.
pub fn changed(disk: &[u8], block: usize, seed: u8) -> Vec<u8> {
    let mut bytes = disk.to_vec();
    for byte in &mut bytes[block * BLOCK..(block + 1) * BLOCK] {
        *byte = byte.wrapping_add(seed).wrapping_mul(31);
    }
    bytes
}

impl World {
    /// A volume in a file outside of the folder of volumes: its id and its file.
    pub async fn volume(
        &self,
        name: &str,
        bytes: &[u8],
        rollback: RollbackMode,
    ) -> (String, PathBuf) {
        let folder = self.folder.path().join("disks");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.raw"));
        std::fs::write(&path, bytes).unwrap();
        let volume = AddVolume {
            id: None,
            name: Some(name.to_owned()),
            location: path.display().to_string(),
            format: None,
            allow_inconsistent: false,
            rollback: Some(rollback),
        };
        let volume = self.engine.add_volume(volume).await.unwrap();
        (volume.id, path)
    }

    /// An instance of volumes.
    pub async fn instance(&self, name: &str, volumes: &[&String], host: HostSpec) -> String {
        let instance = AddInstance {
            id: None,
            name: name.to_owned(),
            description: String::new(),
            volumes: volumes.iter().map(|id| (*id).clone()).collect(),
            host,
        };
        self.engine.add_instance(instance).await.unwrap().id
    }

    /// A point of a resource, complete.
    pub async fn point(&self, resource: &str, name: &str) -> PointInfo {
        let ticket = create(self, &[resource], name).await.unwrap();
        succeeded(&self.engine, &ticket).await;
        point_of(self, &ticket).await
    }

    /// Rolls back and waits for the end.
    pub async fn apply(&self, points: &[&str]) -> Result<JobInfo, EngineError> {
        let points: Vec<String> = points.iter().map(|it| (*it).to_owned()).collect();
        let ticket = self.engine.apply_points(&points, false).await?;
        self.engine.wait_job(&ticket.job_id).await
    }

    /// Rolls back, which must end well.
    pub async fn rolled_back(&self, points: &[&str]) -> JobInfo {
        let job = self.apply(points).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        job
    }
}

/// A running host of two volumes, and a point of both.
pub struct Pair {
    pub boot: String,
    pub boot_path: PathBuf,
    pub data: String,
    pub data_path: PathBuf,
    pub log: PathBuf,
    pub point: PointInfo,
}

impl Pair {
    /// With what the volumes hold; the first is rolled back by a swap, the second as it is said.
    pub async fn new(world: &World, boot: &[u8], data: &[u8], rollback: RollbackMode) -> Self {
        let (boot, boot_path) = world.volume("boot", boot, RollbackMode::Swap).await;
        let (data, data_path) = world.volume("data", data, rollback).await;
        let (host, log) = host(world, "web");
        let instance = world.instance("web", &[&boot, &data], host).await;
        let point = world.point(&instance, "both").await;
        run(&log);
        Self {
            boot,
            boot_path,
            data,
            data_path,
            log,
            point,
        }
    }
}

/// Waits for a job that must end well.
pub async fn succeeded(engine: &Engine, ticket: &PointsTicket) -> JobInfo {
    let job = engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    job
}

/// Whether the file is the same, without printing megabytes when it is not.
pub fn assert_file(path: &Path, bytes: &[u8]) {
    let has = std::fs::read(path).unwrap();
    assert_eq!(has.len(), bytes.len(), "{}", path.display());
    let differs = has
        .iter()
        .zip(bytes)
        .position(|(has, wanted)| has != wanted);
    assert_eq!(differs, None, "{} differs there", path.display());
}

/// What a process that dies now leaves of the engine's own files.
pub fn copy_of_state(world: &World) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let data = world.folder.path().join("data");
    for entry in std::fs::read_dir(data).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_file() && entry.file_name() != "engine.lock" {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// An engine of these files, over the same repositories.
pub async fn start_from(world: &World, copy: &tempfile::TempDir) -> Engine {
    let config = EngineConfig {
        repo_roots: vec![world.folder.path().join("data/repositories")],
        ..config(copy)
    };
    let config = EngineConfig {
        data_dir: copy.path().to_owned(),
        ..config
    };
    let driver = Arc::new(StoreDriver::new(world.store.clone()));
    Engine::start(config, driver).await.unwrap()
}

/// A host whose hooks note what they are asked in a file and keep its state in another. It is stopped.
pub fn host(world: &World, name: &str) -> (HostSpec, PathBuf) {
    let folder = world.folder.path().join("hosts");
    std::fs::create_dir_all(&folder).unwrap();
    let (script, log, state) = (
        folder.join(format!("{name}.sh")),
        folder.join(format!("{name}.log")),
        folder.join(format!("{name}.running")),
    );
    let text = format!(
        "#!/bin/sh\ncase $1 in\n\
         stop) echo stop >> {log}; rm -f {state};;\n\
         start) echo start >> {log}; touch {state};;\n\
         status) test -e {state};;\nesac\n",
        log = log.display(),
        state = state.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&log, "").unwrap();
    let hook = |action: &str| {
        Some(Hook {
            argv: vec![
                "/bin/sh".into(),
                script.display().to_string(),
                action.into(),
            ],
            timeout_s: None,
        })
    };
    let spec = HookSpec {
        stop: hook("stop"),
        start: hook("start"),
        status: hook("status"),
        ..HookSpec::default()
    };
    (HostSpec::Hooks(spec), log)
}

/// Lets a host run.
pub fn run(log: &Path) {
    std::fs::write(log.with_extension("running"), "").unwrap();
}

/// What the hooks of a host were asked, in order.
pub fn lines(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Limits reading from the repository of points, so that a rollback takes its time; none = no limit.
pub async fn limit_reading(world: &World, rate: Option<&str>) {
    let mut settings = json!({ "location": "volumes" });
    if let Some(rate) = rate {
        settings["max_restore_bytes_per_sec"] = json!(rate);
    }
    world.register_with("volumes", settings).await.unwrap();
}

/// Waits until a rollback has written something to a file that holds only `old`.
pub async fn until_mixed(path: &Path, old: &[u8]) {
    for _ in 0..600 {
        if std::fs::read(path).unwrap() != old {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing was written within 12 seconds");
}
