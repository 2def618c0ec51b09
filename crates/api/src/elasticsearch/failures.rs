//! The engine's errors in Elasticsearch's words.

use snapkeep_engine::bytesize::ByteSizeError;
use snapkeep_engine::names::{NameError, SnapshotNameRule};
use snapkeep_engine::rename::RenameError;
use snapkeep_engine::selection::SelectionError;
use snapkeep_engine::{CreationFailure, EngineError, InUse, ReadonlyOperation, RestoreProblem};

use super::config::Shape;
use super::errors::{ErrorKind, EsError};

/// Says an error of the engine as a server of `shape` would.
pub fn from_engine(error: EngineError, shape: Shape) -> EsError {
    use EngineError as E;
    match error {
        E::RepositoryMissing { name } => repository_missing(&name),
        E::InvalidRepositoryName { name, rule } => {
            let text = if rule == NameError::Characters { forbidden_characters(shape) } else { rule.to_string() };
            ErrorKind::Repository.error(format!("[{name}] {text}"))
        }
        E::RepositoryTypeUnknown { repository, kind } => {
            ErrorKind::Repository.error(format!("[{repository}] repository type [{kind}] does not exist"))
        }
        E::RepositoryCreation { repository, cause } => ErrorKind::Repository
            .error(format!("[{repository}] failed to create repository"))
            .caused_by(creation_failure(&repository, cause, shape)),
        E::RepositoryVerification { repository, location, cause, denied } => {
            verification_failure(&repository, &location, &cause, denied, shape)
        }
        E::RepositoryUnavailable { repository, reason } => {
            ErrorKind::Repository.error(format!("[{repository}] {reason}"))
        }
        E::RepositoryReadonly { repository, operation } => readonly(&repository, operation, shape),
        E::RepositoryInUse { repository, by } => ErrorKind::RepositoryConflict.error(match shape {
            Shape::Es => {
                format!("[{repository}] trying to modify or unregister repository that is currently used ({by})")
            }
            Shape::OpenSearch => "trying to modify or unregister repository that is currently used".to_owned(),
        }),
        E::SnapshotMissing { repository, snapshot } => snapshot_missing(&repository, &snapshot),
        E::InvalidSnapshotName { repository, snapshot, rule } => invalid_name(&repository, &snapshot, rule, shape),
        E::InvalidDateMath { name, reason } => {
            ErrorKind::Parse.error(format!("invalid dynamic name expression [{name}]. {reason}"))
        }
        E::SnapshotExists { repository, snapshot, running } => {
            let what = if running { "is already in-progress" } else { "already exists" };
            ErrorKind::SnapshotNameInUse.error(format!(
                "[{repository}:{snapshot}] Invalid snapshot name [{snapshot}], snapshot with the same name {what}"
            ))
        }
        E::TooManyOperations { repository, snapshot, running, limit } => ErrorKind::ConcurrentSnapshot.error(format!(
            "[{repository}:{snapshot}] Cannot start another operation, already running [{running}] operations and the \
             current limit for concurrent snapshot operations is set to [{limit}]"
        )),
        E::SnapshotInUse { repository, snapshot, uuid, by } => {
            let reason = match by {
                InUse::Restore => format!("cannot delete snapshot during a restore in progress in [{snapshot}]"),
                InUse::Clone => "cannot delete snapshot while it is being cloned".to_owned(),
                other => format!("cannot delete snapshot now: {other}"),
            };
            ErrorKind::ConcurrentSnapshot.error(format!("[{repository}:{snapshot}/{uuid}] {reason}"))
        }
        E::Restore { repository, snapshot, uuid, problem } => {
            let text = restore_problem(&problem, shape);
            // These two are said before the snapshot has been looked up.
            let is_missing = uuid.is_empty()
                || matches!(
                    problem,
                    RestoreProblem::SnapshotMissing | RestoreProblem::RenamedIntoSame { .. }
                );
            let of = if is_missing { format!("[{repository}:{snapshot}]") } else { format!("[{repository}:{snapshot}/{uuid}]") };
            ErrorKind::SnapshotRestore.error(format!("{of} {text}"))
        }
        E::Rename(problem) => rename_problem(problem),
        E::InvalidIndexName { index, rule } => ErrorKind::InvalidIndexName
            .error(format!("Invalid index name [{index}], {rule}"))
            .field("index", index)
            .field("index_uuid", "_na_"),
        E::Refused { reason } => refused(&reason),
        E::IndexMissing { index } => index_missing_in_snapshot(&index),
        E::ClonePartialIndex { repository, snapshot, index, index_uuid } => ErrorKind::Snapshot.error(format!(
            "[{repository}:{snapshot}] Can't clone index [[{index}/{index_uuid}]] because its snapshot was not successful."
        )),
        E::CloneNothing { repository, snapshot, uuid } => ErrorKind::Snapshot.error(format!(
            "[{repository}:{snapshot}/{uuid}] No indices in the source snapshot [{snapshot}/{uuid}] matched requested pattern []"
        )),
        E::CleanupWhileRunning { repository, running } => {
            let names = running.join(",");
            let running = match shape {
                Shape::Es => format!("SnapshotsInProgress[entries=[{names}],nodeIdsForRemoval=[]]"),
                Shape::OpenSearch => format!("SnapshotsInProgress[{names}]"),
            };
            ErrorKind::IllegalState
                .error(format!("Cannot cleanup [{repository}] - a snapshot is currently running in [{running}]"))
        }
        error @ (E::SnapshotLocked { .. } | E::LockShortened { .. }) => ErrorKind::Snapshot.error(error.to_string()).with_status(409),
        error @ E::PolicyMissing { .. } => ErrorKind::ResourceNotFound.error(error.to_string()),
        error @ (E::PolicyExists { .. } | E::PolicyConflict { .. }) => ErrorKind::VersionConflict.error(error.to_string()),
        E::PolicyInvalid { field, reason, .. } => EsError::illegal_argument(format!("{field}: {reason}")),
        error @ E::PolicyRunning { .. } => ErrorKind::ConcurrentSnapshot.error(error.to_string()),
        error @ E::ShuttingDown => ErrorKind::Status.error(error.to_string()).with_status(503),
        error @ (E::JobMissing { .. } | E::Key { .. }) => EsError::illegal_argument(error.to_string()),
        other => ErrorKind::Exception.error(other.to_string()),
    }
}

