//! Where the records are kept: one document in the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::errors::WvError;
use super::super::state::WeaviateState;

const DIALECT: &str = "weaviate";
const DOCUMENT: &str = "access";
/// Users, and roles, that are kept; each is about 200 bytes, all are read and written together.
const MAX_RECORDS: usize = 10_000;

/// All users and roles.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Records {
    /// By name: what `GET /authz/roles/{name}` answers.
    pub roles: BTreeMap<String, Value>,
    /// By id.
    pub users: BTreeMap<String, User>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    /// RFC 3339.
    pub created_at: String,
    /// What an administrator recognises its key by.
    pub key_first_letters: String,
}

impl User {
    /// What clients are told.
    pub fn describe(&self, id: &str) -> Value {
        json!({
            "active": true,
            "apiKeyFirstLetters": self.key_first_letters,
            "createdAt": self.created_at,
            "dbUserType": "db_user",
            "roles": [],
            "userId": id,
        })
    }
}

impl Records {
    /// Reads them.
    pub async fn load(state: &WeaviateState) -> Result<Self, WvError> {
        let kept = state.engine.dialect_setting(DIALECT, DOCUMENT).await;
        match kept.map_err(|error| WvError::internal(error.to_string()))? {
            None => Ok(Self::default()),
            Some(kept) => serde_json::from_value(kept)
                .map_err(|error| WvError::internal(format!("users and roles: {error}"))),
        }
    }

    /// Writes them. The caller holds the lock of [`WeaviateState::access`] since it read them.
    pub async fn store(&self, state: &WeaviateState) -> Result<(), WvError> {
        for (kind, count) in [("users", self.users.len()), ("roles", self.roles.len())] {
            if count > MAX_RECORDS {
                return Err(WvError::unprocessable(format!(
                    "there are {MAX_RECORDS} {kind} already: delete some first"
                )));
            }
        }
        state
            .engine
            .put_dialect_setting(DIALECT, DOCUMENT, &json!(self))
            .await
            .map_err(|error| WvError::internal(error.to_string()))
    }
}
