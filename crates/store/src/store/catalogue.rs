//! The indices and collections by name, as one immutable picture that is replaced whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{IndexData, hex};
use crate::collections::Collections;
use crate::{Alias, IndexMeta, IndexState, Settings, StoreError};

/// An index: what it is, and its documents (none while it is being restored).
#[derive(Clone)]
pub(crate) struct Index {
    pub(crate) meta: Arc<IndexMeta>,
    pub(crate) data: Arc<IndexData>,
}

/// All indices and collections at one moment.
#[derive(Clone, Default)]
pub(crate) struct Catalogue {
    pub(crate) indices: BTreeMap<String, Arc<Index>>,
    pub(crate) collections: Collections,
}

impl Catalogue {
    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Index>, StoreError> {
        self.indices
            .get(name)
            .ok_or_else(|| StoreError::IndexNotFound {
                name: name.to_owned(),
            })
    }

    /// Indices that carry an alias.
    pub(crate) fn with_alias<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = &'a Arc<Index>> {
        self.indices
            .values()
            .filter(move |index| index.meta.aliases.contains_key(alias))
    }

    /// The index a write to `name` goes to: the index itself, or the alias's write index.
    pub(crate) fn write_target<'a>(&'a self, name: &'a str) -> Result<&'a Arc<Index>, StoreError> {
        if let Some(index) = self.indices.get(name) {
            return Ok(index);
        }
        let holders: Vec<&Arc<Index>> = self.with_alias(name).collect();
        let is_write = |index: &&&Arc<Index>| {
            index
                .meta
                .aliases
                .get(name)
                .and_then(|alias| alias.is_write_index)
                == Some(true)
        };
        if let Some(writer) = holders.iter().find(is_write) {
            return Ok(writer);
        }
        match holders.as_slice() {
            [] => Err(StoreError::IndexNotFound {
                name: name.to_owned(),
            }),
            [only]
                if only
                    .meta
                    .aliases
                    .get(name)
                    .and_then(|alias| alias.is_write_index)
                    != Some(false) =>
            {
                Ok(only)
            }
            _ => Err(StoreError::illegal(format!(
                "no write index is defined for alias [{name}]. The write index may be explicitly disabled using is_write_index=false or the alias points to multiple indices without one being designated as a write index"
            ))),
        }
    }

    /// The one index a read of `name` means.
    pub(crate) fn read_target<'a>(&'a self, name: &'a str) -> Result<&'a Arc<Index>, StoreError> {
        if let Some(index) = self.indices.get(name) {
            return Ok(index);
        }
        let holders: Vec<&Arc<Index>> = self.with_alias(name).collect();
        match holders.as_slice() {
            [] => Err(StoreError::IndexNotFound {
                name: name.to_owned(),
            }),
            [only] => Ok(only),
            several => {
                let names: Vec<&str> = several
                    .iter()
                    .map(|index| index.meta.name.as_str())
                    .collect();
                Err(StoreError::illegal(format!(
                    "alias [{name}] has more than one index associated with it [{}], can't execute a single index op",
                    names.join(", ")
                )))
            }
        }
    }
}

/// An index as it is kept in the `meta` keyspace under `index/<data id>`, in JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct IndexRecord {
    /// Version of this structure.
    format: u32,
    name: String,
    uuid: String,
    created_ms: i64,
    state: IndexState,
    settings: Settings,
    mappings: Value,
    aliases: BTreeMap<String, Alias>,
    shards: u16,
    replicas: u32,
}

const RECORD_FORMAT: u32 = 1;

impl IndexRecord {
    pub(crate) fn encode(meta: &IndexMeta) -> Result<Vec<u8>, StoreError> {
        let record = IndexRecord {
            format: RECORD_FORMAT,
            name: meta.name.clone(),
            uuid: meta.uuid.clone(),
            created_ms: meta.created_ms,
            state: meta.state,
            settings: meta.settings.clone(),
            mappings: meta.mappings.clone(),
            aliases: meta.aliases.clone(),
            shards: meta.shards,
            replicas: meta.replicas,
        };
        serde_json::to_vec(&record)
            .map_err(|cause| StoreError::storage("encode", format!("index {}", meta.name), cause))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<IndexMeta, StoreError> {
        let damaged = |reason: String| StoreError::Damaged {
            object: "index record".to_owned(),
            reason,
        };
        let record: IndexRecord =
            serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
        if record.format != RECORD_FORMAT {
            return Err(damaged(format!("unknown format {}", record.format)));
        }
        Ok(IndexMeta {
            name: record.name,
            uuid: record.uuid,
            created_ms: record.created_ms,
            state: record.state,
            settings: record.settings,
            mappings: record.mappings,
            aliases: record.aliases,
            shards: record.shards,
            replicas: record.replicas,
        })
    }
}

/// Prefix of index records.
pub(crate) const RECORD_PREFIX: &str = "index/";

/// Key of an index record.
pub(crate) fn record_key(data_id: &[u8; 16]) -> Vec<u8> {
    format!("{RECORD_PREFIX}{}", hex(data_id)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records written by version 1 stay readable.
    #[test]
    fn a_stored_record_of_format_one_still_opens() {
        let stored = br#"{"format":1,"name":"a","uuid":"u","created_ms":5,"state":"closed","settings":{"index.number_of_shards":"1"},"mappings":{"properties":{}},"aliases":{"x":{"is_write_index":true}},"shards":1,"replicas":0}"#;
        let meta = IndexRecord::decode(stored).unwrap();
        assert_eq!((meta.name.as_str(), meta.state), ("a", IndexState::Closed));
        assert_eq!(meta.aliases["x"].is_write_index, Some(true));
        assert_eq!(IndexRecord::encode(&meta).unwrap(), stored);
    }
}
