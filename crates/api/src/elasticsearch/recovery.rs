//! `_recovery` and `_cat/recovery`: how shards came to be where they are.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};
use snapkeep_engine::selection::{self, Candidate, Expand, Options};
use snapkeep_engine::{RecoveryStage, ShardRecovery};
use snapkeep_store::{IndexMeta, IndexState};

use super::config::{ElasticsearchConfig, Shape};
use super::errors::EsError;
use super::failures::{from_engine, from_selection};
use super::output::{Cell, Column, Readable, Table};
use super::request::EsRequest;
use super::response::EsResponse;
use super::routes::{EsResult, Route, RouteTable};
use super::units;

/// Adds the routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    let names = [
        "detailed",
        "active_only",
        "ignore_unavailable",
        "allow_no_indices",
        "expand_wildcards",
    ];
    for pattern in ["/_recovery", "/{index}/_recovery"] {
        table.get(pattern, &names, recovery);
    }
    for pattern in ["/_cat/recovery", "/_cat/recovery/{index}"] {
        table.add(Route::new(Method::GET, pattern, cat).cat().params(&[
            "index",
            "detailed",
            "active_only",
        ]));
    }
}

/// How one shard came to be.
struct Recovery {
    shard: u32,
    /// Where from and how far; none: the shard was made empty together with its index, or is a closed one's.
    restore: Option<ShardRecovery>,
    is_closed: bool,
    start_ms: i64,
    stop_ms: Option<i64>,
}

impl Recovery {
    fn of_restore(restore: ShardRecovery) -> Self {
        Self {
            shard: restore.shard,
            start_ms: restore.start_ms,
            stop_ms: restore.stop_ms,
            restore: Some(restore),
            is_closed: false,
        }
    }

    fn of_new(meta: &IndexMeta, shard: u32) -> Self {
        Self {
            shard,
            restore: None,
            is_closed: meta.state == IndexState::Closed,
            start_ms: meta.created_ms,
            stop_ms: Some(meta.created_ms),
        }
    }

    fn time_ms(&self) -> i64 {
        (self.stop_ms.unwrap_or_else(super::snapshots::now_ms) - self.start_ms).max(0)
    }

    fn kind(&self) -> &'static str {
        match (&self.restore, self.is_closed) {
            (Some(_), _) => "SNAPSHOT",
            (None, true) => "EXISTING_STORE",
            (None, false) => "EMPTY_STORE",
        }
    }

    fn stage(&self) -> &'static str {
        match self.restore.as_ref().map(|restore| restore.stage) {
            Some(RecoveryStage::Init) => "INIT",
            Some(RecoveryStage::Index) => "INDEX",
            Some(RecoveryStage::VerifyIndex) => "VERIFY_INDEX",
            Some(RecoveryStage::Translog) => "TRANSLOG",
            Some(RecoveryStage::Finalize) => "FINALIZE",
            Some(RecoveryStage::Done) | None => "DONE",
        }
    }

    /// Bytes and files: all, and those that are there.
    fn amounts(&self) -> (u64, u64, u64, u64) {
        self.restore.as_ref().map_or((0, 0, 0, 0), |restore| {
            (
                restore.bytes_total,
                restore.bytes_recovered,
                restore.files_total,
                restore.files_recovered,
            )
        })
    }

    fn percents(&self) -> (String, String) {
        let (bytes, files) = self.restore.as_ref().map_or((100.0, 100.0), |restore| {
            (restore.bytes_percent(), restore.files_percent())
        });
        (format!("{bytes:.1}%"), format!("{files:.1}%"))
    }
}

