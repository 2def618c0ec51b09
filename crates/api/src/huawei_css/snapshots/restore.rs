//! `POST …/index_snapshot/{snapshot}/restore`.

use snapkeep_engine::rename::Rename;
use snapkeep_engine::selection::{self, Options, SelectionError};
use snapkeep_engine::{RestoreRequest, SnapshotInfo};
use snapkeep_store::{IndexState, Store};

use super::create::refuse_when_busy;
use super::list::find;
use crate::auth::{Caller, Need};
use crate::huawei_css::call::{Answer, Call, CssResult};
use crate::huawei_css::errors::{CssError, Fault};
use crate::huawei_css::fields::Fields;
use crate::huawei_css::rules;
use crate::huawei_css::setting::Setting;
use crate::huawei_css::state::{HuaweiState, blocking};
use crate::shared::candidates;

/// An index that never comes back.
const SECURITY_INDEX: &str = ".opendistro_security";
/// Indices that come back only when they are named begin with this.
const KIBANA_PREFIX: &str = ".kibana";

/// What the body asks for.
#[derive(Debug)]
struct Wanted {
    target: String,
    indices: String,
    /// Pattern and replacement; one without the other counts for nothing.
    rename: Option<(String, String)>,
    replace: bool,
}

impl Wanted {
    fn read(fields: &Fields) -> Result<Self, CssError> {
        let target = fields
            .text(&["targetCluster", "target_cluster"])?
            .filter(|target| !target.is_empty())
            .ok_or_else(|| Fault::invalid("targetCluster", "it is required"))?;
        let indices = fields.text(&["indices"])?.unwrap_or_default();
        rules::indices(indices)?;
        let half = |camel, snake| -> Result<Option<String>, CssError> {
            let text = fields.text(&[camel, snake])?.unwrap_or_default();
            rules::rename(camel, text)?;
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        };
        let pattern = half("renamePattern", "rename_pattern")?;
        let replacement = half("renameReplacement", "rename_replacement")?;
        let replace = fields.flag(&["replaceExistIndices", "replace_exist_indices"])?;
        Ok(Self {
            target: target.to_owned(),
            indices: indices.to_owned(),
            rename: pattern.zip(replacement),
            replace: replace.unwrap_or(false),
        })
    }

    /// The indices of a snapshot that are meant. Indices that miss shards come along with a wildcard only if they are whole.
    /// What the caller may not see is as if it were not there.
    fn resolve(&self, info: &SnapshotInfo, caller: &Caller) -> Result<Vec<String>, CssError> {
        let mut all = candidates::of_snapshot(info);
        all.retain(|candidate| caller.sees_resource(&candidate.name));
        let mut names =
            selection::resolve(&[&self.indices], &all, &Options::default()).map_err(|error| {
                let (SelectionError::Missing(name) | SelectionError::Closed(name)) = error;
                Fault::InvalidParameter.because(format!(
                    "indices is invalid: [{name}] is not in snapshot {}",
                    info.name
                ))
            })?;
        let is_named = |name: &str| self.indices.split(',').any(|item| item.trim() == name);
        if is_named(SECURITY_INDEX) {
            return Err(Fault::InvalidParameter.because(format!(
                "indices is invalid: {SECURITY_INDEX} cannot be restored"
            )));
        }
        let is_whole = |name: &str| !info.failures.iter().any(|failure| failure.index == name);
        names.retain(|name| {
            is_named(name)
                || (name != SECURITY_INDEX && !name.starts_with(KIBANA_PREFIX) && is_whole(name))
        });
        Ok(names)
    }

    /// Names after the restore, with the names in the snapshot.
    fn targets(&self, names: &[String]) -> Result<Vec<(String, String)>, CssError> {
        let invalid = |error: snapkeep_engine::rename::RenameError| {
            Fault::invalid("renamePattern", &error.to_string())
        };
        let rename = match &self.rename {
            Some((pattern, replacement)) => {
                Some(Rename::new(pattern, replacement).map_err(invalid)?)
            }
            None => None,
        };
        let mut targets = Vec::with_capacity(names.len());
        for name in names {
            let target = match &rename {
                Some(rename) => rename.apply(name).map_err(invalid)?,
                None => name.clone(),
            };
            targets.push((name.clone(), target));
        }
        Ok(targets)
    }
}