/// 404 for a repository, or for all that were asked for.
pub fn repository_missing(name: &str) -> EsError {
    ErrorKind::RepositoryMissing.error(format!("[{name}] missing"))
}

/// 404 for a snapshot.
pub fn snapshot_missing(repository: &str, snapshot: &str) -> EsError {
    ErrorKind::SnapshotMissing.error(format!("[{repository}:{snapshot}] is missing"))
}

/// 400 for the name of a snapshot.
pub fn invalid_name(
    repository: &str,
    snapshot: &str,
    rule: SnapshotNameRule,
    shape: Shape,
) -> EsError {
    let text = name_rule(rule, shape);
    ErrorKind::InvalidSnapshotName.error(format!(
        "[{repository}:{snapshot}] Invalid snapshot name [{snapshot}], {text}"
    ))
}

/// What the name of a snapshot breaks.
pub fn name_rule(rule: SnapshotNameRule, shape: Shape) -> String {
    if rule == SnapshotNameRule::Characters {
        forbidden_characters(shape)
    } else {
        rule.to_string()
    }
}

/// 404 for an index that is not in a snapshot: unlike a missing index of the store it names no resource.
pub fn index_missing_in_snapshot(index: &str) -> EsError {
    ErrorKind::IndexNotFound
        .error(format!("no such index [{index}]"))
        .field("index", index)
        .field("index_uuid", "_na_")
}

/// A name of the store that means nothing.
pub fn from_selection(error: SelectionError) -> EsError {
    match error {
        SelectionError::Missing(name) => EsError::index_not_found(&name),
        SelectionError::Closed(name) => ErrorKind::IndexClosed
            .error("closed")
            .field("index", name)
            .field("index_uuid", "_na_"),
    }
}

/// Both servers list the same characters, each in its own order and quotes.
fn forbidden_characters(shape: Shape) -> String {
    match shape {
        Shape::Es => {
            r#"must not contain the following characters [' ','"','*',',','/','<','>','?','\','|']"#
                .to_owned()
        }
        Shape::OpenSearch => NameError::Characters.to_string(),
    }
}

