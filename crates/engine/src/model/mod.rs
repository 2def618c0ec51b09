//! The types that [`Engine`](crate::Engine) takes and gives. All of them serialise to JSON with the names used here.

mod job;
mod repository;
mod restore;
mod snapshot;

pub use job::{
    CheckRequest, JobEvent, JobInfo, JobKind, JobProgress, JobState, JobTicket, WorkerInfo,
    WorkerState,
};
pub use repository::{
    CleanupResult, KeyDescription, RepositoryEnvironment, RepositoryInfo, RepositorySpec,
    Verification,
};
pub use restore::{
    RecoverySource, RecoveryStage, RestoreInfo, RestoreRequest, RestoreTicket, ShardRecovery,
};
pub use snapshot::{
    CreateSnapshot, FileStats, IndexStatus, ShardFailure, ShardStage, ShardStatus, SnapshotIndex,
    SnapshotInfo, SnapshotPhase, SnapshotState, SnapshotStatus, SnapshotTicket,
};
