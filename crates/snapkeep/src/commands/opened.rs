//! A snapshot opened by this process, beside whatever server uses its repository: for commands that show or write what is in it.

use std::path::Path;
use std::sync::Arc;

use snapkeep_api::native::types::{Repository as Registered, Snapshot};
use snapkeep_vault::storage::{ObjectStorage, Storage};
use snapkeep_vault::{
    BlobCache, BlobId, Password, Repository, RepositoryLock, RepositoryOptions, SnapshotId, Time,
};

use super::Session;
use super::repo::ResticAccess;
use super::snapshot::word;
use crate::client::ConnectArgs;
use crate::exit::Failure;

/// Where a snapshot is, and what it takes to read it.
pub struct Place {
    access: ResticAccess,
    snapshot: SnapshotId,
}

/// A snapshot that can be read.
pub struct Opened {
    /// Reads blobs of its repository.
    pub cache: Arc<BlobCache>,
    /// Its topmost folder.
    pub tree: BlobId,
    /// When it was taken.
    pub time: Time,
    /// Keeps its data from being removed until dropped.
    pub lock: RepositoryLock,
}

/// Asks the server where the repository is, and which of its snapshots is meant.
pub async fn find(
    repository: &str,
    snapshot: &str,
    connect: &ConnectArgs,
    session: &Session,
) -> Result<Place, Failure> {
    let registered: Registered = session.client.get(&["repositories", repository]).await?;
    let path = ["repositories", repository, "snapshots", snapshot];
    let snapshot: Snapshot = session.client.get(&path).await?;
    let unfinished = || {
        Failure::failed(format!(
            "nothing of snapshot {} is stored: it is {}",
            snapshot.name,
            word(snapshot.state)
        ))
    };
    let id = snapshot.restic_id.as_ref().ok_or_else(unfinished)?;
    Ok(Place {
        snapshot: id.parse().map_err(Failure::failed)?,
        access: ResticAccess::read(&registered, connect)?,
    })
}

/// Opens the repository. Blocks.
pub fn open(
    place: &Place,
    cache_bytes: u64,
    runtime: tokio::runtime::Handle,
) -> Result<Opened, Failure> {
    let storage = ObjectStorage::local(Path::new(&place.access.location), runtime)
        .map_err(Failure::failed)?;
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let password = Password::new(place.access.password.as_bytes());
    let repository = Repository::open(storage, &password, &RepositoryOptions::default())
        .map_err(Failure::failed)?;
    let lock = repository.lock(false).map_err(Failure::failed)?;
    let file = repository
        .read_snapshot(&place.snapshot)
        .map_err(Failure::failed)?;
    Ok(Opened {
        cache: BlobCache::new(repository, cache_bytes),
        tree: file.tree,
        time: file.time,
        lock,
    })
}
