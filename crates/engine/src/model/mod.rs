//! The types that [`Engine`](crate::Engine) takes and gives. All of them serialise to JSON with the names used here.

mod image;
mod job;
mod policy;
mod policy_run;
mod repository;
mod restore;
mod schedule;
mod snapshot;
mod volume;

pub use image::{ImageDisk, ImageFormat, ImageInfo};
pub use job::{
    CheckRequest, JobEvent, JobInfo, JobKind, JobProgress, JobState, JobTicket, WorkerInfo,
    WorkerState,
};
pub use policy::{
    Expected, Gfs, NameTemplate, OriginKind, Policy, PolicyKey, PolicyKeyError, PolicyOrigin,
    PolicySpec, Retention, Selection, VerificationPlan, WhenRunning,
};
pub use policy_run::{
    DeletionFailure, LastRetention, LastRun, PolicyRun, PolicyState, PolicyStats, PolicyTotals,
    RetentionVerdict, RunKind, RunState, VerificationOutcome,
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
pub use snapkeep_drivers::volume::host::HostSpec;
pub use snapkeep_drivers::volume::write::RollbackMode;
pub use snapkeep_drivers::volume::{ChangeSource, Consistency, VolumeFormat};
pub use snapkeep_drivers::{ResourceKind, ResourceRef, TenantStatus};
pub use snapshot::{
    CreateSnapshot, FileStats, IndexStatus, LeftOutShard, NameRules, ShardFailure, ShardStage,
    ShardStatus, SnapshotCollection, SnapshotIndex, SnapshotInfo, SnapshotPhase, SnapshotState,
    SnapshotStatus, SnapshotTicket,
};
pub use volume::{
    AddInstance, AddVolume, CreatePoints, InstanceInfo, PointDisk, PointInfo, PointKind, PointPage,
    PointQuery, PointResource, PointStatus, PointTransition, PointsTicket, VolumeInfo,
    VolumeOrigin, VolumeStatus,
};
