//! `_verify_integrity`: a check of the repository, answered as a stream.
//!
//! The check may take hours; the beginning of the answer is sent at once so that nothing between here and the client
//! takes the connection for dead, and a blank every few seconds keeps it so.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};
use snapkeep_engine::{CheckRequest, Engine, JobInfo, JobState};

use crate::elasticsearch::failures::from_engine;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::{Content, EsResponse};
use crate::elasticsearch::routes::EsResult;

/// Parameters that the call takes; those that tune Elasticsearch's own threads are accepted without effect.
pub const PARAMS: &[&str] = &[
    "verify_blob_contents",
    "meta_thread_pool_concurrency",
    "blob_thread_pool_concurrency",
    "snapshot_verification_concurrency",
    "index_verification_concurrency",
    "index_snapshot_verification_concurrency",
    "max_failed_shard_snapshots",
    "max_bytes_per_sec",
    "master_timeout",
];

const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Checks a repository.
pub async fn verify_integrity(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    request.params.bytes("max_bytes_per_sec")?;
    let reads_everything = request.params.bool("verify_blob_contents", false)?;
    let check = if reads_everything {
        CheckRequest::All
    } else {
        CheckRequest::Structure
    };
    let name = request.captured("repository").to_owned();
    let engine = request.state.engine.clone();
    let ticket = engine
        .check(&name, check)
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    let waiting = Waiting {
        engine,
        job_id: ticket.job_id,
        step: Step::Begin,
    };
    let body = Body::from_stream(stream::unfold(waiting, |mut waiting| async move {
        let piece = waiting.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), waiting))
    }));
    Ok(EsResponse::new(Content::Stream(body)))
}

enum Step {
    Begin,
    Wait,
    Done,
}

struct Waiting {
    engine: Engine,
    job_id: String,
    step: Step,
}

impl Waiting {
    async fn next(&mut self) -> Option<Bytes> {
        match self.step {
            Step::Begin => {
                self.step = Step::Wait;
                Some(Bytes::from_static(b"{\"log\":["))
            }
            Step::Wait => {
                match tokio::time::timeout(KEEP_ALIVE, self.engine.wait_job(&self.job_id)).await {
                    Err(_) => Some(Bytes::from_static(b" ")),
                    Ok(Ok(job)) => self.end(&report(&job)),
                    Ok(Err(error)) => self.end(&failure(&error.to_string())),
                }
            }
            Step::Done => None,
        }
    }

    fn end(&mut self, report: &Report) -> Option<Bytes> {
        self.step = Step::Done;
        let lines: Vec<String> = report.log.iter().map(Value::to_string).collect();
        Some(Bytes::from(format!(
            "{}],\"results\":{}}}",
            lines.join(","),
            report.results
        )))
    }
}

struct Report {
    log: Vec<Value>,
    results: Value,
}

fn failure(reason: &str) -> Report {
    Report {
        log: vec![json!({ "error": reason })],
        results: json!({ "result": "fail", "total_anomalies": 1 }),
    }
}

/// The report of the check in the words of this call.
fn report(job: &JobInfo) -> Report {
    let empty = Map::new();
    let found = job
        .result
        .as_ref()
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    if job.state != JobState::Succeeded && found.is_empty() {
        return failure(job.error.as_deref().unwrap_or("the check did not finish"));
    }
    let count = |key: &str| found.get(key).and_then(Value::as_u64).unwrap_or(0);
    let list = |key: &str| {
        found
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut log: Vec<Value> = list("problems")
        .into_iter()
        .map(|problem| json!({ "anomaly": problem }))
        .collect();
    let anomalies = log.len();
    log.extend(
        list("losses")
            .into_iter()
            .map(|loss| json!({ "lost": loss })),
    );
    let status = |verified: u64, total: u64| json!({ "verified": verified, "total": total });
    let results = json!({
        "status": {
            "snapshots": status(count("snapshots"), count("snapshots")),
            "blobs": status(count("packs_read"), count("packs")),
        },
        "final_repository_generation": 0,
        "total_anomalies": anomalies,
        "result": if anomalies == 0 { "pass" } else { "fail" },
    });
    Report { log, results }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_engine::{JobKind, JobProgress};

    fn job(state: JobState, result: Option<Value>) -> JobInfo {
        JobInfo {
            id: "j".into(),
            kind: JobKind::Check,
            repository: "r".into(),
            subject: String::new(),
            resources: Vec::new(),
            state,
            created_ms: 0,
            started_ms: None,
            finished_ms: None,
            progress: JobProgress::default(),
            error: Some("disk gone".into()),
            result,
        }
    }

    #[test]
    fn problems_are_anomalies() {
        let found = json!({"snapshots": 2, "packs": 3, "packs_read": 3, "problems": [{"id": "p"}], "losses": []});
        let report = report(&job(JobState::Succeeded, Some(found)));
        assert_eq!(report.results["total_anomalies"], 1);
        assert_eq!(report.results["result"], "fail");
        assert_eq!(
            report.results["status"]["blobs"],
            json!({"verified": 3, "total": 3})
        );
        assert_eq!(report.log[0]["anomaly"]["id"], "p");
    }

    #[test]
    fn a_check_that_broke_off_is_no_pass() {
        let report = report(&job(JobState::Failed, None));
        assert_eq!(report.results["result"], "fail");
        assert_eq!(report.log[0]["error"], "disk gone");
    }
}
