//! Collections by name, and how they lie in the `meta` keyspace:
//!
//! * `collection/<data id>` → [`CollectionRecord`] in JSON;
//! * `collection-shard/<data id>/<number u16>` → [`ShardRecord`] in JSON;
//! * `collection-vectors/<data id>` → vector lengths by name in JSON;
//! * `collection-aliases` → [`AliasRecord`] in JSON;
//! * `purge/<data id>/<number u16>` → empty: the rows of a removed tenant are being removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CollectionMeta, CollectionShard, TenantStatus};
use crate::StoreError;
use crate::store::{Access, IndexData, hex};

/// A collection: what it is, and its objects.
#[derive(Clone)]
pub(crate) struct Collection {
    pub(crate) meta: Arc<CollectionMeta>,
    pub(crate) data: Arc<IndexData>,
    pub(crate) shared: Arc<Shared>,
}

/// What all pictures of one collection share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Dimensions of the vectors of each name, from the first one written on.
    vector_lengths: Mutex<BTreeMap<String, u32>>,
    /// Numbers of removed tenants whose rows are not all removed yet.
    purged: Mutex<BTreeSet<u16>>,
}

/// All collections at one moment.
#[derive(Clone, Default)]
pub(crate) struct Collections {
    pub(crate) by_name: BTreeMap<String, Arc<Collection>>,
    /// Alias → name.
    pub(crate) aliases: Arc<BTreeMap<String, String>>,
    /// Names reserved by restores.
    pub(crate) restoring: Arc<BTreeSet<String>>,
}

impl Collections {
    /// By name, no alias.
    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Collection>, StoreError> {
        self.by_name.get(name).ok_or_else(|| not_found(name))
    }

    /// By name or alias.
    pub(crate) fn resolve(&self, name: &str) -> Result<&Arc<Collection>, StoreError> {
        if let Some(collection) = self.by_name.get(name) {
            return Ok(collection);
        }
        let target = self.aliases.get(name).ok_or_else(|| not_found(name))?;
        self.get(target)
    }

    /// Refuses a name that a collection, an alias or a restore has.
    pub(crate) fn check_is_free(&self, name: &str) -> Result<(), StoreError> {
        let is_alias = self.aliases.contains_key(name);
        if is_alias || self.by_name.contains_key(name) {
            return Err(StoreError::CollectionExists {
                name: name.to_owned(),
                is_alias,
            });
        }
        self.check_not_restoring(name)
    }

    pub(crate) fn check_not_restoring(&self, name: &str) -> Result<(), StoreError> {
        if self.restoring.contains(name) {
            return Err(StoreError::CollectionRestoring {
                name: name.to_owned(),
            });
        }
        Ok(())
    }
}

fn not_found(name: &str) -> StoreError {
    StoreError::CollectionNotFound {
        name: name.to_owned(),
    }
}

impl Collection {
    /// The shard of a tenant, which must be hot, or of an id where there are no tenants.
    pub(crate) fn shard_for(
        &self,
        tenant: Option<&str>,
        id: super::ObjectId,
    ) -> Result<u16, StoreError> {
        match tenant {
            Some(tenant) => self.tenant(tenant).map(|shard| shard.number),
            None => {
                self.refuse_tenants()?;
                let shard = self.meta.shard_of(id);
                shard
                    .map(|shard| shard.number)
                    .ok_or_else(|| damaged_shards(&self.meta.name))
            }
        }
    }

    /// All shards that a read of a tenant (or, without one, of the collection) has to look at.
    pub(crate) fn shards_for(&self, tenant: Option<&str>) -> Result<Vec<u16>, StoreError> {
        match tenant {
            Some(tenant) => Ok(vec![self.tenant(tenant)?.number]),
            None => {
                self.refuse_tenants()?;
                Ok(self.meta.shards.iter().map(|shard| shard.number).collect())
            }
        }
    }

