//! A collection of a class.

use std::sync::Arc;

use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::{Map, Value};
use snapkeep_store::collections::{CollectionMeta, CollectionSpec};
use snapkeep_store::{Store, StoreError};

/// Length of the name of a shard.
const SHARD_NAME_CHARS: usize = 12;

fn shard_name() -> String {
    let letters = rand::rng().sample_iter(Alphanumeric);
    letters.take(SHARD_NAME_CHARS).map(char::from).collect()
}

/// Makes a collection of a completed and checked class, with shards of random names or without tenants yet. Blocks.
///
/// # Errors
/// Those of the store: the name is taken.
pub fn create_class(
    store: &Store,
    class: Map<String, Value>,
) -> Result<Arc<CollectionMeta>, StoreError> {
    let multi_tenant = class["multiTenancyConfig"]["enabled"].as_bool() == Some(true);
    let shards = match class["shardingConfig"]["desiredCount"].as_u64() {
        _ if multi_tenant => Vec::new(),
        count => (0..count.unwrap_or(1).max(1))
            .map(|_| shard_name())
            .collect(),
    };
    store.create_collection(CollectionSpec {
        name: class["class"].as_str().unwrap_or_default().to_owned(),
        class: Value::Object(class),
        multi_tenant,
        shards,
    })
}
