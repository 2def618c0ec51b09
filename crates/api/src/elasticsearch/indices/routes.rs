//! Paths of indices.

use http::Method;
use snapkeep_store::TemplateKind;

use super::{aliases, fields, lifecycle, maintenance, settings, stats, templates};
use crate::elasticsearch::call::on;
use crate::elasticsearch::routes::RouteTable;

/// Parameters of everything that takes an index expression.
const TARGETS: &[&str] = &["ignore_unavailable", "allow_no_indices", "expand_wildcards"];
const TIMEOUTS: &[&str] = &["master_timeout", "cluster_manager_timeout", "timeout"];

fn with<'a>(groups: &[&[&'a str]]) -> Vec<&'a str> {
    groups.concat()
}

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    of_indices(table);
    of_settings(table);
    of_aliases(table);
    of_templates(table);
    of_maintenance(table);
}

fn of_indices(table: &mut RouteTable) {
    let changing = with(&[TARGETS, TIMEOUTS, &["wait_for_active_shards"]]);
    let reading = with(&[
        TARGETS,
        TIMEOUTS,
        &["local", "flat_settings", "include_defaults", "features"],
    ]);
    table.each(
        &[Method::PUT],
        &["/{index}"],
        &with(&[TIMEOUTS, &["wait_for_active_shards"]]),
        on(lifecycle::create),
    );
    table.each(&[Method::GET], &["/{index}"], &reading, on(lifecycle::get));
    table.each(
        &[Method::HEAD],
        &["/{index}"],
        &reading,
        on(lifecycle::exists),
    );
    table.each(
        &[Method::DELETE],
        &["/", "/{index}"],
        &with(&[TARGETS, TIMEOUTS]),
        on(lifecycle::delete),
    );
    table.each(
        &[Method::POST],
        &["/_open", "/{index}/_open"],
        &changing,
        on(lifecycle::open),
    );
    table.each(
        &[Method::POST],
        &["/_close", "/{index}/_close"],
        &changing,
        on(lifecycle::close),
    );
}

fn of_settings(table: &mut RouteTable) {
    let reading = with(&[
        TARGETS,
        TIMEOUTS,
        &["local", "flat_settings", "include_defaults"],
    ]);
    let writing = with(&[
        TARGETS,
        TIMEOUTS,
        &["preserve_existing", "flat_settings", "reopen"],
    ]);
    let settings_paths = [
        "/_settings",
        "/{index}/_settings",
        "/_settings/{name}",
        "/{index}/_settings/{name}",
    ];
    table.each(
        &[Method::GET],
        &settings_paths,
        &reading,
        on(settings::get_settings),
    );
    table.each(
        &[Method::PUT],
        &settings_paths[..2],
        &writing,
        on(settings::put_settings),
    );
    let mapping = with(&[TARGETS, TIMEOUTS, &["local", "write_index_only"]]);
    table.each(
        &[Method::GET],
        &["/_mapping", "/{index}/_mapping"],
        &mapping,
        on(settings::get_mapping),
    );
    table.each(
        &[Method::PUT, Method::POST],
        &["/{index}/_mapping"],
        &mapping,
        on(settings::put_mapping),
    );
    let of_fields = with(&[TARGETS, &["local", "include_defaults"]]);
    table.each(
        &[Method::GET],
        &[
            "/_mapping/field/{fields}",
            "/{index}/_mapping/field/{fields}",
        ],
        &of_fields,
        on(settings::get_field_mapping),
    );
    let capabilities = with(&[TARGETS, &["fields", "include_unmapped"]]);
    table.each(
        &[Method::GET, Method::POST],
        &["/_field_caps", "/{index}/_field_caps"],
        &capabilities,
        on(fields::field_caps),
    );
}

fn of_aliases(table: &mut RouteTable) {
    let reading = with(&[TARGETS, TIMEOUTS, &["local"]]);
    let named = ["/_alias/{name}", "/{index}/_alias/{name}"];
    table.each(
        &[Method::GET],
        &["/_alias", "/{index}/_alias"],
        &reading,
        on(aliases::get),
    );
    table.each(&[Method::GET], &named, &reading, on(aliases::get));
    table.each(&[Method::HEAD], &named, &reading, on(aliases::exists));
    let of_one = ["/{index}/_alias/{name}", "/{index}/_aliases/{name}"];
    table.each(
        &[Method::PUT, Method::POST],
        &of_one,
        TIMEOUTS,
        on(aliases::put),
    );
    table.each(&[Method::DELETE], &of_one, TIMEOUTS, on(aliases::delete));
    table.each(
        &[Method::POST],
        &["/_aliases"],
        TIMEOUTS,
        on(aliases::update),
    );
}

fn of_templates(table: &mut RouteTable) {
    let reading = with(&[TIMEOUTS, &["local", "flat_settings", "include_defaults"]]);
    let writing = with(&[TIMEOUTS, &["create", "cause", "order"]]);
    let kinds = [
        (
            TemplateKind::Composable,
            ["/_index_template", "/_index_template/{name}"],
        ),
        (
            TemplateKind::Component,
            ["/_component_template", "/_component_template/{name}"],
        ),
        (TemplateKind::Legacy, ["/_template", "/_template/{name}"]),
    ];
    for (kind, [list, named]) in kinds {
        table.each(
            &[Method::GET],
            &[list, named],
            &reading,
            on(move |call| templates::get(call, kind)),
        );
        table.each(
            &[Method::HEAD],
            &[named],
            &reading,
            on(move |call| templates::exists(call, kind)),
        );
        table.each(
            &[Method::PUT, Method::POST],
            &[named],
            &writing,
            on(move |call| templates::put(call, kind)),
        );
        table.each(
            &[Method::DELETE],
            &[named],
            TIMEOUTS,
            on(move |call| templates::delete(call, kind)),
        );
    }
}

fn of_maintenance(table: &mut RouteTable) {
    let both = [Method::GET, Method::POST];
    table.each(
        &both,
        &["/_refresh", "/{index}/_refresh"],
        TARGETS,
        on(maintenance::refresh),
    );
    let flush = with(&[TARGETS, &["force", "wait_if_ongoing"]]);
    table.each(
        &both,
        &["/_flush", "/{index}/_flush"],
        &flush,
        on(maintenance::flush),
    );
    let merge = with(&[
        TARGETS,
        &[
            "flush",
            "max_num_segments",
            "only_expunge_deletes",
            "wait_for_completion",
            "primary_only",
        ],
    ]);
    table.each(
        &[Method::POST],
        &["/_forcemerge", "/{index}/_forcemerge"],
        &merge,
        on(maintenance::force_merge),
    );
    table.each(
        &[Method::GET],
        &["/_segments", "/{index}/_segments"],
        &with(&[TARGETS, &["verbose"]]),
        on(maintenance::segments),
    );
    table.each(
        &[Method::GET],
        &["/_resolve/index/{name}"],
        &["expand_wildcards", "mode"],
        on(maintenance::resolve),
    );
    let statistics = with(&[
        TARGETS,
        &[
            "level",
            "metric",
            "groups",
            "fields",
            "completion_fields",
            "fielddata_fields",
            "include_segment_file_sizes",
            "include_unloaded_segments",
            "forbid_closed_indices",
        ],
    ]);
    table.each(
        &[Method::GET],
        &[
            "/_stats",
            "/_stats/{metric}",
            "/{index}/_stats",
            "/{index}/_stats/{metric}",
        ],
        &statistics,
        on(stats::stats),
    );
}
