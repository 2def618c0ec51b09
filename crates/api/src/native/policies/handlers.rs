//! Making, listing and running policies.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use snapkeep_engine as engine;
use snapkeep_engine::{EngineError, Expected, OriginKind, PolicyKey, PolicyOrigin};

use super::types::{
    Policies, Policy, PolicyRun, PolicyRuns, PreviewAt, PutPolicy, RetentionPreview,
    RetentionVerdict, RunFilter,
};
use super::{from_engine, names, to_engine};
use crate::auth::{Action, Caller, Need};
use crate::native::body::Body;
use crate::native::jobs::accepted;
use crate::native::problem::{Answer, Refusal};
use crate::native::router::NativeState;
use crate::native::types::{Job, Problem};
use crate::shared::policies::{authorise, sees};

/// Runs listed unless said otherwise.
const USUAL_RUNS: usize = 50;
/// Runs of a policy that are kept.
const MOST_RUNS: usize = 200;
const LOOK: Need<'static> = Need::read("policy:get");
const RUN: Need<'static> = Need::operate("policy:run");
const CHANGE: Need<'static> = Need::administer("policy:change");

/// Lists all policies, those made through other APIs included.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", responses((status = 200, body = Policies)))]
pub async fn list(State(state): State<NativeState>, caller: Caller) -> Answer<Json<Policies>> {
    let engine = &state.engine;
    let mut policies = Vec::new();
    let mut kinds: Vec<OriginKind> = Vec::new();
    for policy in engine.policies(None).await? {
        if !sees(&caller, &policy.spec) {
            continue;
        }
        kinds.push(policy.key.origin.kind());
        match engine.policy_state(&policy.key).await {
            Ok(state) => policies.push(from_engine::policy(policy, state)),
            // Removed since it was listed.
            Err(EngineError::PolicyMissing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    kinds.dedup();
    let mut stopped = Vec::new();
    for kind in kinds {
        if engine.scheduler_paused(kind).await? {
            stopped.push(kind.to_string());
        }
    }
    Ok(Json(Policies { policies, stopped }))
}

/// Gives one policy and how it does.
#[utoipa::path(get, path = "/api/v1/policies/{policy}", tag = "policies",
    params(("policy" = String, Path, description = "Name of the policy; `slm%2FNAME` and so on for one made through another API")),
    responses((status = 200, body = Policy), (status = 404, body = Problem)))]
pub async fn get(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Policy>> {
    ask(&state, &caller, LOOK, &id).await?;
    show(&state, &id).await.map(Json)
}

/// Makes a policy, or replaces one. Policies made through other APIs are changed there.
#[utoipa::path(put, path = "/api/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path)), request_body = PutPolicy,
    responses((status = 200, body = Policy), (status = 201, body = Policy), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn put(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wanted): Body<PutPolicy>,
) -> Answer<(StatusCode, Json<Policy>)> {
    let key = names::key(&id);
    if key.origin != PolicyOrigin::Native {
        let message = format!("policy [{id}] was made through another API and is changed there");
        return Err(Refusal::new(StatusCode::CONFLICT, "policy_foreign", message).hint(
            "it can be shown, run, enabled, disabled and removed here; or make one of another name",
        ));
    }
    names::check(&key.name)?;
    let expected = match wanted.expected_version {
        None => Expected::Anything,
        Some(0) => Expected::Absent,
        Some(version) => Expected::Version(version),
    };
    let spec = to_engine::spec(&key.name, wanted)?;
    authorise(&caller, CHANGE, &spec)?;
    if let Ok(policy) = state.engine.policy(&key).await {
        authorise(&caller, CHANGE, &policy.spec)?;
    }
    let put = state.engine.put_policy(&key, spec, expected).await?;
    let status = if put.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(show(&state, &id).await?)))
}

/// Removes a policy and its history. Its snapshots stay.
#[utoipa::path(delete, path = "/api/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn remove(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    ask(&state, &caller, CHANGE, &id).await?;
    let removed = state.engine.remove_policy(&names::key(&id)).await;
    told(&state, &id, removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a policy run by itself. What it missed is not made up for.
#[utoipa::path(post, path = "/api/v1/policies/{policy}/enable", tag = "policies", params(("policy" = String, Path)),
    responses((status = 200, body = Policy), (status = 404, body = Problem)))]
pub async fn enable(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Policy>> {
    ask(&state, &caller, CHANGE, &id).await?;
    switch(&state, &id, true).await
}

/// Keeps a policy from running by itself: no snapshots, no retention, no verification. It can still be run by hand.
#[utoipa::path(post, path = "/api/v1/policies/{policy}/disable", tag = "policies", params(("policy" = String, Path)),
    responses((status = 200, body = Policy), (status = 404, body = Problem)))]
