//! Disks for tests: files in the folder of volumes.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use snapkeep_engine::{
    CheckRequest, CreatePoints, EngineError, JobState, PointInfo, PointQuery, PointsTicket,
};

use super::World;

pub const KIB_256: u64 = 256 << 10;

/// A file in the folder of volumes.
pub struct Disk {
    pub path: PathBuf,
    pub volume: String,
}

impl Disk {
    /// A new sparse one.
    pub fn new(world: &World, name: &str, size_bytes: u64) -> Self {
        let folder = world.folder.path().join("data/volumes");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        File::create(&path).unwrap().set_len(size_bytes).unwrap();
        Self {
            path,
            volume: name.split('.').next().unwrap().to_owned(),
        }
    }

    fn file(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }

    /// Writes bytes that follow from a seed.
    pub fn fill(&self, seed: u64, range: Range<u64>) {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
        self.file().write_all_at(&bytes, range.start).unwrap();
    }

    /// Writes zeros.
    pub fn punch(&self, range: Range<u64>) {
        let zeros = vec![0; (range.end - range.start) as usize];
        self.file().write_all_at(&zeros, range.start).unwrap();
    }

    pub fn resize(&self, size_bytes: u64) {
        self.file().set_len(size_bytes).unwrap();
    }

    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// Compares what a point holds with what is there now.
    pub async fn assert_stored(&self, world: &World, point: &PointInfo) {
        let volume = point.disks[0].volume.clone();
        assert_content(world, point, &volume, &self.content()).await;
    }
}

/// Compares a disk of a point with bytes.
pub async fn assert_content(world: &World, point: &PointInfo, volume: &str, expected: &[u8]) {
    let disk = world
        .engine
        .open_disk(&point.id, Some(volume))
        .await
        .unwrap();
    let length = expected.len();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; length];
        disk.read_at(0, &mut bytes).unwrap();
        (disk.shape().size_bytes, bytes)
    });
    let (size_bytes, bytes) = read.await.unwrap();
    assert_eq!(size_bytes, length as u64);
    assert!(bytes == expected, "the content of {} differs", point.id);
}

/// Makes points and waits for the end, however it is.
pub async fn create(
    world: &World,
    resources: &[&str],
    name: &str,
) -> Result<PointsTicket, EngineError> {
    let request = CreatePoints {
        resources: resources.iter().map(|it| (*it).to_owned()).collect(),
        name: name.to_owned(),
        ..CreatePoints::default()
    };
    let ticket = world.engine.create_points(request).await?;
    world.engine.wait_job(&ticket.job_id).await?;
    Ok(ticket)
}

/// The one point of a ticket.
pub async fn point_of(world: &World, ticket: &PointsTicket) -> PointInfo {
    world.engine.point(&ticket.points[0]).await.unwrap()
}

/// All points of a volume or instance.
pub fn query(resource: &str) -> PointQuery {
    PointQuery {
        resource: Some(resource.to_owned()),
        limit: 1000,
        ..PointQuery::default()
    }
}

impl World {
    pub fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    }

    /// Lets what was noted of a volume pass as of another snapshot.
    pub fn forge_token(&self, volume: &str, snapshot: &str) {
        let tokens = self.folder.path().join("data/volume-state/tokens");
        let path = tokens.join(format!("{volume}.json"));
        let mut token: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        token["snapshot"] = snapshot.into();
        fs::write(&path, token.to_string()).unwrap();
    }

    /// Waits until no job runs.
    pub async fn settle(&self) {
        for job in self.engine.jobs().await.unwrap() {
            self.engine.wait_job(&job.id).await.unwrap();
        }
    }

    /// Stops, loses the catalogue, and starts again.
    pub async fn lose_catalogue(self) -> World {
        self.engine
            .shutdown(std::time::Duration::from_secs(30))
            .await;
        let folder = std::sync::Arc::clone(&self.folder);
        drop(self);
        for file in fs::read_dir(folder.path().join("data")).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("catalogue.sqlite") {
                fs::remove_file(path).unwrap();
            }
        }
        super::open(folder).await
    }

    /// Checks every byte of a repository.
    pub async fn check(&self, repository: &str) -> JobState {
        let ticket = self
            .engine
            .check(repository, CheckRequest::All)
            .await
            .unwrap();
        let job = self.engine.wait_job(&ticket.job_id).await.unwrap();
        let result = job.result.unwrap();
        assert_eq!(result["problems"], serde_json::json!([]), "{result}");
        job.state
    }
}