fn readonly(repository: &str, operation: ReadonlyOperation, shape: Shape) -> EsError {
    let is_es = shape == Shape::Es;
    match operation {
        ReadonlyOperation::CreateSnapshot => ErrorKind::Repository.error(format!(
            "[{repository}] cannot create snapshot in a readonly repository"
        )),
        _ if is_es => {
            ErrorKind::RepositoryReadOnly.error(format!("[{repository}] repository is readonly"))
        }
        ReadonlyOperation::DeleteSnapshot => ErrorKind::RepositoryReadOnly.error(format!(
            "[{repository}] cannot delete snapshot from a readonly repository"
        )),
        ReadonlyOperation::Cleanup => ErrorKind::RepositoryReadOnly.error(format!(
            "[{repository}] cannot run cleanup on readonly repository"
        )),
        ReadonlyOperation::ChangeKeys => ErrorKind::RepositoryReadOnly.error(format!(
            "[{repository}] cannot change keys of a readonly repository"
        )),
    }
}

fn verification_failure(
    repository: &str,
    location: &str,
    cause: &str,
    denied: bool,
    shape: Shape,
) -> EsError {
    let node = match shape {
        Shape::Es => "master",
        Shape::OpenSearch => "cluster-manager",
    };
    // The base path of a file system repository is empty, hence two blanks; the place is told by the cause.
    let is_missing = cause.to_ascii_lowercase().contains("no such file")
        || cause.to_ascii_lowercase().contains("not found");
    let kind = match (denied, is_missing) {
        (true, _) => ErrorKind::AccessDenied,
        (false, true) => ErrorKind::NoSuchFile,
        (false, false) => ErrorKind::Io,
    };
    let told = if is_missing && !denied {
        location.to_owned()
    } else {
        format!("{location}: {cause}")
    };
    ErrorKind::RepositoryVerification
        .error(format!(
            "[{repository}] path  is not accessible on {node} node"
        ))
        .caused_by(kind.error(told))
}

fn creation_failure(repository: &str, cause: CreationFailure, shape: Shape) -> EsError {
    use CreationFailure as F;
    match cause {
        F::MissingLocation => {
            ErrorKind::Repository.error(format!("[{repository}] missing location"))
        }
        cause @ F::LocationOutsideRoots { .. } => {
            ErrorKind::Repository.error(format!("[{repository}] {cause}"))
        }
        F::ByteSize {
            setting,
            value,
            problem,
        } => byte_size(&setting, &value, problem, shape),
        F::SizeTooSmall { setting, value } => EsError::illegal_argument(format!(
            "failed to parse value [{value}] for setting [{setting}], must be >= [5b]"
        )),
        F::Boolean { value, .. } => super::params::not_a_boolean(&value),
        cause @ F::Number { .. } => EsError::illegal_argument(cause.to_string()),
        other => ErrorKind::Repository.error(format!("[{repository}] {other}")),
    }
}

fn byte_size(setting: &str, value: &str, problem: ByteSizeError, shape: Shape) -> EsError {
    let prefix =
        format!("failed to parse setting [{setting}] with value [{value}] as a size in bytes");
    let text = if problem == ByteSizeError::Unit {
        format!("{prefix}: unit is missing or unrecognized")
    } else {
        prefix
    };
    let mut parsing = ErrorKind::Parse.error(text.clone());
    parsing = match problem {
        ByteSizeError::Negative => parsing.caused_by(EsError::illegal_argument(format!(
            "Values less than -1 bytes are not supported: {value}"
        ))),
        ByteSizeError::Number => parsing
            .caused_by(ErrorKind::NumberFormat.error(format!("For input string: \"{value}\""))),
        ByteSizeError::Unit | ByteSizeError::TooLarge => parsing,
    };
    // OpenSearch reads rates by another way than sizes; the parser's error is then not wrapped once more.
    if shape == Shape::OpenSearch && setting != "chunk_size" {
        parsing
    } else {
        EsError::illegal_argument(text).caused_by(parsing)
    }
}

fn restore_problem(problem: &RestoreProblem, shape: Shape) -> String {
    let fixed = if shape == Shape::OpenSearch {
        "UnmodifiableOnRestore setting"
    } else {
        "setting"
    };
    match problem {
        // OpenSearch marks the number of shards only.
        RestoreProblem::CannotRemoveSetting { setting } if setting == "index.number_of_shards" => {
            format!("cannot remove {fixed} [{setting}] on restore")
        }
        RestoreProblem::CannotModifySetting { setting } if setting == "index.number_of_shards" => {
            format!("cannot modify {fixed} [{setting}] on restore")
        }
        other => other.to_string(),
    }
}

