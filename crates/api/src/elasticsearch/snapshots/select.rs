//! Which snapshots an expression means.

use snapkeep_engine::SnapshotInfo;

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::failures::snapshot_missing;
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::pattern::{has_wildcard, matches};

/// Picks snapshots of one repository: names, `*` patterns, `_all`, `_current`, comma lists; in the `es` shape a leading
/// `-` after a pattern excludes. Each once, in the given order.
///
/// # Errors
/// 404 for a name that is not there unless `ignore_unavailable`; OpenSearch also for patterns that match nothing at all.
pub fn select(
    repository: &str,
    snapshots: Vec<SnapshotInfo>,
    expression: &str,
    ignore_unavailable: bool,
    shape: Shape,
) -> Result<Vec<SnapshotInfo>, EsError> {
    let items = split_list(expression);
    if items.is_empty() || matches!(items.as_slice(), [only] if only.eq_ignore_ascii_case("_all")) {
        return Ok(snapshots);
    }
    let mut chosen = vec![false; snapshots.len()];
    let mut pattern_seen = false;
    let mut only_current = true;
    for item in &items {
        let is_current = item.eq_ignore_ascii_case("_current");
        only_current &= is_current;
        let excluded = item
            .strip_prefix('-')
            .filter(|_| pattern_seen && shape == Shape::Es);
        let pattern = if item.eq_ignore_ascii_case("_all") {
            "*"
        } else {
            excluded.unwrap_or(item)
        };
        let mut found = false;
        for (info, chosen) in snapshots.iter().zip(&mut chosen) {
            if if is_current {
                info.is_running()
            } else {
                matches(pattern, &info.name)
            } {
                *chosen = excluded.is_none();
                found = true;
            }
        }
        let is_pattern = is_current || excluded.is_some() || has_wildcard(pattern);
        if !found && !is_pattern && !ignore_unavailable {
            return Err(snapshot_missing(repository, item));
        }
        pattern_seen |= is_pattern;
    }
    if shape == Shape::OpenSearch && !ignore_unavailable && !only_current && !chosen.contains(&true)
    {
        return Err(snapshot_missing(repository, &items[0]));
    }
    Ok(snapshots
        .into_iter()
        .zip(chosen)
        .filter_map(|(info, is_chosen)| is_chosen.then_some(info))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::sample;
    use super::*;
    use snapkeep_engine::SnapshotState;

    fn names(expression: &str, ignore: bool, shape: Shape) -> Result<Vec<String>, String> {
        let mut running = sample("r", "run", 4);
        running.state = SnapshotState::InProgress;
        let all = vec![
            sample("r", "s1", 1),
            sample("r", "s2", 2),
            sample("r", "t1", 3),
            running,
        ];
        select("r", all, expression, ignore, shape)
            .map(|infos| infos.into_iter().map(|info| info.name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_patterns_and_words() {
        let es = |expression| names(expression, false, Shape::Es).unwrap();
        assert_eq!(es("_all").len(), 4);
        assert_eq!(es("_ALL").len(), 4);
        assert_eq!(es("s2,s1,s1"), ["s1", "s2"]);
        assert_eq!(es("_current"), ["run"]);
        assert_eq!(es("s*,_current"), ["s1", "s2", "run"]);
        assert_eq!(es("*,-s*"), ["t1", "run"]);
        assert!(es("zzz*").is_empty());
    }

    #[test]
    fn missing_names_are_told_unless_ignored() {
        let missing = Err("snapshot_missing_exception: [r:nope] is missing".to_owned());
        assert_eq!(names("s1,nope", false, Shape::Es), missing);
        assert_eq!(names("s1,nope", true, Shape::Es).unwrap(), ["s1"]);
        assert_eq!(
            names("-s1", false, Shape::Es).unwrap_err(),
            "snapshot_missing_exception: [r:-s1] is missing"
        );
    }

    #[test]
    fn opensearch_misses_patterns_too_and_excludes_nothing() {
        assert!(names("zzz*", false, Shape::OpenSearch).is_err());
        assert!(names("zzz*", true, Shape::OpenSearch).unwrap().is_empty());
        assert_eq!(
            names("s*,-s1*", false, Shape::OpenSearch).unwrap(),
            ["s1", "s2"]
        );
    }
}
