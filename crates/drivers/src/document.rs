//! What the engine asks of anything that keeps documents in shards.
//!
//! All calls block; all types may be used from many threads at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DriverError;

/// What kind of thing a resource is. Names are unique within a kind.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A search index.
    #[default]
    Index,
    /// A collection of objects with vectors.
    Collection,
}

impl ResourceKind {
    /// Whether it is an index; for leaving the kind out of descriptions that are older than collections.
    pub fn is_index(&self) -> bool {
        *self == Self::Index
    }

    /// The word used on the wire and in texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Collection => "collection",
        }
    }
}

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceRef {
    /// Its kind.
    #[serde(default)]
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

impl ResourceRef {
    /// An index.
    pub fn index(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Index,
            name: name.into(),
        }
    }

    /// A collection.
    pub fn collection(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Collection,
            name: name.into(),
        }
    }
}

/// Whether a shard of a collection (a tenant) can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TenantStatus {
    /// Readable and writable.
    #[default]
    Hot,
    /// Kept but switched off; captured all the same.
    Cold,
    /// Moved elsewhere: its status is captured, its objects are not.
    Frozen,
}

/// A resource that can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceInfo {
    /// Kind.
    pub kind: ResourceKind,
    /// Name.
    pub name: String,
    /// Identity; a resource of the same name made anew has another.
    pub uuid: String,
    /// True when it can be read and written by its users.
    pub open: bool,
    /// True when wildcards pass it over.
    pub hidden: bool,
    /// True while it is being restored.
    pub restoring: bool,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// Number of shards.
    pub shards: u32,
}

/// Reads and writes one kind of document resource.
pub trait DocumentDriver: Send + Sync + Debug {
    /// All resources, sorted by kind and name.
    fn resources(&self) -> Result<Vec<ResourceInfo>, DriverError>;

    /// One consistent moment of the named resources and of the state that belongs to no resource. Writes go on meanwhile and are
    /// not seen.
    fn capture(&self, resources: &[ResourceRef]) -> Result<Box<dyn Capture>, DriverError>;

    /// Begins to make (or, over a closed one, to replace) an index. Nothing of it is usable before
    /// [`Restoration::finish`]; dropping it leaves everything as it was.
    fn begin_restore(&self, index: RestoreIndex) -> Result<Box<dyn Restoration>, DriverError>;

    /// Begins to make (or to replace) collections, all of them or none. Nothing of them is usable before
    /// [`CollectionsRestoration::finish`]; dropping it leaves everything as it was. `renamed` gives the new names by the old ones:
    /// references to the old are led to the new. Proofs are compared before that.
    fn begin_collections_restore(
        &self,
        collections: Vec<RestoreCollection>,
        renamed: &BTreeMap<String, String>,
    ) -> Result<Box<dyn CollectionsRestoration>, DriverError>;

    /// Takes over a global state as given by [`Capture::global_state`]: replaces settings, merges templates by name.
    fn restore_global_state(&self, state: &Value) -> Result<(), DriverError>;
}

/// One consistent moment of some resources; held open while it is read.
pub trait Capture: Send + Sync {
    /// The resources, sorted by kind and name.
    fn resources(&self) -> &[CapturedResource];

    /// A shard of a resource: the number of a shard of an index, the position in [`CapturedCollection::shards`] for a collection.
    /// Cheap.
    fn shard(
        &self,
        resource: &CapturedResource,
        shard: u32,
    ) -> Result<Box<dyn ShardCapture>, DriverError>;

    /// Templates and settings that belong to no resource, as one JSON object of the driver's own shape.
    fn global_state(&self) -> Result<Value, DriverError>;
}

/// The description of a captured resource. `settings`, `mappings`, `aliases` and the class are kept verbatim in the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapturedResource {
    /// Kind.
    #[serde(default, skip_serializing_if = "ResourceKind::is_index")]
    pub kind: ResourceKind,
    /// Name.
    pub name: String,
    /// Identity.
    pub uuid: String,
    /// True when it was open.
    pub open: bool,
    /// Number of shards.
    pub shards: u32,
    /// Flat settings, `index.number_of_shards` and so on; empty for a collection.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Mappings; null for a collection.
    #[serde(default)]
    pub mappings: Value,
    /// Aliases by name; of a collection with null for each.
    #[serde(default)]
    pub aliases: Map<String, Value>,
    /// What only a collection has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<CapturedCollection>,
}

/// What a collection has beside what every resource has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapturedCollection {
    /// The class as the dialect wants it kept.
    pub class: Value,
    /// Whether its shards are tenants.
    pub multi_tenant: bool,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// Its shards or tenants, in the order of their numbers.
    pub shards: Vec<CollectionShard>,
}

/// A shard or tenant of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionShard {
    /// Name, unique in its collection.
    pub name: String,
    /// Status.
    #[serde(default)]
    pub status: TenantStatus,
}

impl CapturedResource {
    /// Names it.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef {
            kind: self.kind,
            name: self.name.clone(),
        }
    }

    /// Its shards or tenants; none for an index, whose shards have numbers only.
    pub fn named_shards(&self) -> &[CollectionShard] {
        self.collection
            .as_ref()
            .map_or(&[], |collection| &collection.shards)
    }
}