/// Recoveries of the indices asked for, by index.
async fn collect(request: &EsRequest) -> Result<BTreeMap<String, Vec<Recovery>>, EsError> {
    let active_only = request.params.bool("active_only", false)?;
    let restores = request
        .state
        .engine
        .recoveries()
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    let restores: Vec<ShardRecovery> = restores
        .into_iter()
        .filter(|restore| request.caller.sees_resource(&restore.index))
        .collect();
    let metas = request.visible_indices();
    let mut candidates: Vec<Candidate> = metas
        .iter()
        .map(|meta| Candidate {
            name: meta.name.clone(),
            aliases: meta.aliases.keys().cloned().collect(),
            open: meta.is_open(),
            hidden: meta.is_hidden(),
        })
        .collect();
    // An index that is just being restored may be known to the engine only.
    for restore in restores.iter().filter(|restore| restore.is_active()) {
        if !candidates
            .iter()
            .any(|candidate| candidate.name == restore.index)
        {
            candidates.push(Candidate {
                name: restore.index.clone(),
                open: true,
                ..Candidate::default()
            });
        }
    }
    let options = Options {
        ignore_unavailable: request.params.bool("ignore_unavailable", false)?,
        expand: Expand {
            hidden: false,
            ..Expand::ALL
        },
        ..Options::default()
    };
    let expression = request.captured_or_param("index").unwrap_or_default();
    let chosen =
        selection::resolve(&[expression], &candidates, &options).map_err(from_selection)?;
    let chosen: BTreeSet<String> = chosen.into_iter().collect();

    let mut found: BTreeMap<String, Vec<Recovery>> = BTreeMap::new();
    for restore in restores {
        if chosen.contains(&restore.index) && (restore.is_active() || !active_only) {
            found
                .entry(restore.index.clone())
                .or_default()
                .push(Recovery::of_restore(restore));
        }
    }
    if !active_only {
        for meta in metas.iter().filter(|meta| chosen.contains(&meta.name)) {
            found.entry(meta.name.clone()).or_insert_with(|| {
                (0..meta.shards)
                    .map(|shard| Recovery::of_new(meta, shard.into()))
                    .collect()
            });
        }
    }
    Ok(found)
}

async fn recovery(request: EsRequest) -> EsResult {
    let is_detailed = request.params.bool("detailed", false)?;
    let found = collect(&request).await?;
    let (config, readable) = (&request.state.config, request.readable());
    let indices: Map<String, Value> = found
        .into_iter()
        .map(|(index, shards)| {
            let shards: Value = shards
                .iter()
                .map(|shard| show(shard, config, readable, is_detailed))
                .collect();
            (index, json!({ "shards": shards }))
        })
        .collect();
    Ok(EsResponse::value(indices.into()))
}

fn show(
    recovery: &Recovery,
    config: &ElasticsearchConfig,
    readable: Readable,
    is_detailed: bool,
) -> Value {
    let mut shown = Map::new();
    shown.insert("id".into(), recovery.shard.into());
    shown.insert("type".into(), recovery.kind().into());
    shown.insert("stage".into(), recovery.stage().into());
    shown.insert("primary".into(), true.into());
    readable.instant(
        &mut shown,
        "start_time",
        "start_time_in_millis",
        recovery.start_ms,
    );
    if let Some(stop_ms) = recovery.stop_ms {
        readable.instant(&mut shown, "stop_time", "stop_time_in_millis", stop_ms);
    }
    readable.millis(
        &mut shown,
        "total_time",
        "total_time_in_millis",
        recovery.time_ms(),
    );
    shown.insert("source".into(), source(recovery, config));
    let (host, _) = config
        .address
        .rsplit_once(':')
        .unwrap_or((&config.address, ""));
    shown.insert(
        "target".into(),
        json!({
            "id": config.node_id,
            "host": host,
            "transport_address": config.address,
            "ip": host,
            "name": config.node_name,
        }),
    );
    shown.insert(
        "index".into(),
        index(recovery, config.shape, readable, is_detailed),
    );
    let mut translog = Map::new();
    for key in ["recovered", "total"] {
        translog.insert(key.into(), 0.into());
    }
    translog.insert("percent".into(), "100.0%".into());
    translog.insert("total_on_start".into(), 0.into());
    readable.millis(&mut translog, "total_time", "total_time_in_millis", 0);
    shown.insert("translog".into(), translog.into());
    let mut verify = Map::new();
    readable.millis(
        &mut verify,
        "check_index_time",
        "check_index_time_in_millis",
        0,
    );
    readable.millis(&mut verify, "total_time", "total_time_in_millis", 0);
    shown.insert("verify_index".into(), verify.into());
    if let Some(failure) = recovery
        .restore
        .as_ref()
        .and_then(|restore| restore.failure.as_ref())
        && config.shape == Shape::Es
    {
        shown.insert("failure".into(), failure.clone().into());
    }
    Value::Object(shown)
}

