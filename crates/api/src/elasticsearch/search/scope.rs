//! Where a search looks: indices, the shards that routing leaves, and what aliases show of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use snapkeep_engine::selection::matches;
use snapkeep_store::search::SearchRequest;
use snapkeep_store::{Alias, IndexMeta};

use super::failure;
use crate::elasticsearch::call::Call;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::indices::targets::{Defaults, resolve_names, select};
use crate::elasticsearch::params::{Params, split_list};

/// Where to look.
#[derive(Debug, Default)]
pub struct Scope {
    /// The indices, open and existing.
    pub indices: Vec<Arc<IndexMeta>>,
    /// Queries that documents of an index must match too.
    filters: BTreeMap<String, Value>,
    /// Shards of an index that routing leaves.
    shards: BTreeMap<String, Vec<u16>>,
    /// Shards of every index that `preference` leaves.
    pub preferred: Option<Vec<u16>>,
}

impl Scope {
    /// Resolves an expression.
    ///
    /// # Errors
    /// 404 for a missing index, 400 for a closed one or a bad parameter.
    pub fn resolve(
        call: &Call,
        expression: Option<&str>,
        params: &Params,
    ) -> Result<Self, EsError> {
        let indices = select(call, expression, params, Defaults::DOCUMENTS)?;
        let names = resolve_names(expression.unwrap_or_default())?;
        let mut scope = Self {
            preferred: preferred(params.get("preference")),
            ..Self::default()
        };
        let routing = params.list("routing");
        for meta in &indices {
            let via = aliases_only(meta, &names);
            if let Some(filter) = via.as_deref().and_then(filter_of) {
                scope.filters.insert(meta.name.clone(), filter);
            }
            let routing = match via.as_deref() {
                Some(aliases) if routing.is_empty() => routing_of(aliases),
                _ => routing.clone(),
            };
            if !routing.is_empty() {
                let mut shards: Vec<u16> = routing
                    .iter()
                    .map(|value| meta.shard_of("", Some(value)))
                    .collect();
                shards.sort_unstable();
                shards.dedup();
                scope.shards.insert(meta.name.clone(), shards);
            }
        }
        scope.indices = indices;
        Ok(scope)
    }

    /// Names of the indices.
    pub fn names(&self) -> Vec<String> {
        self.indices.iter().map(|meta| meta.name.clone()).collect()
    }

    /// The request kept to this scope.
    ///
    /// # Errors
    /// 400 for the filter of an alias that cannot be read.
    pub fn apply(&self, mut request: SearchRequest) -> Result<SearchRequest, EsError> {
        for (index, filter) in &self.filters {
            request
                .add_index_filter(index, filter)
                .map_err(|error| failure::of_request(error, b""))?;
        }
        for (index, shards) in &self.shards {
            request.keep_to_shards(Some(index), shards.clone());
        }
        if let Some(shards) = &self.preferred {
            request.keep_to_shards(None, shards.clone());
        }
        Ok(request)
    }

    /// Number of shards looked at.
    pub fn shard_count(&self) -> u64 {
        let count = |meta: &Arc<IndexMeta>| {
            let routed = self.shards.get(&meta.name);
            let is_left = |shard: &u16| {
                routed.is_none_or(|shards| shards.contains(shard))
                    && self
                        .preferred
                        .as_ref()
                        .is_none_or(|shards| shards.contains(shard))
            };
            (0..meta.shards).filter(is_left).count() as u64
        };
        self.indices.iter().map(count).sum()
    }
}

/// The aliases by which an index was named, unless it was (also) named by itself or by a wildcard that matches it.
fn aliases_only<'a>(meta: &'a IndexMeta, names: &[String]) -> Option<Vec<&'a Alias>> {
    let is_named = names.is_empty()
        || names
            .iter()
            .any(|name| name == "_all" || matches(name, &meta.name));
    if is_named {
        return None;
    }
    let is_meant = |alias: &str| names.iter().any(|name| matches(name, alias));
    Some(
        meta.aliases
            .iter()
            .filter(|(name, _)| is_meant(name))
            .map(|(_, alias)| alias)
            .collect(),
    )
}

/// What all these aliases together show; nothing when one of them shows everything.
fn filter_of(aliases: &[&Alias]) -> Option<Value> {
    let filters: Vec<&Value> = aliases
        .iter()
        .filter_map(|alias| alias.filter.as_ref())
        .collect();
    match filters.as_slice() {
        [only] if aliases.len() == 1 => Some((*only).clone()),
        several if !several.is_empty() && several.len() == aliases.len() => {
            Some(json!({"bool": {"should": several, "minimum_should_match": 1}}))
        }
        _ => None,
    }
}

/// Search routing, if every alias has one.
fn routing_of(aliases: &[&Alias]) -> Vec<String> {
    let routed: Vec<&str> = aliases
        .iter()
        .filter_map(|alias| alias.search_routing.as_deref())
        .collect();
    if routed.len() < aliases.len() {
        return Vec::new();
    }
    routed.into_iter().flat_map(split_list).collect()
}

/// `_shards:0,1`, alone or before `|`; every other preference is about copies, of which there is one.
fn preferred(preference: Option<&str>) -> Option<Vec<u16>> {
    let list = preference?.split('|').next()?.strip_prefix("_shards:")?;
    Some(
        list.split(',')
            .filter_map(|number| number.trim().parse().ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preference_may_name_shards() {
        assert_eq!(preferred(Some("_shards:0,2|_local")), Some(vec![0, 2]));
        assert_eq!(preferred(Some("_local")), None);
        assert_eq!(preferred(None), None);
    }

    #[test]
    fn aliases_filter_only_where_all_of_them_do() {
        let filtered = Alias {
            filter: Some(json!({"term": {"a": 1}})),
            ..Alias::default()
        };
        let plain = Alias::default();
        assert_eq!(filter_of(&[&filtered]), Some(json!({"term": {"a": 1}})));
        assert_eq!(filter_of(&[&filtered, &plain]), None);
        assert!(filter_of(&[&filtered, &filtered]).unwrap()["bool"]["should"].is_array());
        assert_eq!(filter_of(&[]), None);
    }
}
