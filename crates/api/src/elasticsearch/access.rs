//! What each route takes: one row of the table a route, with the name that the real server has for the action.
//!
//! A route that stands in no row takes an admin; a test sees to it that there is none.

use http::Method;

use crate::auth::Action;

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// What it does.
    pub(super) action: Action,
    /// What the real server calls it.
    pub(super) what: &'static str,
}

const GET: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT, Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
/// Reading that may come with a body.
const ASK: &[Method] = &[Method::GET, Method::POST];
const ANY: &[Method] = &[
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
];

/// Methods, pattern without its `/{index}` at the beginning (a `*` at the end stands for the rest), action, name. The first row counts.
#[rustfmt::skip]
const ROWS: &[(&[Method], &str, Action, &str)] = &[
    (GET, "/", Action::Read, "cluster:monitor/main"),
    (GET, "/_security/_authenticate", Action::Read, "cluster:admin/xpack/security/user/authenticate"),
    // Repositories and snapshots.
    (GET, "/_snapshot", Action::Read, "cluster:admin/repository/get"),
    (GET, "/_snapshot/_status", Action::Read, "cluster:admin/snapshot/status"),
    (GET, "/_snapshot/{repository}/_status", Action::Read, "cluster:admin/snapshot/status"),
    (GET, "/_snapshot/{repository}/{snapshot}/_status", Action::Read, "cluster:admin/snapshot/status"),
    (GET, "/_snapshot/{repository}/{snapshot}/{index}/_status", Action::Read, "cluster:admin/snapshot/status"),
    (GET, "/_snapshot/{repository}", Action::Read, "cluster:admin/repository/get"),
    (PUT, "/_snapshot/{repository}", Action::Administer, "cluster:admin/repository/put"),
    (DELETE, "/_snapshot/{repository}", Action::Administer, "cluster:admin/repository/delete"),
    (POST, "/_snapshot/{repository}/_verify", Action::Operate, "cluster:admin/repository/verify"),
    (POST, "/_snapshot/{repository}/_verify_integrity", Action::Operate, "cluster:admin/repository/verify_integrity"),
    (POST, "/_snapshot/{repository}/_cleanup", Action::Administer, "cluster:admin/repository/_cleanup"),
    (GET, "/_snapshot/{repository}/{snapshot}", Action::Read, "cluster:admin/snapshot/get"),
    (PUT, "/_snapshot/{repository}/{snapshot}", Action::Operate, "cluster:admin/snapshot/create"),
    (DELETE, "/_snapshot/{repository}/{snapshot}", Action::Administer, "cluster:admin/snapshot/delete"),
    (POST, "/_snapshot/{repository}/{snapshot}/_restore", Action::Operate, "cluster:admin/snapshot/restore"),
    (&[Method::PUT], "/_snapshot/{repository}/{snapshot}/_clone/{target_snapshot}", Action::Operate, "cluster:admin/snapshot/clone"),
    // Policies.
    (GET, "/_slm/*", Action::Read, "cluster:admin/slm/get"),
    (PUT, "/_slm/policy/{policy}/_execute", Action::Operate, "cluster:admin/slm/execute"),
    (ANY, "/_slm/*", Action::Administer, "cluster:admin/slm/put"),
    (GET, "/_plugins/_sm/*", Action::Read, "cluster:admin/opensearch/snapshot_management/policy/get"),
    (ANY, "/_plugins/_sm/*", Action::Administer, "cluster:admin/opensearch/snapshot_management/policy/write"),
    // Searching.
    (ASK, "/_search", Action::Read, "indices:data/read/search"),
    (ASK, "/_count", Action::Read, "indices:data/read/search"),
    (ASK, "/_msearch", Action::Read, "indices:data/read/msearch"),
    (ASK, "/_search/scroll", Action::Read, "indices:data/read/scroll"),
    (ASK, "/_search/scroll/{scroll_id}", Action::Read, "indices:data/read/scroll"),
    (DELETE, "/_search/scroll", Action::Read, "indices:data/read/scroll/clear"),
    (DELETE, "/_search/scroll/{scroll_id}", Action::Read, "indices:data/read/scroll/clear"),
    (POST, "/_pit", Action::Read, "indices:data/read/open_point_in_time"),
    (DELETE, "/_pit", Action::Read, "indices:data/read/close_point_in_time"),
    (POST, "/_search/point_in_time", Action::Read, "indices:data/read/point_in_time/create"),
    (DELETE, "/_search/point_in_time", Action::Read, "indices:data/read/point_in_time/delete"),
    (DELETE, "/_search/point_in_time/_all", Action::Operate, "indices:data/read/point_in_time/delete"),
    (ASK, "/_field_caps", Action::Read, "indices:data/read/field_caps"),
    // Documents.
    (ASK, "/_mget", Action::Read, "indices:data/read/mget"),
    (GET, "/_doc/{id}", Action::Read, "indices:data/read/get"),
    (GET, "/_source/{id}", Action::Read, "indices:data/read/get"),
    (PUT, "/_bulk", Action::Write, "indices:data/write/bulk"),
    (PUT, "/_doc", Action::Write, "indices:data/write/index"),
    (PUT, "/_doc/{id}", Action::Write, "indices:data/write/index"),
    (PUT, "/_create/{id}", Action::Write, "indices:data/write/index"),
    (PUT, "/_update/{id}", Action::Write, "indices:data/write/update"),
    (DELETE, "/_doc/{id}", Action::Write, "indices:data/write/delete"),
    // Indices.
    (GET, "/{index}", Action::Read, "indices:admin/get"),
    (PUT, "/{index}", Action::Operate, "indices:admin/create"),
    (DELETE, "/{index}", Action::Operate, "indices:admin/delete"),
    (DELETE, "/", Action::Operate, "indices:admin/delete"),
    (POST, "/_open", Action::Operate, "indices:admin/open"),
    (POST, "/_close", Action::Operate, "indices:admin/close"),
    (GET, "/_settings", Action::Read, "indices:monitor/settings/get"),
    (GET, "/_settings/{name}", Action::Read, "indices:monitor/settings/get"),
    (PUT, "/_settings", Action::Operate, "indices:admin/settings/update"),
    (GET, "/_mapping", Action::Read, "indices:admin/mappings/get"),
    (GET, "/_mapping/field/{fields}", Action::Read, "indices:admin/mappings/fields/get"),
    (PUT, "/_mapping", Action::Operate, "indices:admin/mapping/put"),
    (GET, "/_alias", Action::Read, "indices:admin/aliases/get"),
    (GET, "/_alias/{name}", Action::Read, "indices:admin/aliases/get"),
    (PUT, "/_alias/{name}", Action::Operate, "indices:admin/aliases"),
    (PUT, "/_aliases/{name}", Action::Operate, "indices:admin/aliases"),
    (DELETE, "/_alias/{name}", Action::Operate, "indices:admin/aliases"),
    (DELETE, "/_aliases/{name}", Action::Operate, "indices:admin/aliases"),
    (POST, "/_aliases", Action::Operate, "indices:admin/aliases"),
    (ASK, "/_refresh", Action::Write, "indices:admin/refresh"),
    (ASK, "/_flush", Action::Write, "indices:admin/flush"),
    (POST, "/_forcemerge", Action::Operate, "indices:admin/forcemerge"),
    (GET, "/_segments", Action::Read, "indices:monitor/segments"),
    (GET, "/_recovery", Action::Read, "indices:monitor/recovery"),
    (GET, "/_stats", Action::Read, "indices:monitor/stats"),
    (GET, "/_stats/{metric}", Action::Read, "indices:monitor/stats"),
    (GET, "/_resolve/index/{name}", Action::Read, "indices:admin/resolve/index"),
    // Templates decide on indices to come, whoever makes them.
    (GET, "/_index_template*", Action::Read, "indices:admin/index_template/get"),
    (ANY, "/_index_template*", Action::Administer, "indices:admin/index_template/put"),
    (GET, "/_component_template*", Action::Read, "cluster:admin/component_template/get"),
    (ANY, "/_component_template*", Action::Administer, "cluster:admin/component_template/put"),
    (GET, "/_template*", Action::Read, "indices:admin/template/get"),
    (ANY, "/_template*", Action::Administer, "indices:admin/template/put"),
    // The cluster.
    (&[Method::PUT], "/_cluster/settings", Action::Administer, "cluster:admin/settings/update"),
    (GET, "/_cluster/health*", Action::Read, "cluster:monitor/health"),
    (GET, "/_cluster/*", Action::Read, "cluster:monitor/state"),
    (GET, "/_nodes*", Action::Read, "cluster:monitor/nodes/info"),
    (GET, "/_tasks*", Action::Read, "cluster:monitor/task"),
    (GET, "/_data_stream*", Action::Read, "indices:admin/data_stream/get"),
    (GET, "/_ingest/pipeline*", Action::Read, "cluster:admin/ingest/pipeline/get"),
    (GET, "/_features", Action::Read, "cluster:admin/features/get"),
    (GET, "/_cat*", Action::Read, "cluster:monitor/state"),
];

