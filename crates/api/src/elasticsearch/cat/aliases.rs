//! `_cat/aliases` and `_cat/templates`.

use serde_json::Value;
use snapkeep_engine::selection::{Expand, matches};
use snapkeep_store::TemplateKind;

use crate::elasticsearch::call::{Call, Reply};
use crate::elasticsearch::indices::targets::{Defaults, expand};
use crate::elasticsearch::output::{Cell, Column, Table};
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::response::EsResponse;

const ALIASES: &[Column] = &[
    Column::new("alias", "a", "alias name"),
    Column::new("index", "i,idx", "index alias points to"),
    Column::new("filter", "f,fi", "filter"),
    Column::new("routing.index", "ri,routingIndex", "index routing"),
    Column::new("routing.search", "rs,routingSearch", "search routing"),
    Column::new("is_write_index", "w,isWriteIndex", "write index"),
];

/// `GET /_cat/aliases[/{name}]`.
pub fn aliases(call: &Call) -> Reply {
    expand(call.params.get("expand_wildcards"), Expand::ALL)?;
    let names = split_list(call.arg("name"));
    let mut table = Table::new(ALIASES);
    let dash = |text: Option<String>| Cell::Text(text.unwrap_or_else(|| "-".to_owned()));
    let mut rows = Vec::new();
    for meta in crate::elasticsearch::indices::targets::select(
        call,
        None,
        &call.params,
        Defaults {
            expand: Expand::ALL,
            ..Defaults::METADATA
        },
    )? {
        for (name, alias) in &meta.aliases {
            if !names.is_empty() && !names.iter().any(|pattern| matches(pattern, name)) {
                continue;
            }
            rows.push((
                (name.clone(), meta.name.clone()),
                vec![
                    Cell::from(name.clone()),
                    Cell::from(meta.name.clone()),
                    Cell::from(if alias.filter.is_some() { "*" } else { "-" }),
                    dash(alias.index_routing.clone()),
                    dash(alias.search_routing.clone()),
                    dash(alias.is_write_index.map(|is_write| is_write.to_string())),
                ],
            ));
        }
    }
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    for (_, row) in rows {
        table.push(row);
    }
    Ok(EsResponse::table(table))
}

const TEMPLATES: &[Column] = &[
    Column::new("name", "n", "template name"),
    Column::new("index_patterns", "t", "template index patterns"),
    Column::new("order", "o,p", "template application order/priority number"),
    Column::new("version", "v", "version"),
    Column::new(
        "composed_of",
        "c",
        "component templates comprising index template",
    ),
];

/// `GET /_cat/templates[/{name}]`.
pub fn templates(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let names = split_list(call.arg("name"));
    let mut table = Table::new(TEMPLATES);
    for (kind, order_key) in [
        (TemplateKind::Legacy, "order"),
        (TemplateKind::Composable, "priority"),
    ] {
        for (name, body) in call.store().templates(kind) {
            if !names.is_empty() && !names.iter().any(|pattern| matches(pattern, &name)) {
                continue;
            }
            let list = |key: &str| {
                let items: Vec<&str> = body[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                format!("[{}]", items.join(", "))
            };
            let composed = if kind == TemplateKind::Composable {
                list("composed_of")
            } else {
                String::new()
            };
            table.push(vec![
                Cell::from(name.clone()),
                Cell::from(list("index_patterns")),
                Cell::Int(body[order_key].as_i64().unwrap_or(0)),
                body["version"].as_i64().map_or(Cell::Null, Cell::Int),
                Cell::from(composed),
            ]);
        }
    }
    Ok(EsResponse::table(table))
}
