//! Making and opening repositories.

use super::handle::Inner;
use super::keys::find_key;
use super::retry::retry;
use super::{Repository, RepositoryOptions};
use crate::blob_index::BlobIndex;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{ConfigFile, FormatError, KeyFile, MasterKey};
use crate::ids::{KeyId, RepositoryId};
use crate::password::Password;
use crate::storage::{FileKind, PutMode, Storage};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

impl Repository {
    /// Makes a new repository that opens with `password`.
    ///
    /// The key file is written before the config: a crash between the two leaves a place that is no repository yet, and making
    /// one there again succeeds.
    pub fn init(
        storage: Arc<dyn Storage>,
        password: &Password,
        options: &RepositoryOptions,
    ) -> Result<Self, VaultError> {
        if Self::exists(storage.as_ref())? {
            return Err(VaultError::AlreadyExists {
                location: storage.location(),
            });
        }
        let key = MasterKey::generate();
        let config = ConfigFile::new(RepositoryId::random());
        let key_file = KeyFile::create(
            &key,
            password,
            options.kdf,
            &options.username,
            &options.hostname,
        );
        let key_json = key_file.and_then(|file| file.to_json()).map_err(internal)?;
        let key_id = KeyId::of(&key_json);
        let sealed_config = Bytes::from(config.seal(&key).map_err(internal)?);
        let key_json = Bytes::from(key_json);
        let never = CancelFlag::new();
        retry(&never, || {
            storage.put(
                FileKind::Key,
                &key_id.to_string(),
                key_json.clone(),
                PutMode::Overwrite,
            )
        })?;
        // Of two that make a repository in the same place at once, one gets this error and its key file is removed again.
        let created = storage.put(FileKind::Config, "", sealed_config, PutMode::Create);
        if let Err(error) = created {
            if error.is_already_exists() {
                storage.delete(FileKind::Key, &key_id.to_string())?;
                return Err(VaultError::AlreadyExists {
                    location: storage.location(),
                });
            }
            return Err(error.into());
        }
        Self::assemble(storage, config, key, key_id, options)
    }

    /// Opens a repository: finds the key that opens with `password`, reads the config, removes left-over locks of this
    /// machine, and reads those index files that the cached index does not cover.
    pub fn open(
        storage: Arc<dyn Storage>,
        password: &Password,
        options: &RepositoryOptions,
    ) -> Result<Self, VaultError> {
        let location = storage.location();
        let never = CancelFlag::new();
        let read = retry(&never, || match storage.get(FileKind::Config, "") {
            Err(error) if error.is_not_found() => Ok(None),
            result => result.map(Some),
        });
        let Some(sealed_config) = read? else {
            return Err(VaultError::NotARepository { location });
        };
        let (key_id, key) = find_key(storage.as_ref(), password)?;
        let config = ConfigFile::open(&key, &sealed_config)
            .map_err(|error| VaultError::from_config(&location, error))?;
        let repository = Self::assemble(storage, config, key, key_id, options)?;
        if let Err(error) = repository.remove_own_stale_locks() {
            tracing::warn!(%error, "left-over locks could not be looked for");
        }
        repository.refresh()?;
        Ok(repository)
    }

    /// Whether the place still holds the repository that was opened. A folder whose storage is no longer mounted, or another
    /// repository in the same place, must neither be written to nor taken for this one.
    ///
    /// # Errors
    /// [`VaultError::NotARepository`], [`VaultError::Replaced`], or what reading its config led to.
    pub fn check_identity(&self) -> Result<(), VaultError> {
        let location = self.inner.storage.location();
        let read = retry(&CancelFlag::new(), || {
            match self.inner.storage.get(FileKind::Config, "") {
                Err(error) if error.is_not_found() => Ok(None),
                result => result.map(Some),
            }
        });
        let Some(sealed) = read? else {
            return Err(VaultError::NotARepository { location });
        };
        match ConfigFile::open(&self.inner.key, &sealed) {
            Ok(config) if config.id == self.inner.config.id => Ok(()),
            _ => Err(VaultError::Replaced { location }),
        }
    }

    /// Whether there is a repository.
    pub fn exists(storage: &dyn Storage) -> Result<bool, VaultError> {
        retry(&CancelFlag::new(), || storage.exists(FileKind::Config, ""))
    }

    fn assemble(
        storage: Arc<dyn Storage>,
        config: ConfigFile,
        key: MasterKey,
        key_id: KeyId,
        options: &RepositoryOptions,
    ) -> Result<Self, VaultError> {
        let dir = options
            .cache_dir
            .as_ref()
            .map(|dir| dir.join(config.id.to_string()).join("index"));
        let index = BlobIndex::open(config.id, dir.as_deref());
        let writers = super::Writers::of(config.id);
        Ok(Self {
            storage: Arc::clone(&storage),
            inner: Arc::new(Inner {
                storage,
                config,
                key,
                key_id,
                options: options.clone(),
                index,
                writers,
                refreshing: Mutex::new(()),
                warnings: Mutex::new(Vec::new()),
            }),
        })
    }
}

/// An encoding that cannot fail for what we put into it.
pub(super) fn internal(error: FormatError) -> VaultError {
    VaultError::Internal(format!("encoding failed: {error}"))
}

/// Checks that a file is what its name says before anything in it is believed.
pub(super) fn check_name(part: Part, name: &str, file: &[u8]) -> Result<(), VaultError> {
    let actual = KeyId::of(file).to_string();
    if actual == name {
        Ok(())
    } else {
        Err(VaultError::damaged(
            part,
            name,
            "its content does not match its name",
        ))
    }
}