fn source(recovery: &Recovery, config: &ElasticsearchConfig) -> Value {
    let Some(restore) = &recovery.restore else {
        return if recovery.is_closed {
            json!({ "bootstrap_new_history_uuid": false })
        } else {
            json!({})
        };
    };
    let mut source = Map::new();
    source.insert(
        "repository".into(),
        restore.source.repository.clone().into(),
    );
    source.insert("snapshot".into(), restore.source.snapshot.clone().into());
    source.insert("version".into(), config.version.to_string().into());
    source.insert("index".into(), restore.source.index.clone().into());
    source.insert(
        "restoreUUID".into(),
        restore.source.restore_uuid.clone().into(),
    );
    if config.shape == Shape::OpenSearch {
        source.insert("isSearchableSnapshot".into(), false.into());
        source.insert("remoteStoreIndexShallowCopy".into(), false.into());
        source.insert("sourceRemoteStoreRepository".into(), Value::Null);
        source.insert("sourceRemoteTranslogRepository".into(), Value::Null);
    }
    Value::Object(source)
}

fn index(recovery: &Recovery, shape: Shape, readable: Readable, is_detailed: bool) -> Value {
    let (bytes_total, bytes_recovered, files_total, files_recovered) = recovery.amounts();
    let (bytes_percent, files_percent) = recovery.percents();
    let mut size = Map::new();
    readable.bytes(&mut size, "total", "total_in_bytes", bytes_total);
    readable.bytes(&mut size, "reused", "reused_in_bytes", 0);
    readable.bytes(
        &mut size,
        "recovered",
        "recovered_in_bytes",
        bytes_recovered,
    );
    if shape == Shape::Es {
        readable.bytes(
            &mut size,
            "recovered_from_snapshot",
            "recovered_from_snapshot_in_bytes",
            bytes_recovered,
        );
    }
    size.insert("percent".into(), bytes_percent.into());
    let mut files = Map::new();
    files.insert("total".into(), files_total.into());
    files.insert("reused".into(), 0.into());
    files.insert("recovered".into(), files_recovered.into());
    files.insert("percent".into(), files_percent.into());
    if is_detailed {
        files.insert("details".into(), json!([]));
    }
    let mut shown = Map::new();
    shown.insert("size".into(), size.into());
    shown.insert("files".into(), files.into());
    readable.millis(
        &mut shown,
        "total_time",
        "total_time_in_millis",
        recovery.time_ms(),
    );
    let throttled_ns = recovery
        .restore
        .as_ref()
        .map_or(0, |restore| restore.throttled_ns);
    let throttled_ms = i64::try_from(throttled_ns / 1_000_000).unwrap_or(i64::MAX);
    readable.millis(
        &mut shown,
        "source_throttle_time",
        "source_throttle_time_in_millis",
        throttled_ms,
    );
    readable.millis(
        &mut shown,
        "target_throttle_time",
        "target_throttle_time_in_millis",
        0,
    );
    Value::Object(shown)
}

const COLUMNS: &[Column] = &[
    Column::new("index", "i,idx", "index name"),
    Column::new("shard", "s,sh", "shard name"),
    Column::new("start_time", "start", "recovery start time").hidden(),
    Column::new(
        "start_time_millis",
        "start_millis",
        "recovery start time in epoch milliseconds",
    )
    .hidden(),
    Column::new("stop_time", "stop", "recovery stop time").hidden(),
    Column::new(
        "stop_time_millis",
        "stop_millis",
        "recovery stop time in epoch milliseconds",
    )
    .hidden(),
    Column::new("time", "t,ti", "recovery time"),
    Column::new("type", "ty", "recovery type"),
    Column::new("stage", "st", "recovery stage"),
    Column::new("source_host", "shost", "source host"),
    Column::new("source_node", "snode", "source node name"),
    Column::new("target_host", "thost", "target host"),
    Column::new("target_node", "tnode", "target node name"),
    Column::new("repository", "rep", "repository"),
    Column::new("snapshot", "snap", "snapshot"),
    Column::new("files", "f", "number of files to recover"),
    Column::new("files_recovered", "fr", "files recovered"),
    Column::new("files_percent", "fp", "percent of files recovered"),
    Column::new("files_total", "tf", "total number of files"),
    Column::new("bytes", "b", "number of bytes to recover"),
    Column::new("bytes_recovered", "br", "bytes recovered"),
    Column::new("bytes_percent", "bp", "percent of bytes recovered"),
    Column::new("bytes_total", "tb", "total number of bytes"),
    Column::new("translog_ops", "to", "number of translog ops to recover"),
    Column::new("translog_ops_recovered", "tor", "translog ops recovered"),
    Column::new(
        "translog_ops_percent",
        "top",
        "percent of translog ops recovered",
    ),
];

