//! Writing objects.

use std::cell::RefCell;
use std::sync::Arc;

use super::catalogue::{Collection, encode_lengths, lengths_key};
use super::codec::{self, Encoded};
use super::{
    NewObject, Object, ObjectChange, ObjectId, ObjectOp, ObjectOpKind, ObjectOutcome, ObjectVector,
    PutMode,
};
use crate::store::Core;
use crate::write::batch::{self, Content, Current, ShardBatch};
use crate::{DocumentRef, Store, StoreError, WriteResult};

/// Most dimensions of a vector, and most rows of a multi-vector.
const MAX_DIMS: u32 = 65_535;
/// Most vectors of one object.
const MAX_VECTORS: usize = 256;
/// Largest object in bytes, properties and vectors together.
const MAX_OBJECT_BYTES: usize = 100 << 20;

type Outcome = Result<ObjectOutcome, StoreError>;

impl Store {
    /// Performs the operations in order as one durable batch (one sync) and tells each outcome, by
    /// position. All that succeed are on disk together when this returns.
    pub fn write_objects(&self, ops: Vec<ObjectOp>) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(ops.len(), || None);
        let mut prepared = Vec::with_capacity(ops.len());
        for (position, op) in ops.into_iter().enumerate() {
            match Prepared::new(&self.core, position, op) {
                Ok(op) => prepared.push(op),
                Err(error) => outcomes[position] = Some(Err(error)),
            }
        }
        if let Err(error) = commit(&self.core, &prepared, &mut outcomes) {
            for op in &prepared {
                outcomes[op.position] = Some(Err(error.clone()));
            }
        }
        let unanswered = || StoreError::illegal("the operation was not performed");
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| Err(unanswered())))
            .collect()
    }

    /// One object. Sees every acknowledged write.
    pub fn get_object(
        &self,
        collection: &str,
        tenant: Option<&str>,
        id: ObjectId,
    ) -> Result<Option<Object>, StoreError> {
        self.peek().object(collection, tenant, id)
    }
}

/// An operation that passed the checks that need no lock.
struct Prepared {
    position: usize,
    collection: Arc<Collection>,
    tenant: Option<String>,
    shard: u16,
    id: ObjectId,
    id_text: String,
    kind: Kind,
}

enum Kind {
    Put {
        encoded: Encoded,
        mode: PutMode,
        created_ms: Option<i64>,
        updated_ms: Option<i64>,
    },
    /// Taken out when it is performed.
    Modify(RefCell<Option<ObjectChange>>),
    Delete,
}

impl Prepared {
    fn new(core: &Core, position: usize, op: ObjectOp) -> Result<Self, StoreError> {
        let catalogue = core.catalogue();
        let collection = Arc::clone(catalogue.collections.resolve(&op.collection)?);
        let id = match &op.kind {
            ObjectOpKind::Put { object, .. } => object.id,
            ObjectOpKind::Modify { id, .. } | ObjectOpKind::Delete { id } => *id,
        };
        let shard = collection.shard_for(op.tenant.as_deref(), id)?;
        let kind = match op.kind {
            ObjectOpKind::Put { object, mode } => put(core, &collection, object, mode)?,
            ObjectOpKind::Modify { change, .. } => Kind::Modify(RefCell::new(Some(change))),
            ObjectOpKind::Delete { .. } => Kind::Delete,
        };
        Ok(Prepared {
            position,
            collection,
            tenant: op.tenant,
            shard,
            id,
            id_text: id.to_string(),
            kind,
        })
    }
}

fn put(
    core: &Core,
    collection: &Collection,
    object: NewObject,
    mode: PutMode,
) -> Result<Kind, StoreError> {
    Ok(Kind::Put {
        encoded: encode(core, collection, &object.properties, &object.vectors)?,
        mode,
        created_ms: object.created_ms,
        updated_ms: object.updated_ms,
    })
}

