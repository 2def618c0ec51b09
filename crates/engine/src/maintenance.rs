//! Checking repositories, reclaiming space in them, and their passwords.

use std::sync::Arc;

use serde_json::{Value, json};
use snapkeep_vault::{
    CheckOptions, CheckProgress, CheckReport, KdfParams, KeyId, Password, PruneOptions,
    PruneReport, ReadData, RepairOptions, RepairReport, VaultError,
};

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ReadonlyOperation};
use crate::jobs::{JobSpec, Outcome, RunningJob};
use crate::model::{
    CheckRequest, CleanupResult, JobInfo, JobKind, JobProgress, JobState, JobTicket, KeyDescription,
};
use crate::repositories::OpenVault;

/// Problems that the report of a check lists; the count tells of more.
const LISTED_PROBLEMS: usize = 1000;

fn unavailable(repository: &str, error: &VaultError) -> EngineError {
    EngineError::RepositoryUnavailable {
        repository: repository.to_owned(),
        reason: error.to_string(),
    }
}

impl Engine {
    /// Starts a check of a repository; the report is the result of the job. The job fails when there are problems.
    pub async fn check(
        &self,
        repository: &str,
        request: CheckRequest,
    ) -> Result<JobTicket, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        self.detached(async move { engine.check_here(&repository, request, false).await })
            .await
    }

    /// Starts a repair of a repository and the check of what came of it: the index is rebuilt from the packs, damaged packs are set
    /// aside, so that the next snapshot stores again what they held. Fails while anybody else works in the repository.
    pub async fn repair(
        &self,
        repository: &str,
        request: CheckRequest,
    ) -> Result<JobTicket, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        self.detached(async move { engine.check_here(&repository, request, true).await })
            .await
    }

    async fn check_here(
        &self,
        repository: &str,
        request: CheckRequest,
        repair: bool,
    ) -> Result<JobTicket, EngineError> {
        let vault = if repair {
            self.inner
                .writable_vault(repository, ReadonlyOperation::Cleanup)
                .await?
        } else {
            let row = self.inner.registered(repository).await?;
            self.inner.open_vault(&row).await?
        };
        let job = self
            .begin_maintenance(JobKind::Check, repository, &vault)
            .await?;
        let progress = Arc::new(CheckProgress::default());
        let shown = Arc::clone(&progress);
        job.set_progress(Box::new(move || {
            let value = |counter: &std::sync::atomic::AtomicU64| {
                counter.load(std::sync::atomic::Ordering::Relaxed)
            };
            JobProgress {
                phase: "checking".to_owned(),
                bytes_done: value(&shown.bytes_done),
                bytes_total: value(&shown.bytes_total),
                items_done: value(&shown.trees_done),
                ..JobProgress::default()
            }
        }));
        let options = CheckOptions {
            read_data: match request {
                CheckRequest::Structure => ReadData::None,
                CheckRequest::Sample(share) => ReadData::Sample(share),
                CheckRequest::All => ReadData::All,
            },
            cancel: job.cancel.clone(),
            progress,
            ..CheckOptions::default()
        };
        let (name, opened) = (repository.to_owned(), vault.for_job(&job.cancel));
        let waiting = Arc::clone(&job);
        self.run_maintenance(
            job.clone(),
            move |inner| {
                // Like a prune it has the repository for itself.
                let _turn = repair
                    .then(|| inner.wait_turn(&waiting, &vault.prune_turn))
                    .transpose()?;
                let work = || {
                    let repaired = repair
                        .then(|| {
                            opened.repair(&RepairOptions {
                                read_data: options.read_data == ReadData::All,
                                cancel: options.cancel.clone(),
                            })
                        })
                        .transpose()?;
                    Ok((repaired, opened.check(&options)?))
                };
                work().map_err(|error| unavailable(&name, &error))
            },
            |(repaired, report)| {
                let mut result = check_report(&report);
                if let Some(repaired) = repaired {
                    result["repaired"] = repair_report(&repaired);
                }
                let result = Some(result);
                if report.is_ok() {
                    Outcome::success(result)
                } else {
                    let error = format!(
                        "{} problems were found; bring back what the report names from a copy, or repair: snapkeep check REPOSITORY --repair",
                        report.problems.len()
                    );
                    Outcome { state: JobState::Failed, error: Some(error), result }
                }
            },
        );
        Ok(JobTicket { job_id: job.id() })
    }

    /// Starts reclaiming space in a repository; the report is the result of the job.
    pub async fn prune(&self, repository: &str) -> Result<JobTicket, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        self.detached(async move { engine.prune_here(&repository).await })
            .await
    }

    async fn prune_here(&self, repository: &str) -> Result<JobTicket, EngineError> {
        let vault = self
            .inner
            .writable_vault(repository, ReadonlyOperation::Cleanup)
            .await?;
        let job = self
            .begin_maintenance(JobKind::Prune, repository, &vault)
            .await?;
        let options = PruneOptions {
            cancel: job.cancel.clone(),
            ..PruneOptions::default()
        };
        self.run_prune(&job, repository, vault, options);
        Ok(JobTicket { job_id: job.id() })
    }

    /// Reclaims now what no snapshot needs any more.
    pub async fn cleanup(&self, name: &str) -> Result<CleanupResult, EngineError> {
        let engine = self.clone();
        let name = name.to_owned();
        self.detached(async move { engine.cleanup_here(&name).await })
            .await
    }

    async fn cleanup_here(&self, name: &str) -> Result<CleanupResult, EngineError> {
        let vault = self
            .inner
            .writable_vault(name, ReadonlyOperation::Cleanup)
            .await?;
        let running: Vec<String> = self
            .inner
            .activity()
            .snapshots
            .values()
            .map(|running| running.accepted.name.clone())
            .collect();
        if !running.is_empty() {
            return Err(EngineError::CleanupWhileRunning {
                repository: name.to_owned(),
                running,
            });
        }
        let job = self.begin_maintenance(JobKind::Prune, name, &vault).await?;
        let options = PruneOptions {
            cancel: job.cancel.clone(),
            max_unused: 0.0,
        };
        self.run_prune(&job, name, vault, options);
        job.wait().await;
        let ended = job.info();
        let figure = |name: &str| {
            let report = ended.result.as_ref();
            report
                .and_then(|report| report[name].as_u64())
                .unwrap_or_default()
        };
        match ended.error {
            None => Ok(CleanupResult {
                deleted_bytes: figure("bytes_reclaimed"),
                deleted_blobs: figure("packs_deleted"),
            }),
            Some(reason) => Err(EngineError::RepositoryUnavailable {
                repository: name.to_owned(),
                reason,
            }),
        }
    }

    async fn begin_maintenance(
        &self,
        kind: JobKind,
        repository: &str,
        vault: &OpenVault,
    ) -> Result<Arc<RunningJob>, EngineError> {
        let spec = JobSpec {
            kind,
            repository,
            vault: &vault.id,
            subject: repository,
            resources: &[],
            input: json!({}),
        };
        self.inner.begin_job(spec, |_, _| Ok(()), |_| {}).await
    }

    fn run_prune(
        &self,
        job: &Arc<RunningJob>,
        repository: &str,
        vault: Arc<OpenVault>,
        options: PruneOptions,
    ) {
        let (name, waiting) = (repository.to_owned(), Arc::clone(job));
        self.run_maintenance(
            Arc::clone(job),
            move |inner| {
                let _turn = inner.wait_turn(&waiting, &vault.prune_turn)?;
                vault
                    .for_job(&options.cancel)
                    .prune(&options)
                    .map_err(|error| unavailable(&name, &error))
            },
            |report| Outcome::success(Some(prune_report(&report))),
        );
    }

    fn run_maintenance<T: Send + 'static>(
        &self,
        job: Arc<RunningJob>,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, EngineError> + Send + 'static,
        outcome: impl FnOnce(T) -> Outcome + Send + 'static,
    ) {
        self.inner
            .spawn_job("maintenance", work, move |inner, result| {
                let outcome = match (result, job.cancel_reason()) {
                    (Ok(report), _) => outcome(report),
                    (Err(_), Some(reason)) => Outcome::cancelled(reason),
                    (Err(error), None) => Outcome::failure(error.to_string()),
                };
                let _: JobInfo = inner.block_on(inner.end_job(&job, outcome, |_| {}));
            });
    }

    /// Passwords of the repository.
    pub async fn keys(&self, repository: &str) -> Result<Vec<KeyDescription>, EngineError> {
        let row = self.inner.registered(repository).await?;
        let vault = self.inner.open_vault(&row).await?;
        let name = repository.to_owned();
        self.inner
            .blocking(move |_| {
                let keys = vault
                    .repository
                    .keys()
                    .map_err(|error| unavailable(&name, &error))?;
                let describe = |key: snapkeep_vault::KeyInfo| KeyDescription {
                    id: key.id.to_string(),
                    username: key.username,
                    hostname: key.hostname,
                    created: key.created.to_string(),
                    current: key.is_current,
                };
                Ok(keys.into_iter().map(describe).collect())
            })
            .await
    }

    /// Adds a password that a person may type; returns the id of its key file.
    pub async fn add_key(
        &self,
        repository: &str,
        password: &str,
        label: &str,
    ) -> Result<String, EngineError> {
        let vault = self
            .inner
            .writable_vault(repository, ReadonlyOperation::ChangeKeys)
            .await?;
        if password.is_empty() {
            return Err(EngineError::Key {
                repository: repository.to_owned(),
                reason: "the password is empty; give one".to_owned(),
            });
        }
        let (name, password, label) = (
            repository.to_owned(),
            Password::from(password),
            label.to_owned(),
        );
        self.inner
            .blocking(move |_| {
                // People's passwords are guessable: the derivation is made expensive.
                let added = vault
                    .repository
                    .add_key(&password, KdfParams::human(), &label);
                added
                    .map(|id| id.to_string())
                    .map_err(|error| unavailable(&name, &error))
            })
            .await
    }

    /// Removes a password by the id of its key file (or an unambiguous beginning); never the server's own.
    pub async fn remove_key(&self, repository: &str, id: &str) -> Result<(), EngineError> {
        let vault = self
            .inner
            .writable_vault(repository, ReadonlyOperation::ChangeKeys)
            .await?;
        let keys = self.keys(repository).await?;
        let problem = |reason: String| EngineError::Key {
            repository: repository.to_owned(),
            reason,
        };
        let mut matching = keys
            .iter()
            .filter(|key| !id.is_empty() && key.id.starts_with(id));
        let key: KeyId = match (matching.next(), matching.next()) {
            (Some(key), None) => key
                .id
                .parse()
                .map_err(|error| problem(format!("{error}")))?,
            (None, _) => {
                return Err(problem(format!(
                    "there is no key {id}; list the keys to see which there are"
                )));
            }
            (Some(_), Some(_)) => {
                return Err(problem(format!(
                    "several keys begin with {id}; give more digits"
                )));
            }
        };
        let name = repository.to_owned();
        self.inner
            .blocking(move |_| {
                vault
                    .repository
                    .remove_key(&key)
                    .map_err(|error| match error {
                        VaultError::KeyInUse { .. } | VaultError::MissingKey { .. } => {
                            EngineError::Key {
                                repository: name,
                                reason: error.to_string(),
                            }
                        }
                        other => unavailable(&name, &other),
                    })
            })
            .await
    }
}

