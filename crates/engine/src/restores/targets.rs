//! What the indices of a snapshot become: names, and whether they may.

use std::collections::BTreeMap;

use snapkeep_drivers::ResourceInfo;

use crate::error::{EngineError, RestoreProblem};
use crate::model::RestoreRequest;
use crate::names::{IndexNameRule, check_index_name};
use crate::rename::Rename;

/// An index that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Name in the snapshot.
    pub(super) source: String,
    /// Name after the restore.
    pub(super) name: String,
}

/// Why not.
#[derive(Debug)]
pub(super) enum TargetError {
    Engine(EngineError),
    Problem(RestoreProblem),
}

/// The targets, sorted by name.
pub(super) fn targets(
    request: &RestoreRequest,
    existing: &[ResourceInfo],
) -> Result<Vec<Target>, TargetError> {
    let rename = match (&request.rename_pattern, &request.rename_replacement) {
        (Some(pattern), Some(replacement)) => Some(
            Rename::new(pattern, replacement).map_err(|error| TargetError::Engine(error.into()))?,
        ),
        _ => None,
    };
    let mut sources = request.indices.clone();
    sources.sort_unstable();
    sources.dedup();
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for source in sources {
        let name = match &rename {
            Some(rename) => rename
                .apply(&source)
                .map_err(|error| TargetError::Engine(error.into()))?,
            None => source.clone(),
        };
        let invalid = |rule| {
            TargetError::Engine(EngineError::InvalidIndexName {
                index: name.clone(),
                rule,
            })
        };
        // What exists under its own name may break a rule that came later.
        if name != source {
            check_index_name(&name).map_err(invalid)?;
        }
        if existing.iter().any(|index| index.aliases.contains(&name)) {
            return Err(invalid(IndexNameRule::AliasExists));
        }
        if let Some(first) = by_name.insert(name.clone(), source.clone()) {
            return Err(TargetError::Problem(RestoreProblem::RenamedIntoSame {
                first,
                second: source,
                target: name,
            }));
        }
    }
    Ok(by_name
        .into_iter()
        .map(|(name, source)| Target { source, name })
        .collect())
}

/// Checks a target against what exists; true when a closed index is replaced.
pub(super) fn check_existing(
    target: &Target,
    source_shards: u32,
    existing: &[ResourceInfo],
) -> Result<bool, RestoreProblem> {
    let Some(found) = existing.iter().find(|index| index.name == target.name) else {
        return Ok(false);
    };
    if found.open || found.restoring {
        return Err(RestoreProblem::OpenIndexExists {
            index: target.name.clone(),
        });
    }
    if found.shards != source_shards {
        return Err(RestoreProblem::ShardCountDiffers {
            index: target.name.clone(),
            index_shards: found.shards,
            source_index: target.source.clone(),
            source_shards,
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_drivers::ResourceKind;

    fn request(indices: &[&str], rename: Option<(&str, &str)>) -> RestoreRequest {
        RestoreRequest {
            indices: indices.iter().map(|name| (*name).to_owned()).collect(),
            rename_pattern: rename.map(|(pattern, _)| pattern.to_owned()),
            rename_replacement: rename.map(|(_, replacement)| replacement.to_owned()),
            ..RestoreRequest::default()
        }
    }

    fn index(name: &str, open: bool, shards: u32, aliases: &[&str]) -> ResourceInfo {
        ResourceInfo {
            kind: ResourceKind::Index,
            name: name.to_owned(),
            uuid: String::new(),
            open,
            hidden: false,
            restoring: false,
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            shards,
        }
    }

    #[test]
    fn names_are_replaced_as_java_does() {
        let renamed = targets(
            &request(
                &["index_1", "index_2"],
                Some(("index_(.+)", "restored_index_$1")),
            ),
            &[],
        );
        let names: Vec<String> = renamed
            .unwrap()
            .into_iter()
            .map(|target| target.name)
            .collect();
        assert_eq!(names, ["restored_index_1", "restored_index_2"]);
    }

    #[test]
    fn collisions_are_refused() {
        let same = targets(&request(&["a1", "a2"], Some(("a.", "x"))), &[]);
        let Err(TargetError::Problem(problem)) = same else {
            panic!("accepted")
        };
        assert_eq!(
            problem.to_string(),
            "indices [a1] and [a2] are renamed into the same index [x]"
        );
        let alias = targets(&request(&["a"], None), &[index("b", true, 1, &["a"])]);
        let Err(TargetError::Engine(error)) = alias else {
            panic!("accepted")
        };
        assert_eq!(
            error.to_string(),
            "Invalid index name [a], already exists as alias"
        );
        let invalid = targets(&request(&["a"], Some(("a", "A"))), &[]);
        let Err(TargetError::Engine(error)) = invalid else {
            panic!("accepted")
        };
        assert_eq!(
            error.to_string(),
            "Invalid index name [A], must be lowercase"
        );
    }

    #[test]
    fn only_closed_indices_with_as_many_shards_are_replaced() {
        let target = Target {
            source: "a".into(),
            name: "b".into(),
        };
        assert_eq!(check_existing(&target, 1, &[]), Ok(false));
        assert_eq!(
            check_existing(&target, 2, &[index("b", false, 2, &[])]),
            Ok(true)
        );
        assert!(matches!(
            check_existing(&target, 2, &[index("b", true, 2, &[])]),
            Err(RestoreProblem::OpenIndexExists { .. })
        ));
        let differs = check_existing(&target, 5, &[index("b", false, 1, &[])]).unwrap_err();
        assert_eq!(
            differs.to_string(),
            "cannot restore index [b] with [1] shards from a snapshot of index [a] with [5] shards"
        );
    }
}