fn encode(
    core: &Core,
    collection: &Collection,
    properties: &serde_json::Map<String, serde_json::Value>,
    vectors: &[ObjectVector],
) -> Result<Encoded, StoreError> {
    check_vectors(vectors)?;
    claim_lengths(core, collection, vectors)?;
    let encoded = Encoded::new(properties, vectors)?;
    if encoded.source_bytes() + encoded.tail.len() > MAX_OBJECT_BYTES {
        return Err(StoreError::illegal(format!(
            "the object is larger than {MAX_OBJECT_BYTES} bytes"
        )));
    }
    Ok(encoded)
}

fn check_vectors(vectors: &[ObjectVector]) -> Result<(), StoreError> {
    if vectors.len() > MAX_VECTORS {
        return Err(StoreError::illegal(format!(
            "an object cannot have more than {MAX_VECTORS} vectors"
        )));
    }
    for (position, vector) in vectors.iter().enumerate() {
        let name = &vector.name;
        let rows = vector.rows.unwrap_or(1);
        if vector.dims > MAX_DIMS || rows > MAX_DIMS {
            return Err(StoreError::illegal(format!(
                "vector [{name}] is longer than {MAX_DIMS}"
            )));
        }
        if vector.values.len() != rows as usize * vector.dims as usize {
            return Err(StoreError::illegal(format!(
                "vector [{name}] has {} values, not {rows} times {}",
                vector.values.len(),
                vector.dims
            )));
        }
        if vectors[..position].iter().any(|other| other.name == *name) {
            return Err(StoreError::illegal(format!(
                "vector [{name}] is given twice"
            )));
        }
    }
    Ok(())
}

/// The first vector of a name says how long all others of that name are.
fn claim_lengths(
    core: &Core,
    collection: &Collection,
    vectors: &[ObjectVector],
) -> Result<(), StoreError> {
    if vectors.is_empty() {
        return Ok(());
    }
    let mut lengths = collection.shared.vector_lengths();
    let mut is_changed = false;
    for vector in vectors.iter().filter(|vector| !vector.values.is_empty()) {
        match lengths.get(&vector.name) {
            Some(&expected) if expected == vector.dims => {}
            Some(&expected) => {
                return Err(StoreError::VectorLength {
                    collection: collection.meta.name.clone(),
                    vector: vector.name.clone(),
                    expected,
                    found: vector.dims,
                });
            }
            None => {
                lengths.insert(vector.name.clone(), vector.dims);
                is_changed = true;
            }
        }
    }
    if is_changed {
        // Not synced: it precedes the object in the journal, and the object's sync covers both.
        let mut batch = core.batch();
        batch.insert(
            core.meta(),
            lengths_key(&collection.data.data_id),
            encode_lengths(&lengths)?,
        );
        core.commit(batch)?;
    }
    Ok(())
}

fn commit(
    core: &Core,
    prepared: &[Prepared],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let groups = batch::group(prepared, |op| {
        let collection = &op.collection;
        (&*collection.data, collection.meta.name.as_str(), op.shard)
    });
    batch::commit(core, &groups, |batch, group| {
        // Asked under the lock: whoever deletes a collection, removes a tenant or makes it cold waits for it.
        let mut access: Option<(Option<&str>, Result<(), StoreError>)> = None;
        for op in &group.ops {
            let tenant = op.tenant.as_deref();
            let checked = access.take().filter(|(known, _)| *known == tenant);
            let (_, allowed) = access.insert(checked.unwrap_or_else(|| (tenant, check(core, op))));
            outcomes[op.position] = Some(match allowed {
                Ok(()) => apply(core, batch, op),
                Err(error) => Err(error.clone()),
            });
        }
    })
}

