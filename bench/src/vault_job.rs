//! One job of the repository engine, in a process of its own so that its cost can be read from outside.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use snapkeep_vault::{
    BackupOptions, CheckOptions, Password, PruneOptions, ReadData, Repository, RepositoryOptions,
    RestoreOptions, SnapshotFile, TreeBackupOptions,
    storage::{ObjectStorage, Storage},
};
use tokio::runtime::Runtime;

/// What to do with which repository.
#[derive(Subcommand)]
pub enum Job {
    /// Makes an empty repository.
    Init {
        /// Its folder.
        repository: PathBuf,
    },
    /// Saves a folder.
    Backup {
        /// The repository's folder.
        repository: PathBuf,
        /// What is saved.
        source: PathBuf,
    },
    /// Restores the latest snapshot.
    Restore {
        /// The repository's folder.
        repository: PathBuf,
        /// Where to.
        target: PathBuf,
    },
    /// Checks structure and every byte.
    Check {
        /// The repository's folder.
        repository: PathBuf,
    },
    /// Forgets all snapshots but the latest and reclaims their space.
    Prune {
        /// The repository's folder.
        repository: PathBuf,
    },
}

/// Runs the job; what it did is measured by the caller.
pub fn run(job: Job) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    match job {
        Job::Init { repository } => {
            Repository::init(storage(&runtime, &repository)?, &password()?, &options())
                .map(drop)?;
        }
        Job::Backup { repository, source } => backup(&open(&runtime, &repository)?, &source)?,
        Job::Restore { repository, target } => {
            let repository = open(&runtime, &repository)?;
            let snapshots = repository.list_snapshots()?;
            let (_, latest) = snapshots.last().context("there is no snapshot")?;
            repository.restore_tree(latest.tree, &target, &RestoreOptions::default())?;
        }
        Job::Check { repository } => {
            let options = CheckOptions {
                read_data: ReadData::All,
                ..CheckOptions::default()
            };
            let report = open(&runtime, &repository)?.check(&options)?;
            if !report.is_ok() {
                bail!("the repository is damaged: {:?}", report.problems);
            }
        }
        Job::Prune { repository } => {
            let repository = open(&runtime, &repository)?;
            let mut ids: Vec<_> = repository
                .list_snapshots()?
                .into_iter()
                .map(|(id, _)| id)
                .collect();
            ids.pop();
            repository.forget(&ids)?;
            repository.prune(&PruneOptions::default())?;
        }
    }
    Ok(())
}

fn backup(repository: &Repository, source: &Path) -> Result<()> {
    let parent = repository
        .list_snapshots()?
        .last()
        .map(|(_, snapshot)| snapshot.tree);
    let backup = repository.backup(BackupOptions::default())?;
    let (tree, _) = backup.store_folder(source, &TreeBackupOptions { parent })?;
    let mut snapshot = SnapshotFile::new(tree);
    snapshot.paths = vec![source.display().to_string()];
    backup.finish(snapshot)?;
    Ok(())
}

fn open(runtime: &Runtime, dir: &Path) -> Result<Repository> {
    Ok(Repository::open(
        storage(runtime, dir)?,
        &password()?,
        &options(),
    )?)
}

fn storage(runtime: &Runtime, dir: &Path) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(ObjectStorage::local(
        dir,
        runtime.handle().clone(),
    )?))
}

fn password() -> Result<Password> {
    let text = std::env::var("SNAPKEEP_BENCH_PASSWORD")
        .context("the engine benchmark sets the password")?;
    Ok(Password::new(text))
}

fn options() -> RepositoryOptions {
    RepositoryOptions {
        cache_dir: std::env::var_os("SNAPKEEP_BENCH_CACHE").map(PathBuf::from),
        ..RepositoryOptions::default()
    }
}
