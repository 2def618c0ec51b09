//! What a list of snapshots is asked for: parts, order, page, filters.

use super::info::Parts;
use super::paging::{After, SortKey};
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::params::{Params, split_list};
use crate::elasticsearch::pattern::matches;

/// Parameters that only the `es` shape knows.
pub const ES_PARAMS: &[&str] = &[
    "index_details",
    "index_names",
    "include_repository",
    "sort",
    "order",
    "size",
    "offset",
    "after",
    "from_sort_value",
    "slm_policy_filter",
    "state",
];

/// A checked query.
#[derive(Debug)]
pub struct Query {
    /// Parts of each snapshot.
    pub parts: Parts,
    /// Missing names are dropped.
    pub ignore_unavailable: bool,
    /// Order.
    pub sort: SortKey,
    /// From the last to the first.
    pub is_descending: bool,
    /// Most snapshots on a page; none = all.
    pub size: Option<usize>,
    /// Snapshots left out at the beginning.
    pub offset: usize,
    /// The last snapshot of the page before.
    pub after: Option<After>,
    /// The first sort value wanted.
    pub from: Option<String>,
    /// Policies (names, `*`, `-x`, `_none`); empty = no filter.
    pub policies: Vec<String>,
    /// States; empty = no filter.
    pub states: Vec<String>,
}

impl Query {
    /// Reads and checks the parameters.
    ///
    /// # Errors
    /// 400 for values that are not understood or do not go together.
    pub fn read(params: &Params) -> Result<Self, EsError> {
        let sort = params
            .get("sort")
            .map_or(Ok(SortKey::StartTime), SortKey::parse)?;
        let order = params.get("order").unwrap_or("asc");
        let is_descending = match order.to_ascii_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            _ => {
                let name = order.to_uppercase();
                let text =
                    format!("No enum constant org.elasticsearch.search.sort.SortOrder.{name}");
                return Err(EsError::illegal_argument(text));
            }
        };
        let size = params.int("size", -1)?;
        let offset = params.int("offset", 0)?;
        let after = params
            .get("after")
            .map(|token| After::decode(token, sort))
            .transpose()?;
        let states = read_states(params)?;
        let query = Self {
            parts: Parts {
                verbose: params.bool("verbose", true)?,
                repository: params.bool("include_repository", true)?,
                index_names: params.bool("index_names", true)?,
                index_details: params.bool("index_details", false)?,
            },
            ignore_unavailable: params.bool("ignore_unavailable", false)?,
            sort,
            is_descending,
            size: usize::try_from(size).ok(),
            offset: usize::try_from(offset)
                .map_err(|_| EsError::validation(&["offset must be non-negative"]))?,
            after,
            from: params.get("from_sort_value").map(str::to_owned),
            policies: params.list("slm_policy_filter"),
            states,
        };
        query.check(size)?;
        Ok(query)
    }

    fn check(&self, size: i64) -> Result<(), EsError> {
        let mut problems = Vec::new();
        if size == 0 || size < -1 {
            problems.push("size must be -1 or greater than 0");
        }
        let quick = !self.parts.verbose;
        let rules = [
            (
                quick && self.sort != SortKey::StartTime,
                "can't use non-default sort with verbose=false",
            ),
            (
                quick && self.size.is_some_and(|size| size > 0),
                "can't use size limit with verbose=false",
            ),
            (
                quick && self.offset > 0,
                "can't use offset with verbose=false",
            ),
            (
                quick && self.after.is_some(),
                "can't use after with verbose=false",
            ),
            (
                quick && self.is_descending,
                "can't use non-default sort order with verbose=false",
            ),
            (
                quick && !self.policies.is_empty(),
                "can't use slm policy filter with verbose=false",
            ),
            (
                quick && self.from.is_some(),
                "can't use from_sort_value with verbose=false",
            ),
            (
                !quick && self.offset > 0 && self.after.is_some(),
                "can't use after and offset simultaneously",
            ),
            (
                !quick && self.from.is_some() && self.after.is_some(),
                "can't use after and from_sort_value simultaneously",
            ),
        ];
        problems.extend(
            rules
                .iter()
                .filter(|(is_broken, _)| *is_broken)
                .map(|(_, problem)| *problem),
        );
        if let Some(from) = &self.from {
            self.sort.check_value(from)?;
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(EsError::validation(&problems))
        }
    }

    /// Whether a snapshot of this policy passes the filter.
    pub fn has_policy(&self, policy: Option<&str>) -> bool {
        if self.policies.is_empty() {
            return true;
        }
        let mut passes = false;
        for item in &self.policies {
            passes = match (item.as_str(), item.strip_prefix('-'), policy) {
                ("_none", _, None) => true,
                ("_none", _, Some(_)) | (_, _, None) => passes,
                (_, Some(excluded), Some(policy)) => passes && !matches(excluded, policy),
                (pattern, None, Some(policy)) => passes || matches(pattern, policy),
            };
        }
        passes
    }
}

fn read_states(params: &Params) -> Result<Vec<String>, EsError> {
    const KNOWN: [&str; 5] = [
        "IN_PROGRESS",
        "SUCCESS",
        "FAILED",
        "PARTIAL",
        "INCOMPATIBLE",
    ];
    let states: Vec<String> = params
        .get("state")
        .map(split_list)
        .unwrap_or_default()
        .iter()
        .map(|state| state.to_uppercase())
        .collect();
    match states.iter().find(|state| !KNOWN.contains(&state.as_str())) {
        Some(unknown) => Err(EsError::illegal_argument(format!(
            "No enum constant org.elasticsearch.snapshots.SnapshotState.{unknown}"
        ))),
        None => Ok(states),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::path::query_pairs;

    fn read(query: &str) -> Result<Query, String> {
        Query::read(&Params::new(query_pairs(query).unwrap())).map_err(|error| error.to_string())
    }

    #[test]
    fn contradictions_are_told() {
        let text = |query| read(query).unwrap_err();
        assert!(
            text("size=0").ends_with("Validation Failed: 1: size must be -1 or greater than 0;")
        );
        assert!(
            text("size=-2").ends_with("Validation Failed: 1: size must be -1 or greater than 0;")
        );
        assert!(
            text("verbose=false&size=2").ends_with("1: can't use size limit with verbose=false;")
        );
        assert!(
            text("sort=name&offset=1&after=czEzLHIxLHMxMw==")
                .ends_with("1: can't use after and offset simultaneously;")
        );
        assert!(
            text("order=bogus")
                .ends_with("No enum constant org.elasticsearch.search.sort.SortOrder.BOGUS")
        );
        assert!(text("sort=bogus").ends_with("unknown sort key [bogus]"));
        assert!(
            text("from_sort_value=s2")
                .contains("number_format_exception: For input string: \"s2\"")
        );
        assert!(read("verbose=false&size=-1&index_names=false").is_ok());
    }

    #[test]
    fn policies_are_names_patterns_and_exclusions() {
        let passes = |filter: &str, policy| {
            read(&format!("slm_policy_filter={filter}"))
                .unwrap()
                .has_policy(policy)
        };
        assert!(passes("", None));
        assert!(passes("_none", None) && !passes("_none", Some("p")));
        assert!(passes("*", Some("daily")) && !passes("*", None));
        assert!(!passes("*,-daily*", Some("daily-1")) && passes("*,-daily*", Some("weekly")));
    }
}
