//! `_cat`, `_cat/health`, `_cat/nodes`, `_cat/master`, `_cat/plugins`.

use crate::elasticsearch::call::{Call, Reply};
use crate::elasticsearch::cluster::{ROLES, health};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::output::{Cell, Column, Table};
use crate::elasticsearch::response::EsResponse;

use super::time;

/// Tables that there are, snapshots and recoveries included.
const ALL: &[&str] = &[
    "/_cat/aliases",
    "/_cat/aliases/{alias}",
    "/_cat/count",
    "/_cat/count/{index}",
    "/_cat/health",
    "/_cat/indices",
    "/_cat/indices/{index}",
    "/_cat/master",
    "/_cat/nodes",
    "/_cat/plugins",
    "/_cat/recovery",
    "/_cat/recovery/{index}",
    "/_cat/repositories",
    "/_cat/shards",
    "/_cat/shards/{index}",
    "/_cat/snapshots/{repository}",
    "/_cat/templates",
];

/// `GET /_cat`.
pub fn list(call: &Call) -> Reply {
    let mut text = String::from("=^.^=\n");
    for path in ALL {
        let path = if call.shape() == Shape::OpenSearch {
            path.replace("master", "cluster_manager")
        } else {
            (*path).to_owned()
        };
        text.push_str(&path);
        text.push('\n');
    }
    Ok(EsResponse::text(text))
}

macro_rules! health_columns {
    ($($own:expr,)*) => {
        &[
            Column::new("epoch", "t,time", "seconds since 1970-01-01 00:00:00"),
            Column::new("timestamp", "ts,hms,hhmmss", "time in HH:MM:SS"),
            Column::new("cluster", "cl", "cluster name"),
            Column::new("status", "st", "health status"),
            Column::new("node.total", "nt,nodeTotal", "total number of nodes").right(),
            Column::new("node.data", "nd,nodeData", "number of nodes that can store data").right(),
            $($own,)*
            Column::new("shards", "t,sh,shards.total,shardsTotal", "total number of shards").right(),
            Column::new("pri", "p,shards.primary,shardsPrimary", "number of primary shards").right(),
            Column::new("relo", "r,shards.relocating,shardsRelocating", "number of relocating nodes").right(),
            Column::new("init", "i,shards.initializing,shardsInitializing", "number of initializing nodes").right(),
            Column::new("unassign", "u,shards.unassigned,shardsUnassigned", "number of unassigned shards").right(),
            Column::new("pending_tasks", "pt,pendingTasks", "number of pending tasks").right(),
            Column::new("max_task_wait_time", "mtwt,maxTaskWaitTime", "wait time of longest task pending").right(),
            Column::new("active_shards_percent", "asp,activeShardsPercent", "active number of shards in percent").right(),
        ]
    };
}

const HEALTH_ES: &[Column] = health_columns![];
const HEALTH_OPENSEARCH: &[Column] = health_columns![
    Column::new(
        "discovered_cluster_manager",
        "dcm,dm,discovered_master",
        "discovered cluster manager"
    )
    .right(),
];

/// `GET /_cat/health`.
pub fn health(call: &Call) -> Reply {
    let is_opensearch = call.shape() == Shape::OpenSearch;
    let mut table = Table::new(if is_opensearch {
        HEALTH_OPENSEARCH
    } else {
        HEALTH_ES
    });
    let health = health::of_indices(&call.store().indices());
    let [epoch, clock] = if call.params.bool("ts", true)? {
        time::now()
    } else {
        [Cell::Null, Cell::Null]
    };
    let mut row = vec![
        epoch,
        clock,
        Cell::from(call.config().cluster_name.clone()),
        Cell::from(health.status.name()),
        Cell::Int(1),
        Cell::Int(1),
    ];
    if is_opensearch {
        row.push(Cell::from("true"));
    }
    row.extend([
        Cell::from(health.active),
        Cell::from(health.active),
        Cell::Int(0),
        Cell::from(health.initializing),
        Cell::from(health.unassigned),
        Cell::Int(0),
        Cell::from("-"),
        Cell::Text(format!("{:.1}%", health.active_percent())),
    ]);
    table.push(row);
    Ok(EsResponse::table(table))
}

macro_rules! node_columns {
    ($master:expr, $aliases:expr) => {
        &[
            Column::new("id", "id,nodeId", "unique node id").hidden(),
            Column::new("pid", "p", "process id").hidden(),
            Column::new("ip", "i", "ip address"),
            Column::new("port", "po", "bound transport port").hidden(),
            Column::new("http_address", "http", "bound http address").hidden(),
            Column::new("version", "v", "es version").hidden(),
            Column::new("heap.percent", "hp,heapPercent", "used heap ratio").right(),
            Column::new("ram.percent", "rp,ramPercent", "used machine memory ratio").right(),
            Column::new("cpu", "cpu", "recent cpu usage").right(),
            Column::new("load_1m", "l", "1m load avg").right(),
            Column::new("load_5m", "l", "5m load avg").right(),
            Column::new("load_15m", "l", "15m load avg").right(),
            Column::new("node.role", "r,role,nodeRole", "roles of the node"),
            Column::new($master, $aliases, "*:current master"),
            Column::new("name", "n", "node name"),
        ]
    };
}

const NODES_ES: &[Column] = node_columns!("master", "m");
const NODES_OPENSEARCH: &[Column] = node_columns!("cluster_manager", "m,master");

/// `GET /_cat/nodes`. Figures of a Java heap are empty: there is none.
pub fn nodes(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    call.params.bool("full_id", false)?;
    let config = call.config();
    let (host, port) = config
        .address
        .rsplit_once(':')
        .unwrap_or((config.address.as_str(), ""));
    let roles: String = ROLES
        .iter()
        .filter_map(|role| role.chars().next())
        .collect();
    let mut table = Table::new(if call.shape() == Shape::Es {
        NODES_ES
    } else {
        NODES_OPENSEARCH
    });
    let nothing = || Cell::Null;
    table.push(vec![
        Cell::Text(if call.params.bool("full_id", false)? {
            config.node_id.clone()
        } else {
            config.node_id.chars().take(4).collect()
        }),
        Cell::from(std::process::id()),
        Cell::from(host),
        Cell::from(port),
        Cell::from(config.address.clone()),
        Cell::Text(config.version.to_string()),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        Cell::Text(roles),
        Cell::from("*"),
        Cell::from(config.node_name.clone()),
    ]);
    Ok(EsResponse::table(table))
}

const MASTER: &[Column] = &[
    Column::new("id", "", "node id"),
    Column::new("host", "h", "host name"),
    Column::new("ip", "", "ip address"),
    Column::new("node", "n", "node name"),
];

/// `GET /_cat/master`, `/_cat/cluster_manager`.
pub fn master(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let config = call.config();
    let host = config
        .address
        .rsplit_once(':')
        .map_or(config.address.as_str(), |(host, _)| host);
    let mut table = Table::new(MASTER);
    table.push(vec![
        Cell::from(config.node_id.clone()),
        Cell::from(host),
        Cell::from(host),
        Cell::from(config.node_name.clone()),
    ]);
    Ok(EsResponse::table(table))
}

const PLUGINS: &[Column] = &[
    Column::new("id", "", "unique node id").hidden(),
    Column::new("name", "n", "node name"),
    Column::new("component", "c", "component"),
    Column::new("version", "v", "component version"),
];

/// `GET /_cat/plugins`: there are none.
pub fn plugins(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    Ok(EsResponse::table(Table::new(PLUGINS)))
}