/// Accepts a restore; `restoreStatus` of the snapshot tells how it goes on.
pub async fn restore(call: Call, id: &str) -> CssResult {
    let cluster = call.cluster()?;
    let what = "css:snapshot:restore";
    call.authorise(Need::operate(what))?;
    let wanted = Wanted::read(&call.fields()?)?;
    call.known_cluster(&wanted.target)?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let mut setting = Setting::load_enabled(state).await?;
    let info = find(state, &setting, id).await?;
    if info.is_running() {
        return Err(Fault::NotReady.because(format!("snapshot {} is being created", info.name)));
    }
    if state.is_being_deleted(&info.uuid) {
        return Err(Fault::BeingDeleted.because(info.name));
    }
    let indices = wanted.resolve(&info, &call.caller)?;
    let targets = wanted.targets(&indices)?;
    let names: Vec<String> = targets.iter().map(|(_, target)| target.clone()).collect();
    call.authorise(
        Need::operate(what)
            .repository(&setting.bucket)
            .resources(&names),
    )?;
    refuse_when_busy(state, &setting.bucket).await?;
    let request = RestoreRequest {
        indices,
        rename_pattern: wanted.rename.as_ref().map(|(pattern, _)| pattern.clone()),
        rename_replacement: wanted.rename.map(|(_, replacement)| replacement),
        include_aliases: true,
        ..RestoreRequest::default()
    };
    let closed = match wanted.replace {
        true => make_way(state, &info, &targets).await?,
        false => Vec::new(),
    };
    let accepted = state
        .engine
        .restore(&setting.bucket, &info.name, request)
        .await;
    let ticket = match accepted {
        Ok(ticket) => ticket,
        Err(error) => {
            reopen(&state.store, closed).await;
            return Err(error.into());
        }
    };
    if !closed.is_empty() {
        let (engine, store) = (state.engine.clone(), state.store.clone());
        tokio::spawn(async move {
            // What was replaced is open again; what was not must not stay closed.
            let done = engine.wait_restore(&ticket).await;
            if !done.is_ok_and(|done| done.error.is_none() && done.shards_failed == 0) {
                reopen(&store, closed).await;
            }
        });
    }
    let target = wanted.target.to_ascii_lowercase();
    setting.remember(state, &cluster).await?;
    setting.remember(state, &target).await?;
    Ok(Answer::created_empty())
}

/// Closes the open indices that are to be replaced: only closed ones are. They can be read until then and, if the restore fails,
/// again afterwards. One with another number of shards is refused before any is closed.
async fn make_way(
    state: &HuaweiState,
    info: &SnapshotInfo,
    targets: &[(String, String)],
) -> Result<Vec<String>, CssError> {
    let shards_of = |source: &str| {
        let index = info.indices.iter().find(|index| index.name == source);
        index.map_or(0, |index| index.shard_count)
    };
    let wanted: Vec<(String, u32)> = targets
        .iter()
        .map(|(source, target)| (target.clone(), shards_of(source)))
        .collect();
    let store = state.store.clone();
    blocking(move || close(&store, &wanted)).await?
}

fn close(store: &Store, wanted: &[(String, u32)]) -> Result<Vec<String>, CssError> {
    let existing = store.indices();
    let mut open = Vec::new();
    for (name, shards) in wanted {
        let Some(meta) = existing.iter().find(|meta| meta.name == *name) else {
            continue;
        };
        if u32::from(meta.shards) != *shards {
            return Err(Fault::InvalidParameter.because(format!(
                "index [{name}] has {} shards and cannot be replaced by one with {shards}",
                meta.shards
            )));
        }
        if meta.state == IndexState::Open {
            open.push(name.clone());
        }
    }
    for (at, name) in open.iter().enumerate() {
        if let Err(error) = store.close_index(name) {
            for closed in &open[..at] {
                open_again(store, closed);
            }
            return Err(Fault::Internal.because(error.to_string()));
        }
    }
    Ok(open)
}

