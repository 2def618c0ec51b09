//! Jobs: what becomes of the calls that last.

use serde_json::{Value, json};
use snapkeep_engine::{Engine, EngineError, JobInfo, JobKind, JobState, PointsTicket};

use super::call::{Answer, Call, Idc51Result};
use super::errors::Fault;
use super::ids::{engine_job_id, job_uuid, request_uuid};
use super::times::time;
use crate::auth::{Caller, Need};

/// Where a job stands, in the words of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Accepted.
    Pending,
    /// At work.
    Working,
    /// Ended well.
    Successful,
    /// Ended with an error, or cancelled.
    Failed,
}

impl Stage {
    /// Where a job of the engine stands.
    pub fn of(job: &JobInfo) -> Self {
        match job.state {
            JobState::Queued => Self::Pending,
            JobState::Running => Self::Working,
            JobState::Succeeded => Self::Successful,
            JobState::Failed | JobState::Cancelled => Self::Failed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Working => "working",
            Self::Successful => "successful",
            Self::Failed => "failed",
        }
    }
}

/// What the dialect calls a kind of job; none for work that it knows nothing of.
pub fn action(kind: JobKind) -> Option<&'static str> {
    match kind {
        JobKind::VolumeSnapshot => Some("CreateSnapshots"),
        JobKind::VolumeDelete => Some("DeleteSnapshots"),
        JobKind::VolumeApply => Some("ApplySnapshots"),
        JobKind::VolumeCreate => Some("CreateVolumeFromSnapshot"),
        JobKind::ImageCapture => Some("CaptureInstanceFromSnapshot"),
        JobKind::Snapshot
        | JobKind::Restore
        | JobKind::Delete
        | JobKind::Clone
        | JobKind::Check
        | JobKind::Prune => None,
    }
}

/// A job at a stage, which may be an earlier one than it has reached. None for work that the dialect knows nothing of.
pub fn show(job: &JobInfo, stage: Stage, zone: &str) -> Option<Value> {
    let action = action(job.kind)?;
    let begun = job.started_ms.filter(|_| stage != Stage::Pending);
    let is_over = matches!(stage, Stage::Successful | Stage::Failed);
    let finished = job.finished_ms.filter(|_| is_over);
    let info = match stage {
        Stage::Failed => job
            .error
            .clone()
            .unwrap_or_else(|| "it ended without telling why".to_owned()),
        _ => String::new(),
    };
    let mut shown = json!({
        "job_id": job_uuid(&job.id),
        "id_prefix": "",
        "action": action,
        "request_id": request_uuid(&job.id),
        "status": stage.word(),
        "create_time": time(Some(job.created_ms)),
        "begin_time": time(begun),
        "finished_time": time(finished),
        "info": info,
        "extra": "",
        "zone": zone,
        "resource_ids": job.resources,
    });
    if stage == Stage::Failed {
        let code = Fault::Internal.row().code;
        shown["error"] = json!({ "code": code, "message": info });
    }
    Some(shown)
}

/// The answer to a call that began a job: the job as it was accepted, whatever has become of it meanwhile.
pub async fn accepted(call: &Call, ticket: PointsTicket) -> Idc51Result {
    let mut job = call.state.engine.job(&ticket.job_id).await?;
    job.resources = ticket.resources;
    let shown = show(&job, Stage::Pending, call.zone());
    shown.map(Answer::Json).ok_or_else(|| {
        Fault::Internal.because(format!("job [{}] is of another kind", ticket.job_id))
    })
}

/// `GET …/job/{id}` and `…/jobs/{id}`. The zone does not matter: one client always asks in the same one.
pub async fn get(call: Call, id: &str) -> Idc51Result {
    call.caller.authorise(Need::read("DescribeJobs"))?;
    let missing = || Fault::Missing.because(format!("job [{id}] does not exist"));
    let engine_id = engine_job_id(id).ok_or_else(missing)?;
    let job = match call.state.engine.job(&engine_id).await {
        Ok(job) => job,
        Err(EngineError::JobMissing { .. }) => return Err(missing()),
        Err(error) => return Err(error.into()),
    };
    if !sees(&call.state.engine, &call.caller, &job).await {
        return Err(missing());
    }
    let shown = show(&job, Stage::of(&job), call.zone());
    shown.map(Answer::Json).ok_or_else(missing)
}

