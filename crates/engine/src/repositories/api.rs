//! Repositories as dialects see them.

use std::sync::Arc;

use bytes::Bytes;
use snapkeep_vault::storage::{FileKind, PutMode, Storage};

use super::open::{OpenFailure, is_denied};
use super::{FsSettings, OpenVault};
use crate::catalogue::RepositoryRow;
use crate::engine::{Engine, Inner};
use crate::error::{CreationFailure, EngineError};
use crate::ids::new_uuid;
use crate::model::{RepositoryEnvironment, RepositoryInfo, RepositorySpec, Verification};
use crate::names::check_repository_name;

/// Size of the probe of a verification, bytes.
const PROBE_BYTES: usize = 4096;
/// The one known type.
const FS: &str = "fs";

impl Engine {
    /// Registers or changes a repository. With `verify` a probe is then written and read; when that fails the repository stays
    /// registered and the error is [`EngineError::RepositoryVerification`].
    pub async fn put_repository(
        &self,
        name: &str,
        spec: RepositorySpec,
        verify: bool,
    ) -> Result<(), EngineError> {
        let engine = self.clone();
        let name = name.to_owned();
        self.detached(async move { engine.put_repository_here(&name, spec, verify).await })
            .await
    }

    async fn put_repository_here(
        &self,
        name: &str,
        spec: RepositorySpec,
        verify: bool,
    ) -> Result<(), EngineError> {
        let inner = &self.inner;
        check_repository_name(name).map_err(|rule| EngineError::InvalidRepositoryName {
            name: name.to_owned(),
            rule,
        })?;
        if spec.kind != FS {
            return Err(EngineError::RepositoryTypeUnknown {
                repository: name.to_owned(),
                kind: spec.kind,
            });
        }
        let refused = |cause| EngineError::RepositoryCreation {
            repository: name.to_owned(),
            cause,
        };
        let settings = FsSettings::parse(&spec.settings, &inner.config).map_err(refused)?;
        let before = inner.catalogue.repository(name).await?;
        if let Some(before) = &before {
            self.refuse_change_in_use(before, &settings)?;
        }
        let opened = self.open_for_registration(&settings, verify).await;
        if let Err(OpenFailure::Refused(cause)) = opened {
            return Err(refused(cause));
        }
        let known_vault = before.filter(|row| {
            inner
                .settings_of(row)
                .is_ok_and(|old| old.location == settings.location)
        });
        let vault_id = match &opened {
            Ok(Some(vault)) => Some(vault.id.clone()),
            _ => known_vault.and_then(|row| row.vault),
        };
        if let Ok(Some(vault)) = &opened {
            vault
                .limits
                .set(settings.snapshot_rate, settings.restore_rate);
            super::reconcile(inner, vault).await?;
        }
        let row = RepositoryRow {
            name: name.to_owned(),
            kind: spec.kind,
            settings: spec.settings,
            vault: vault_id,
        };
        inner.catalogue.put_repository(&row).await?;
        let failure = match opened {
            Ok(_) | Err(OpenFailure::Refused(_)) => None,
            // Nothing is there yet and nothing may be written: whoever writes to it comes later.
            Err(OpenFailure::Absent(_)) if settings.readonly => None,
            Err(OpenFailure::Absent(cause)) => Some((cause, false)),
            Err(OpenFailure::Unreachable { cause, denied }) => Some((cause, denied)),
        };
        inner
            .vaults
            .set_trouble(name, failure.as_ref().map(|(cause, _)| cause.clone()));
        if !verify {
            return Ok(());
        }
        match failure {
            Some((cause, denied)) => Err(EngineError::RepositoryVerification {
                repository: name.to_owned(),
                location: settings.location.display().to_string(),
                cause,
                denied,
            }),
            None => self.verify_repository(name).await.map(|_| ()),
        }
    }

    /// A repository that is worked on may change its rates but not its place.
    fn refuse_change_in_use(
        &self,
        before: &RepositoryRow,
        settings: &FsSettings,
    ) -> Result<(), EngineError> {
        let old = self.inner.settings_of(before).ok();
        let same_place = old.is_some_and(|old| {
            old.location == settings.location && old.readonly == settings.readonly
        });
        match self.inner.activity().use_of(&before.name, None) {
            Some(by) if !same_place => Err(EngineError::RepositoryInUse {
                repository: before.name.clone(),
                by,
            }),
            _ => Ok(()),
        }
    }

    /// Opens what is at the new place. Without `verify` nothing is made there yet.
    async fn open_for_registration(
        &self,
        settings: &FsSettings,
        verify: bool,
    ) -> Result<Option<Arc<OpenVault>>, OpenFailure> {
        let settings = settings.clone();
        let opened = self
            .inner
            .blocking(move |inner| {
                if !verify && !settings.location.join("config").exists() {
                    return Ok(Ok(None));
                }
                if verify && let Some(open) = inner.vaults.opened(&settings.location) {
                    // Somebody may have removed the files of an open repository; it is made anew then.
                    if open
                        .throttled
                        .exists(FileKind::Config, "")
                        .is_ok_and(|exists| !exists)
                    {
                        inner.vaults.close(&settings.location);
                    }
                }
                Ok(inner.vaults.open(&settings, false).map(Some))
            })
            .await;
        opened.unwrap_or_else(|error| {
            Err(OpenFailure::Refused(CreationFailure::Other(
                error.to_string(),
            )))
        })
    }

    /// Registers a repository unless one of this name is there; what is there stays as it is. For dialects that have a repository
    /// of their own. Its folder is made when it is first used.
    pub async fn ensure_repository(
        &self,
        name: &str,
        spec: RepositorySpec,
    ) -> Result<RepositoryInfo, EngineError> {
        if self.inner.catalogue.repository(name).await?.is_none() {
            self.put_repository(name, spec, false).await?;
        }
        self.repository(name).await
    }