    fn tenant(&self, tenant: &str) -> Result<&CollectionShard, StoreError> {
        let collection = self.meta.name.clone();
        let tenant = tenant.to_owned();
        if !self.meta.multi_tenant {
            return Err(StoreError::TenantUnexpected { collection, tenant });
        }
        match self.meta.shard(&tenant) {
            None => Err(StoreError::TenantNotFound { collection, tenant }),
            Some(shard) if shard.status != TenantStatus::Hot => {
                let status = shard.status;
                Err(StoreError::TenantNotActive {
                    collection,
                    tenant,
                    status,
                })
            }
            Some(shard) => Ok(shard),
        }
    }

    fn refuse_tenants(&self) -> Result<(), StoreError> {
        if self.meta.multi_tenant {
            return Err(StoreError::TenantRequired {
                collection: self.meta.name.clone(),
            });
        }
        Ok(())
    }

    /// Refuses a collection that was deleted since it was looked up.
    pub(crate) fn check_access(&self) -> Result<(), StoreError> {
        match self.data.access() {
            Access::Open | Access::Closed => Ok(()),
            Access::Deleted => Err(not_found(&self.meta.name)),
        }
    }
}

impl Shared {
    pub(crate) fn vector_lengths(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.vector_lengths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn purged(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.purged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FORMAT: u32 = 1;
pub(crate) const RECORD_PREFIX: &str = "collection/";
pub(crate) const ALIASES_KEY: &str = "collection-aliases";
pub(crate) const PURGE_PREFIX: &str = "purge/";

/// A collection without its shards.
#[derive(Serialize, Deserialize)]
pub(crate) struct CollectionRecord {
    format: u32,
    name: String,
    uuid: String,
    created_ms: i64,
    multi_tenant: bool,
    class: Value,
}

/// One shard or tenant.
#[derive(Serialize, Deserialize)]
pub(crate) struct ShardRecord {
    name: String,
    status: TenantStatus,
}

/// All aliases.
#[derive(Serialize, Deserialize)]
pub(crate) struct AliasRecord {
    format: u32,
    aliases: BTreeMap<String, String>,
}

impl CollectionRecord {
    pub(crate) fn encode(meta: &CollectionMeta) -> Result<Vec<u8>, StoreError> {
        encode(
            &CollectionRecord {
                format: FORMAT,
                name: meta.name.clone(),
                uuid: meta.uuid.clone(),
                created_ms: meta.created_ms,
                multi_tenant: meta.multi_tenant,
                class: meta.class.clone(),
            },
            "collection record",
        )
    }

    /// The collection, without shards yet.
    pub(crate) fn decode(bytes: &[u8]) -> Result<CollectionMeta, StoreError> {
        let record: CollectionRecord = decode(bytes, "collection record")?;
        check_format(record.format, "collection record")?;
        Ok(CollectionMeta {
            name: record.name,
            uuid: record.uuid,
            created_ms: record.created_ms,
            class: record.class,
            multi_tenant: record.multi_tenant,
            shards: Arc::default(),
            by_name: Arc::default(),
        })
    }
}

impl ShardRecord {
    pub(crate) fn encode(shard: &CollectionShard) -> Result<Vec<u8>, StoreError> {
        let record = ShardRecord {
            name: shard.name.clone(),
            status: shard.status,
        };
        encode(&record, "shard record")
    }

    pub(crate) fn decode(number: u16, bytes: &[u8]) -> Result<CollectionShard, StoreError> {
        let record: ShardRecord = decode(bytes, "shard record")?;
        Ok(CollectionShard {
            number,
            name: record.name,
            status: record.status,
        })
    }
}

impl AliasRecord {
    pub(crate) fn encode(aliases: &BTreeMap<String, String>) -> Result<Vec<u8>, StoreError> {
        let record = AliasRecord {
            format: FORMAT,
            aliases: aliases.clone(),
        };
        encode(&record, "aliases of collections")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<BTreeMap<String, String>, StoreError> {
        let record: AliasRecord = decode(bytes, "aliases of collections")?;
        check_format(record.format, "aliases of collections")?;
        Ok(record.aliases)
    }
}

/// Writes vector lengths.
pub(crate) fn encode_lengths(lengths: &BTreeMap<String, u32>) -> Result<Vec<u8>, StoreError> {
    encode(lengths, "vector lengths")
}

/// Reads vector lengths.
pub(crate) fn decode_lengths(bytes: &[u8]) -> Result<BTreeMap<String, u32>, StoreError> {
    decode(bytes, "vector lengths")
}

fn encode(record: &impl Serialize, object: &str) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(|cause| StoreError::storage("encode", object, cause))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], object: &str) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|cause| StoreError::Damaged {
        object: object.to_owned(),
        reason: cause.to_string(),
    })
}

