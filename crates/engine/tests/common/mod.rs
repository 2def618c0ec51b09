//! A server's inside for tests: an embedded store and an engine over a temporary folder.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

pub mod collections;

pub mod policies;

pub mod rollbacks;

pub mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{
    Clock, CreateSnapshot, Engine, EngineConfig, EngineError, RepositorySpec, RestoreInfo,
    RestoreRequest, SnapshotInfo, SnapshotTicket,
};
use snapkeep_store::{IndexSpec, Store, StoreOptions, WriteOp, WriteOptions};
use tempfile::TempDir;

pub struct World {
    pub folder: Arc<TempDir>,
    pub store: Store,
    pub engine: Engine,
}

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// An engine over a new folder, without rate limits.
pub async fn world() -> World {
    open(Arc::new(tempfile::tempdir().unwrap())).await
}

/// An engine over a folder that may have been used before.
pub async fn open(folder: Arc<TempDir>) -> World {
    open_at(folder, Clock::system()).await
}

/// The same, with its time.
pub async fn open_at(folder: Arc<TempDir>, clock: Clock) -> World {
    let store = Store::open(&folder.path().join("store"), &StoreOptions::default()).unwrap();
    let config = EngineConfig {
        clock,
        ..config(&folder)
    };
    let engine = Engine::start(config, Arc::new(StoreDriver::new(store.clone())))
        .await
        .unwrap();
    World {
        folder,
        store,
        engine,
    }
}

pub fn config(folder: &TempDir) -> EngineConfig {
    EngineConfig {
        snapshot_bytes_per_sec: None,
        restore_bytes_per_sec: None,
        ..EngineConfig::new(folder.path().join("data"))
    }
}

/// A second engine that finds what the first would leave if it died now: a copy of its catalogue, the same repositories.
pub async fn after_crash(world: &World) -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    for entry in std::fs::read_dir(world.folder.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_file() && entry.file_name() != "engine.lock" {
            std::fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
        }
    }
    let config = EngineConfig {
        repo_roots: vec![world.folder.path().join("data/repositories")],
        data_dir: data,
        ..config(&folder)
    };
    let driver = Arc::new(StoreDriver::new(world.store.clone()));
    (folder, Engine::start(config, driver).await.unwrap())
}

impl World {
    /// Stops everything and opens it again.
    pub async fn restart(self) -> World {
        self.restart_at(Clock::system()).await
    }

    /// The same, with its time.
    pub async fn restart_at(self, clock: Clock) -> World {
        self.engine.shutdown(Duration::from_secs(30)).await;
        let folder = Arc::clone(&self.folder);
        drop(self);
        open_at(folder, clock).await
    }

    pub fn repository_dir(&self, location: &str) -> PathBuf {
        self.folder.path().join("data/repositories").join(location)
    }

    pub async fn register(&self, name: &str) {
        self.register_with(name, json!({ "location": name }))
            .await
            .unwrap();
    }

    pub async fn register_with(&self, name: &str, settings: Value) -> Result<(), EngineError> {
        let spec = RepositorySpec {
            kind: "fs".into(),
            settings: object(settings),
        };
        self.engine.put_repository(name, spec, true).await
    }

    pub fn create_index(&self, name: &str, shards: u32) {
        let settings = json!({ "index": { "number_of_shards": shards } });
        self.store
            .create_index(
                name,
                IndexSpec {
                    settings,
                    ..IndexSpec::default()
                },
            )
            .unwrap();
    }

    /// Writes documents, made up when missing.
    pub fn put(&self, index: &str, documents: impl IntoIterator<Item = (String, Value)>) {
        let ops: Vec<WriteOp> = documents
            .into_iter()
            .map(|(id, source)| WriteOp::index(index, Some(id), source.to_string().into_bytes()))
            .collect();
        for outcome in self.store.write(ops, &WriteOptions::default()) {
            outcome.unwrap();
        }
    }

    pub fn delete_documents(&self, index: &str, ids: impl IntoIterator<Item = String>) {
        let ops = ids
            .into_iter()
            .map(|id| WriteOp::delete(index, id))
            .collect();
        for outcome in self.store.write(ops, &WriteOptions::default()) {
            outcome.unwrap();
        }
    }

    /// All documents of an index: id to source, version and sequence number.
    pub fn documents(&self, index: &str) -> BTreeMap<String, (String, u64, u64)> {
        let view = self.store.view().unwrap();
        let meta = view.index(index).unwrap();
        let mut documents = BTreeMap::new();
        for shard in 0..meta.shards {
            let shard = view.shard(index, shard).unwrap();
            shard
                .scan(0..u64::MAX, &mut |document| {
                    let source = String::from_utf8(document.source.to_vec()).unwrap();
                    documents.insert(
                        document.id.to_owned(),
                        (source, document.version, document.seq_no),
                    );
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
        }
        documents
    }

    pub async fn begin(
        &self,
        repository: &str,
        name: &str,
        indices: &[&str],
    ) -> Result<SnapshotTicket, EngineError> {
        self.engine
            .create_snapshot(repository, request(name, indices))
            .await
    }

    pub async fn snapshot(&self, repository: &str, name: &str, indices: &[&str]) -> SnapshotInfo {
        let ticket = self.begin(repository, name, indices).await.unwrap();
        self.engine.wait_snapshot(&ticket).await.unwrap()
    }

    pub async fn restore(
        &self,
        repository: &str,
        name: &str,
        request: RestoreRequest,
    ) -> Result<RestoreInfo, EngineError> {
        let ticket = self.engine.restore(repository, name, request).await?;
        self.engine.wait_restore(&ticket).await
    }
}

pub fn request(name: &str, indices: &[&str]) -> CreateSnapshot {
    CreateSnapshot {
        name: name.into(),
        indices: indices.iter().map(|index| (*index).to_owned()).collect(),
        partial: false,
        include_global_state: true,
        ..CreateSnapshot::default()
    }
}

pub fn restore_request(indices: &[&str]) -> RestoreRequest {
    RestoreRequest {
        indices: indices.iter().map(|index| (*index).to_owned()).collect(),
        include_aliases: true,
        ..RestoreRequest::default()
    }
}

pub fn renamed(indices: &[&str], pattern: &str, replacement: &str) -> RestoreRequest {
    RestoreRequest {
        rename_pattern: Some(pattern.into()),
        rename_replacement: Some(replacement.into()),
        ..restore_request(indices)
    }
}

/// `count` documents of some text that hardly compresses, numbered from `from`.
pub fn some_documents(from: u64, count: u64) -> Vec<(String, Value)> {
    (from..from + count)
        .map(|number| {
            let noise: String = (0..8)
                .map(|part| {
                    format!(
                        "{:016x}",
                        (number * 8 + part + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    )
                })
                .collect();
            (
                format!("doc-{number}"),
                json!({ "number": number, "noise": noise }),
            )
        })
        .collect()
}

/// Bytes of all files below a folder.
pub fn folder_bytes(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folder_bytes(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
