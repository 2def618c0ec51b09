//! What each operation takes: one row a path and method. What stands in no row takes an admin; a test sees to it that there is none.

use axum::extract::{MatchedPath, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};

use super::problem::Refusal;
use crate::auth::{Action, Caller, Denied, Need, Shortfall};

/// Methods, path below `/api/v1`, action, name in the audit log. The first row counts.
#[rustfmt::skip]
const ROWS: &[(&[Method], &str, Action, &str)] = &[
    (&[Method::GET], "/credentials", Action::Administer, "credential:list"),
    (&[Method::POST], "/credentials", Action::Administer, "credential:add"),
    (&[Method::POST], "/credentials/{name}/rotate", Action::Administer, "credential:rotate"),
    (&[Method::DELETE], "/credentials/{name}", Action::Administer, "credential:remove"),
    (&[Method::GET], "/audit", Action::Administer, "audit:list"),
    (&[Method::PUT], "/repositories/{repository}", Action::Administer, "repository:register"),
    (&[Method::DELETE], "/repositories/{repository}", Action::Administer, "repository:remove"),
    (&[Method::POST], "/repositories/{repository}/verify", Action::Operate, "repository:verify"),
    (&[Method::POST], "/repositories/{repository}/check", Action::Operate, "repository:check"),
    (&[Method::POST], "/repositories/{repository}/cleanup", Action::Administer, "repository:cleanup"),
    (&[Method::POST], "/repositories/{repository}/prune", Action::Administer, "repository:prune"),
    (&[Method::POST], "/repositories/{repository}/keys", Action::Administer, "key:add"),
    (&[Method::DELETE], "/repositories/{repository}/keys/{key}", Action::Administer, "key:remove"),
    (&[Method::POST], "/repositories/{repository}/snapshots", Action::Operate, "snapshot:create"),
    (&[Method::DELETE], "/repositories/{repository}/snapshots/{snapshot}", Action::Administer, "snapshot:delete"),
    (&[Method::POST], "/repositories/{repository}/snapshots/{snapshot}/clone", Action::Operate, "snapshot:clone"),
    (&[Method::POST], "/repositories/{repository}/snapshots/{snapshot}/restore", Action::Operate, "snapshot:restore"),
    (&[Method::POST], "/repositories/{repository}/snapshots/{snapshot}/lock", Action::Administer, "snapshot:lock"),
    (&[Method::POST], "/volumes", Action::Administer, "volume:add"),
    (&[Method::DELETE], "/volumes/{volume}", Action::Administer, "volume:remove"),
    (&[Method::POST], "/instances", Action::Administer, "instance:add"),
    (&[Method::DELETE], "/instances/{instance}", Action::Administer, "instance:remove"),
    (&[Method::POST], "/volume-snapshots", Action::Operate, "volume_snapshot:create"),
    (&[Method::PATCH], "/volume-snapshots/{snapshot}", Action::Operate, "volume_snapshot:rename"),
    (&[Method::DELETE], "/volume-snapshots/{snapshot}", Action::Administer, "volume_snapshot:delete"),
    (&[Method::POST], "/volume-snapshots/{snapshot}/apply", Action::Operate, "volume_snapshot:apply"),
    (&[Method::POST], "/volume-snapshots/{snapshot}/volume", Action::Operate, "volume:create"),
    (&[Method::POST], "/volume-snapshots/{snapshot}/image", Action::Operate, "image:capture"),
    (&[Method::POST], "/policies/{policy}/run", Action::Operate, "policy:run"),
    (&[Method::PUT, Method::POST, Method::DELETE], "/policies/*", Action::Administer, "policy:change"),
    (&[Method::POST], "/jobs/{id}/cancel", Action::Operate, "job:cancel"),
    (&[Method::GET, Method::HEAD], "*", Action::Read, "read"),
];

fn find(method: &Method, path: &str) -> Option<(Action, &'static str)> {
    let own = path.strip_prefix("/api/v1").unwrap_or(path);
    let is_meant = |row: &str| match row.strip_suffix('*') {
        Some(beginning) => own.starts_with(beginning),
        None => own == row,
    };
    ROWS.iter()
        .find(|(methods, row, ..)| methods.contains(method) && is_meant(row))
        .map(|(_, _, action, what)| (*action, *what))
}

/// What an operation takes, for handlers that ask again with the names they found.
pub(super) fn need<'a>(method: &Method, path: &str) -> Need<'a> {
    let (action, what) = find(method, path).unwrap_or((Action::Administer, "unknown"));
    Need::new(action, what)
}

/// Stands before every handler.
pub(super) async fn admit(
    caller: Caller,
    path: MatchedPath,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let mut need = need(request.method(), path.as_str());
    if let Some((_, repository)) = params.iter().find(|(name, _)| *name == "repository") {
        need = need.repository(repository);
    }
    match caller.authorise(need) {
        Ok(()) => next.run(request).await,
        Err(denied) => Refusal::from(denied).into_response(),
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let hint = match &denied.shortfall {
            Shortfall::Role(_) => {
                "use a credential with this role; an admin can make one: snapkeep credential add"
            }
            _ => "use a credential whose limits allow it; see them: snapkeep credential ls",
        };
        Self::new(StatusCode::FORBIDDEN, "forbidden", denied).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_row() {
        let document = serde_json::to_value(super::super::openapi()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let method: Method = method.to_uppercase().parse().unwrap();
                assert!(
                    find(&method, path).is_some(),
                    "{method} {path} is not in the table"
                );
            }
        }
    }

    #[test]
    fn whoever_only_reads_may_not_see_credentials() {
        assert_eq!(find(&Method::GET, "/api/v1/jobs").unwrap().0, Action::Read);
        assert_eq!(
            find(&Method::GET, "/api/v1/credentials").unwrap().0,
            Action::Administer
        );
        assert_eq!(
            find(&Method::GET, "/api/v1/audit").unwrap().0,
            Action::Administer
        );
        assert!(find(&Method::POST, "/api/v1/something/new").is_none());
    }
}
