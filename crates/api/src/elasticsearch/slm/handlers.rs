//! The routes below `/_slm`.

use http::Method;
use serde_json::{Map, json};
use snapkeep_engine::{EngineError, Expected, OriginKind, Policy, PolicyKey};

use super::body::Body;
use super::{render, settings, spec};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::from_engine;
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::{EsResult, Route, RouteTable};
use crate::shared::policies::sees;

const TIMEOUTS: &[&str] = &["master_timeout", "timeout"];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let (all, one) = ("/_slm/policy", "/_slm/policy/{policy}");
    let execute_path = "/_slm/policy/{policy}/_execute";
    let mut add = |route: Route| table.add(route.params(TIMEOUTS).only(Shape::Es));
    add(Route::new(Method::GET, all, get));
    add(Route::new(Method::GET, one, get));
    add(Route::new(Method::PUT, one, put));
    add(Route::new(Method::DELETE, one, delete));
    add(Route::new(Method::POST, execute_path, execute));
    add(Route::new(Method::PUT, execute_path, execute));
    add(Route::new(
        Method::POST,
        "/_slm/_execute_retention",
        execute_retention,
    ));
    add(Route::new(Method::GET, "/_slm/stats", stats));
    add(Route::new(Method::GET, "/_slm/status", status));
    add(Route::new(Method::POST, "/_slm/start", start));
    add(Route::new(Method::POST, "/_slm/stop", stop));
}

fn failed(error: EngineError) -> EsError {
    from_engine(error, Shape::Es)
}

async fn put(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let id = request.captured("policy");
    let body = Body::read(&request.required_object()?)?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    body.check(id, now_ms, settings::is_cron)?;
    let engine = &request.state.engine;
    match engine.repository(&body.repository).await {
        Ok(_) => {}
        Err(EngineError::RepositoryMissing { name }) => return Err(no_such_repository(&name)),
        Err(error) => return Err(failed(error)),
    }
    let store = &request.state.store;
    let (minimum, minimum_ms) = settings::minimum_interval(store);
    let interval_ms = spec::schedule(&body.schedule).min_interval();
    if interval_ms.is_some_and(|interval_ms| interval_ms < minimum_ms) {
        return Err(EsError::illegal_argument(format!(
            "invalid schedule [{}]: schedule would be too frequent, executing more than every [{minimum}]",
            body.schedule
        )));
    }
    let wanted = spec::spec(&body, settings::retention_schedule(store))?;
    request.authorise_policy(&wanted)?;
    authorise_existing(&request).await?;
    engine
        .put_policy(&PolicyKey::slm(id), wanted, Expected::Anything)
        .await
        .map_err(|error| match error {
            EngineError::RepositoryMissing { name } => no_such_repository(&name),
            other => failed(other),
        })?;
    Ok(EsResponse::acknowledged())
}

/// Asks whether the caller may do this with the policy of the path, where there is one.
async fn authorise_existing(request: &EsRequest) -> Result<(), EsError> {
    let key = PolicyKey::slm(request.captured("policy"));
    match request.state.engine.policy(&key).await {
        Ok(policy) => request.authorise_policy(&policy.spec),
        Err(EngineError::PolicyMissing { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn no_such_repository(name: &str) -> EsError {
    EsError::illegal_argument(format!("no such repository [{name}]"))
}

async fn get(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let wanted = request.captured_or_param("policy").map(split_list);
    let engine = &request.state.engine;
    let all = visible(&request).await?;
    let found = match &wanted {
        None => all,
        Some(ids) => select(all, ids)?,
    };
    let mut shown = Map::new();
    for policy in found {
        match engine.policy_state(&policy.key).await {
            Ok(state) => {
                let value = render::policy(&policy, &state, request.readable());
                shown.insert(policy.key.name.clone(), value);
            }
            // Deleted since it was listed.
            Err(EngineError::PolicyMissing { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(EsResponse::value(shown.into()))
}

/// The policies that the caller may see.
async fn visible(request: &EsRequest) -> Result<Vec<Policy>, EsError> {
    let engine = &request.state.engine;
    let mut all = engine
        .policies(Some(OriginKind::Slm))
        .await
        .map_err(failed)?;
    all.retain(|policy| sees(&request.caller, &policy.spec));
    Ok(all)
}

/// The policies of these ids. Ids of which there is none are passed over as long as one is found.
fn select(all: Vec<Policy>, ids: &[String]) -> Result<Vec<Policy>, EsError> {
    let none_at_all = all.is_empty();
    let found: Vec<Policy> = all
        .into_iter()
        .filter(|policy| ids.contains(&policy.key.name))
        .collect();
    if found.is_empty() {
        let reason = format!(
            "snapshot lifecycle policy or policies [{}] not found{}",
            ids.join(", "),
            if none_at_all {
                ", no policies are configured"
            } else {
                ""
            }
        );
        return Err(ErrorKind::ResourceNotFound.error(reason));
    }
    Ok(found)
}

async fn delete(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    authorise_existing(&request).await?;
    let id = request.captured("policy");
    let removed = request
        .state
        .engine
        .remove_policy(&PolicyKey::slm(id))
        .await;
    removed.map_err(|error| match error {
        EngineError::PolicyMissing { .. } => {
            ErrorKind::ResourceNotFound.error(format!("snapshot lifecycle policy not found: {id}"))
        }
        other => failed(other),
    })?;
    Ok(EsResponse::acknowledged())
}

async fn execute(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    authorise_existing(&request).await?;
    let id = request.captured("policy");
    let ticket = request.state.engine.run_policy(&PolicyKey::slm(id)).await;
    let ticket = ticket.map_err(|error| match error {
        EngineError::PolicyMissing { .. } => {
            EsError::illegal_argument(format!("no such snapshot lifecycle policy [{id}]"))
        }
        other => failed(other),
    })?;
    Ok(EsResponse::value(json!({ "snapshot_name": ticket.name })))
}

async fn execute_retention(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let engine = &request.state.engine;
    engine
        .begin_retention(OriginKind::Slm)
        .await
        .map_err(failed)?;
    Ok(EsResponse::acknowledged())
}

async fn stats(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let engine = &request.state.engine;
    let totals = engine
        .policy_totals(OriginKind::Slm)
        .await
        .map_err(failed)?;
    let policies = visible(&request).await?;
    let mut each = Vec::with_capacity(policies.len());
    for policy in policies {
        match engine.policy_state(&policy.key).await {
            Ok(state) => each.push(render::stats(&policy.key.name, &state.stats)),
            Err(EngineError::PolicyMissing { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(EsResponse::value(render::totals(&totals, each)))
}

async fn status(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let engine = &request.state.engine;
    let is_paused = engine
        .scheduler_paused(OriginKind::Slm)
        .await
        .map_err(failed)?;
    let mode = if is_paused { "STOPPED" } else { "RUNNING" };
    Ok(EsResponse::value(json!({ "operation_mode": mode })))
}

async fn start(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let engine = &request.state.engine;
    engine
        .resume_scheduler(OriginKind::Slm)
        .await
        .map_err(failed)?;
    Ok(EsResponse::acknowledged())
}

async fn stop(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let engine = &request.state.engine;
    engine
        .pause_scheduler(OriginKind::Slm)
        .await
        .map_err(failed)?;
    Ok(EsResponse::acknowledged())
}