/// `GET …/unfinished_jobs`: an array, the newest first.
pub async fn unfinished(call: Call) -> Idc51Result {
    call.check_zone()?;
    call.authorise(Need::read("DescribeJobs"))?;
    let mut shown = Vec::new();
    for job in call.state.engine.jobs().await? {
        if job.state.is_finished() || !sees(&call.state.engine, &call.caller, &job).await {
            continue;
        }
        shown.extend(show(&job, Stage::of(&job), call.zone()));
    }
    Ok(Answer::Json(Value::Array(shown)))
}

/// Whether a caller may know of a job: it is in one of the caller's repositories, and concerns one of the caller's resources.
pub async fn sees(engine: &Engine, caller: &Caller, job: &JobInfo) -> bool {
    if !caller.sees_repository(&job.repository) {
        return false;
    }
    if !caller.has_resource_limits() {
        return true;
    }
    // A job on a point may write to something that is not the caller's yet, such as the volume that it makes.
    let words = job.subject.split(|c: char| c.is_whitespace() || c == ',');
    let ids = job.resources.iter().map(String::as_str).chain(words);
    for id in ids {
        let resource = match id.starts_with("ss-") {
            true => engine.point(id).await.ok().map(|point| point.resource.id),
            false => Some(id.to_owned()),
        };
        if resource.is_some_and(|resource| caller.sees_resource(&resource)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use snapkeep_engine::JobProgress;

    use super::*;

    fn job(state: JobState) -> JobInfo {
        JobInfo {
            id: "AAECAwQFBgcICQoLDA0ODw".to_owned(),
            kind: JobKind::VolumeSnapshot,
            repository: "volumes".to_owned(),
            subject: "demos".to_owned(),
            resources: vec!["ss-ABCDEFG".to_owned()],
            state,
            created_ms: 1_469_518_708_000,
            started_ms: Some(1_469_518_708_500),
            finished_ms: state.is_finished().then_some(1_469_518_710_000),
            progress: JobProgress::default(),
            error: (state == JobState::Failed).then(|| "no space".to_owned()),
            result: None,
        }
    }

    #[test]
    fn a_job_that_was_accepted_has_not_begun() {
        let shown = show(&job(JobState::Succeeded), Stage::Pending, "ac1").unwrap();
        let expected = json!({
            "job_id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "id_prefix": "",
            "action": "CreateSnapshots",
            "request_id": shown["request_id"],
            "status": "pending",
            "create_time": "2016-07-26T07:38:28Z",
            "begin_time": "",
            "finished_time": "",
            "info": "",
            "extra": "",
            "zone": "ac1",
            "resource_ids": ["ss-ABCDEFG"],
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_job_has_times_as_far_as_it_has_come() {
        let of = |state| {
            let job = job(state);
            show(&job, Stage::of(&job), "ac1").unwrap()
        };
        let working = of(JobState::Running);
        assert_eq!(working["status"], "working");
        assert_eq!(working["begin_time"], "2016-07-26T07:38:28Z");
        assert_eq!(working["finished_time"], "");
        let ended = of(JobState::Succeeded);
        assert_eq!(ended["status"], "successful");
        assert_eq!(ended["finished_time"], "2016-07-26T07:38:30Z");
        assert!(ended.get("error").is_none());
        let failed = of(JobState::Failed);
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["info"], "no space");
        assert_eq!(
            failed["error"],
            json!({"code": "5000", "message": "no space"})
        );
        assert_eq!(of(JobState::Cancelled)["status"], "failed");
    }

    #[test]
    fn work_of_other_dialects_is_not_shown() {
        let mut other = job(JobState::Running);
        other.kind = JobKind::Snapshot;
        assert_eq!(show(&other, Stage::Working, "ac1"), None);
    }

    #[test]
    fn no_job_looks_like_an_error() {
        for state in [JobState::Running, JobState::Succeeded, JobState::Failed] {
            let job = job(state);
            let shown = show(&job, Stage::of(&job), "ac1").unwrap();
            assert!(shown.get("code").is_none() || shown.get("message").is_none());
        }
    }
}
