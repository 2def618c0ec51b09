//! Jobs as rows.
//!
//! A row belongs to the process that begins it (`owner`) and to one attempt; only that attempt may end it, so that a process
//! that was thought dead cannot overwrite what its successor noted.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::model::{JobInfo, JobKind, JobProgress, JobState};

/// Finished jobs that are kept.
const KEPT_JOBS: i64 = 1000;
/// How long the word of an owner counts after its last sign of life, milliseconds.
pub(super) const LEASE_MS: i64 = 60_000;

/// A job with what only the engine needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) info: JobInfo,
    pub(crate) attempt: i64,
    pub(crate) input: Value,
}

/// A job to be accepted; it counts as begun.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: JobKind,
    pub(crate) repository: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) resources: &'a [String],
    pub(crate) owner: &'a str,
    pub(crate) input: &'a Value,
    pub(crate) now_ms: i64,
}

const COLUMNS: &str = "id, kind, repository, subject, resources, state, created_ms, started_ms, finished_ms, attempt, input, \
                       progress, error, result";

fn parse_word<T: serde::de::DeserializeOwned>(
    word: String,
    what: &'static str,
) -> Result<T, EngineError> {
    serde_json::from_value(Value::String(word)).map_err(unreadable(what))
}

fn parse(row: &AnyRow) -> Result<JobRow, EngineError> {
    let text = |column: &'static str| {
        row.try_get::<String, _>(column)
            .map_err(failed("read jobs"))
    };
    let time = |column: &'static str| {
        row.try_get::<Option<i64>, _>(column)
            .map_err(failed("read jobs"))
    };
    let result: Option<String> = row.try_get("result").map_err(failed("read jobs"))?;
    Ok(JobRow {
        info: JobInfo {
            id: text("id")?,
            kind: parse_word(text("kind")?, "the kind of a job")?,
            repository: text("repository")?,
            subject: text("subject")?,
            resources: serde_json::from_str(&text("resources")?)
                .map_err(unreadable("the resources of a job"))?,
            state: parse_word(text("state")?, "the state of a job")?,
            created_ms: time("created_ms")?.unwrap_or_default(),
            started_ms: time("started_ms")?,
            finished_ms: time("finished_ms")?,
            progress: serde_json::from_str(&text("progress")?)
                .map_err(unreadable("the progress of a job"))?,
            error: row.try_get("error").map_err(failed("read jobs"))?,
            result: result
                .map(|result| {
                    serde_json::from_str(&result).map_err(unreadable("the result of a job"))
                })
                .transpose()?,
        },
        attempt: row.try_get("attempt").map_err(failed("read jobs"))?,
        input: serde_json::from_str(&text("input")?).map_err(unreadable("the input of a job"))?,
    })
}

impl Catalogue {
    /// Accepts a job.
    pub(crate) async fn add_job(&self, job: &NewJob<'_>) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        let progress =
            serde_json::to_string(&JobProgress::default()).map_err(unreadable("progress"))?;
        sqlx::query(
            "INSERT INTO jobs (id, kind, repository, subject, state, created_ms, started_ms, owner, attempt, \
             lease_until_ms, input, progress, resources) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11, $12)",
        )
        .bind(job.id.to_owned())
        .bind(job.kind.as_str())
        .bind(job.repository.to_owned())
        .bind(job.subject.to_owned())
        .bind(JobState::Running.as_str())
        .bind(job.now_ms)
        .bind(job.now_ms)
        .bind(job.owner.to_owned())
        .bind(job.now_ms + LEASE_MS)
        .bind(job.input.to_string())
        .bind(progress)
        .bind(serde_json::to_string(job.resources).map_err(unreadable("resources"))?)
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("accept a job"))?;
        write.commit().await
    }

    /// Notes progress of the jobs that `owner` works on, and that it lives.
    pub(crate) async fn renew_jobs(
        &self,
        owner: &str,
        progress: &[(String, JobProgress)],
        now_ms: i64,
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        for (id, progress) in progress {
            let progress = serde_json::to_string(progress).map_err(unreadable("progress"))?;
            sqlx::query(
                "UPDATE jobs SET progress = $1, lease_until_ms = $2 WHERE id = $3 AND owner = $4 AND state = $5",
            )
            .bind(progress)
            .bind(now_ms + LEASE_MS)
            .bind(id.clone())
            .bind(owner.to_owned())
            .bind(JobState::Running.as_str())
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("note progress"))?;
        }
        write.commit().await
    }

    /// Jobs that another owner left unfinished are taken over: they are ours now, with one attempt more.
    pub(crate) async fn take_over_jobs(
        &self,
        owner: &str,
        now_ms: i64,
    ) -> Result<Vec<JobRow>, EngineError> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE jobs SET owner = $1, attempt = attempt + 1, lease_until_ms = $2 \
             WHERE owner <> $1 AND state IN ('queued', 'running')",
        )
        .bind(owner.to_owned())
        .bind(now_ms + LEASE_MS)
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("take over jobs"))?;
        let query = format!(
            "SELECT {COLUMNS} FROM jobs WHERE owner = $1 AND state IN ('queued', 'running') ORDER BY created_ms, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(owner.to_owned())
            .fetch_all(&mut *write.transaction)
            .await
            .map_err(failed("take over jobs"))?;
        write.commit().await?;
        rows.iter().map(parse).collect()
    }

    /// The newest jobs, newest first, unfinished ones before all others.
    pub(crate) async fn jobs(&self, limit: u32) -> Result<Vec<JobRow>, EngineError> {
        let query = format!(
            "SELECT {COLUMNS} FROM jobs \
             ORDER BY CASE WHEN finished_ms IS NULL THEN 0 ELSE 1 END, created_ms DESC, id LIMIT $1"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(failed("read jobs"))?;
        rows.iter().map(parse).collect()
    }

    /// One job.
    pub(crate) async fn job(&self, id: &str) -> Result<Option<JobRow>, EngineError> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(id.to_owned())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a job"))?;
        row.as_ref().map(parse).transpose()
    }
}

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct JobEnd {
    pub(crate) state: JobState,
    pub(crate) progress: JobProgress,
    pub(crate) error: Option<String>,
    pub(crate) result: Option<Value>,
    pub(crate) now_ms: i64,
}

impl WriteTransaction<'_> {
    /// Ends a job, if `owner` still has it; old finished jobs are forgotten.
    pub(crate) async fn finish_job(
        &mut self,
        id: &str,
        owner: &str,
        end: &JobEnd,
    ) -> Result<(), EngineError> {
        let progress = serde_json::to_string(&end.progress).map_err(unreadable("progress"))?;
        sqlx::query(
            "UPDATE jobs SET state = $1, finished_ms = $2, progress = $3, error = $4, result = $5 \
             WHERE id = $6 AND owner = $7 AND finished_ms IS NULL",
        )
        .bind(end.state.as_str())
        .bind(end.now_ms)
        .bind(progress)
        .bind(end.error.clone())
        .bind(end.result.as_ref().map(Value::to_string))
        .bind(id.to_owned())
        .bind(owner.to_owned())
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("end a job"))?;
        sqlx::query(
            "DELETE FROM jobs WHERE finished_ms IS NOT NULL AND created_ms < \
             (SELECT MIN(created_ms) FROM (SELECT created_ms FROM jobs ORDER BY created_ms DESC LIMIT $1) AS newest)",
        )
        .bind(KEPT_JOBS)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("forget old jobs"))?;
        Ok(())
    }
}
