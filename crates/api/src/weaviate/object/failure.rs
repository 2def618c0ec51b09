//! Failures of the store in the words of a real server, which depend on what was going on.

use snapkeep_store::StoreError;
use snapkeep_store::collections::ObjectId;

use crate::weaviate::errors::WvError;

/// What the store was asked for.
#[derive(Debug, Clone, Copy)]
pub enum StorageContext<'a> {
    /// Writing one object.
    Write {
        /// The object, for texts about its vectors.
        id: ObjectId,
        /// The shard it belongs to.
        shard: &'a str,
    },
    /// Writing one object of a batch: without the way down to the shard.
    BatchWrite {
        /// The object, for texts about its vectors.
        id: ObjectId,
    },
    /// Reading one object.
    Read,
    /// Listing.
    List,
    /// Searching: the bare reason.
    Search,
}

/// The bare reason, and whether the caller can mend it.
fn reason(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::TenantRequired { collection } => {
            format!("class {collection} has multi-tenancy enabled, but request was without tenant")
        }
        StoreError::TenantUnexpected { collection, .. } => {
            format!("class {collection} has multi-tenancy disabled, but request was with tenant")
        }
        StoreError::TenantNotFound { tenant, .. } => format!("tenant not found: {tenant:?}"),
        StoreError::TenantNotActive { tenant, .. } => format!("tenant not active: '{tenant}'"),
        _ => return None,
    })
}

fn wrong_length(id: ObjectId, expected: u32, found: u32) -> String {
    format!(
        "Validate vector index for {id}: new node has a vector with length {found}. Existing nodes have vectors with \
         length {expected}: vector dimensions do not match the index dimensions"
    )
}

impl StorageContext<'_> {
    /// The answer for a failure; `class` is the name of the class.
    pub fn error(self, class: &str, error: &StoreError) -> WvError {
        let index = class.to_lowercase();
        if let Some(reason) = reason(error) {
            return WvError::unprocessable(match self {
                // A tenant that does not exist is found out deeper than the rest.
                Self::Write { .. } if matches!(error, StoreError::TenantNotFound { .. }) => {
                    format!("put object: import into index {index}: determine shard: {reason}")
                }
                Self::Write { .. } => format!("determine shard: {reason}"),
                Self::Read => {
                    format!("repo: object by id: search index {index}: determine shard: {reason}")
                }
                Self::List => format!("msg:search index {index} code:422 err:{reason}"),
                Self::Search | Self::BatchWrite { .. } => reason,
            });
        }
        match (error, self) {
            (StoreError::ObjectExists { id, .. }, _) => {
                WvError::unprocessable(format!("id '{id}' already exists"))
            }
            (StoreError::ObjectNotFound { .. } | StoreError::CollectionNotFound { .. }, _) => {
                WvError::not_found()
            }
            (
                StoreError::VectorLength {
                    expected, found, ..
                },
                Self::Write { id, shard },
            ) => WvError::internal(format!(
                "put object: import into index {index}: put local object: shard={shard:?}: store object in LSM store: \
                 {}",
                wrong_length(id, *expected, *found)
            )),
            (
                StoreError::VectorLength {
                    expected, found, ..
                },
                Self::BatchWrite { id },
            ) => WvError::internal(wrong_length(id, *expected, *found)),
            (
                StoreError::VectorLength {
                    expected, found, ..
                },
                _,
            ) => WvError::unprocessable(format!(
                "vector search: vector lengths don't match: {expected} vs {found}"
            )),
            (StoreError::CollectionRestoring { name }, _) => WvError::unprocessable(format!(
                "class {name} is being restored; wait for the restore to end or cancel it"
            )),
            (other, _) => WvError::internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_refused_in_the_words_of_the_operation() {
        let cold = StoreError::TenantRequired {
            collection: "Tenanted".to_owned(),
        };
        assert_eq!(
            StorageContext::Read.error("Tenanted", &cold).message(),
            "repo: object by id: search index tenanted: determine shard: class Tenanted has multi-tenancy enabled, \
             but request was without tenant"
        );
        let unknown = StoreError::TenantNotFound {
            collection: "Tenanted".to_owned(),
            tenant: "nope".to_owned(),
        };
        let write = StorageContext::Write {
            id: ObjectId([0; 16]),
            shard: "S",
        };
        assert_eq!(
            write.error("Tenanted", &unknown).message(),
            "put object: import into index tenanted: determine shard: tenant not found: \"nope\""
        );
        assert_eq!(
            StorageContext::List.error("Tenanted", &unknown).message(),
            "msg:search index tenanted code:422 err:tenant not found: \"nope\""
        );
    }
}
