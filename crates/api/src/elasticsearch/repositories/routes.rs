//! `/_snapshot`, `/_snapshot/{repository}` and what hangs on it, and `_cat/repositories`.

use http::Method;
use serde_json::{Map, Value, json};
use snapkeep_engine::{RepositoryInfo, RepositorySpec};

use super::integrity::verify_integrity;
use super::settings;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::failures::{from_engine, repository_missing};
use crate::elasticsearch::output::{Column, Table};
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::pattern::{has_wildcard, matches};
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::{EsResult, Route, RouteTable};

const TIMEOUTS: &[&str] = &["master_timeout", "cluster_manager_timeout", "timeout"];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let named = "/_snapshot/{repository}";
    let reading = [
        "local",
        "flat_settings",
        "master_timeout",
        "cluster_manager_timeout",
    ];
    for pattern in ["/_snapshot", named] {
        table.get(pattern, &reading, get);
    }
    for method in [Method::PUT, Method::POST] {
        table.add(
            Route::new(method, named, put)
                .params(TIMEOUTS)
                .params(&["verify"]),
        );
    }
    table.add(Route::new(Method::DELETE, named, delete).params(TIMEOUTS));
    table.add(Route::new(Method::POST, "/_snapshot/{repository}/_verify", verify).params(TIMEOUTS));
    table.add(
        Route::new(Method::POST, "/_snapshot/{repository}/_cleanup", cleanup).params(TIMEOUTS),
    );
    let integrity = "/_snapshot/{repository}/_verify_integrity";
    table.add(
        Route::new(Method::POST, integrity, verify_integrity)
            .params(super::integrity::PARAMS)
            .only(Shape::Es),
    );
    table.add(Route::new(Method::GET, "/_cat/repositories", cat).cat());
}

async fn put(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let verify = request.params.bool("verify", true)?;
    let body = request.required_object()?;
    let settings = match body.get("settings") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(settings)) => settings.clone(),
        Some(_) => {
            return Err(EsError::illegal_argument(
                "Malformed settings section, should include an inner object",
            ));
        }
    };
    let kind = match body.get("type") {
        None | Some(Value::Null) => return Err(EsError::validation(&["type is missing"])),
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => other.to_string(),
    };
    let name = request.captured("repository");
    if request.shape() == Shape::OpenSearch && kind == "fs" {
        settings::refuse_fractions(name, &settings)?;
    }
    let spec = RepositorySpec { kind, settings };
    let engine = &request.state.engine;
    engine
        .put_repository(name, spec, verify)
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    Ok(EsResponse::acknowledged())
}

async fn get(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    request.params.bool("local", false)?;
    let is_flat = request.params.bool("flat_settings", false)?;
    let chosen = select(&request, request.captured_or_param("repository")).await?;
    let mut answer = Map::new();
    for info in chosen {
        let mut shown = Map::new();
        shown.insert("type".into(), info.kind.into());
        if let (Shape::Es, Some(uuid)) = (request.shape(), info.uuid) {
            shown.insert("uuid".into(), uuid.into());
        }
        shown.insert("settings".into(), settings::show(&info.settings, is_flat));
        answer.insert(info.name, shown.into());
    }
    Ok(EsResponse::value(answer.into()))
}

/// Repositories that an expression means: comma list, wildcards, `_all`; exclusions in the `es` shape.
///
/// # Errors
/// 404 for a name without wildcard that is not registered.
pub async fn select(
    request: &EsRequest,
    expression: Option<&str>,
) -> Result<Vec<RepositoryInfo>, EsError> {
    let shape = request.shape();
    let mut all = request
        .state
        .engine
        .repositories()
        .await
        .map_err(|error| from_engine(error, shape))?;
    all.retain(|info| request.caller.sees_repository(&info.name));
    let items = expression.map(split_list).unwrap_or_default();
    if items.is_empty() || items == ["_all"] {
        return Ok(all);
    }
    if all.is_empty() && shape == Shape::OpenSearch {
        return Err(repository_missing(&items.join(",")));
    }
    let mut chosen = vec![false; all.len()];
    let mut wildcard_seen = false;
    for item in &items {
        let excluded = item
            .strip_prefix('-')
            .filter(|_| wildcard_seen && shape == Shape::Es);
        let pattern = excluded.unwrap_or(item);
        let pattern = if pattern == "_all" { "*" } else { pattern };
        let mut found = false;
        for (info, chosen) in all.iter().zip(&mut chosen) {
            if matches(pattern, &info.name) {
                *chosen = excluded.is_none();
                found = true;
            }
        }
        if !found && excluded.is_none() && !has_wildcard(pattern) {
            request.authorise_repository(item)?;
            return Err(repository_missing(item));
        }
        wildcard_seen |= has_wildcard(pattern);
    }
    Ok(all
        .into_iter()
        .zip(chosen)
        .filter_map(|(info, is_chosen)| is_chosen.then_some(info))
        .collect())
}

async fn delete(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let shape = request.shape();
    let engine = &request.state.engine;
    // The whole expression is one name or one pattern: no server splits it at commas.
    let name = request.captured("repository");
    if !has_wildcard(name) {
        engine
            .remove_repository(name)
            .await
            .map_err(|error| from_engine(error, shape))?;
        return Ok(EsResponse::acknowledged());
    }
    let all = engine
        .repositories()
        .await
        .map_err(|error| from_engine(error, shape))?;
    let matching: Vec<String> = all
        .into_iter()
        .map(|info| info.name)
        .filter(|other| matches(name, other) && request.caller.sees_repository(other))
        .collect();
    if matching.is_empty() && name != "*" {
        return Err(repository_missing(name));
    }
    for name in matching {
        engine
            .remove_repository(&name)
            .await
            .map_err(|error| from_engine(error, shape))?;
    }
    Ok(EsResponse::acknowledged())
}

async fn verify(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let name = request.captured("repository");
    request
        .state
        .engine
        .verify_repository(name)
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    let config = &request.state.config;
    Ok(EsResponse::value(
        json!({ "nodes": { &config.node_id: { "name": config.node_name } } }),
    ))
}

async fn cleanup(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let name = request.captured("repository");
    let cleaned = request
        .state
        .engine
        .cleanup(name)
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    Ok(EsResponse::value(json!({
        "results": { "deleted_bytes": cleaned.deleted_bytes, "deleted_blobs": cleaned.deleted_blobs },
    })))
}

const COLUMNS: &[Column] = &[
    Column::new("id", "id,repoId", "unique repository id"),
    Column::new("type", "t,type", "repository type").right(),
];

async fn cat(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let mut table = Table::new(COLUMNS);
    for info in select(&request, None).await? {
        table.push(vec![info.name.into(), info.kind.into()]);
    }
    Ok(EsResponse::table(table))
}