pub async fn disable(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Policy>> {
    ask(&state, &caller, CHANGE, &id).await?;
    switch(&state, &id, false).await
}

async fn switch(state: &NativeState, id: &str, enabled: bool) -> Answer<Json<Policy>> {
    let switched = state
        .engine
        .set_policy_enabled(&names::key(id), enabled)
        .await;
    told(state, id, switched).await?;
    show(state, id).await.map(Json)
}

/// Takes a snapshot as the policy says, now. The job's subject is its name.
#[utoipa::path(post, path = "/api/v1/policies/{policy}/run", tag = "policies", params(("policy" = String, Path)),
    responses((status = 202, body = Job), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn run(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<(StatusCode, Json<Job>)> {
    ask(&state, &caller, RUN, &id).await?;
    let begun = state.engine.run_policy(&names::key(&id)).await;
    let ticket = told(&state, &id, begun).await?;
    accepted(&state, &ticket.job_id).await
}

/// Lists what a policy did, the newest first.
#[utoipa::path(get, path = "/api/v1/policies/{policy}/runs", tag = "policies", params(("policy" = String, Path), RunFilter),
    responses((status = 200, body = PolicyRuns), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn runs(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    filter: Result<Query<RunFilter>, QueryRejection>,
) -> Answer<Json<PolicyRuns>> {
    ask(&state, &caller, LOOK, &id).await?;
    let Query(filter) = filter?;
    let limit = filter.limit.unwrap_or(USUAL_RUNS).min(MOST_RUNS);
    let found = state.engine.policy_runs(&names::key(&id), limit).await;
    let runs = told(&state, &id, found).await?;
    Ok(Json(PolicyRuns {
        runs: runs.into_iter().map(PolicyRun::from).collect(),
    }))
}

/// Tells which snapshots retention would remove and keep, now or at another moment, and why. Nothing is removed.
#[utoipa::path(get, path = "/api/v1/policies/{policy}/retention", tag = "policies", params(("policy" = String, Path), PreviewAt),
    responses((status = 200, body = RetentionPreview), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn preview(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    at: Result<Query<PreviewAt>, QueryRejection>,
) -> Answer<Json<RetentionPreview>> {
    ask(&state, &caller, LOOK, &id).await?;
    let Query(at) = at?;
    let now = || jiff::Timestamp::now().as_millisecond();
    let at_ms = at.at_ms.unwrap_or_else(now);
    let found = state
        .engine
        .preview_retention(&names::key(&id), Some(at_ms))
        .await;
    let verdicts = told(&state, &id, found).await?;
    Ok(Json(RetentionPreview {
        at_ms,
        snapshots: verdicts.into_iter().map(RetentionVerdict::from).collect(),
    }))
}

/// Applies the retention of a policy now, and tells what it removed.
#[utoipa::path(post, path = "/api/v1/policies/{policy}/retention", tag = "policies", params(("policy" = String, Path)),
    responses((status = 200, body = PolicyRun), (status = 404, body = Problem)))]
pub async fn apply_retention(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<PolicyRun>> {
    ask(&state, &caller, CHANGE, &id).await?;
    let done = state.engine.run_retention(&names::key(&id)).await;
    let run: engine::PolicyRun = told(&state, &id, done).await?;
    Ok(Json(run.into()))
}

/// Asks whether the caller may do this with the policy; of one that it only looks at, the repository counts.
async fn ask(state: &NativeState, caller: &Caller, need: Need<'_>, id: &str) -> Answer<()> {
    let found = state.engine.policy(&names::key(id)).await;
    let policy = told(state, id, found).await?;
    if need.action == Action::Read {
        caller.authorise(need.repository(&policy.spec.repository))?;
    } else {
        authorise(caller, need, &policy.spec)?;
    }
    Ok(())
}

/// The policy and how it does.
async fn show(state: &NativeState, id: &str) -> Answer<Policy> {
    let key = names::key(id);
    let both = find(state, &key).await;
    let (policy, how) = told(state, id, both).await?;
    Ok(from_engine::policy(policy, how))
}

async fn find(
    state: &NativeState,
    key: &PolicyKey,
) -> Result<(engine::Policy, engine::PolicyState), EngineError> {
    let policy = state.engine.policy(key).await?;
    let how = state.engine.policy_state(key).await?;
    Ok((policy, how))
}

/// Says of a missing policy what else it may have been.
async fn told<T>(state: &NativeState, id: &str, result: Result<T, EngineError>) -> Answer<T> {
    match result {
        Ok(value) => Ok(value),
        Err(EngineError::PolicyMissing { .. }) => Err(names::missing(&state.engine, id).await),
        Err(error) => Err(error.into()),
    }
}