async fn cat(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    request.params.bool("detailed", false)?;
    let mut table = Table::new(COLUMNS);
    if request.params.bool("help", false)? {
        return Ok(EsResponse::table(table));
    }
    let config = &request.state.config;
    // OpenSearch prints plain numbers here, Elasticsearch readable sizes.
    let size = |bytes: u64| {
        if config.shape == Shape::Es {
            Cell::Bytes(bytes)
        } else {
            Cell::from(bytes)
        }
    };
    let (host, _) = config
        .address
        .rsplit_once(':')
        .unwrap_or((&config.address, ""));
    for (index, shards) in collect(&request).await? {
        for recovery in shards {
            let (bytes_total, bytes_recovered, files_total, files_recovered) = recovery.amounts();
            let (bytes_percent, files_percent) = recovery.percents();
            let source = recovery.restore.as_ref().map(|restore| &restore.source);
            table.push(vec![
                index.as_str().into(),
                recovery.shard.into(),
                units::iso_instant(recovery.start_ms).into(),
                Cell::Int(recovery.start_ms),
                recovery.stop_ms.map(units::iso_instant).into(),
                recovery.stop_ms.map_or(Cell::Null, Cell::Int),
                Cell::Millis(recovery.time_ms()),
                recovery.kind().to_ascii_lowercase().into(),
                recovery.stage().to_ascii_lowercase().into(),
                "n/a".into(),
                "n/a".into(),
                host.into(),
                config.node_name.as_str().into(),
                source
                    .map_or("n/a", |source| source.repository.as_str())
                    .into(),
                source
                    .map_or("n/a", |source| source.snapshot.as_str())
                    .into(),
                files_total.into(),
                files_recovered.into(),
                files_percent.into(),
                files_total.into(),
                size(bytes_total),
                size(bytes_recovered),
                bytes_percent.into(),
                size(bytes_total),
                Cell::Int(0),
                Cell::Int(0),
                "100.0%".into(),
            ]);
        }
    }
    Ok(EsResponse::table(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_engine::RecoverySource;

    fn running() -> Recovery {
        Recovery::of_restore(ShardRecovery {
            index: "bigr".into(),
            shard: 0,
            stage: RecoveryStage::Index,
            start_ms: 1_795_253_083_749,
            stop_ms: None,
            source: RecoverySource {
                repository: "slowr".into(),
                snapshot: "big1".into(),
                index: "big".into(),
                restore_uuid: "jnSsIIAhQaGsZ6hl6lVctA".into(),
                version: "0.1.0".into(),
            },
            bytes_total: 1_680_694,
            bytes_recovered: 3_955,
            files_total: 19,
            files_recovered: 8,
            throttled_ns: 2_000_000,
            failure: None,
        })
    }

    #[test]
    fn a_restore_under_way_shows_its_source_and_share() {
        let config = ElasticsearchConfig::new(Shape::OpenSearch, "node");
        let shown = show(&running(), &config, Readable(true), false);
        assert_eq!(
            (&shown["type"], &shown["stage"]),
            (&json!("SNAPSHOT"), &json!("INDEX"))
        );
        assert!(shown.get("stop_time_in_millis").is_none());
        assert_eq!(shown["start_time"], "2026-11-21T09:24:43.749Z");
        assert_eq!(shown["source"]["restoreUUID"], "jnSsIIAhQaGsZ6hl6lVctA");
        assert_eq!(shown["source"]["isSearchableSnapshot"], false);
        assert_eq!(shown["index"]["size"]["percent"], "0.2%");
        assert_eq!(shown["index"]["size"]["total"], "1.6mb");
        assert_eq!(shown["index"]["files"]["percent"], "42.1%");
        assert_eq!(shown["index"]["source_throttle_time_in_millis"], 2);
        assert!(
            shown["index"]["size"]
                .get("recovered_from_snapshot_in_bytes")
                .is_none()
        );
    }

    #[test]
    fn details_and_the_newer_keys_are_elasticsearchs() {
        let config = ElasticsearchConfig::new(Shape::Es, "node");
        let shown = show(&running(), &config, Readable(false), true);
        assert_eq!(shown["index"]["files"]["details"], json!([]));
        assert_eq!(
            shown["index"]["size"]["recovered_from_snapshot_in_bytes"],
            3955
        );
        assert!(shown["source"].get("isSearchableSnapshot").is_none());
    }
}