fn check_format(format: u32, object: &str) -> Result<(), StoreError> {
    if format == FORMAT {
        return Ok(());
    }
    Err(StoreError::Damaged {
        object: object.to_owned(),
        reason: format!("unknown format {format}"),
    })
}

fn damaged_shards(name: &str) -> StoreError {
    StoreError::Damaged {
        object: format!("collection [{name}]"),
        reason: "it has no shards".to_owned(),
    }
}

/// Key of a collection's record.
pub(crate) fn record_key(data_id: &[u8; 16]) -> Vec<u8> {
    format!("{RECORD_PREFIX}{}", hex(data_id)).into_bytes()
}

/// Key of the vector lengths.
pub(crate) fn lengths_key(data_id: &[u8; 16]) -> Vec<u8> {
    format!("collection-vectors/{}", hex(data_id)).into_bytes()
}

/// What the keys of a collection's shards begin with.
pub(crate) fn shard_prefix(data_id: &[u8; 16]) -> Vec<u8> {
    format!("collection-shard/{}/", hex(data_id)).into_bytes()
}

/// Key of a shard's record.
pub(crate) fn shard_key(data_id: &[u8; 16], number: u16) -> Vec<u8> {
    let mut key = shard_prefix(data_id);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys of a collection's unfinished removals begin with.
pub(crate) fn purge_prefix(data_id: &[u8; 16]) -> Vec<u8> {
    format!("{PURGE_PREFIX}{}/", hex(data_id)).into_bytes()
}

/// Key of an unfinished removal.
pub(crate) fn purge_key(data_id: &[u8; 16], number: u16) -> Vec<u8> {
    let mut key = purge_prefix(data_id);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number at the end of a shard's or removal's key.
pub(crate) fn number_of_key(key: &[u8]) -> Result<u16, StoreError> {
    let bytes = key.last_chunk::<2>().ok_or_else(|| StoreError::Damaged {
        object: "key of a shard record".to_owned(),
        reason: "too short".to_owned(),
    })?;
    Ok(u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records written by version 1 stay readable.
    #[test]
    fn stored_records_of_format_one_still_open() {
        let stored = br#"{"format":1,"name":"A","uuid":"u","created_ms":5,"multi_tenant":true,"class":{"class":"A","z":1,"b":2}}"#;
        let meta = CollectionRecord::decode(stored).unwrap();
        assert_eq!((meta.name.as_str(), meta.multi_tenant), ("A", true));
        assert_eq!(CollectionRecord::encode(&meta).unwrap(), stored);
        let stored = br#"{"name":"t","status":"COLD"}"#;
        let shard = ShardRecord::decode(7, stored).unwrap();
        assert_eq!((shard.number, shard.status), (7, TenantStatus::Cold));
        assert_eq!(ShardRecord::encode(&shard).unwrap(), stored);
        let stored = br#"{"format":1,"aliases":{"B":"A"}}"#;
        let aliases = AliasRecord::decode(stored).unwrap();
        assert_eq!(AliasRecord::encode(&aliases).unwrap(), stored);
    }

    #[test]
    fn keys_of_one_collection_do_not_reach_into_another() {
        let key = shard_key(&[0xab; 16], 513);
        assert!(key.starts_with(&shard_prefix(&[0xab; 16])));
        assert!(!key.starts_with(&shard_prefix(&[0xac; 16])));
        assert_eq!(number_of_key(&key).unwrap(), 513);
    }
}
