//! Operations on objects and their outcomes.

use std::fmt;

use serde_json::{Map, Value};

use super::{Object, ObjectId, ObjectVector};
use crate::{StoreError, WriteResult};

/// An object to write.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// Id.
    pub id: ObjectId,
    /// Properties, kept in this order.
    pub properties: Map<String, Value>,
    /// Vectors, each name once.
    pub vectors: Vec<ObjectVector>,
    /// Creation time in milliseconds since 1970. `None`: that of the copy it replaces, else now.
    pub created_ms: Option<i64>,
    /// Time of this change. `None`: now.
    pub updated_ms: Option<i64>,
}

impl NewObject {
    /// An object without vectors, created now.
    pub fn new(id: ObjectId, properties: Map<String, Value>) -> Self {
        NewObject {
            id,
            properties,
            vectors: Vec::new(),
            created_ms: None,
            updated_ms: None,
        }
    }
}

/// What a put does about an object of the same id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Writes in any case.
    #[default]
    Upsert,
    /// Refuses with [`StoreError::ObjectExists`] when it is there.
    Create,
    /// Refuses with [`StoreError::ObjectNotFound`] when it is not.
    Replace,
}

/// Changes an object in place, with nobody else writing it meanwhile. `properties` and `vectors` are taken
/// over; `updated_ms` becomes the time of the write unless the change sets another; the id stays. An error
/// leaves the object as it was and is the operation's outcome. It must not call the store, whose lock it holds.
pub type ObjectChange = Box<dyn FnOnce(&mut Object) -> Result<(), StoreError> + Send>;

/// What to do.
pub enum ObjectOpKind {
    /// Writes a whole object.
    Put {
        /// The object.
        object: NewObject,
        /// Whether it may or must be there.
        mode: PutMode,
    },
    /// Reads, changes and writes an object; [`StoreError::ObjectNotFound`] when it is not there.
    Modify {
        /// Which.
        id: ObjectId,
        /// How.
        change: ObjectChange,
    },
    /// Removes an object; not there is [`WriteResult::NotFound`], no error.
    Delete {
        /// Which.
        id: ObjectId,
    },
}

impl fmt::Debug for ObjectOpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectOpKind::Put { object, mode } => f
                .debug_struct("Put")
                .field("id", &object.id)
                .field("mode", mode)
                .finish(),
            ObjectOpKind::Modify { id, .. } => f.debug_struct("Modify").field("id", id).finish(),
            ObjectOpKind::Delete { id } => f.debug_struct("Delete").field("id", id).finish(),
        }
    }
}

/// One operation. `Collection` may be an alias.
#[derive(Debug)]
pub struct ObjectOp {
    /// Collection or alias.
    pub collection: String,
    /// Tenant; exactly where the collection has tenants.
    pub tenant: Option<String>,
    /// What to do.
    pub kind: ObjectOpKind,
}

impl ObjectOp {
    /// Writes an object whether or not it is there.
    pub fn put(collection: impl Into<String>, tenant: Option<String>, object: NewObject) -> Self {
        ObjectOp {
            collection: collection.into(),
            tenant,
            kind: ObjectOpKind::Put {
                object,
                mode: PutMode::Upsert,
            },
        }
    }

    /// Removes an object.
    pub fn delete(collection: impl Into<String>, tenant: Option<String>, id: ObjectId) -> Self {
        ObjectOp {
            collection: collection.into(),
            tenant,
            kind: ObjectOpKind::Delete { id },
        }
    }

    /// Changes an object.
    pub fn modify(
        collection: impl Into<String>,
        tenant: Option<String>,
        id: ObjectId,
        change: impl FnOnce(&mut Object) -> Result<(), StoreError> + Send + 'static,
    ) -> Self {
        ObjectOp {
            collection: collection.into(),
            tenant,
            kind: ObjectOpKind::Modify {
                id,
                change: Box::new(change),
            },
        }
    }
}

/// What an operation did; durable when it is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectOutcome {
    /// Id.
    pub id: ObjectId,
    /// What happened: created, updated, deleted or not found.
    pub result: WriteResult,
    /// Version now; 0 when nothing was there to delete.
    pub version: u64,
    /// Creation time in milliseconds since 1970; 0 after a delete.
    pub created_ms: i64,
    /// Time of this change; 0 after a delete.
    pub updated_ms: i64,
}