/// What a route takes that is in no row.
const UNKNOWN: Access = Access {
    action: Action::Administer,
    what: "cluster:admin/unknown",
};

/// What the route of this method and pattern takes.
pub(super) fn of(method: &Method, pattern: &str) -> Access {
    find(method, pattern).unwrap_or(UNKNOWN)
}

fn find(method: &Method, pattern: &str) -> Option<Access> {
    // The same call on all indices and on some.
    let own = match pattern.strip_prefix("/{index}") {
        Some(rest) if !rest.is_empty() => rest,
        _ => pattern,
    };
    let is_meant = |row: &str| match row.strip_suffix('*') {
        Some(beginning) => own.starts_with(beginning),
        None => own == row,
    };
    ROWS.iter()
        .find(|(methods, row, ..)| methods.contains(method) && is_meant(row))
        .map(|(_, _, action, what)| Access {
            action: *action,
            what,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_row() {
        let table = super::super::table();
        let mut count = 0;
        for (method, pattern) in table.routes() {
            assert!(
                find(&method, pattern).is_some(),
                "{method} {pattern} is not in the table"
            );
            count += 1;
        }
        assert!(count > 150, "{count} routes only");
    }

    #[test]
    fn what_only_looks_is_for_viewers_and_what_cannot_be_undone_for_admins() {
        let action = |method: Method, pattern: &str| of(&method, pattern).action;
        assert_eq!(action(Method::POST, "/{index}/_search"), Action::Read);
        assert_eq!(action(Method::HEAD, "/{index}/_doc/{id}"), Action::Read);
        assert_eq!(action(Method::POST, "/{index}/_bulk"), Action::Write);
        assert_eq!(action(Method::PUT, "/{index}"), Action::Operate);
        let snapshot = "/_snapshot/{repository}/{snapshot}";
        assert_eq!(action(Method::GET, snapshot), Action::Read);
        assert_eq!(action(Method::PUT, snapshot), Action::Operate);
        assert_eq!(action(Method::DELETE, snapshot), Action::Administer);
        assert_eq!(
            action(Method::PUT, "/_snapshot/{repository}"),
            Action::Administer
        );
        assert_eq!(
            action(Method::PUT, "/_cluster/settings"),
            Action::Administer
        );
        assert_eq!(action(Method::POST, "/nobody/knows/it"), Action::Administer);
        // Only reading has rows for everything below a path.
        for (methods, row, action, _) in ROWS {
            if row.ends_with('*') && *action != Action::Administer {
                assert_eq!(*methods, GET, "{row}");
            }
        }
    }
}
