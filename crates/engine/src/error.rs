//! Everything that can go wrong, with all that a dialect needs to say it in its own words. No HTTP here.

mod reasons;

pub use reasons::{CreationFailure, InUse, ReadonlyOperation, RestoreProblem};

use crate::model::{PointKind, PointStatus, PolicyKey};
use crate::names::{IndexNameRule, NameError, SnapshotNameRule};
use crate::rename::RenameError;

/// Why a call of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No repository of this name is registered.
    #[error("repository [{name}] is missing; register it first")]
    RepositoryMissing {
        /// The name asked for.
        name: String,
    },
    /// The name cannot be the name of a repository.
    #[error("repository name [{name}] {rule}")]
    InvalidRepositoryName {
        /// The name asked for.
        name: String,
        /// What it breaks.
        rule: NameError,
    },
    /// No such type of repository.
    #[error("[{repository}] repository type [{kind}] does not exist; use fs")]
    RepositoryTypeUnknown {
        /// Name of the repository.
        repository: String,
        /// The type asked for.
        kind: String,
    },
    /// The settings cannot be used; nothing was registered.
    #[error("[{repository}] failed to create repository: {cause}")]
    RepositoryCreation {
        /// Name of the repository.
        repository: String,
        /// What is wrong.
        cause: CreationFailure,
    },
    /// The probe could not be written or read back; the repository stays registered.
    #[error(
        "[{repository}] {location} is not accessible: {cause}; check the path and its permissions"
    )]
    RepositoryVerification {
        /// Name of the repository.
        repository: String,
        /// Where it is.
        location: String,
        /// The cause in words.
        cause: String,
        /// True when permissions are the cause.
        denied: bool,
    },
    /// A repository that is registered but cannot be opened or read now.
    #[error("[{repository}] cannot be used: {reason}")]
    RepositoryUnavailable {
        /// Name of the repository.
        repository: String,
        /// The cause, and what to do.
        reason: String,
    },
    /// The repository is registered read-only.
    #[error("[{repository}] is readonly: cannot {operation}")]
    RepositoryReadonly {
        /// Name of the repository.
        repository: String,
        /// What was asked for.
        operation: ReadonlyOperation,
    },
    /// The repository cannot be changed or removed now.
    #[error("[{repository}] is in use ({by}); try again when it is done")]
    RepositoryInUse {
        /// Name of the repository.
        repository: String,
        /// What uses it.
        by: InUse,
    },
    /// No snapshot of this name.
    #[error("[{repository}:{snapshot}] is missing")]
    SnapshotMissing {
        /// Repository.
        repository: String,
        /// The name asked for.
        snapshot: String,
    },
    /// The name cannot be the name of a snapshot.
    #[error("[{repository}:{snapshot}] Invalid snapshot name [{snapshot}], {rule}")]
    InvalidSnapshotName {
        /// Repository.
        repository: String,
        /// The name asked for.
        snapshot: String,
        /// What it breaks.
        rule: SnapshotNameRule,
    },
    /// Date math in a name that cannot be understood.
    #[error("invalid date math in name [{name}]: {reason}")]
    InvalidDateMath {
        /// The name asked for.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A snapshot of this name is there or being taken.
    #[error("[{repository}:{snapshot}] a snapshot of this name {}", if *.running { "is being taken" } else { "exists" })]
    SnapshotExists {
        /// Repository.
        repository: String,
        /// The name asked for.
        snapshot: String,
        /// True when it is still being taken.
        running: bool,
    },
    /// The limit on operations at one time is reached.
    #[error(
        "[{repository}:{snapshot}] cannot start another operation, {running} are running and {limit} are allowed"
    )]
    TooManyOperations {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// Operations under way.
        running: usize,
        /// The limit.
        limit: usize,
    },
    /// A snapshot that is being restored or cloned cannot be deleted.
    #[error("[{repository}:{snapshot}/{uuid}] cannot be deleted while in use ({by})")]
    SnapshotInUse {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// Its uuid.
        uuid: String,
        /// What uses it.
        by: InUse,
    },
    /// The snapshot cannot be restored as asked.
    #[error("[{repository}:{snapshot}/{uuid}] {problem}")]
    Restore {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// Its uuid; empty when there is no such snapshot.
        uuid: String,
        /// What is wrong.
        problem: RestoreProblem,
    },
    /// The pattern for renaming or its replacement is wrong.
    #[error(transparent)]
    Rename(#[from] RenameError),
    /// A name that an index cannot have.
    #[error("Invalid index name [{index}], {rule}")]
    InvalidIndexName {
        /// The name.
        index: String,
        /// What it breaks.
        rule: IndexNameRule,
    },
    /// The target of a restore refuses a setting that was asked for.
    #[error("{reason}")]
    Refused {
        /// In its words.
        reason: String,
    },
    /// No such index, in the store or in the snapshot.
    #[error("no such index [{index}]")]
    IndexMissing {
        /// The name asked for.
        index: String,
    },
    /// No such collection, in the store or in the snapshot.
    #[error("no such collection [{collection}]")]
    CollectionMissing {
        /// The name asked for.
        collection: String,
    },
    /// None of the collections to be restored has such a tenant.
    #[error("no such tenant [{tenant}] in collection(s) {}", collections.join(", "))]
    TenantMissing {
        /// The name asked for.
        tenant: String,
        /// Where it was looked for.
        collections: Vec<String>,
    },
    /// The restore is past the point at which it can be cancelled.
    #[error(
        "restore {uuid} is making its collections visible and cannot be cancelled; wait for its end"
    )]
    RestoreFinalizing {
        /// Its uuid.
        uuid: String,
    },
    /// No such restore is known.
    #[error("restore {uuid} is missing")]
    RestoreMissing {
        /// The uuid asked for.
        uuid: String,
    },
    /// A clone was asked for an index of the source that is not complete.
    #[error("Can't clone index [[{index}/{index_uuid}]] because its snapshot was not successful.")]
    ClonePartialIndex {
        /// Repository.
        repository: String,
        /// Source snapshot.
        snapshot: String,
        /// Index.
        index: String,
        /// Uuid of the index.
        index_uuid: String,
    },
    /// A clone of nothing.
    #[error(
        "[{repository}:{snapshot}/{uuid}] No indices in the source snapshot [{snapshot}/{uuid}] matched"
    )]
    CloneNothing {
        /// Repository.
        repository: String,
        /// Source snapshot.
        snapshot: String,
        /// Its uuid.
        uuid: String,
    },
    /// No cleanup while snapshots are being taken.
    #[error("Cannot cleanup [{repository}] - a snapshot is currently running: {}", running.join(", "))]
    CleanupWhileRunning {
        /// Repository.
        repository: String,
        /// Names of the running snapshots.
        running: Vec<String>,
    },
    /// The snapshot is locked: nobody deletes it before that time.
    #[error("[{repository}:{snapshot}] is locked until {} and cannot be deleted before", utc_time(*.until_ms))]
    SnapshotLocked {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// When the lock ends, milliseconds since 1970.
        until_ms: i64,
    },
    /// A lock can be extended but not shortened.
    #[error(
        "[{repository}:{snapshot}] is locked until {}; a lock can be extended, not shortened",
        utc_time(*.until_ms)
    )]
    LockShortened {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// When the lock ends, milliseconds since 1970.
        until_ms: i64,
    },
    /// The snapshot cannot be locked as asked.
    #[error("[{repository}:{snapshot}] cannot be locked: {reason}")]
    LockRefused {
        /// Repository.
        repository: String,
        /// Snapshot.
        snapshot: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// No policy of this name.
    #[error("policy [{policy}] is missing")]
    PolicyMissing {
        /// The policy asked for.
        policy: PolicyKey,
    },
    /// There is a policy of this name already.
    #[error("policy [{policy}] exists already; change it instead, or choose another name")]
    PolicyExists {
        /// The policy.
        policy: PolicyKey,
    },
    /// Somebody has changed the policy meanwhile.
    #[error(
        "policy [{policy}] is in version [{current}], not [{expected}]; read it again and repeat the change"
    )]
    PolicyConflict {
        /// The policy.
        policy: PolicyKey,
        /// The version that the caller had read.
        expected: u64,
        /// The version it has.
        current: u64,
    },
    /// Something in a policy cannot be used; nothing was changed.
    #[error("policy [{policy}]: {field}: {reason}")]
    PolicyInvalid {
        /// The policy.
        policy: PolicyKey,
        /// The field, as in [`PolicySpec`](crate::PolicySpec) (`schedule`, `retention.max_count`).
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A run of the policy is under way.
    #[error("policy [{policy}] is running; try again when it is done")]
    PolicyRunning {
        /// The policy.
        policy: PolicyKey,
    },
    /// No such volume.
    #[error("volume [{id}] is missing; `snapkeep volume ls` shows those there are")]
    VolumeMissing {
        /// The id asked for.
        id: String,
    },
    /// No such instance.
    #[error("instance [{id}] is missing; `snapkeep instance ls` shows those there are")]
    InstanceMissing {
        /// The id asked for.
        id: String,
    },
    /// No such point.
    #[error("point [{id}] is missing")]
    PointMissing {
        /// The id asked for.
        id: String,
    },
    /// The point is still being made.
    #[error("point [{id}] is still being made; try again when it is available")]
    PointPending {
        /// The point.
        id: String,
    },
    /// The point is there and cannot be used: it is ceased, deleted or suspended.
    #[error("point [{id}] is {}{}", status.as_str(), reason_of(.reason.as_deref()))]
    PointUnusable {
        /// The point.
        id: String,
        /// What it is.
        status: PointStatus,
        /// Why.
        reason: Option<String>,
    },
    /// The point is being read (a rollback, an export, an attached disk) or deleted.
    #[error("point [{id}] is in use ({by}); try again when it is done")]
    PointInUse {
        /// The point.
        id: String,
        /// What uses it.
        by: InUse,
    },
    /// A job works on the volume or instance already.
    #[error("[{resource}] is busy: job [{job}] works on it; try again when it has ended")]
    ResourceBusy {
        /// The volume or instance.
        resource: String,
        /// The job.
        job: String,
    },
    /// Something writes to the volume, and there is no consistent view of it.
    #[error(
        "volume [{volume}] is in use by {users}, and there is no consistent view of it{}; stop that, give its instance a driver that \
             freezes it, or allow an inconsistent snapshot (allow_inconsistent)",
        reason_of(.reason.as_deref())
    )]
    VolumeInUse {
        /// The volume.
        volume: String,
        /// Who uses it.
        users: String,
        /// Why there is no consistent view of it all the same.
        reason: Option<String>,
    },
    /// Something that was begun with the volume has to be finished first.
    #[error("volume [{volume}] is suspended: {reason}")]
    VolumeSuspended {
        /// The volume.
        volume: String,
        /// What, and what to do.
        reason: String,
    },
    /// The volume is declared, and what it is declared to be cannot be read.
    #[error("volume [{volume}] cannot be read: {reason}")]
    VolumeUnreadable {
        /// The volume.
        volume: String,
        /// The cause, and what to do.
        reason: String,
    },
    /// A volume or instance cannot be added, changed or removed as asked.
    #[error("[{resource}] {reason}")]
    ResourceRefused {
        /// The volume or instance, by id or name.
        resource: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A request that names a volume twice, by itself or as a disk of an instance, or two points of one resource.
    #[error("[{resource}] is named twice: {how}; name it once")]
    ResourceRepeated {
        /// The volume, instance or point.
        resource: String,
        /// How.
        how: String,
    },
    /// A request that names nothing to work on.
    #[error("nothing to work on: name at least one {what}")]
    NothingNamed {
        /// What is missing.
        what: &'static str,
    },
    /// The point is of a volume where one of an instance is needed, or the other way round.
    #[error("point [{point}] is of the {} [{resource}]; {needed} is needed here", kind.as_str())]
    WrongResourceKind {
        /// The point.
        point: String,
        /// What it is of.
        resource: String,
        /// What that is.
        kind: PointKind,
        /// What is needed.
        needed: &'static str,
    },
    /// Points of one call could not be made, deleted or applied; the text names them and says why.
    #[error("{0}")]
    PointsFailed(String),
    /// No such job.
    #[error("job [{id}] is missing")]
    JobMissing {
        /// The id asked for.
        id: String,
    },
    /// A key of a repository that cannot be found or removed, or a password that cannot be used.
    #[error("[{repository}] {reason}")]
    Key {
        /// Repository.
        repository: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The server is going down and takes no new work.
    #[error("the server is shutting down; try again when it is back")]
    ShuttingDown,
    /// Another process has the data directory.
    #[error("data directory {path} is in use by process {holder}; stop it, or let it do the work")]
    DataDirectoryInUse {
        /// The directory.
        path: String,
        /// What the lock file says about the holder.
        holder: String,
    },
    /// The configuration cannot be used.
    #[error("configuration: {0}")]
    Configuration(String),
    /// The catalogue cannot be read or written.
    #[error("catalogue: {operation}: {cause}; check space and permissions of the data directory")]
    Catalogue {
        /// What was being done.
        operation: String,
        /// The cause.
        cause: String,
    },
    /// Shards could not be read and the snapshot may not be partial; the text names them and says why.
    #[error("{0}")]
    ShardsFailed(String),
    /// Something that should not happen; the text says where.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl EngineError {
    /// Whether the caller's request is the cause (and repeating it unchanged is pointless).
    pub fn is_callers_fault(&self) -> bool {
        !matches!(
            self,
            Self::RepositoryUnavailable { .. }
                | Self::RepositoryVerification { .. }
                | Self::TooManyOperations { .. }
                | Self::ShuttingDown
                | Self::DataDirectoryInUse { .. }
                | Self::Catalogue { .. }
                | Self::ShardsFailed(_)
                | Self::VolumeUnreadable { .. }
                | Self::PointsFailed(_)
                | Self::Internal(_)
        )
    }
}

/// A moment in texts for people.
fn utc_time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// A reason at the end of a sentence.
fn reason_of(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
