//! What can go wrong, with everything a dialect needs to build its own message.

use std::sync::Arc;

use crate::collections::{ObjectId, TenantStatus};

/// A version check that failed; carries the parts of the texts clients read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionConflict {
    /// Name of the index.
    pub index: String,
    /// UUID of the index.
    pub index_uuid: String,
    /// Shard of the document.
    pub shard: u16,
    /// `_id` of the document.
    pub id: String,
    /// The whole reason, in Elasticsearch's words: `[id]: version conflict, …`.
    pub reason: String,
}

/// Every failure of the store. Cheap to clone, since one failed commit answers many operations.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No index or alias of that name.
    #[error("no such index [{name}]")]
    IndexNotFound {
        /// The name asked for.
        name: String,
    },
    /// The name is taken by an index.
    #[error("index [{name}/{uuid}] already exists")]
    IndexExists {
        /// The name asked for.
        name: String,
        /// UUID of the index that has it.
        uuid: String,
    },
    /// The name breaks a rule; `reason` in Elasticsearch's words.
    #[error("Invalid index name [{name}], {reason}")]
    InvalidIndexName {
        /// The name asked for.
        name: String,
        /// Which rule.
        reason: String,
    },
    /// An alias name breaks a rule or collides with an index.
    #[error("Invalid alias name [{name}]: {reason}")]
    InvalidAliasName {
        /// The alias asked for.
        name: String,
        /// Which rule.
        reason: String,
    },
    /// An alias to remove is not there.
    #[error("aliases [{name}] missing")]
    AliasNotFound {
        /// The alias asked for.
        name: String,
    },
    /// The index is closed.
    #[error("closed")]
    IndexClosed {
        /// Name of the index.
        name: String,
        /// UUID of the index.
        uuid: String,
    },
    /// The index is being restored and not readable or writable yet.
    #[error("index [{name}] is being restored; wait for the restore to end or cancel it")]
    IndexRestoring {
        /// Name of the index.
        name: String,
        /// UUID of the index under restore.
        uuid: String,
    },
    /// A restore wants a name whose index is open.
    #[error(
        "cannot restore index [{name}] because an open index with same name already exists in the cluster. Either close or delete the existing index or restore the index under a different name by providing a rename pattern and replacement name"
    )]
    IndexOpen {
        /// Name of the index.
        name: String,
    },
    /// The write is forbidden by a setting (`index.blocks.*`).
    #[error("index [{name}] blocked by: [FORBIDDEN/{block}];")]
    Blocked {
        /// Name of the index.
        name: String,
        /// Number and description, such as `8/index write (api)`.
        block: String,
    },
    /// A version, sequence-number or existence check failed.
    #[error("{}", .0.reason)]
    VersionConflict(Box<VersionConflict>),
    /// An update of a document that is not there, without upsert.
    #[error("[{id}]: document missing")]
    DocumentMissing {
        /// Name of the index.
        index: String,
        /// UUID of the index.
        index_uuid: String,
        /// Shard the document would be in.
        shard: u16,
        /// `_id` of the document.
        id: String,
    },
    /// No collection or alias of that name.
    #[error("no such collection [{name}]")]
    CollectionNotFound {
        /// The name asked for.
        name: String,
    },
    /// The name is taken by a collection or by an alias of one.
    #[error("collection [{name}] already exists")]
    CollectionExists {
        /// The name asked for.
        name: String,
        /// Whether an alias has it.
        is_alias: bool,
    },
    /// The name is reserved by a restore.
    #[error("collection [{name}] is being restored; wait for the restore to end or cancel it")]
    CollectionRestoring {
        /// Name of the collection.
        name: String,
    },
    /// No tenant of that name.
    #[error("no such tenant [{tenant}] in collection [{collection}]")]
    TenantNotFound {
        /// Name of the collection.
        collection: String,
        /// The tenant asked for.
        tenant: String,
    },
    /// The tenant is cold or frozen.
    #[error("tenant [{tenant}] of collection [{collection}] is {}; make it hot first", .status.as_str())]
    TenantNotActive {
        /// Name of the collection.
        collection: String,
        /// The tenant.
        tenant: String,
        /// Its status.
        status: TenantStatus,
    },
    /// The collection has tenants, and none was named.
    #[error("collection [{collection}] has tenants; name one")]
    TenantRequired {
        /// Name of the collection.
        collection: String,
    },
    /// A tenant was named, and the collection has none.
    #[error("collection [{collection}] has no tenants, so tenant [{tenant}] cannot be used")]
    TenantUnexpected {
        /// Name of the collection.
        collection: String,
        /// The tenant named.
        tenant: String,
    },
    /// The object is not there.
    #[error("no object [{id}] in collection [{collection}]")]
    ObjectNotFound {
        /// Name of the collection.
        collection: String,
        /// Id.
        id: ObjectId,
    },
    /// The object is there already.
    #[error("object [{id}] already exists in collection [{collection}]")]
    ObjectExists {
        /// Name of the collection.
        collection: String,
        /// Id.
        id: ObjectId,
    },
    /// A vector has another length than the others of its name.
    #[error(
        "vector [{vector}] of collection [{collection}] has {expected} dimensions, not {found}"
    )]
    VectorLength {
        /// Name of the collection.
        collection: String,
        /// Name of the vector; empty for the unnamed one.
        vector: String,
        /// Dimensions of those that are there.
        expected: u32,
        /// Dimensions given.
        found: u32,
    },
    /// The source is not a JSON object, or clashes with the mapping (`mapper_parsing_exception`).
    #[error("{reason}")]
    MapperParsing {
        /// What Elasticsearch says about it.
        reason: String,
        /// The JSON parser's words, where the source is malformed.
        cause: Option<String>,
    },
    /// A new field in an index whose mapping is `strict` (`strict_dynamic_mapping_exception`).
    #[error(
        "mapping set to strict, dynamic introduction of [{field}] within [{parent}] is not allowed"
    )]
    StrictMapping {
        /// The new field.
        field: String,
        /// The object it is in, `_doc` at the top.
        parent: String,
    },
    /// A caller's mistake (`illegal_argument_exception`).
    #[error("{reason}")]
    IllegalArgument {
        /// What is wrong.
        reason: String,
    },
    /// A template of that name is not there.
    #[error("index_template [{name}] missing")]
    TemplateNotFound {
        /// Name or pattern asked for.
        name: String,
    },
    /// The loaded documents do not match the expected counts and digests.
    #[error(
        "restored shard [{index}][{shard}] does not match the snapshot: {reason}; nothing was made visible, check the repository and restore again"
    )]
    ProofMismatch {
        /// Name of the index.
        index: String,
        /// The shard.
        shard: u16,
        /// Expected and found.
        reason: String,
    },
    /// An earlier write or sync to disk failed; the database refuses writes until it is reopened.
    #[error(
        "the document store refuses writes because an earlier write to disk failed; check the disk (space, errors in the kernel log), then restart the server"
    )]
    Poisoned,
    /// A commit has not come back for seconds; new writes are refused until it does.
    #[error(
        "the document store refuses writes because a commit has been stuck for {seconds} s; check the disk, and restart the server if this goes on"
    )]
    Stalled {
        /// Age of the stuck commit in seconds.
        seconds: u64,
    },
    /// Stored bytes do not parse.
    #[error(
        "damaged record in the document store: {object}: {reason}; restore the index from a snapshot"
    )]
    Damaged {
        /// Which record.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key-value engine or the file system failed.
    #[error("{operation} {object}: {cause}; check the disk and the data directory")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// Why it failed.
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    pub(crate) fn illegal(reason: impl Into<String>) -> Self {
        StoreError::IllegalArgument {
            reason: reason.into(),
        }
    }

    pub(crate) fn storage(
        operation: &'static str,
        object: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        StoreError::Storage {
            operation,
            object: object.into(),
            cause: Arc::new(cause),
        }
    }

    /// Maps the key-value engine's errors; a poisoned database has its own variant.
    pub(crate) fn engine(operation: &'static str, object: &str, cause: fjall::Error) -> Self {
        match cause {
            fjall::Error::Poisoned => StoreError::Poisoned,
            other => Self::storage(operation, object, other),
        }
    }

    /// The request was wrong; repeating it will fail again.
    pub fn is_callers_fault(&self) -> bool {
        !matches!(
            self,
            StoreError::Poisoned
                | StoreError::Stalled { .. }
                | StoreError::Damaged { .. }
                | StoreError::Storage { .. }
                | StoreError::ProofMismatch { .. }
        )
    }

    /// Something asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            StoreError::IndexNotFound { .. }
                | StoreError::AliasNotFound { .. }
                | StoreError::TemplateNotFound { .. }
                | StoreError::DocumentMissing { .. }
                | StoreError::CollectionNotFound { .. }
                | StoreError::TenantNotFound { .. }
                | StoreError::ObjectNotFound { .. }
        )
    }
}
