//! Snapshots and restores in the words of this dialect.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};
use snapkeep_engine::{
    EngineError, RestoreRun, RestoreStage, RestoreState, SnapshotInfo, SnapshotState,
};

use super::super::errors::WvError;
use super::conditions::{
    BACKUP_CANCELED, CLASS_EXISTS, Condition, NODE_REFUSES, RESTORE_CANCELED, RESTORE_FAILED,
};
use super::location::Target;
use crate::auth::{Action, Caller, Method};

/// Where this dialect keeps what is its own in the metadata of a snapshot.
const MARK: &str = "weaviate";
/// What a time that has not come yet looks like.
const ZERO_TIME: &str = "0001-01-01T00:00:00.000Z";
const GIB: f64 = (1_u64 << 30) as f64;

pub(super) const STARTED: &str = "STARTED";

/// What this dialect keeps with a snapshot.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    /// The classes asked for: a failed snapshot does not know them.
    pub classes: Vec<String>,
    /// Where the client was told that it lies.
    pub path: String,
    /// `gzip`, `zstd` or `none`, as asked for.
    pub compression: String,
    /// The base named in the request. Nothing depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Users and roles.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub access: Value,
}

impl Mark {
    /// As metadata of a snapshot.
    pub fn into_metadata(self) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert(MARK.to_owned(), json!(self));
        metadata
    }

    /// Of a snapshot; that of another dialect has none.
    pub fn of(info: &SnapshotInfo) -> Option<Self> {
        let mark = info.metadata.as_ref()?.get(MARK)?;
        serde_json::from_value(mark.clone()).ok()
    }
}

/// A snapshot that is a backup of collections, whoever took it.
#[derive(Debug)]
pub(super) struct Backup {
    pub info: SnapshotInfo,
    pub mark: Mark,
}

impl Backup {
    /// None for a snapshot without collections.
    pub fn of(info: SnapshotInfo) -> Option<Self> {
        let mark = match Mark::of(&info) {
            Some(mark) => mark,
            None if info.collections.is_empty() => return None,
            None => Mark {
                classes: info.collection_names(),
                compression: "gzip".to_owned(),
                ..Mark::default()
            },
        };
        Some(Self { info, mark })
    }

    /// Whether the caller may know of it.
    pub fn is_visible(&self, caller: &Caller) -> bool {
        self.mark.classes.iter().all(|it| caller.sees_resource(it))
    }

    /// The word for its state. Only what clients of all ages understand.
    pub fn status(&self) -> &'static str {
        match self.info.state {
            SnapshotState::InProgress => STARTED,
            SnapshotState::Success => "SUCCESS",
            _ if self.info.cancelled => "CANCELED",
            _ => "FAILED",
        }
    }

    fn error(&self) -> Option<String> {
        match self.info.state {
            SnapshotState::InProgress | SnapshotState::Success => None,
            _ if self.info.cancelled => Some(BACKUP_CANCELED.fill(&[])),
            SnapshotState::Incompatible => {
                Some("this version cannot read the backup: use the one that wrote it".to_owned())
            }
            _ => Some(self.info.reason.clone().unwrap_or_else(|| {
                let shard = self.info.failures.first().map(|it| it.reason.clone());
                shard.unwrap_or_else(|| "shards are missing".to_owned())
            })),
        }
    }

    /// The fields that the status and an entry of the list share.
    fn common(&self, caller: &Caller) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put(
            "completedAt",
            json!(self.info.end_ms.map_or_else(|| ZERO_TIME.to_owned(), time)),
        );
        put("id", json!(self.info.name));
        // As upstream, whoever is not known to be an admin is not told.
        if let Some(base) = self.mark.base.as_ref().filter(|_| is_known_admin(caller)) {
            put("incremental_base_backup_id", json!(base));
        }
        let bytes: u64 = self.info.collections.iter().map(|it| it.size_bytes).sum();
        if bytes > 0 && self.info.state != SnapshotState::InProgress {
            put("size", json!(bytes as f64 / GIB));
        }
        put("startedAt", json!(time(self.info.start_ms)));
        put("status", json!(self.status()));
        fields
    }

    /// The answer to a status.
    pub fn describe(&self, target: &Target, caller: &Caller) -> Value {
        let mut fields = self.common(caller);
        fields.insert("backend".to_owned(), json!(target.backend));
        fields.insert("path".to_owned(), json!(self.path(target)));
        if let Some(error) = self.error() {
            fields.insert("error".to_owned(), json!(error));
        }
        Value::Object(fields)
    }

    /// An entry of the list.
    pub fn entry(&self, caller: &Caller) -> Value {
        let mut fields = self.common(caller);
        fields.insert("classes".to_owned(), json!(self.mark.classes));
        Value::Object(fields)
    }

    /// Where the client was told that it lies, which may be elsewhere than where it was asked for.
    fn path(&self, target: &Target) -> String {
        match self.mark.path.as_str() {
            "" => target.path_of(&self.info.name),
            path if self.info.is_running() => path.to_owned(),
            _ => target.path_of(&self.info.name),
        }
    }
}

