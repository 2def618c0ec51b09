//! Collections for tests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Value, json};
use snapkeep_engine::{CreateSnapshot, NameRules, RestoreRequest, RestoreRun, SnapshotInfo};
use snapkeep_store::collections::{
    CollectionSpec, NewObject, Object, ObjectId, ObjectOp, ObjectVector, TenantStatus,
};

use super::{World, object};

/// All objects of a collection, by tenant (or shard) name.
pub type Objects = BTreeMap<String, Vec<(ObjectId, String, Vec<u32>, u64)>>;

pub fn id(number: u64) -> ObjectId {
    let high = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId(bytes)
}

/// Numbers that no float prints alike: every pattern of bits but those of NaN is fine.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed
        .wrapping_mul(0xD129_1A2B)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 16_777_216.0 - 0.5
        })
        .collect()
}

/// An object with one unnamed vector.
pub fn plain_object(number: u64, dims: usize) -> NewObject {
    let properties =
        object(json!({ "number": number, "text": format!("object {number} of some") }));
    NewObject {
        vectors: vec![ObjectVector::single("", noise(number, dims))],
        ..NewObject::new(id(number), properties)
    }
}

impl World {
    pub fn create_collection(&self, name: &str, shards: usize) {
        self.store
            .create_collection(CollectionSpec {
                name: name.into(),
                class: json!({ "class": name, "vectorizer": "none", "x-unknown": { "kept": [1, null] } }),
                multi_tenant: false,
                shards: (0..shards).map(|shard| format!("shard{shard}")).collect(),
            })
            .unwrap();
    }

    pub fn create_multi_tenant(&self, name: &str, tenants: &[&str]) {
        self.store
            .create_collection(CollectionSpec {
                name: name.into(),
                class: json!({ "class": name, "multiTenancyConfig": { "enabled": true } }),
                multi_tenant: true,
                shards: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
            })
            .unwrap();
    }

    pub fn set_tenant(&self, collection: &str, tenant: &str, status: TenantStatus) {
        self.store
            .set_tenants(collection, &[(tenant.to_owned(), status)])
            .unwrap();
    }

    pub fn put_objects(
        &self,
        collection: &str,
        tenant: Option<&str>,
        objects: impl IntoIterator<Item = NewObject>,
    ) {
        let put = |object| ObjectOp::put(collection, tenant.map(str::to_owned), object);
        for outcome in self
            .store
            .write_objects(objects.into_iter().map(put).collect())
        {
            outcome.unwrap();
        }
    }

    pub fn delete_objects(
        &self,
        collection: &str,
        tenant: Option<&str>,
        numbers: impl IntoIterator<Item = u64>,
    ) {
        let delete = |number| ObjectOp::delete(collection, tenant.map(str::to_owned), id(number));
        for outcome in self
            .store
            .write_objects(numbers.into_iter().map(delete).collect())
        {
            outcome.unwrap();
        }
    }

    /// Everything in a collection, whatever the status of its tenants: id, JSON, bits of the vectors, version.
    pub fn objects(&self, collection: &str) -> Objects {
        let view = self.store.view().unwrap();
        let meta = view.collection(collection).unwrap();
        let mut all = Objects::new();
        for shard in meta.shards.iter() {
            let rows = view.collection_shard(collection, shard.number).unwrap();
            let mut objects = Vec::new();
            rows.scan(0..u64::MAX, &mut |row| {
                let words = row.tail.chunks_exact(4);
                let bits = words.map(|word| u32::from_le_bytes(word.try_into().unwrap()));
                objects.push((
                    row.id.parse().unwrap(),
                    String::from_utf8(row.source.to_vec()).unwrap(),
                    bits.collect(),
                    row.version,
                ));
                ControlFlow::Continue(())
            })
            .unwrap();
            objects.sort_unstable();
            all.insert(shard.name.clone(), objects);
        }
        all
    }

    /// All objects as the store reads them, ascending by id.
    pub fn listed(&self, collection: &str, tenant: Option<&str>) -> Vec<Object> {
        let mut objects = Vec::new();
        let view = self.store.view().unwrap();
        view.objects_after(collection, tenant, None, &mut |object| {
            objects.push(object);
            ControlFlow::Continue(())
        })
        .unwrap();
        objects
    }

    pub fn class(&self, collection: &str) -> Value {
        self.store.collection(collection).unwrap().class.clone()
    }

    pub async fn back_up(
        &self,
        repository: &str,
        name: &str,
        collections: &[&str],
    ) -> SnapshotInfo {
        let request = backup_request(name, collections);
        let ticket = self
            .engine
            .create_snapshot(repository, request)
            .await
            .unwrap();
        self.engine.wait_snapshot(&ticket).await.unwrap()
    }

    /// Restores and gives how that ended.
    pub async fn bring_back(
        &self,
        repository: &str,
        name: &str,
        request: RestoreRequest,
    ) -> RestoreRun {
        let ticket = self
            .engine
            .restore(repository, name, request)
            .await
            .unwrap();
        self.engine.wait_restore(&ticket).await.unwrap();
        let run = self
            .engine
            .latest_restore(repository, name)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(run.uuid, ticket.uuid);
        run
    }
}

pub fn backup_request(name: &str, collections: &[&str]) -> CreateSnapshot {
    CreateSnapshot {
        name: name.into(),
        collections: collections.iter().map(|name| (*name).to_owned()).collect(),
        naming: NameRules::Free,
        ..CreateSnapshot::default()
    }
}

pub fn collections_request(collections: &[&str]) -> RestoreRequest {
    RestoreRequest {
        collections: collections.iter().map(|name| (*name).to_owned()).collect(),
        include_aliases: true,
        ..RestoreRequest::default()
    }
}

/// Under other names.
pub fn collections_renamed(renamed: &[(&str, &str)]) -> RestoreRequest {
    let names: Vec<&str> = renamed.iter().map(|(name, _)| *name).collect();
    RestoreRequest {
        collection_rename: renamed
            .iter()
            .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
            .collect(),
        ..collections_request(&names)
    }
}