    /// All repositories, sorted by name.
    pub async fn repositories(&self) -> Result<Vec<RepositoryInfo>, EngineError> {
        let rows = self.inner.catalogue.repositories().await?;
        Ok(rows
            .into_iter()
            .map(|row| describe(&self.inner, row))
            .collect())
    }

    /// One repository.
    pub async fn repository(&self, name: &str) -> Result<RepositoryInfo, EngineError> {
        let row = self.inner.registered(name).await?;
        Ok(describe(&self.inner, row))
    }

    /// Forgets a repository; its data stays.
    pub async fn remove_repository(&self, name: &str) -> Result<(), EngineError> {
        self.inner.registered(name).await?;
        let used = self.inner.activity().use_of(name, None);
        if let Some(by) = used {
            return Err(EngineError::RepositoryInUse {
                repository: name.to_owned(),
                by,
            });
        }
        self.inner.catalogue.remove_repository(name).await?;
        self.inner.vaults.set_trouble(name, None);
        Ok(())
    }

    /// Writes, reads and removes a probe (read-only: reads what is there).
    pub async fn verify_repository(&self, name: &str) -> Result<Verification, EngineError> {
        let row = self.inner.registered(name).await?;
        let settings = self.inner.settings_of(&row)?;
        let location = settings.location.display().to_string();
        let failed = |cause: String, denied| EngineError::RepositoryVerification {
            repository: name.to_owned(),
            location: location.clone(),
            cause,
            denied,
        };
        let readonly = settings.readonly;
        let known = row.vault.is_some();
        let probed = self
            .inner
            .blocking(move |inner| {
                let vault = match inner.vaults.open(&settings, known) {
                    Ok(vault) => vault,
                    Err(OpenFailure::Absent(_)) if readonly => return Ok(Ok(0)),
                    Err(OpenFailure::Absent(cause)) => return Ok(Err((cause, false))),
                    Err(OpenFailure::Refused(failure)) => {
                        return Ok(Err((failure.to_string(), false)));
                    }
                    Err(OpenFailure::Unreachable { cause, denied }) => {
                        return Ok(Err((cause, denied)));
                    }
                };
                Ok(probe(vault.files.as_ref(), readonly))
            })
            .await?;
        let probe_bytes = probed.map_err(|(cause, denied)| failed(cause, denied))?;
        if !readonly || row.vault.is_some() {
            let vault = self.inner.open_vault(&row).await?;
            super::reconcile(&self.inner, &vault).await?;
        }
        Ok(Verification {
            location,
            probe_bytes,
        })
    }

    /// What stock restic needs to use the repository.
    pub async fn repository_environment(
        &self,
        name: &str,
    ) -> Result<RepositoryEnvironment, EngineError> {
        let row = self.inner.registered(name).await?;
        let settings = self.inner.settings_of(&row)?;
        let location = std::path::absolute(&settings.location).unwrap_or(settings.location);
        Ok(RepositoryEnvironment {
            repository: location.display().to_string(),
            password: String::from_utf8_lossy(self.inner.vaults.password().as_bytes()).into_owned(),
        })
    }

    /// Lists the repository's snapshots anew (somebody else may have written to it) and brings the catalogue up to date.
    pub async fn refresh_repository(&self, repository: &str) -> Result<(), EngineError> {
        let row = self.inner.registered(repository).await?;
        let vault = self.inner.open_vault(&row).await?;
        super::reconcile(&self.inner, &vault).await
    }
}

fn describe(inner: &Inner, row: RepositoryRow) -> RepositoryInfo {
    let settings = FsSettings::parse(&row.settings, &inner.config);
    let trouble = settings
        .as_ref()
        .err()
        .map(ToString::to_string)
        .or_else(|| inner.vaults.trouble(&row.name));
    let settings = settings.ok();
    RepositoryInfo {
        uuid: row.vault,
        readonly: settings.as_ref().is_some_and(|settings| settings.readonly),
        snapshot_bytes_per_sec: settings
            .as_ref()
            .and_then(|settings| settings.snapshot_rate),
        restore_bytes_per_sec: settings.as_ref().and_then(|settings| settings.restore_rate),
        name: row.name,
        kind: row.kind,
        settings: row.settings,
        trouble,
    }
}

/// Bytes that went there and back; otherwise the cause, and whether permissions are it.
fn probe(storage: &dyn Storage, readonly: bool) -> Result<u64, (String, bool)> {
    if readonly {
        storage
            .list(FileKind::Snapshot)
            .map_err(|error| (error.to_string(), is_denied(&error)))?;
        return Ok(0);
    }
    // No folder of its own, which would stay behind when the probe is removed.
    let name = format!("tests-{}.dat", new_uuid());
    let content = Bytes::from(
        (0..PROBE_BYTES)
            .map(|at| (at % 251) as u8)
            .collect::<Vec<_>>(),
    );
    let there_and_back = storage
        .put(FileKind::Side, &name, content.clone(), PutMode::Create)
        .and_then(|()| storage.get(FileKind::Side, &name));
    // Also after an error: whatever was written is of no use.
    let removed = storage.delete(FileKind::Side, &name);
    let read = there_and_back.map_err(|error| (error.to_string(), is_denied(&error)))?;
    removed.map_err(|error| (error.to_string(), is_denied(&error)))?;
    if read == content {
        Ok(PROBE_BYTES as u64)
    } else {
        Err((
            "the probe that was read is not the one that was written".to_owned(),
            false,
        ))
    }
}
