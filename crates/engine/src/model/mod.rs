//! The types that [`Engine`](crate::Engine) takes and gives. All of them serialise to JSON with the names used here.

mod job;
mod policy;
mod repository;
mod restore;
mod schedule;
mod snapshot;

pub use job::{
    CheckRequest, JobEvent, JobInfo, JobKind, JobProgress, JobState, JobTicket, WorkerInfo,
    WorkerState,
};
pub use policy::{
    DeletionFailure, Expected, Gfs, LastRetention, LastRun, NameTemplate, OriginKind, Policy,
    PolicyKey, PolicyKeyError, PolicyOrigin, PolicyRun, PolicySpec, PolicyState, PolicyStats,
    PolicyTotals, Retention, RetentionVerdict, RunKind, RunState, Selection, VerificationOutcome,
    VerificationPlan, WhenRunning,
};
pub use repository::{
    CleanupResult, KeyDescription, RepositoryEnvironment, RepositoryInfo, RepositorySpec,
    Verification,
};
pub use restore::{
    OnConflict, RecoverySource, RecoveryStage, RestoreInfo, RestoreRequest, RestoreRun,
    RestoreStage, RestoreState, RestoreTicket, ShardRecovery,
};
pub use schedule::{DayOfWeek, Schedule, ScheduleError, ScheduleKind};
pub use snapkeep_drivers::{ResourceKind, ResourceRef, TenantStatus};
pub use snapshot::{
    CreateSnapshot, FileStats, IndexStatus, LeftOutShard, NameRules, ShardFailure, ShardStage,
    ShardStatus, SnapshotCollection, SnapshotIndex, SnapshotInfo, SnapshotPhase, SnapshotState,
    SnapshotStatus, SnapshotTicket,
};