/// Whether the shard is still the one that the operation was meant for.
fn check(core: &Core, op: &Prepared) -> Result<(), StoreError> {
    op.collection.check_access()?;
    let catalogue = core.catalogue();
    let now = catalogue.collections.get(&op.collection.meta.name)?;
    let is_same = now.data.data_id == op.collection.data.data_id;
    if is_same && now.shard_for(op.tenant.as_deref(), op.id)? == op.shard {
        return Ok(());
    }
    // Made anew in between: the tenant or collection that was meant is no more.
    Err(match &op.tenant {
        Some(tenant) if is_same => StoreError::TenantNotFound {
            collection: op.collection.meta.name.clone(),
            tenant: tenant.clone(),
        },
        _ => StoreError::CollectionNotFound {
            name: op.collection.meta.name.clone(),
        },
    })
}

fn apply<'a>(core: &Core, batch: &mut ShardBatch<'a>, op: &'a Prepared) -> Outcome {
    let current = batch.current(&op.id_text)?;
    let live = current.as_ref().filter(|current| current.is_live());
    let collection = || op.collection.meta.name.clone();
    let missing = || StoreError::ObjectNotFound {
        collection: collection(),
        id: op.id,
    };
    match &op.kind {
        Kind::Put {
            encoded,
            mode,
            created_ms,
            updated_ms,
        } => {
            match (mode, live) {
                (PutMode::Create, Some(_)) => {
                    return Err(StoreError::ObjectExists {
                        collection: collection(),
                        id: op.id,
                    });
                }
                (PutMode::Replace, None) => return Err(missing()),
                _ => {}
            }
            let now = batch.now_ms() as i64;
            let created_ms = match (created_ms, live) {
                (Some(given), _) => *given,
                (None, Some(live)) => {
                    let stored = batch.read(live)?;
                    codec::Stored::parse(&op.id_text, &stored.source, &stored.tail)?.created_ms
                }
                (None, None) => now,
            };
            let times = (created_ms, updated_ms.unwrap_or(now));
            Ok(write(batch, op, current, encoded, times))
        }
        Kind::Modify(change) => {
            let live = live.ok_or_else(missing)?;
            let stored = batch.read(live)?;
            let before = codec::decode(&DocumentRef {
                id: &op.id_text,
                routing: None,
                version: live.row.version,
                seq_no: live.row.seq_no,
                source: &stored.source,
                tail: &stored.tail,
            })?;
            let mut object = before.clone();
            if let Some(change) = change.borrow_mut().take() {
                change(&mut object)?;
            }
            let encoded = encode(core, &op.collection, &object.properties, &object.vectors)?;
            let updated_ms = if object.updated_ms == before.updated_ms {
                batch.now_ms() as i64
            } else {
                object.updated_ms
            };
            let times = (object.created_ms, updated_ms);
            Ok(write(batch, op, current, &encoded, times))
        }
        Kind::Delete if live.is_none() => Ok(outcome(op, WriteResult::NotFound, 0, (0, 0))),
        Kind::Delete => {
            let version = next_version(current.as_ref());
            batch.delete(&op.id_text, current, version);
            Ok(outcome(op, WriteResult::Deleted, version, (0, 0)))
        }
    }
}

fn next_version(current: Option<&Current>) -> u64 {
    current.map_or(1, |current| current.row.version + 1)
}

fn write<'a>(
    batch: &mut ShardBatch<'a>,
    op: &'a Prepared,
    current: Option<Current>,
    encoded: &Encoded,
    (created_ms, updated_ms): (i64, i64),
) -> ObjectOutcome {
    let result = match current.as_ref().is_some_and(Current::is_live) {
        true => WriteResult::Updated,
        false => WriteResult::Created,
    };
    let version = next_version(current.as_ref());
    let content = Content {
        source: encoded.source(created_ms, updated_ms).into(),
        routing: None,
        tail: bytes::Bytes::copy_from_slice(&encoded.tail),
    };
    batch.put(&op.id_text, false, current, version, content);
    outcome(op, result, version, (created_ms, updated_ms))
}

fn outcome(
    op: &Prepared,
    result: WriteResult,
    version: u64,
    (created_ms, updated_ms): (i64, i64),
) -> ObjectOutcome {
    ObjectOutcome {
        id: op.id,
        result,
        version,
        created_ms,
        updated_ms,
    }
}
