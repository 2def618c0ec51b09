//! What the engine asks of anything that keeps documents in shards.
//!
//! All calls block; all types may be used from many threads at once.

use std::fmt::Debug;
use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DriverError;

/// A resource that can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceInfo {
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
    /// All resources, sorted by name.
    fn resources(&self) -> Result<Vec<ResourceInfo>, DriverError>;

    /// One consistent moment of the named resources and of the state that belongs to no resource. Writes go on meanwhile and are
    /// not seen.
    fn capture(&self, names: &[String]) -> Result<Box<dyn Capture>, DriverError>;

    /// Begins to make (or, over a closed one, to replace) a resource. Nothing of it is usable before
    /// [`Restoration::finish`]; dropping it leaves everything as it was.
    fn begin_restore(&self, index: RestoreIndex) -> Result<Box<dyn Restoration>, DriverError>;

    /// Takes over a global state as given by [`Capture::global_state`]: replaces settings, merges templates by name.
    fn restore_global_state(&self, state: &Value) -> Result<(), DriverError>;
}

/// One consistent moment of some resources; held open while it is read.
pub trait Capture: Send + Sync {
    /// The resources, sorted by name.
    fn resources(&self) -> &[CapturedResource];

    /// A shard of a resource. Cheap.
    fn shard(&self, resource: &str, shard: u32) -> Result<Box<dyn ShardCapture>, DriverError>;

    /// Templates and settings that belong to no resource, as one JSON object of the driver's own shape.
    fn global_state(&self) -> Result<Value, DriverError>;
}

/// The description of a captured resource. `settings`, `mappings` and `aliases` are kept verbatim in the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapturedResource {
    /// Name.
    pub name: String,
    /// Identity.
    pub uuid: String,
    /// True when it was open.
    pub open: bool,
    /// Number of shards.
    pub shards: u32,
    /// Flat settings, `index.number_of_shards` and so on.
    pub settings: Map<String, Value>,
    /// Mappings.
    pub mappings: Value,
    /// Aliases by name.
    pub aliases: Map<String, Value>,
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
}

/// A resource being made. Dropping it undoes everything.
pub trait Restoration: Send + Sync {
    /// Loads documents into a shard, in any order, from many threads.
    fn load(&self, shard: u32, documents: Vec<LoadedDocument>) -> Result<(), DriverError>;

    /// Compares every shard with its proof, makes all durable and then visible in one step.
    fn finish(self: Box<Self>, proofs: Vec<Proof>) -> Result<(), DriverError>;
}
