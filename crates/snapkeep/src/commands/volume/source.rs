//! A disk in a snapshot, opened by this process.

use snapkeep_engine::StoredDisk;

use super::super::{Session, opened};
use super::snapshots::one;
use crate::client::ConnectArgs;
use crate::exit::Failure;

/// Where the data of a snapshot of a volume or instance is.
pub struct Source {
    place: opened::Place,
}

impl Source {
    /// Asks the server about the snapshot with this id, in the repository that it knows it in if none is given.
    pub async fn find(
        id: &str,
        repository: Option<&str>,
        connect: &ConnectArgs,
    ) -> Result<Self, Failure> {
        let session = Session::open(connect).await?;
        let found = Self::ask(id, repository, connect, &session).await;
        session.end(found).await
    }

    async fn ask(
        id: &str,
        repository: Option<&str>,
        connect: &ConnectArgs,
        session: &Session,
    ) -> Result<Self, Failure> {
        let repository = match repository {
            Some(repository) => repository.to_owned(),
            None => one(&session.client, id).await?.repository,
        };
        let place = opened::find(&repository, id, connect, session).await?;
        Ok(Self { place })
    }

    /// Opens one of its disks; without a `volume` the only one. The repository stays locked against the removal of data for as long as
    /// the disk is open. Blocks.
    pub fn open(
        &self,
        volume: Option<&str>,
        cache_bytes: u64,
        runtime: tokio::runtime::Handle,
    ) -> Result<StoredDisk, Failure> {
        let opened = opened::open(&self.place, cache_bytes, runtime)?;
        let disk = StoredDisk::open(opened.cache, opened.tree, volume).map_err(Failure::failed)?;
        Ok(disk.with_guard(opened.lock))
    }
}
