//! All credentials and tokens, in memory as in the catalogue.

use std::collections::{BTreeMap, HashMap};

use super::model::{Credential, Kind, Role};

/// A credential as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct CredentialRow {
    pub(crate) credential: Credential,
    /// Hash or sealed secret.
    pub(crate) secret: String,
}

/// A token as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    /// SHA-256, hexadecimal.
    pub(crate) hash: String,
    pub(crate) credential: String,
    pub(crate) project: Option<String>,
    pub(crate) expires_ms: i64,
}

/// What recognising somebody looks things up in.
#[derive(Debug, Default)]
pub(super) struct Roster {
    credentials: BTreeMap<String, CredentialRow>,
    /// Kind and key id to name.
    by_key: HashMap<(Kind, String), String>,
    tokens: HashMap<String, TokenRow>,
}

impl Roster {
    pub(super) fn new(credentials: Vec<CredentialRow>, tokens: Vec<TokenRow>) -> Self {
        let mut roster = Self::default();
        for row in credentials {
            roster.put(row);
        }
        for token in tokens {
            roster.put_token(token);
        }
        roster
    }

    pub(super) fn len(&self) -> usize {
        self.credentials.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Sorted by name.
    pub(super) fn list(&self) -> Vec<Credential> {
        self.credentials
            .values()
            .map(|row| row.credential.clone())
            .collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&CredentialRow> {
        self.credentials.get(name)
    }

    pub(super) fn by_key(&self, kind: Kind, key_id: &str) -> Option<&CredentialRow> {
        let name = self.by_key.get(&(kind, key_id.to_owned()))?;
        self.credentials.get(name)
    }

    pub(super) fn put(&mut self, row: CredentialRow) {
        self.remove(&row.credential.name.clone());
        let key = (row.credential.kind, row.credential.key_id.clone());
        self.by_key.insert(key, row.credential.name.clone());
        self.credentials.insert(row.credential.name.clone(), row);
    }

    /// Takes a credential out, and its tokens with it.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(old) = self.credentials.remove(name) {
            self.by_key
                .remove(&(old.credential.kind, old.credential.key_id));
            self.tokens.retain(|_, token| token.credential != name);
        }
    }

    /// Whether a credential other than `name` could keep credentials.
    pub(super) fn has_other_admin(&self, name: &str) -> bool {
        self.credentials.values().any(|row| {
            let it = &row.credential;
            let can_manage = it.role == Role::Admin && it.limits.is_none();
            // The calls that manage credentials take no signatures.
            it.name != name && can_manage && it.kind != Kind::AccessKey
        })
    }

    pub(super) fn token(&self, hash: &str) -> Option<&TokenRow> {
        self.tokens.get(hash)
    }

    pub(super) fn put_token(&mut self, token: TokenRow) {
        self.tokens.insert(token.hash.clone(), token);
    }

    /// Takes out expired tokens, and the ones of a credential that end first until fewer than `most` are left; gives their hashes.
    pub(super) fn shed_tokens(
        &mut self,
        credential: &str,
        most: usize,
        now_ms: i64,
    ) -> Vec<String> {
        let mut shed: Vec<String> = Vec::new();
        let mut kept: Vec<(i64, String)> = Vec::new();
        for token in self.tokens.values() {
            if token.expires_ms <= now_ms {
                shed.push(token.hash.clone());
            } else if token.credential == credential {
                kept.push((token.expires_ms, token.hash.clone()));
            }
        }
        kept.sort_unstable();
        let beyond = (kept.len() + 1).saturating_sub(most);
        shed.extend(kept.into_iter().take(beyond).map(|(_, hash)| hash));
        for hash in &shed {
            self.tokens.remove(hash);
        }
        shed
    }
}