/// A value of a setting that does not fit; where it should have been a number, the parser's complaint stands below.
fn refused(reason: &str) -> EsError {
    let error = EsError::illegal_argument(reason);
    let value = reason
        .strip_prefix("Failed to parse value [")
        .filter(|_| reason.ends_with(']'))
        .and_then(|rest| rest.split_once("] for setting ["));
    match value {
        Some((value, _)) => {
            error.caused_by(ErrorKind::NumberFormat.error(format!("For input string: \"{value}\"")))
        }
        None => error,
    }
}

fn rename_problem(problem: RenameError) -> EsError {
    match problem {
        RenameError::PatternSyntax { pattern, reason } => {
            // The one mistake that is common is told as Java does; the others in the words of our engine.
            let (reason, index) = if reason.contains("without closing parenthesis") {
                ("Unclosed group", pattern.chars().count())
            } else {
                (reason.as_str(), 0)
            };
            ErrorKind::PatternSyntax.error(format!("{reason} near index {index}\n{pattern}"))
        }
        RenameError::NoGroup(_) => ErrorKind::IndexOutOfBounds.error(problem.to_string()),
        other => EsError::illegal_argument(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn render(error: EngineError, shape: Shape) -> Value {
        from_engine(error, shape).render(shape, false)
    }

    fn bad_size(setting: &str, problem: ByteSizeError) -> EngineError {
        EngineError::RepositoryCreation {
            repository: "r".into(),
            cause: CreationFailure::ByteSize {
                setting: setting.into(),
                value: "50".into(),
                problem,
            },
        }
    }

    #[test]
    fn sizes_are_refused_as_each_server_does() {
        let text = "failed to parse setting [max_snapshot_bytes_per_sec] with value [50] as a size in bytes: unit is missing or unrecognized";
        let opensearch = render(
            bad_size("max_snapshot_bytes_per_sec", ByteSizeError::Unit),
            Shape::OpenSearch,
        );
        assert_eq!(
            opensearch["error"]["root_cause"][0]["type"],
            "parse_exception"
        );
        assert_eq!(opensearch["error"]["caused_by"]["type"], "parse_exception");
        assert_eq!(opensearch["error"]["caused_by"]["reason"], text);
        let es = render(
            bad_size("max_snapshot_bytes_per_sec", ByteSizeError::Unit),
            Shape::Es,
        );
        assert_eq!(
            es["error"]["root_cause"][0]["reason"],
            "[r] failed to create repository"
        );
        assert_eq!(
            es["error"]["caused_by"]["type"],
            "illegal_argument_exception"
        );
        assert_eq!(
            es["error"]["caused_by"]["caused_by"]["type"],
            "parse_exception"
        );
        let chunk = render(
            bad_size("chunk_size", ByteSizeError::Negative),
            Shape::OpenSearch,
        );
        assert_eq!(
            chunk["error"]["caused_by"]["type"],
            "illegal_argument_exception"
        );
        assert_eq!(
            chunk["error"]["caused_by"]["caused_by"]["caused_by"]["reason"],
            "Values less than -1 bytes are not supported: 50"
        );
    }

    #[test]
    fn restoring_a_missing_snapshot_names_no_uuid() {
        let error = EngineError::Restore {
            repository: "r".into(),
            snapshot: "s".into(),
            uuid: "u".into(),
            problem: RestoreProblem::SnapshotMissing,
        };
        let body = render(error, Shape::Es);
        assert_eq!(body["error"]["reason"], "[r:s] snapshot does not exist");
        assert_eq!(body["status"], 500);
    }

    #[test]
    fn a_busy_repository_is_a_conflict_or_an_illegal_state() {
        let error = || EngineError::RepositoryInUse {
            repository: "r".into(),
            by: InUse::Snapshot,
        };
        assert_eq!(render(error(), Shape::Es)["status"], 409);
        let opensearch = render(error(), Shape::OpenSearch);
        assert_eq!(opensearch["status"], 500);
        assert_eq!(
            opensearch["error"]["reason"],
            "trying to modify or unregister repository that is currently used"
        );
    }

    #[test]
    fn read_only_repositories_refuse_by_operation() {
        let error = |operation| EngineError::RepositoryReadonly {
            repository: "ro".into(),
            operation,
        };
        let es = render(error(ReadonlyOperation::DeleteSnapshot), Shape::Es);
        assert_eq!(
            (es["status"].as_u64(), &es["error"]["reason"]),
            (Some(400), &Value::from("[ro] repository is readonly"))
        );
        let opensearch = render(error(ReadonlyOperation::Cleanup), Shape::OpenSearch);
        assert_eq!(opensearch["error"]["type"], "repository_exception");
        assert_eq!(opensearch["status"], 500);
    }
}
