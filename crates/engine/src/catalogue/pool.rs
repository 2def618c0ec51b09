//! Connections and transactions.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Executor, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::EngineError;

const CONNECTIONS: u32 = 4;

/// The database. Dropping it leaves nothing half-written: every change is one transaction.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pool: AnyPool,
    /// SQLite has one writer at a time and lets others poll with growing pauses; this queue has no pauses.
    writer: Mutex<()>,
}

/// A write transaction; undone unless committed.
pub(crate) struct WriteTransaction<'a> {
    pub(super) transaction: Transaction<'static, Any>,
    _turn: MutexGuard<'a, ()>,
}

impl WriteTransaction<'_> {
    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), EngineError> {
        self.transaction.commit().await.map_err(failed("commit"))
    }
}

/// Turns a database error into ours.
pub(super) fn failed(operation: &'static str) -> impl FnOnce(sqlx::Error) -> EngineError {
    move |cause| EngineError::Catalogue {
        operation: operation.to_owned(),
        cause: cause.to_string(),
    }
}

/// Turns an error of a stored JSON text into ours.
pub(super) fn unreadable(what: &'static str) -> impl FnOnce(serde_json::Error) -> EngineError {
    move |cause| EngineError::Catalogue {
        operation: format!("reading {what}"),
        cause: cause.to_string(),
    }
}

impl Catalogue {
    /// Opens or creates the SQLite file and brings its tables up to date.
    pub(crate) async fn open(file: &Path) -> Result<Self, EngineError> {
        sqlx::any::install_default_drivers();
        // The path goes into a URL, where these characters mean something else.
        let escaped: String = file
            .to_string_lossy()
            .chars()
            .map(|c| match c {
                '%' => "%25".to_owned(),
                '?' => "%3F".to_owned(),
                '#' => "%23".to_owned(),
                other => other.to_string(),
            })
            .collect();
        let options = AnyConnectOptions::from_str(&format!("sqlite://{escaped}?mode=rwc"))
            .map_err(failed("open"))?;
        // Made here, so that only the owner may read it: it holds hashes of passwords. SQLite gives its other files the same permissions.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(file)
            .map_err(|cause| EngineError::Catalogue {
                operation: "open".to_owned(),
                cause: format!("{}: {cause}", file.display()),
            })?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // FULL: a committed transaction survives a power cut, also with a write-ahead log.
                    for pragma in [
                        "PRAGMA busy_timeout = 30000",
                        "PRAGMA journal_mode = WAL",
                        "PRAGMA synchronous = FULL",
                        "PRAGMA foreign_keys = ON",
                    ] {
                        connection.execute(pragma).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(failed("open"))?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|cause| EngineError::Catalogue {
                operation: "bring the tables up to date".to_owned(),
                cause: cause.to_string(),
            })?;
        Ok(Self {
            pool,
            writer: Mutex::new(()),
        })
    }

    /// Connections for single statements that only read.
    pub(super) fn read(&self) -> &AnyPool {
        &self.pool
    }

    /// A transaction that may write, begun as such: one that begins by reading and writes later fails when another has written
    /// in between, however long it would wait.
    pub(crate) async fn write(&self) -> Result<WriteTransaction<'_>, EngineError> {
        let turn = self.writer.lock().await;
        let transaction = self
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed("begin"))?;
        Ok(WriteTransaction {
            transaction,
            _turn: turn,
        })
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
