//! The engine as dialects see it.

use std::sync::Arc;
use std::time::Duration;

use snapkeep_drivers::DocumentDriver;
use tokio::sync::broadcast;

use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::model::*;

/// All of Snapkeep behind the dialects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {}

#[allow(unused_variables, clippy::todo, missing_docs)]
impl Engine {
    /// Opens (or creates) the catalogue, ends what an earlier process left unfinished, and starts the background workers.
    /// Repositories are opened when they are first used: one that cannot be reached does not keep the engine from starting.
    /// Must be called on a tokio runtime, which must outlive the engine.
    pub async fn start(
        config: EngineConfig,
        driver: Arc<dyn DocumentDriver>,
    ) -> Result<Self, EngineError> {
        todo!()
    }

    /// Takes no new work, lets running jobs end until the deadline, then cancels them; each is recorded with the reason.
    pub async fn shutdown(&self, deadline: Duration) {
        todo!()
    }

    // ---- repositories -------------------------------------------------------------------------------------------------------

    /// Registers or changes a repository. With `verify` a probe is then written and read; when that fails the repository stays
    /// registered and the error is [`EngineError::RepositoryVerification`].
    pub async fn put_repository(
        &self,
        name: &str,
        spec: RepositorySpec,
        verify: bool,
    ) -> Result<(), EngineError> {
        todo!()
    }

    /// All repositories, sorted by name.
    pub async fn repositories(&self) -> Result<Vec<RepositoryInfo>, EngineError> {
        todo!()
    }

    /// One repository.
    pub async fn repository(&self, name: &str) -> Result<RepositoryInfo, EngineError> {
        todo!()
    }

    /// Forgets a repository; its data stays.
    pub async fn remove_repository(&self, name: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// Writes, reads and removes a probe (read-only: opens it).
    pub async fn verify_repository(&self, name: &str) -> Result<Verification, EngineError> {
        todo!()
    }

    /// Reclaims now what no snapshot needs any more.
    pub async fn cleanup(&self, name: &str) -> Result<CleanupResult, EngineError> {
        todo!()
    }

    /// What stock restic needs to use the repository.
    pub async fn repository_environment(
        &self,
        name: &str,
    ) -> Result<RepositoryEnvironment, EngineError> {
        todo!()
    }

    /// Passwords of the repository.
    pub async fn keys(&self, repository: &str) -> Result<Vec<KeyDescription>, EngineError> {
        todo!()
    }

    /// Adds a password that a person may type; returns the id of its key file.
    pub async fn add_key(
        &self,
        repository: &str,
        password: &str,
        label: &str,
    ) -> Result<String, EngineError> {
        todo!()
    }

    /// Removes a password by the id of its key file (or an unambiguous beginning); never the server's own.
    pub async fn remove_key(&self, repository: &str, id: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// Lists the repository's snapshots anew (somebody else may have written to it) and brings the catalogue up to date.
    pub async fn refresh_repository(&self, repository: &str) -> Result<(), EngineError> {
        todo!()
    }

    // ---- snapshots ----------------------------------------------------------------------------------------------------------

    /// Accepts a snapshot. Everything that can be wrong with the request is told here, before any reading or writing.
    pub async fn create_snapshot(
        &self,
        repository: &str,
        request: CreateSnapshot,
    ) -> Result<SnapshotTicket, EngineError> {
        todo!()
    }

    /// Waits until a snapshot has ended; a failed one is no error but has that state.
    pub async fn wait_snapshot(
        &self,
        ticket: &SnapshotTicket,
    ) -> Result<SnapshotInfo, EngineError> {
        todo!()
    }

    /// All snapshots of a repository, running ones included, by start time, then name. One read of the catalogue.
    pub async fn snapshots(&self, repository: &str) -> Result<Vec<SnapshotInfo>, EngineError> {
        todo!()
    }

    /// One snapshot, running or not.
    pub async fn snapshot(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<SnapshotInfo, EngineError> {
        todo!()
    }

    /// Progress or result of one snapshot, shard by shard.
    pub async fn snapshot_status(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<SnapshotStatus, EngineError> {
        todo!()
    }

    /// Progress of the running snapshots, of one repository (registered or not) or all, by start time.
    pub async fn running_snapshots(&self, repository: Option<&str>) -> Vec<SnapshotStatus> {
        todo!()
    }

    /// Deletes snapshots by their exact names, all or (when one is missing) none. Running ones are cancelled first. Returns when
    /// they are gone for good; space is reclaimed later.
    pub async fn delete_snapshots(
        &self,
        repository: &str,
        names: &[String],
    ) -> Result<(), EngineError> {
        todo!()
    }

    /// Makes a snapshot of some indices of another (names already resolved); returns when it is done.
    pub async fn clone_snapshot(
        &self,
        repository: &str,
        source: &str,
        target: &str,
        indices: &[String],
    ) -> Result<SnapshotInfo, EngineError> {
        todo!()
    }

    /// Indices that snapshots are being taken of, sorted.
    pub fn indices_in_snapshots(&self) -> Vec<String> {
        todo!()
    }

    // ---- restores -----------------------------------------------------------------------------------------------------------

    /// Accepts a restore. Everything that can be wrong with the request is told here, before the store is touched.
    pub async fn restore(
        &self,
        repository: &str,
        snapshot: &str,
        request: RestoreRequest,
    ) -> Result<RestoreTicket, EngineError> {
        todo!()
    }

    /// Waits until a restore has ended; a failed one is no error but has failed shards and a text.
    pub async fn wait_restore(&self, ticket: &RestoreTicket) -> Result<RestoreInfo, EngineError> {
        todo!()
    }

    /// Recoveries of shards, running ones and the latest of each index, by index and shard.
    pub async fn recoveries(&self) -> Result<Vec<ShardRecovery>, EngineError> {
        todo!()
    }

    /// Indices that are being restored, sorted.
    pub fn indices_in_restores(&self) -> Vec<String> {
        todo!()
    }

    /// Cancels the restore that makes this index and waits until nothing of it is left; false when there is none.
    pub async fn cancel_restore_of(&self, index: &str) -> Result<bool, EngineError> {
        todo!()
    }

    // ---- jobs ---------------------------------------------------------------------------------------------------------------

    /// Starts a check of a repository; the report is the result of the job.
    pub async fn check(
        &self,
        repository: &str,
        request: CheckRequest,
    ) -> Result<JobTicket, EngineError> {
        todo!()
    }

    /// Starts reclaiming space in a repository; the report is the result of the job.
    pub async fn prune(&self, repository: &str) -> Result<JobTicket, EngineError> {
        todo!()
    }

    /// Jobs, newest first: all that run and the latest finished ones.
    pub async fn jobs(&self) -> Result<Vec<JobInfo>, EngineError> {
        todo!()
    }

    /// One job.
    pub async fn job(&self, id: &str) -> Result<JobInfo, EngineError> {
        todo!()
    }

    /// Waits until a job has ended.
    pub async fn wait_job(&self, id: &str) -> Result<JobInfo, EngineError> {
        todo!()
    }

    /// Asks a job to stop and returns it; one that has ended stays as it is.
    pub async fn cancel_job(&self, id: &str) -> Result<JobInfo, EngineError> {
        todo!()
    }

    /// What happens to jobs from now on. A receiver that lags loses the oldest events.
    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        todo!()
    }

    /// The background workers.
    pub fn workers(&self) -> Vec<WorkerInfo> {
        todo!()
    }
}