impl Inner {
    /// A prune that nobody waits for. It may run beside everything else.
    pub(crate) async fn prune_in_background(
        self: &Arc<Self>,
        vault: &str,
    ) -> Result<CleanupResult, EngineError> {
        // One that is not open any more is pruned after its next deletion.
        let Some(vault) = self.vaults.by_id(vault) else {
            return Ok(CleanupResult::default());
        };
        let cancel = self.closing.clone();
        let held = Arc::clone(&vault);
        let turn = held.prune_turn.acquire().await;
        let _turn = turn.map_err(|error| EngineError::Internal(error.to_string()))?;
        self.blocking(move |_| {
            let options = PruneOptions {
                cancel: cancel.clone(),
                ..PruneOptions::default()
            };
            let report = vault
                .for_job(&cancel)
                .prune(&options)
                .map_err(|error| unavailable(&vault.location.display().to_string(), &error))?;
            Ok(cleaned(&report))
        })
        .await
    }
}

fn cleaned(report: &PruneReport) -> CleanupResult {
    CleanupResult {
        deleted_bytes: report.bytes_reclaimed,
        deleted_blobs: report.packs_deleted,
    }
}

fn prune_report(report: &PruneReport) -> Value {
    json!({
        "packs_marked": report.packs_marked,
        "bytes_marked": report.bytes_marked,
        "bytes_rewritten": report.bytes_rewritten,
        "packs_deleted": report.packs_deleted,
        "bytes_reclaimed": report.bytes_reclaimed,
        "packs_waiting": report.packs_waiting,
        "packs_put_back": report.packs_put_back,
        "bytes_unused_kept": report.bytes_unused_kept,
    })
}

fn repair_report(report: &RepairReport) -> Value {
    json!({
        "indices_removed": report.indices_removed,
        "packs_indexed": report.packs_indexed,
        "packs_missing": report.packs_missing,
        "packs_set_aside": report.packs_set_aside,
        "blobs_lost": report.blobs_lost.len(),
    })
}

fn check_report(report: &CheckReport) -> Value {
    let problems: Vec<Value> = report
        .problems
        .iter()
        .take(LISTED_PROBLEMS)
        .map(|problem| json!({ "part": problem.part.to_string(), "id": problem.id, "detail": problem.detail }))
        .collect();
    let losses: Vec<Value> = report
        .losses
        .iter()
        .take(LISTED_PROBLEMS)
        .map(|loss| json!({ "snapshot": loss.snapshot, "path": loss.path, "blob": loss.blob }))
        .collect();
    json!({
        "snapshots": report.snapshots,
        "trees": report.trees,
        "packs": report.packs,
        "packs_read": report.packs_read,
        "bytes_read": report.bytes_read,
        "packs_without_index": report.packs_without_index,
        "problem_count": report.problems.len(),
        "problems": problems,
        "losses": losses,
    })
}
