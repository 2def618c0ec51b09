//! Key files: one for each password.

use super::Repository;
use super::open::{check_name, internal};
use super::retry::retry;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{FormatError, KdfParams, KeyFile, MasterKey, Time};
use crate::ids::KeyId;
use crate::password::Password;
use crate::storage::{FileKind, PutMode, Storage};
use bytes::Bytes;

/// One password of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its file.
    pub id: KeyId,
    /// Who added it, or the label it was given.
    pub username: String,
    /// On which machine.
    pub hostname: String,
    /// When.
    pub created: Time,
    /// Whether this process opened the repository with it.
    pub is_current: bool,
}

impl Repository {
    /// All keys that can be read, in the order of their ids; a damaged one gives a warning.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, VaultError> {
        let mut keys = Vec::new();
        let storage = &self.inner.storage;
        let never = CancelFlag::new();
        for entry in retry(&never, || storage.list(FileKind::Key))? {
            let file = retry(&never, || storage.get(FileKind::Key, &entry.name))?;
            let parsed = KeyFile::parse(&file).and_then(|key| {
                let id = entry.name.parse::<KeyId>();
                id.map(|id| (id, key))
                    .map_err(|error| FormatError::Malformed(error.to_string()))
            });
            match parsed {
                Ok((id, key)) => keys.push(KeyInfo {
                    id,
                    username: key.username,
                    hostname: key.hostname,
                    created: key.created,
                    is_current: id == self.inner.key_id,
                }),
                Err(error) => self.warn(
                    format!("keys/{}", entry.name),
                    format!("a key file that cannot be read is ignored: {error}"),
                ),
            }
        }
        Ok(keys)
    }

    /// Adds a password. `label` is shown as the user of the key, also by stock restic.
    pub fn add_key(
        &self,
        password: &Password,
        kdf: KdfParams,
        label: &str,
    ) -> Result<KeyId, VaultError> {
        let hostname = &self.inner.options.hostname;
        let json = KeyFile::create(&self.inner.key, password, kdf, label, hostname)
            .and_then(|file| file.to_json())
            .map_err(internal)?;
        let id = KeyId::of(&json);
        let data = Bytes::from(json);
        retry(&CancelFlag::new(), || {
            self.inner.storage.put(
                FileKind::Key,
                &id.to_string(),
                data.clone(),
                PutMode::Overwrite,
            )
        })?;
        Ok(id)
    }

    /// Removes a password: never the last, nor the one in use.
    pub fn remove_key(&self, id: &KeyId) -> Result<(), VaultError> {
        let keys = self.keys()?;
        if !keys.iter().any(|key| key.id == *id) {
            return Err(VaultError::MissingKey { id: id.to_string() });
        }
        let in_use = |reason| VaultError::KeyInUse {
            id: id.to_string(),
            reason,
        };
        if keys.len() == 1 {
            return Err(in_use("the last one: add another key first"));
        }
        if *id == self.inner.key_id {
            return Err(in_use(
                "the one in use: open the repository with another password first (the server's is in repository.key)",
            ));
        }
        self.inner.storage.delete(FileKind::Key, &id.to_string())?;
        Ok(())
    }
}

/// The first key that opens with `password`. A damaged key file is reported only if no other opens.
pub(super) fn find_key(
    storage: &dyn Storage,
    password: &Password,
) -> Result<(KeyId, MasterKey), VaultError> {
    let mut damage = None;
    let never = CancelFlag::new();
    for entry in retry(&never, || storage.list(FileKind::Key))? {
        let read = retry(&never, || match storage.get(FileKind::Key, &entry.name) {
            Err(error) if error.is_not_found() => Ok(None),
            result => result.map(Some),
        });
        let Some(file) = read? else {
            continue;
        };
        let checked = check_name(Part::Key, &entry.name, &file);
        let opened = checked.and_then(|()| {
            KeyFile::parse(&file)
                .and_then(|key| key.open(password))
                .map(Some)
                .or_else(|error| match error {
                    FormatError::WrongPassword => Ok(None),
                    error => Err(VaultError::damaged(Part::Key, &entry.name, error)),
                })
        });
        match opened {
            Ok(Some(key)) => return Ok((KeyId::of(&file), key)),
            Ok(None) => {}
            Err(error) => damage = Some(error),
        }
    }
    Err(damage.unwrap_or_else(|| VaultError::WrongPassword {
        location: storage.location(),
    }))
}
