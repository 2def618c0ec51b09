//! The engine as dialects see it. Its methods live beside what they are about: [`crate::repositories`], [`crate::snapshots`],
//! [`crate::restores`], [`crate::volumes`], [`crate::policies`], [`crate::jobs`], [`crate::maintenance`].

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use snapkeep_drivers::DocumentDriver;
use snapkeep_vault::CancelFlag;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::audit::AuditLog;
use crate::catalogue::Catalogue;
use crate::config::EngineConfig;
use crate::credentials::Keeper;
use crate::error::EngineError;
use crate::ids::new_uuid;
use crate::jobs::Activity;
use crate::model::JobEvent;
use crate::policies::ActivePolicies;
use crate::repositories::{Vaults, load_or_create_password};
use crate::volumes::Registry;
use crate::workers::Workers;

/// Events that a slow listener may lag behind.
const EVENT_BUFFER: usize = 1024;
/// How long cancelled jobs may take to end at a shutdown, beyond the deadline given.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// All of Snapkeep behind the dialects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What clones of an [`Engine`] and its jobs share.
pub(crate) struct Inner {
    pub(crate) config: EngineConfig,
    pub(crate) driver: Arc<dyn DocumentDriver>,
    pub(crate) catalogue: Catalogue,
    /// Who may do what.
    pub(crate) keeper: Keeper,
    /// Who did what.
    pub(crate) audit: AuditLog,
    pub(crate) vaults: Vaults,
    pub(crate) runtime: Handle,
    /// This process, as owner of jobs.
    pub(crate) owner: String,
    pub(crate) events: broadcast::Sender<JobEvent>,
    pub(crate) workers: Workers,
    pub(crate) policies: ActivePolicies,
    /// Which volumes and instances there are.
    pub(crate) registry: Registry,
    /// Raised at a shutdown: ends work in the background that is not a job.
    pub(crate) closing: CancelFlag,
    activity: Mutex<Activity>,
    /// Held for as long as the engine lives; the operating system lets it go when the process dies.
    _lock: File,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("data_dir", &self.config.data_dir)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// What is going on.
    pub(crate) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an async answer on a thread that may block.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs something that blocks beside the runtime.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let inner = Arc::clone(self);
        self.runtime
            .spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| EngineError::Internal(error.to_string()))?
    }
}

impl Engine {
    /// Opens (or creates) the catalogue, ends what an earlier process left unfinished, and starts the background workers.
    /// Repositories are opened in the background or when they are first used: one that cannot be reached does not keep the engine
    /// from starting. Must be called on a tokio runtime of several threads, which must outlive the engine.
    pub async fn start(
        config: EngineConfig,
        driver: Arc<dyn DocumentDriver>,
    ) -> Result<Self, EngineError> {
        let lock = lock_data_dir(&config.data_dir)?;
        let password = load_or_create_password(&config.data_dir)?;
        let catalogue = Catalogue::open(&config.data_dir.join("catalogue.sqlite")).await?;
        let keeper = Keeper::load(&catalogue, config.data_dir.clone()).await?;
        let runtime = Handle::current();
        let inner = Arc::new(Inner {
            vaults: Vaults::new(password, &config).map_err(|cause| {
                EngineError::Internal(format!("cannot start threads for transfers: {cause}"))
            })?,
            driver,
            keeper,
            audit: AuditLog::new(&config.data_dir),
            catalogue,
            runtime,
            owner: new_uuid(),
            events: broadcast::Sender::new(EVENT_BUFFER),
            workers: Workers::new(),
            policies: ActivePolicies::new(),
            registry: Registry::default(),
            closing: CancelFlag::new(),
            activity: Mutex::new(Activity::default()),
            config,
            _lock: lock,
        });
        crate::volumes::thaw_leftovers(&inner).await?;
        crate::jobs::recover(&inner).await?;
        crate::policies::recover(&inner).await?;
        if let Err(error) = inner.scan_volumes().await {
            tracing::warn!(%error, "which volumes there are is looked up when they are asked for");
        }
        crate::workers::start(&inner);
        Ok(Self { inner })
    }

    /// Name of the repository that points go to for which none is named.
    pub fn points_repository(&self) -> &str {
        &self.inner.config.volumes.repository
    }

    /// Takes no new work, lets running jobs end until the deadline, then cancels them; each is recorded with the reason.
    pub async fn shutdown(&self, deadline: Duration) {
        self.inner.activity().closed = true;
        if !self.wait_for_jobs(deadline).await {
            for job in self.inner.activity().jobs.values() {
                job.cancel("the server was shut down");
            }
            if !self.wait_for_jobs(CANCEL_GRACE).await {
                tracing::error!("jobs did not end in time; they are failed at the next start");
            }
        }
        self.inner.policies.wait_idle(CANCEL_GRACE).await;
        self.inner.closing.cancel();
        self.inner.workers.stop(CANCEL_GRACE).await;
        if let Err(error) = self.inner.audit.flush(&self.inner).await {
            tracing::error!(%error, "the last records of the audit log are in audit.jsonl only");
        }
        self.inner.catalogue.close().await;
    }

    /// Goes through with something although the caller may leave: a job that was begun must also be done.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let work = self.inner.runtime.spawn(work);
        work.await
            .map_err(|error| EngineError::Internal(error.to_string()))?
    }

    /// True when no job runs any more.
    async fn wait_for_jobs(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        loop {
            let job = self.inner.activity().jobs.values().next().cloned();
            let Some(job) = job else { return true };
            if tokio::time::timeout_at(until, job.wait()).await.is_err() {
                return false;
            }
            // Its end was told just before it left the list, or just after.
            tokio::task::yield_now().await;
        }
    }
}

/// Takes the data folder for this process.
fn lock_data_dir(data_dir: &Path) -> Result<File, EngineError> {
    let problem = |cause: std::io::Error| {
        EngineError::Configuration(format!("data folder {}: {cause}", data_dir.display()))
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(problem)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(data_dir.join("engine.lock"))
        .map_err(problem)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever is named is only a hint; the lock itself is what counts.
            let _ = file.read_to_string(&mut holder);
            return Err(EngineError::DataDirectoryInUse {
                path: data_dir.display().to_string(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(problem(error)),
    }
    file.set_len(0).map_err(problem)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
        .map_err(problem)?;
    Ok(file)
}
