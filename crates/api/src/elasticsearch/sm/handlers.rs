//! The routes below `/_plugins/_sm`.

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use snapkeep_engine::{EngineError, Expected, OriginKind, Policy, PolicyKey};

use super::{body, explain, list, render};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::from_engine;
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::pattern::matches;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::{EsResult, Route, RouteTable};
use crate::shared::policies::sees;

const ALL: &str = "/_plugins/_sm/policies";
const ONE: &str = "/_plugins/_sm/policies/{policy}";

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let mut add = |route: Route| table.add(route.only(Shape::OpenSearch));
    add(Route::new(Method::GET, ALL, list).params(list::PARAMS));
    add(Route::new(Method::GET, ONE, get));
    add(Route::new(Method::POST, ONE, create).params(&["refresh"]));
    add(Route::new(Method::PUT, ONE, update).params(&["refresh", "if_seq_no", "if_primary_term"]));
    add(Route::new(Method::DELETE, ONE, delete).params(&["refresh"]));
    add(Route::new(
        Method::GET,
        "/_plugins/_sm/policies/{policy}/_explain",
        explain_policies,
    ));
    add(Route::new(
        Method::POST,
        "/_plugins/_sm/policies/{policy}/_start",
        start,
    ));
    add(Route::new(
        Method::POST,
        "/_plugins/_sm/policies/{policy}/_stop",
        stop,
    ));
}

fn failed(error: EngineError) -> EsError {
    from_engine(error, Shape::OpenSearch)
}

async fn create(request: EsRequest) -> EsResult {
    let name = request.captured("policy").to_owned();
    let put = put(&request, Expected::Absent).await?;
    let policy = put.map_err(|error| match error {
        EngineError::PolicyExists { .. } => {
            conflict(&name, "document already exists (current version [1])")
        }
        other => failed(other),
    })?;
    stored(&policy, StatusCode::CREATED)
}

async fn update(request: EsRequest) -> EsResult {
    let number = |name: &str| {
        let given = request.params.has(name);
        given.then(|| request.params.int(name, 0)).transpose()
    };
    let (Some(seq_no), Some(term)) = (number("if_seq_no")?, number("if_primary_term")?) else {
        return Err(EsError::validation(&[
            "Sequence number and primary term must be provided when updating a snapshot management policy",
        ]));
    };
    // The engine counts versions from 1. A term that no document has meets no version.
    let is_ours = u64::try_from(term) == Ok(render::PRIMARY_TERM);
    let version = u64::try_from(seq_no).ok().filter(|_| is_ours);
    let expected = Expected::Version(version.map_or(0, |seq_no| seq_no.saturating_add(1)));
    let name = request.captured("policy").to_owned();
    let stale = |found: &str| {
        conflict(
            &name,
            &format!("required seqNo [{seq_no}], primary term [{term}]. {found}"),
        )
    };
    let policy = put(&request, expected)
        .await?
        .map_err(|error| match error {
            EngineError::PolicyConflict { current, .. } => stale(&format!(
                "current document has seqNo [{}] and primary term [{}]",
                current.saturating_sub(1),
                render::PRIMARY_TERM
            )),
            EngineError::PolicyMissing { .. } => stale("but no document was found"),
            other => failed(other),
        })?;
    stored(&policy, StatusCode::OK)
}

/// Checks name and body and stores the policy. The inner error is the engine's: what it means depends on the call.
async fn put(
    request: &EsRequest,
    expected: Expected,
) -> Result<Result<Policy, EngineError>, EsError> {
    let name = request.captured("policy");
    body::check_name(name)?;
    let spec = body::spec(name, &request.required_object()?)?;
    request.authorise_policy(&spec)?;
    if let Ok(policy) = request.state.engine.policy(&PolicyKey::sm(name)).await {
        request.authorise_policy(&policy.spec)?;
    }
    let engine = &request.state.engine;
    let put = engine
        .put_policy(&PolicyKey::sm(name), spec, expected)
        .await;
    Ok(put.map(|put| put.policy))
}