/// What says next time which documents changed since. A driver that cannot vouch for every change since a token must say so in
/// [`ShardCapture::can_continue`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeToken {
    /// Identity of the resource.
    pub index_uuid: String,
    /// Identity of the history: where it is equal, equal numbers mean equal operations.
    pub history_uuid: String,
    /// The first sequence number that is not in the snapshot.
    pub next_seq_no: u64,
}

/// A live document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveDocument<'a> {
    /// Id.
    pub id: &'a str,
    /// Routing, where given.
    pub routing: Option<&'a str>,
    /// Version.
    pub version: u64,
    /// Sequence number.
    pub seq_no: u64,
    /// Source, byte for byte.
    pub source: &'a [u8],
    /// Its vectors one after another, each number a little-endian `f32`; `vectors` in the source says which and how long. Empty
    /// in an index.
    pub vectors: &'a [u8],
}

impl LiveDocument<'_> {
    /// What this document adds to the digest of its shard.
    pub fn hash(&self) -> u128 {
        snapkeep_store::document_hash(
            self.id,
            self.routing,
            self.version,
            self.seq_no,
            self.source,
            self.vectors,
        )
    }
}

/// A document copy that was superseded or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoneDocument<'a> {
    /// Id.
    pub id: &'a str,
    /// Sequence number of the dead copy.
    pub old_seq_no: u64,
    /// What the dead copy had added to the digest.
    pub hash: u128,
}

/// How many documents a shard has, and the sum of their hashes modulo 2¹²⁸.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    /// Live documents.
    pub live: u64,
    /// Sum of [`LiveDocument::hash`] over them.
    pub digest: u128,
}

/// One shard at the captured moment.
pub trait ShardCapture: Send + Sync {
    /// What to remember for the next time.
    fn token(&self) -> ChangeToken;

    /// What the driver itself says is in the shard.
    fn proof(&self) -> Proof;

    /// Bytes of source in live documents, for estimates.
    fn size_bytes(&self) -> u64;

    /// Whether all changes since `token` can be told.
    fn can_continue(&self, token: &ChangeToken) -> bool;

    /// Parts of about `target_bytes` that cover all documents numbered `from` and above, for reading in parallel.
    fn parts(&self, from: u64, target_bytes: u64) -> Vec<Range<u64>>;

    /// Calls `visit` for each live document numbered in `range`, in ascending order.
    fn read(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(LiveDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError>;

    /// Calls `visit` for each copy numbered below `next_seq_no` that died by an operation numbered `next_seq_no` or above.
    fn gone_since(
        &self,
        next_seq_no: u64,
        visit: &mut dyn FnMut(GoneDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError>;
}

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreIndex {
    /// Name.
    pub name: String,
    /// Number of shards.
    pub shards: u32,
    /// Flat settings.
    pub settings: Map<String, Value>,
    /// Mappings.
    pub mappings: Value,
    /// Aliases by name; none = keep those of the closed one that is replaced.
    pub aliases: Option<Map<String, Value>>,
    /// True to replace a closed one of this name.
    pub replace_closed: bool,
}

/// A document to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedDocument {
    /// Id.
    pub id: String,
    /// Routing, where given.
    pub routing: Option<String>,
    /// Version, kept.
    pub version: u64,
    /// Sequence number, kept.
    pub seq_no: u64,
    /// Source, byte for byte.
    pub source: Vec<u8>,
    /// Vectors as in [`LiveDocument::vectors`].
    pub vectors: Vec<u8>,
}

/// A collection to make.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreCollection {
    /// Name.
    pub name: String,
    /// The class as it was captured; its own name in it is not changed by a rename, which is up to the driver.
    pub class: Value,
    /// Whether its shards are tenants.
    pub multi_tenant: bool,
    /// When the original was made, milliseconds since 1970.
    pub created_ms: i64,
    /// Its shards or tenants. Positions are what [`CollectionsRestoration::load`] counts by.
    pub shards: Vec<CollectionShard>,
    /// Other names that it gets.
    pub aliases: Vec<String>,
    /// True to replace one of this name.
    pub replace_existing: bool,
    /// True to take over aliases that lead to other collections.
    pub overwrite_aliases: bool,
}

/// Collections being made. Dropping it undoes everything.
pub trait CollectionsRestoration: Send + Sync {
    /// Loads objects into a shard of a collection (both by position), in any order, from many threads.
    fn load(
        &self,
        collection: usize,
        shard: u32,
        objects: Vec<LoadedDocument>,
    ) -> Result<(), DriverError>;

    /// Compares every shard with its proof, makes all durable and then visible, all collections or none.
    fn finish(self: Box<Self>, proofs: Vec<Vec<Proof>>) -> Result<(), DriverError>;
}

/// A resource being made. Dropping it undoes everything.
pub trait Restoration: Send + Sync {
    /// Loads documents into a shard, in any order, from many threads.
    fn load(&self, shard: u32, documents: Vec<LoadedDocument>) -> Result<(), DriverError>;

    /// Compares every shard with its proof, makes all durable and then visible in one step.
    fn finish(self: Box<Self>, proofs: Vec<Proof>) -> Result<(), DriverError>;
}