fn is_known_admin(caller: &Caller) -> bool {
    let is_admin = caller
        .principal()
        .is_some_and(|it| it.role >= Action::Administer.role());
    is_admin && caller.method() != Method::Local
}

/// RFC 3339 in UTC with milliseconds.
fn time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => Offset::UTC
            .to_datetime(time)
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string(),
        Err(_) => ZERO_TIME.to_owned(),
    }
}

/// The answer to an accepted create or restore.
pub(super) fn accepted(target: &Target, id: &str, classes: &[String]) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("backend", json!(target.backend));
    if let Some(bucket) = &target.bucket {
        put("bucket", json!(bucket));
    }
    put("classes", json!(classes));
    put("id", json!(id));
    put("path", json!(target.path_of(id)));
    put("status", json!(STARTED));
    fields
}

/// The answer to a restore's status.
pub(super) fn restore_status(target: &Target, run: &RestoreRun) -> Value {
    let status = match run.state {
        RestoreState::Running {
            stage: RestoreStage::Queued | RestoreStage::Transferring,
        } => "TRANSFERRING",
        // FINALIZING ends clients that are older than the word.
        RestoreState::Running {
            stage: RestoreStage::Finalizing,
        } => "TRANSFERRED",
        RestoreState::Success => "SUCCESS",
        RestoreState::Failed => "FAILED",
        RestoreState::Cancelled => "CANCELED",
    };
    let mut fields = json!({
        "backend": target.backend,
        "id": run.snapshot,
        "path": target.path_of(&run.snapshot),
        "status": status,
    });
    let error = match run.state {
        RestoreState::Failed => Some(restore_error(run)),
        RestoreState::Cancelled => Some(RESTORE_CANCELED.fill(&[])),
        _ => None,
    };
    if let Some(error) = error {
        fields["error"] = json!(error);
    }
    fields
}

fn restore_error(run: &RestoreRun) -> String {
    if !run.conflicts.is_empty() {
        let entry = |class: &String| {
            format!(
                "\"{class}\": error when trying to restore class: class name {class} already exists"
            )
        };
        let classes: Vec<String> = run.conflicts.iter().map(entry).collect();
        return CLASS_EXISTS.fill(&[("classes", &classes.join(", "))]);
    }
    let classes: Vec<&str> = run.resources.iter().map(|it| it.name.as_str()).collect();
    let reason = run.error.as_deref().unwrap_or("unknown");
    RESTORE_FAILED.fill(&[("classes", &classes.join(", ")), ("reason", reason)])
}

/// An error of the engine that is not about the request: the node cannot do it now. `unreadable` is the answer when the repository
/// cannot be read.
pub(super) fn engine_error(
    node: &str,
    path: &str,
    error: &EngineError,
    unreadable: &Condition,
) -> WvError {
    let reason = error.to_string();
    match error {
        EngineError::RepositoryUnavailable { .. }
        | EngineError::RepositoryVerification { .. }
        | EngineError::RepositoryMissing { .. } => {
            unreadable.error(&[("path", path), ("reason", &reason)])
        }
        // What the request asks for cannot be had together.
        EngineError::Refused { .. } => WvError::unprocessable(reason),
        _ => NODE_REFUSES.error(&[("node", node), ("reason", &reason)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(state: SnapshotState) -> Backup {
        let mark = Mark {
            classes: vec!["Article".into()],
            base: Some("base".into()),
            ..Mark::default()
        };
        let info = SnapshotInfo {
            name: "one".into(),
            state,
            start_ms: 1_700_000_000_123,
            metadata: Some(mark.into_metadata()),
            ..SnapshotInfo::default()
        };
        Backup::of(info).unwrap()
    }

    #[test]
    fn a_running_backup_has_no_end_no_size_and_no_error() {
        let entry = backup(SnapshotState::InProgress).entry(&Caller::local_admin());
        let expected = json!({
            "completedAt": "0001-01-01T00:00:00.000Z", "id": "one", "startedAt": "2023-11-14T22:13:20.123Z",
            "status": "STARTED", "classes": ["Article"],
        });
        assert_eq!(entry, expected);
    }

    #[test]
    fn cancelled_is_told_apart_from_failed() {
        let mut failed = backup(SnapshotState::Failed);
        assert_eq!(failed.status(), "FAILED");
        failed.info.cancelled = true;
        assert_eq!(failed.status(), "CANCELED");
        assert_eq!(failed.error().unwrap(), "context canceled");
    }

    #[test]
    fn a_snapshot_without_collections_is_no_backup() {
        assert!(Backup::of(SnapshotInfo::default()).is_none());
    }
}