fn stored(policy: &Policy, status: StatusCode) -> EsResult {
    let mut response = EsResponse::value(render::policy(policy)).with_status(status);
    if let Ok(location) = HeaderValue::from_str(&format!("{ALL}/{}", policy.key.name)) {
        response.headers.push((header::LOCATION, location));
    }
    Ok(response)
}

fn conflict(name: &str, found: &str) -> EsError {
    let id = render::document_id(name);
    ErrorKind::VersionConflict.error(format!("[{id}]: version conflict, {found}"))
}

async fn get(request: EsRequest) -> EsResult {
    let policy = find(&request).await?;
    Ok(EsResponse::value(render::policy(&policy)))
}

async fn list(request: EsRequest) -> EsResult {
    let query = list::Query::read(&request.params)?;
    let documents = all(&request).await?.iter().map(render::policy).collect();
    let (page, total) = query.page(documents);
    Ok(EsResponse::value(
        json!({"policies": page, "total_policies": total}),
    ))
}

async fn delete(request: EsRequest) -> EsResult {
    let policy = find(&request).await?;
    request.authorise_policy(&policy.spec)?;
    let engine = &request.state.engine;
    engine.remove_policy(&policy.key).await.map_err(failed)?;
    Ok(EsResponse::value(render::deleted(&policy)))
}

async fn explain_policies(request: EsRequest) -> EsResult {
    let all = all(&request).await?;
    if all.is_empty() {
        return Err(no_index());
    }
    let names = split_list(request.captured("policy"));
    let mut explained: Vec<Value> = Vec::new();
    for policy in all {
        let name = &policy.key.name;
        if !names.iter().any(|pattern| matches(pattern, name)) {
            continue;
        }
        match request.state.engine.policy_state(&policy.key).await {
            Ok(state) => explained.push(explain::explain(&policy, &state)),
            // Deleted since it was listed.
            Err(EngineError::PolicyMissing { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(EsResponse::value(json!({ "policies": explained })))
}

async fn start(request: EsRequest) -> EsResult {
    enable(request, true).await
}

async fn stop(request: EsRequest) -> EsResult {
    enable(request, false).await
}

async fn enable(request: EsRequest, enabled: bool) -> EsResult {
    let policy = find(&request).await?;
    request.authorise_policy(&policy.spec)?;
    request
        .state
        .engine
        .set_policy_enabled(&policy.key, enabled)
        .await
        .map_err(failed)?;
    Ok(EsResponse::acknowledged())
}

/// The policies that the caller may see.
async fn all(request: &EsRequest) -> Result<Vec<Policy>, EsError> {
    let engine = &request.state.engine;
    let mut all = engine
        .policies(Some(OriginKind::Sm))
        .await
        .map_err(failed)?;
    all.retain(|policy| sees(&request.caller, &policy.spec));
    Ok(all)
}

/// The policy named in the path, if the caller may see it.
async fn find(request: &EsRequest) -> Result<Policy, EsError> {
    let key = PolicyKey::sm(request.captured("policy"));
    match request.state.engine.policy(&key).await {
        Ok(policy) if sees(&request.caller, &policy.spec) => Ok(policy),
        Ok(_) => Err(no_policy()),
        Err(EngineError::PolicyMissing { .. }) if all(request).await?.is_empty() => Err(no_index()),
        Err(EngineError::PolicyMissing { .. }) => Err(no_policy()),
        Err(error) => Err(failed(error)),
    }
}

fn no_policy() -> EsError {
    ErrorKind::Status
        .error("Snapshot management policy not found")
        .with_status(404)
}

/// Real servers make the index for policies with the first one.
fn no_index() -> EsError {
    ErrorKind::Status
        .error("Snapshot management config index not found")
        .with_status(404)
}
