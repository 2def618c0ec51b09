//! `GET /_snapshot/{repository}/{snapshot}`.

use serde_json::{Map, Value};
use snapkeep_engine::SnapshotInfo;

use super::info;
use super::paging::{Cut, page};
use super::query::Query;
use super::select::select;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::failures::from_engine;
use crate::elasticsearch::repositories;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;

/// Lists snapshots.
pub async fn get(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let query = Query::read(&request.params)?;
    let expression = request.captured("snapshot");
    let mut found = Vec::new();
    for repository in repository_names(&request, request.captured("repository")).await? {
        found.extend(
            of_repository(&request, &repository, expression, query.ignore_unavailable).await?,
        );
    }
    found.retain(|info| {
        let policy = info
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get("policy"))
            .and_then(Value::as_str);
        query.has_policy(policy)
            && (query.states.is_empty() || query.states.iter().any(|s| s == info.state.as_str()))
    });
    let cut = Cut {
        sort: query.sort,
        is_descending: query.is_descending,
        size: query.size,
        offset: query.offset,
        after: query.after.as_ref(),
        from: query.from.as_deref(),
    };
    let page = page(found, cut)?;
    let config = &request.state.config;
    let show = |info: &SnapshotInfo| info::show(info, query.parts, config, request.readable());
    let mut answer = Map::new();
    answer.insert(
        "snapshots".into(),
        page.snapshots.iter().map(show).collect(),
    );
    if request.shape() == Shape::Es {
        if let Some(next) = page.next {
            answer.insert("next".into(), next.into());
        }
        answer.insert("total".into(), page.total.into());
        answer.insert("remaining".into(), page.remaining.into());
    }
    Ok(EsResponse::value(answer.into()))
}

/// The repositories meant: one name in OpenSearch, else also lists, patterns and `_all`.
pub async fn repository_names(
    request: &EsRequest,
    expression: &str,
) -> Result<Vec<String>, EsError> {
    if request.shape() == Shape::OpenSearch {
        return Ok(vec![expression.to_owned()]);
    }
    let chosen = repositories::select(request, Some(expression)).await?;
    Ok(chosen.into_iter().map(|info| info.name).collect())
}

/// The snapshots of one repository that an expression means.
pub async fn of_repository(
    request: &EsRequest,
    repository: &str,
    expression: &str,
    ignore_unavailable: bool,
) -> Result<Vec<SnapshotInfo>, EsError> {
    let shape = request.shape();
    let all = request
        .state
        .engine
        .snapshots(repository)
        .await
        .map_err(|error| from_engine(error, shape))?;
    select(repository, all, expression, ignore_unavailable, shape)
}
