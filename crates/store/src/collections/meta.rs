//! What a collection is, apart from its objects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::route;

/// Most shards or tenants of one collection.
pub const MAX_SHARDS: usize = 65_000;

/// Whether the objects of a shard can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TenantStatus {
    /// Readable and writable. Shards that are no tenants always are.
    #[default]
    Hot,
    /// Kept; neither readable nor writable until it is hot again.
    Cold,
    /// As cold; the dialect's word for objects kept elsewhere (here they stay where they are).
    Frozen,
}

impl TenantStatus {
    /// `HOT`, `COLD` or `FROZEN`.
    pub fn as_str(self) -> &'static str {
        match self {
            TenantStatus::Hot => "HOT",
            TenantStatus::Cold => "COLD",
            TenantStatus::Frozen => "FROZEN",
        }
    }
}

/// One shard or tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionShard {
    /// Number within the collection; given again after a tenant was removed.
    pub number: u16,
    /// Name.
    pub name: String,
    /// Status.
    pub status: TenantStatus,
}

/// What to create.
#[derive(Debug, Clone, Default)]
pub struct CollectionSpec {
    /// Name. The dialect has checked its form; the store only that it is free.
    pub name: String,
    /// The class, kept verbatim.
    pub class: Value,
    /// Shards are tenants: added and removed while the collection lives, chosen by name.
    pub multi_tenant: bool,
    /// Names of the shards (at least one), or of the first tenants.
    pub shards: Vec<String>,
}

/// One collection at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionMeta {
    /// Name.
    pub name: String,
    /// 22 characters of URL-safe base64; a restored collection gets a new one.
    pub uuid: String,
    /// Creation time in milliseconds since 1970.
    pub created_ms: i64,
    /// The class as the dialect wants it kept, verbatim.
    pub class: Value,
    /// Whether the shards are tenants.
    pub multi_tenant: bool,
    /// Shards or tenants, ascending by number. Numbers have gaps where tenants were removed.
    pub shards: Arc<Vec<CollectionShard>>,
    /// Positions in `shards`, ascending by name.
    pub(super) by_name: Arc<Vec<u16>>,
}

impl CollectionMeta {
    /// One shard or tenant by its name.
    pub fn shard(&self, name: &str) -> Option<&CollectionShard> {
        let found = self
            .by_name
            .binary_search_by(|&position| {
                self.shards[usize::from(position)].name.as_str().cmp(name)
            })
            .ok()?;
        self.shards.get(usize::from(self.by_name[found]))
    }

    /// The shard of an object in a collection without tenants.
    pub fn shard_of(&self, id: super::ObjectId) -> Option<&CollectionShard> {
        let number = route(
            &id.to_string(),
            None,
            u16::try_from(self.shards.len()).ok()?,
        );
        self.shards.get(usize::from(number))
    }

    /// A name that two shards have.
    pub(super) fn duplicate(&self) -> Option<&str> {
        let names = self
            .by_name
            .iter()
            .map(|&position| self.shards[usize::from(position)].name.as_str());
        let next = names.clone().skip(1);
        names
            .zip(next)
            .find(|(one, other)| one == other)
            .map(|(name, _)| name)
    }

    /// Replaces the shards; they must be ascending by number.
    pub(crate) fn set_shards(&mut self, shards: Vec<CollectionShard>) {
        let mut by_name: Vec<u16> = (0..shards.len()).map(|position| position as u16).collect();
        by_name.sort_unstable_by(|&one, &other| {
            shards[usize::from(one)]
                .name
                .cmp(&shards[usize::from(other)].name)
        });
        self.shards = Arc::new(shards);
        self.by_name = Arc::new(by_name);
    }
}
