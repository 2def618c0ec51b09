//! Takes records and brings them into file and table.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::file::AuditFile;
use super::record::{AuditQuery, AuditRecord};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::workers::{Step, Worker};

/// Records listed at most with one call.
pub const MAX_AUDIT_PAGE: usize = 1_000;
/// Rows of the table; the oldest go first.
const MAX_ROWS: i64 = 100_000;
/// Records that wait for the table. Beyond that they are in the file only.
const MAX_WAITING: usize = 10_000;
/// Longest that a record waits for the table.
const PAUSE: Duration = Duration::from_secs(1);

/// The part of an engine that keeps the audit log.
#[derive(Debug)]
pub(crate) struct AuditLog {
    state: Mutex<State>,
    /// One flush at a time keeps the rows in the order of the calls.
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    file: AuditFile,
    waiting: Vec<AuditRecord>,
}

impl AuditLog {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            state: Mutex::new(State {
                file: AuditFile::new(data_dir),
                waiting: Vec::new(),
            }),
            flushing: tokio::sync::Mutex::default(),
        }
    }

    fn note(&self, record: AuditRecord) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(cause) = state.file.append(&record) {
            tracing::error!(%cause, principal = record.principal, action = record.action, "cannot write to audit.jsonl; check space and permissions of the data folder");
        }
        if state.waiting.len() < MAX_WAITING {
            state.waiting.push(record);
        }
    }

    /// Brings what waits into the table; how many records that were.
    pub(crate) async fn flush(&self, inner: &Inner) -> Result<usize, EngineError> {
        let _turn = self.flushing.lock().await;
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.waiting)
        };
        if waiting.is_empty() {
            return Ok(0);
        }
        let added = inner.catalogue.add_audit(&waiting, MAX_ROWS).await;
        let count = waiting.len();
        if added.is_err() {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let later = std::mem::replace(&mut state.waiting, waiting);
            state.waiting.extend(later);
            state.waiting.truncate(MAX_WAITING);
        }
        added.map(|()| count)
    }
}

impl Engine {
    /// Notes who did what. Returns at once: the line goes into the page cache, the row comes later.
    pub fn note_audit(&self, record: AuditRecord) {
        self.inner.audit.note(record);
    }

    /// The latest records that a query asks for, newest first, [`MAX_AUDIT_PAGE`] at most.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, EngineError> {
        self.inner.audit.flush(&self.inner).await?;
        let query = AuditQuery {
            limit: query.limit.min(MAX_AUDIT_PAGE),
            ..query.clone()
        };
        self.inner.catalogue.audit(&query).await
    }
}

/// Brings records into the table.
#[derive(Debug, Default)]
pub(crate) struct AuditWorker {
    records: usize,
}

impl Worker for AuditWorker {
    fn name(&self) -> &'static str {
        "audit-log"
    }

    async fn step(&mut self, inner: &Arc<Inner>) -> Result<Step, EngineError> {
        // On a task of its own: a step may be cut off, and records taken out must then still arrive.
        let engine = Arc::clone(inner);
        let flushed = inner
            .runtime
            .spawn(async move { engine.audit.flush(&engine).await })
            .await
            .map_err(|error| EngineError::Internal(error.to_string()))??;
        self.records += flushed;
        Ok(Step::Idle(PAUSE, format!("{} records", self.records)))
    }
}
