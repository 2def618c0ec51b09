//! A repository in memory, and files whose content follows from a seed.
#![allow(dead_code, clippy::unwrap_used)]

use bytes::Bytes;
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use snapkeep_vault::storage::{FileKind, ObjectStorage, PutMode, Storage};
use snapkeep_vault::{
    Backup, BackupOptions, BytesSource, FileSource, Node, Password, Repository, RepositoryOptions,
    SnapshotFile, SnapshotId, Time, Tree,
};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Name, seed and length of a file.
pub type FileSpec = (&'static str, u64, usize);

pub struct Place {
    pub storage: Arc<dyn Storage>,
    pub repository: Repository,
    _runtime: Option<Runtime>,
}

impl Place {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::memory(runtime.handle().clone()));
        let mut place = Self::on(storage);
        place._runtime = Some(runtime);
        place
    }

    /// A new repository on a storage of the caller's.
    pub fn on(storage: Arc<dyn Storage>) -> Self {
        let repository = Repository::init(
            Arc::clone(&storage),
            &password(),
            &RepositoryOptions::default(),
        )
        .unwrap();
        Self {
            storage,
            repository,
            _runtime: None,
        }
    }

    pub fn reopen(&self) -> Repository {
        open(&self.storage)
    }

    pub fn save(&self, files: &[FileSpec]) -> SnapshotId {
        let backup = self.start();
        let nodes = backup.store(files);
        backup.finish(nodes)
    }

    pub fn start(&self) -> Running {
        Running(self.repository.backup(BackupOptions::default()).unwrap())
    }

    pub fn assert_restores(&self, snapshot: SnapshotId, files: &[FileSpec]) {
        for file in files {
            self.assert_file(snapshot, *file);
        }
    }

    pub fn assert_file(&self, snapshot: SnapshotId, file: FileSpec) {
        assert_file(&self.reopen(), snapshot, file);
    }

    pub fn count(&self, kind: FileKind) -> usize {
        self.storage.list(kind).unwrap().len()
    }

    pub fn data_bytes(&self) -> u64 {
        self.storage
            .list(FileKind::Data)
            .unwrap()
            .iter()
            .map(|entry| entry.size_bytes)
            .sum()
    }

    /// Kinds and names of everything but locks.
    pub fn all_files(&self) -> Vec<(FileKind, String)> {
        FileKind::ALL
            .into_iter()
            .filter(|kind| *kind != FileKind::Lock)
            .flat_map(|kind| {
                self.storage
                    .list(kind)
                    .unwrap()
                    .into_iter()
                    .map(move |entry| (kind, entry.name))
            })
            .collect()
    }

    /// Flips a bit in the middle of a file.
    pub fn damage(&self, kind: FileKind, name: &str) {
        let mut bytes = self.storage.get(kind, name).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.storage
            .put(kind, name, Bytes::from(bytes), PutMode::Overwrite)
            .unwrap();
    }

    pub fn damage_largest_pack(&self) {
        let packs = self.storage.list(FileKind::Data).unwrap();
        let largest = packs.iter().max_by_key(|entry| entry.size_bytes).unwrap();
        self.damage(FileKind::Data, &largest.name);
    }
}

pub struct Running(Backup);

impl Running {
    pub fn store(&self, files: &[FileSpec]) -> Vec<Node> {
        let contents: Vec<Vec<u8>> = files
            .iter()
            .map(|(_, seed, length)| content(*seed, *length))
            .collect();
        let sources: Vec<BytesSource<'_>> =
            contents.iter().map(|bytes| BytesSource(bytes)).collect();
        let sources: Vec<&dyn FileSource> = sources
            .iter()
            .map(|source| source as &dyn FileSource)
            .collect();
        let stored = self.0.store_files(&sources).unwrap();
        files
            .iter()
            .zip(stored)
            .map(|((name, _, _), stored)| {
                Node::file(*name, Time::now(), stored.content, stored.size_bytes)
            })
            .collect()
    }

    pub fn finish(self, nodes: Vec<Node>) -> SnapshotId {
        let root = self.0.save_tree(&Tree::new(nodes).unwrap()).unwrap();
        self.0.finish(SnapshotFile::new(root)).unwrap().0
    }
}

pub fn password() -> Password {
    Password::new("correct horse")
}

pub fn open(storage: &Arc<dyn Storage>) -> Repository {
    Repository::open(
        Arc::clone(storage),
        &password(),
        &RepositoryOptions::default(),
    )
    .unwrap()
}

pub fn assert_file(repository: &Repository, snapshot: SnapshotId, (name, seed, length): FileSpec) {
    let root = repository.read_snapshot(&snapshot).unwrap().tree;
    let node = repository.find(root, name).unwrap().unwrap();
    let bytes = repository
        .read_file(&node.content.unwrap(), u64::MAX)
        .unwrap();
    assert!(bytes == content(seed, length), "{name} differs");
}

/// Bytes that do not compress, so that sizes in the repository can be foretold.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}
