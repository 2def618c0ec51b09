//! Vaults: repositories that are open.
//!
//! There is one vault a place, however many registrations lead there, so that all jobs on it share one index of blobs and
//! know of each other. The rate limits are those of the registration that was changed last.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use snapkeep_vault::storage::{
    Direction, ObjectStorage, RateLimits, Storage, StorageError, StorageErrorKind, Throttled,
};
use snapkeep_vault::{CancelFlag, Password, Repository, RepositoryOptions, VaultError};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use super::FsSettings;
use crate::catalogue::RepositoryRow;
use crate::config::EngineConfig;
use crate::engine::Inner;
use crate::error::{CreationFailure, EngineError};

/// Snapshots into one repository that are written at the same time; more wait, with what they captured. Each uses all cores and
/// the memory of one backup.
const ACTIVE_SNAPSHOTS: usize = 2;
/// Restores from one repository that are read at the same time.
const ACTIVE_RESTORES: usize = 2;

/// How far backups and checks step back behind requests, as `nice` counts: beside two busy clients on two cores they get a tenth,
/// on idle cores everything.
const WORKER_NICENESS: u8 = 10;
/// Threads that drive transfers; what blocks in them has more.
const IO_THREADS: usize = 2;

/// The runtime of all transfers from and to repositories. It is apart from that of requests, because threads that work for a backup
/// start threads here, which then step back as they do.
struct IoRuntime {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl IoRuntime {
    fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("vault-io")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for IoRuntime {
    fn drop(&mut self) {
        // An engine may be dropped by async code, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A repository that is open.
#[derive(Debug)]
pub(crate) struct OpenVault {
    /// Id of the restic repository.
    pub(crate) id: String,
    pub(crate) repository: Repository,
    pub(crate) location: PathBuf,
    pub(crate) limits: Arc<RateLimits>,
    /// The storage without limits, for probes: somebody waits for their answer.
    pub(crate) files: Arc<dyn Storage>,
    /// The storage with its limits and the time they cost.
    pub(crate) throttled: Arc<Throttled>,
    /// Turns of snapshots.
    pub(crate) snapshot_turns: Semaphore,
    /// Turns of restores.
    pub(crate) restore_turns: Semaphore,
    /// The turn of prunes and repairs: they exclude each other, so that one waits for the end of another of this process.
    pub(crate) prune_turn: Semaphore,
    /// When the catalogue was last compared with the repository.
    pub(crate) compared: tokio::sync::Mutex<Option<Instant>>,
}

impl OpenVault {
    /// The repository for one job: its transfers stop waiting for the rate limit when the job is cancelled.
    pub(crate) fn for_job(&self, cancel: &CancelFlag) -> Repository {
        self.repository
            .with_storage(Arc::new(self.throttled.with_cancel(cancel.clone())))
    }

    /// The same; bytes that the rate limit lets through into the repository are added to `sent`.
    pub(crate) fn for_counted_job(&self, cancel: &CancelFlag, sent: &Arc<AtomicU64>) -> Repository {
        let throttled = self.throttled.with_cancel(cancel.clone());
        self.repository
            .with_storage(Arc::new(throttled.counting_writes(Arc::clone(sent))))
    }

    /// Nanoseconds that writing has waited for the rate limit since the vault was opened.
    pub(crate) fn write_throttled_ns(&self) -> u64 {
        self.throttled.throttled_ns(Direction::Write)
    }

    /// Nanoseconds that reading has waited for the rate limit since the vault was opened.
    pub(crate) fn read_throttled_ns(&self) -> u64 {
        self.throttled.throttled_ns(Direction::Read)
    }
}

/// Whether permissions are the cause.
pub(super) fn is_denied(error: &StorageError) -> bool {
    error.kind == StorageErrorKind::PermissionDenied
}

/// Why a vault cannot be opened.
#[derive(Debug)]
pub(crate) enum OpenFailure {
    /// What is there cannot be ours, now or later.
    Refused(CreationFailure),
    /// There is nothing, and nothing may be made (read-only).
    Absent(String),
    /// The storage cannot be read or written.
    Unreachable { cause: String, denied: bool },
}

/// A place, and the vault there if it is open.
type Slot = Arc<Mutex<Option<Arc<OpenVault>>>>;

/// All open vaults, and what is needed to open more.
pub(crate) struct Vaults {
    password: Password,
    options: RepositoryOptions,
    io: IoRuntime,
    /// One place may be opened by one thread at a time, different places at the same time.
    slots: Mutex<HashMap<PathBuf, Slot>>,
    /// Why registrations could not be opened last time, by name.
    troubles: Mutex<HashMap<String, String>>,
    prune_requests: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vaults {
    pub(crate) fn new(password: Password, config: &EngineConfig) -> std::io::Result<Self> {
        let options = RepositoryOptions {
            cache_dir: Some(config.data_dir.join("cache")),
            memory_limit_bytes: config.memory_limit_bytes,
            workers: config.workers,
            niceness: WORKER_NICENESS,
            ..RepositoryOptions::default()
        };
        Ok(Self {
            password,
            options,
            io: IoRuntime::new()?,
            slots: Mutex::default(),
            troubles: Mutex::default(),
            prune_requests: Mutex::default(),
        })
    }

    /// The password of this server.
    pub(crate) fn password(&self) -> &Password {
        &self.password
    }

    /// The vault at the place of `settings`, opened. Where there is none it is made, unless it is `known` to have been there: then
    /// the place is the wrong one, such as below a file system that is not mounted. The limits of an open one are left alone. Blocks.
    pub(crate) fn open(
        &self,
        settings: &FsSettings,
        known: bool,
    ) -> Result<Arc<OpenVault>, OpenFailure> {
        let slot = Arc::clone(
            lock(&self.slots)
                .entry(settings.location.clone())
                .or_default(),
        );
        let mut slot = lock(&slot);
        if let Some(vault) = slot.as_ref() {
            return Ok(Arc::clone(vault));
        }
        let vault = Arc::new(self.open_anew(settings, known)?);
        *slot = Some(Arc::clone(&vault));
        Ok(vault)
    }

    /// The vault at a place if it is open.
    pub(crate) fn opened(&self, location: &Path) -> Option<Arc<OpenVault>> {
        let slot = lock(&self.slots).get(location).cloned()?;
        // Whoever is opening it holds the slot; it is not open then.
        slot.try_lock().ok()?.clone()
    }

    /// An open vault by the id of its repository.
    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<OpenVault>> {
        let slots: Vec<_> = lock(&self.slots).values().cloned().collect();
        slots
            .iter()
            .filter_map(|slot| slot.try_lock().ok()?.clone())
            .find(|vault| vault.id == id)
    }

    /// Forgets an open vault, so that the next use opens it anew.
    pub(crate) fn close(&self, location: &Path) {
        lock(&self.slots).remove(location);
    }

    fn open_anew(&self, settings: &FsSettings, known: bool) -> Result<OpenVault, OpenFailure> {
        let location = &settings.location;
        let may_make = !settings.readonly && !known;
        let absent = || {
            let advice = if known {
                ", where it was registered; is its storage mounted, and is --repo-root the one that it was registered under? \
                 to begin with an empty one there, register it again"
            } else {
                ""
            };
            let place = location.display();
            OpenFailure::Absent(format!("there is no repository in {place}{advice}"))
        };
        if !location.exists() {
            if !may_make {
                return Err(absent());
            }
            std::fs::create_dir_all(location).map_err(|error| io_failure(&error))?;
        }
        let files = ObjectStorage::local(location, self.io.handle.clone())
            .map_err(|error| unreachable(&error.into()))?;
        let files: Arc<dyn Storage> = Arc::new(files);
        let limits = Arc::new(RateLimits::new(
            settings.snapshot_rate,
            settings.restore_rate,
        ));
        let throttled = Arc::new(Throttled::new(Arc::clone(&files), Arc::clone(&limits)));
        let storage: Arc<dyn Storage> = Arc::clone(&throttled) as Arc<dyn Storage>;
        let repository = match Repository::open(Arc::clone(&storage), &self.password, &self.options)
        {
            Err(VaultError::NotARepository { .. }) if may_make => {
                Repository::init(storage, &self.password, &self.options)
            }
            result => result,
        };
        let repository = repository.map_err(|error| match error {
            VaultError::WrongPassword { location } => {
                OpenFailure::Refused(CreationFailure::ForeignPassword { location })
            }
            VaultError::NotARepository { .. } => absent(),
            VaultError::Storage(_) | VaultError::Locked { .. } => unreachable(&error),
            other => OpenFailure::Refused(CreationFailure::Other(other.to_string())),
        })?;
        Ok(OpenVault {
            id: repository.id().to_string(),
            repository,
            location: location.clone(),
            limits,
            files,
            throttled,
            snapshot_turns: Semaphore::new(ACTIVE_SNAPSHOTS),
            restore_turns: Semaphore::new(ACTIVE_RESTORES),
            prune_turn: Semaphore::new(1),
            compared: tokio::sync::Mutex::new(None),
        })
    }

    /// Notes or clears why a registration cannot be opened.
    pub(crate) fn set_trouble(&self, name: &str, trouble: Option<String>) {
        match trouble {
            Some(trouble) => lock(&self.troubles).insert(name.to_owned(), trouble),
            None => lock(&self.troubles).remove(name),
        };
    }

    /// Why a registration could not be opened last time.
    pub(crate) fn trouble(&self, name: &str) -> Option<String> {
        lock(&self.troubles).get(name).cloned()
    }

    /// Asks for the space of deleted snapshots to be reclaimed.
    pub(crate) fn request_prune(&self, vault: &str) {
        lock(&self.prune_requests).insert(vault.to_owned());
    }

    /// The vaults for which that was asked.
    pub(crate) fn take_prune_requests(&self) -> BTreeSet<String> {
        std::mem::take(&mut *lock(&self.prune_requests))
    }
}

fn io_failure(error: &std::io::Error) -> OpenFailure {
    OpenFailure::Unreachable {
        cause: error.to_string(),
        denied: error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

fn unreachable(error: &VaultError) -> OpenFailure {
    let denied = matches!(error, VaultError::Storage(storage) if is_denied(storage));
    OpenFailure::Unreachable {
        cause: error.to_string(),
        denied,
    }
}

impl OpenFailure {
    /// For a repository that is registered and to be used.
    pub(crate) fn into_unavailable(self, repository: &str) -> EngineError {
        let reason = match self {
            Self::Refused(failure) => failure.to_string(),
            Self::Absent(reason) | Self::Unreachable { cause: reason, .. } => reason,
        };
        EngineError::RepositoryUnavailable {
            repository: repository.to_owned(),
            reason,
        }
    }
}

impl Inner {
    /// A registration by name.
    pub(crate) async fn registered(&self, name: &str) -> Result<RepositoryRow, EngineError> {
        let row = self.catalogue.repository(name).await?;
        row.ok_or_else(|| EngineError::RepositoryMissing {
            name: name.to_owned(),
        })
    }

    /// What the settings of a registration mean.
    pub(crate) fn settings_of(&self, row: &RepositoryRow) -> Result<FsSettings, EngineError> {
        FsSettings::parse(&row.settings, &self.config).map_err(|cause| {
            EngineError::RepositoryUnavailable {
                repository: row.name.clone(),
                reason: cause.to_string(),
            }
        })
    }

    /// The open vault of a registration. One that is opened for the first time is compared with the catalogue.
    pub(crate) async fn open_vault(
        self: &Arc<Self>,
        row: &RepositoryRow,
    ) -> Result<Arc<OpenVault>, EngineError> {
        let settings = self.settings_of(row)?;
        if let Some(vault) = self.vaults.opened(&settings.location)
            && row.vault.as_ref() == Some(&vault.id)
        {
            return Ok(vault);
        }
        let name = row.name.clone();
        let known = row.vault.is_some();
        let opened = self
            .blocking(move |inner| {
                inner
                    .vaults
                    .open(&settings, known)
                    .map_err(|failure| failure.into_unavailable(&name))
            })
            .await;
        self.vaults
            .set_trouble(&row.name, opened.as_ref().err().map(ToString::to_string));
        let vault = opened?;
        if row.vault.as_ref() != Some(&vault.id) {
            super::reconcile(self, &vault).await?;
            self.catalogue
                .set_repository_vault(&row.name, &vault.id)
                .await?;
        }
        Ok(vault)
    }
}
