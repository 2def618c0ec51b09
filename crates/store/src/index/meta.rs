//! What an index is, apart from its documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StoreError;

/// Flat settings, `index.number_of_shards` → `"1"`. A value is a string, or an array of strings for lists.
pub type Settings = BTreeMap<String, Value>;

/// Whether an index can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// Readable and writable.
    Open,
    /// Kept, but neither readable nor writable.
    Closed,
    /// Being loaded by a restore; gone after a restart.
    Restoring,
}

/// One alias of one index. Keys are Elasticsearch's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Query that limits what the alias shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Routing for writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_routing: Option<String>,
    /// Routing for searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_routing: Option<String>,
    /// Whether writes through the alias go to this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_write_index: Option<bool>,
    /// Not shown by wildcards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_hidden: Option<bool>,
}

/// One step of [`crate::Store::update_aliases`]; index names are concrete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasAction {
    /// Adds or replaces.
    Add {
        /// Concrete index.
        index: String,
        /// Alias name.
        alias: String,
        /// Its properties.
        spec: Alias,
    },
    /// Removes; an error when missing and `must_exist` is not `Some(false)`.
    Remove {
        /// Concrete index.
        index: String,
        /// Alias name.
        alias: String,
        /// `must_exist` of the request.
        must_exist: Option<bool>,
    },
    /// Deletes the index in the same step.
    RemoveIndex {
        /// Concrete index.
        index: String,
    },
}

/// What a new index shall be. The three trees are as in the body of `PUT /index` (nested or dotted
/// settings, with or without `index.`); `Null` or `{}` where absent.
#[derive(Debug, Clone, Default)]
pub struct IndexSpec {
    /// `settings`.
    pub settings: Value,
    /// `mappings` (without a type level).
    pub mappings: Value,
    /// `aliases`.
    pub aliases: Value,
}

/// One index at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexMeta {
    /// Name.
    pub name: String,
    /// 22 characters of URL-safe base64.
    pub uuid: String,
    /// Creation time in milliseconds since 1970.
    pub created_ms: i64,
    /// Open, closed or being restored.
    pub state: IndexState,
    /// Flat settings, including `index.uuid`, `index.creation_date`, `index.provided_name`.
    pub settings: Settings,
    /// Mappings as given, with the dynamically found fields merged in.
    pub mappings: Value,
    /// Aliases by name.
    pub aliases: BTreeMap<String, Alias>,
    /// Number of shards.
    pub shards: u16,
    /// Number of replicas asked for (none are kept).
    pub replicas: u32,
}

impl IndexMeta {
    /// `index.hidden`.
    pub fn is_hidden(&self) -> bool {
        self.settings
            .get("index.hidden")
            .is_some_and(|value| value == "true")
    }

    /// Open for reading and writing.
    pub fn is_open(&self) -> bool {
        self.state == IndexState::Open
    }

    /// The shard that a document with this routing (or, without one, this id) is in.
    pub fn shard_of(&self, id: &str, routing: Option<&str>) -> u16 {
        crate::store::route(id, routing, self.shards)
    }

    /// A setting as text, `index.`-prefixed key.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).and_then(Value::as_str)
    }

    /// Settings as the nested tree that `GET /index/_settings` shows: `{"index":{"number_of_shards":"1",…}}`.
    pub fn nested_settings(&self) -> Value {
        super::nest(&self.settings)
    }
}

/// Parses the `aliases` part of a body.
pub(crate) fn parse_aliases(tree: &Value) -> Result<BTreeMap<String, Alias>, StoreError> {
    let map = match tree {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(map) => map,
        _ => {
            return Err(StoreError::illegal(
                "malformed aliases, should be an object",
            ));
        }
    };
    map.iter()
        .map(|(name, spec)| {
            super::check_alias_name(name)?;
            Ok((name.clone(), Alias::parse(spec)?))
        })
        .collect()
}

impl Alias {
    /// Parses the properties of one alias; `routing` sets both routings.
    pub fn parse(spec: &Value) -> Result<Alias, StoreError> {
        if spec.is_null() {
            return Ok(Alias::default());
        }
        let mut alias: Alias = serde_json::from_value(spec.clone())
            .map_err(|cause| StoreError::illegal(format!("failed to parse alias: {cause}")))?;
        if let Some(routing) = spec.get("routing").and_then(Value::as_str) {
            alias
                .index_routing
                .get_or_insert_with(|| routing.to_owned());
            alias
                .search_routing
                .get_or_insert_with(|| routing.to_owned());
        }
        Ok(alias)
    }
}