async fn reopen(store: &Store, names: Vec<String>) {
    let store = store.clone();
    let reopened = blocking(move || {
        for name in &names {
            open_again(&store, name);
        }
    });
    // A failure is in the log.
    let _ = reopened.await;
}

fn open_again(store: &Store, name: &str) {
    if let Err(error) = store.open_index(name) {
        tracing::error!(index = name, %error, "an index that was to be replaced stays closed; open it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_engine::{ShardFailure, SnapshotIndex};

    fn wanted(body: &str) -> Result<Wanted, CssError> {
        Wanted::read(&Fields::parse(body.as_bytes()).unwrap())
    }

    fn snapshot(names: &[&str]) -> SnapshotInfo {
        let index = |name: &&str| SnapshotIndex {
            name: (*name).to_owned(),
            uuid: String::new(),
            shard_count: 1,
            documents: 0,
            size_bytes: 1,
            max_segments_per_shard: 1,
        };
        SnapshotInfo {
            name: "s".into(),
            indices: names.iter().map(index).collect(),
            ..SnapshotInfo::default()
        }
    }

    #[test]
    fn both_spellings_of_every_key_are_read() {
        let camel = wanted(
            r#"{"targetCluster":"c","renamePattern":"index_(.+)","renameReplacement":"r_$1","replaceExistIndices":true}"#,
        );
        let snake = wanted(
            r#"{"target_cluster":"c","rename_pattern":"index_(.+)","rename_replacement":"r_$1","replace_exist_indices":"true"}"#,
        );
        for wanted in [camel.unwrap(), snake.unwrap()] {
            assert_eq!(wanted.target, "c");
            assert_eq!(wanted.rename, Some(("index_(.+)".into(), "r_$1".into())));
            assert!(wanted.replace);
        }
    }

    #[test]
    fn half_a_pair_counts_for_nothing() {
        let half = wanted(r#"{"targetCluster":"c","renamePattern":"a"}"#).unwrap();
        assert_eq!(half.rename, None);
        let named = vec!["abc".to_owned()];
        assert_eq!(
            half.targets(&named).unwrap(),
            [("abc".into(), "abc".into())]
        );
    }

    #[test]
    fn the_target_is_required() {
        for body in [
            r#"{"indices":"a"}"#,
            r#"{"targetCluster":""}"#,
            r#"{"targetCluster":1}"#,
        ] {
            assert_eq!(wanted(body).unwrap_err().fault, Fault::InvalidParameter);
        }
    }

    #[test]
    fn some_indices_come_back_only_when_named_and_one_never() {
        let info = snapshot(&["a", ".kibana", ".kibana_1", ".opendistro_security"]);
        let resolve = |indices: &str| {
            wanted(&format!(r#"{{"targetCluster":"c","indices":"{indices}"}}"#))
                .unwrap()
                .resolve(&info, &Caller::local_admin())
        };
        assert_eq!(resolve("").unwrap(), ["a"]);
        assert_eq!(resolve("*").unwrap(), ["a"]);
        assert_eq!(resolve("a,.kibana").unwrap(), [".kibana", "a"]);
        assert!(resolve(".opendistro_security").is_err());
        assert!(resolve("nope").is_err());
    }

    #[test]
    fn an_index_that_misses_shards_is_left_out_of_a_wildcard() {
        let mut info = snapshot(&["a", "b"]);
        info.failures.push(ShardFailure {
            index: "b".into(),
            ..ShardFailure::default()
        });
        let all = wanted(r#"{"targetCluster":"c"}"#).unwrap();
        assert_eq!(all.resolve(&info, &Caller::local_admin()).unwrap(), ["a"]);
        let named = wanted(r#"{"targetCluster":"c","indices":"b"}"#).unwrap();
        assert_eq!(named.resolve(&info, &Caller::local_admin()).unwrap(), ["b"]);
    }
}
