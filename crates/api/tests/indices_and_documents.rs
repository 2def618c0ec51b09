//! Indices, documents and searches from request to answer.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;

use serde_json::{Value, json};
use snapkeep_api::elasticsearch::Shape;
use support::Server;

/// `docs` with two shards and documents `0` to `count - 1`.
async fn with_documents(shape: Shape, count: usize) -> Server {
    let server = Server::start(shape).await;
    let body = json!({
        "settings": {"number_of_shards": 2, "number_of_replicas": 0},
        "mappings": {"properties": {"n": {"type": "integer"}, "tag": {"type": "keyword"}}},
        "aliases": {"all": {}, "even": {"filter": {"term": {"tag": "even"}}}},
    });
    server.send("PUT /docs", body.to_string()).await.ok();
    if count == 0 {
        return server;
    }
    let mut bulk = String::new();
    for n in 0..count {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        writeln!(
            bulk,
            "{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{n},\"tag\":\"{tag}\"}}"
        )
        .unwrap();
    }
    let answer = server
        .send("POST /docs/_bulk?refresh=true", bulk)
        .await
        .ok();
    assert_eq!(answer["errors"], false);
    server
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"]["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["_id"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_lives_from_put_to_delete() {
    let server = Server::start(Shape::Es).await;
    let created = server.send("PUT /a", "").await.ok();
    assert_eq!(
        created,
        json!({"acknowledged": true, "shards_acknowledged": true, "index": "a"})
    );
    let (status, kind, reason) = server.send("PUT /a", "").await.error();
    assert_eq!(
        (status, kind.as_str()),
        (400, "resource_already_exists_exception")
    );
    assert!(reason.starts_with("index [a/") && reason.ends_with("] already exists"));
    assert_eq!(server.send("HEAD /a", "").await.status, 200);
    assert_eq!(
        server.send("POST /a/_close", "").await.ok()["indices"],
        json!({"a": {"closed": true}})
    );
    assert_eq!(
        server.get("/a/_search").await.error(),
        (400, "index_closed_exception".into(), "closed".into())
    );
    server.send("POST /a/_open", "").await.ok();
    server.send("DELETE /a", "").await.ok();
    assert_eq!(server.send("HEAD /a", "").await.status, 404);
    let missing = server.get("/%3Ca-%7Bnow%7Byyyy%7D%7D%3E").await.json();
    assert!(
        missing["error"]["index"]
            .as_str()
            .unwrap()
            .starts_with("a-2"),
        "{missing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_a_new_index_change_nothing() {
    let server = Server::start(Shape::OpenSearch).await;
    for (path, body, kind, reason) in [
        (
            "/DOCS",
            "",
            "invalid_index_name_exception",
            "Invalid index name [DOCS], must be lowercase",
        ),
        (
            "/b",
            r#"{"nosuchkey":{}}"#,
            "parse_exception",
            "unknown key [nosuchkey] for create index",
        ),
        (
            "/b",
            r#"{"mappings":{"properties":{"a":{"type":"x"}}}}"#,
            "mapper_parsing_exception",
            "Failed to parse mapping [_doc]: No handler for type [x] declared on field [a]",
        ),
        (
            "/b",
            r#"{"settings":{"number_of_shards":0}}"#,
            "illegal_argument_exception",
            "Failed to parse value [0] for setting [index.number_of_shards] must be >= 1",
        ),
        (
            "/b",
            r#"{"settings":"#,
            "parse_exception",
            "Failed to parse content to map",
        ),
    ] {
        let found = server.send(&format!("PUT {path}"), body).await.error();
        assert_eq!(found, (400, kind.into(), reason.into()));
    }
    let (_, _, reason) = server
        .send("PUT /b", r#"{"settings":{"index.nosuch":1}}"#)
        .await
        .error();
    assert!(
        reason.starts_with("unknown setting [index.nosuch]"),
        "{reason}"
    );
    assert_eq!(server.get("/_cat/indices").await.text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_wants_names_in_one_shape_and_takes_patterns_in_the_other() {
    let es = with_documents(Shape::Es, 1).await;
    let refused = es.send("DELETE /do*", "").await.error();
    assert_eq!(
        refused.2,
        "Wildcard expressions or all indices are not allowed"
    );
    let (_, _, reason) = es.send("DELETE /all", "").await.error();
    assert!(
        reason.starts_with("The provided expression [all] matches an alias"),
        "{reason}"
    );
    let body = r#"{"persistent":{"action":{"destructive_requires_name":false}}}"#;
    es.send("PUT /_cluster/settings", body).await.ok();
    es.send("DELETE /do*", "").await.ok();
    let opensearch = with_documents(Shape::OpenSearch, 1).await;
    opensearch.send("DELETE /do*", "").await.ok();
    assert_eq!(opensearch.send("HEAD /docs", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_mappings_are_merged_and_guarded() {
    let server = with_documents(Shape::Es, 0).await;
    server
        .send(
            "PUT /docs/_settings",
            r#"{"index":{"refresh_interval":"5s"}}"#,
        )
        .await
        .ok();
    let settings = server.get("/docs/_settings?flat_settings=true").await.ok();
    assert_eq!(settings["docs"]["settings"]["index.refresh_interval"], "5s");
    let only = server.get("/docs/_settings/index.number_of_*").await.ok();
    assert_eq!(
        only,
        json!({"docs": {"settings": {"index": {"number_of_shards": "2", "number_of_replicas": "0"}}}})
    );
    let (_, _, reason) = server
        .send("PUT /docs/_settings", r#"{"number_of_shards":9}"#)
        .await
        .error();
    assert!(
        reason.starts_with("Can't update non dynamic settings [[index.number_of_shards]]"),
        "{reason}"
    );
    server
        .send(
            "PUT /docs/_mapping",
            r#"{"properties":{"extra":{"type":"keyword"}}}"#,
        )
        .await
        .ok();
    let (_, _, reason) = server
        .send(
            "PUT /docs/_mapping",
            r#"{"properties":{"n":{"type":"keyword"}}}"#,
        )
        .await
        .error();
    assert_eq!(
        reason,
        "mapper [n] cannot be changed from type [integer] to [keyword]"
    );
    let fields = server.get("/docs/_mapping/field/e*").await.ok();
    assert_eq!(fields["docs"]["mappings"]["extra"]["full_name"], "extra");
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_are_changed_together_and_filter_what_they_show() {
    let server = with_documents(Shape::Es, 10).await;
    assert_eq!(server.get("/even/_count").await.ok()["count"], 5);
    assert_eq!(server.get("/even,docs/_count").await.ok()["count"], 10);
    let actions = json!({"actions": [
        {"add": {"index": "docs", "alias": "new", "routing": "r"}},
        {"remove": {"index": "docs", "alias": "even"}},
    ]});
    assert_eq!(
        server
            .send("POST /_aliases", actions.to_string())
            .await
            .ok()["errors"],
        false
    );
    let aliases = server.get("/docs/_alias").await.ok();
    assert_eq!(
        aliases["docs"]["aliases"],
        json!({"all": {}, "new": {"index_routing": "r", "search_routing": "r"}})
    );
    let missing = server.get("/_alias/nope").await;
    assert_eq!(
        (missing.status, missing.json()),
        (404, json!({"error": "alias [nope] missing", "status": 404}))
    );
    let gone = json!({"actions": [{"remove": {"index": "docs", "alias": "zzz"}}]});
    assert_eq!(
        server
            .send("POST /_aliases", gone.to_string())
            .await
            .error(),
        (
            404,
            "aliases_not_found_exception".into(),
            "aliases [zzz] missing".into()
        )
    );
    assert_eq!(server.send("DELETE /docs/_alias/n*", "").await.status, 200);
    assert_eq!(server.send("HEAD /_alias/new", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_with_routing_finds_what_was_written_through_it() {
    let server = with_documents(Shape::Es, 0).await;
    let alias = r#"{"routing":"r"}"#;
    server.send("PUT /docs/_alias/routed", alias).await.ok();
    for id in 0..8 {
        let line = format!("PUT /routed/_doc/{id}");
        assert_eq!(server.send(&line, r#"{"n":1}"#).await.status, 201);
        assert_eq!(
            server.get(&format!("/routed/_doc/{id}")).await.ok()["_routing"],
            "r"
        );
    }
    assert_eq!(server.get("/routed/_count").await.ok()["count"], 8);
    let other = server
        .send("PUT /routed/_doc/9?routing=other", "{}")
        .await
        .error();
    assert!(
        other.2.starts_with("Alias [routed] has index routing"),
        "{}",
        other.2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_shape_new_indices() {
    let server = Server::start(Shape::Es).await;
    let component = r#"{"template":{"settings":{"number_of_replicas":0}}}"#;
    server
        .send("PUT /_component_template/c", component)
        .await
        .ok();
    let template = json!({
        "index_patterns": "logs-*", "composed_of": ["c"],
        "template": {"settings": {"number_of_shards": 3}, "aliases": {"logs": {}}},
    });
    server
        .send("PUT /_index_template/t", template.to_string())
        .await
        .ok();
    assert_eq!(
        server.send("POST /logs-1/_doc", "{\"a\":1}").await.status,
        201
    );
    let index = server.get("/logs").await.ok();
    assert_eq!(
        index["logs-1"]["settings"]["index"]["number_of_shards"],
        "3"
    );
    assert_eq!(
        index["logs-1"]["settings"]["index"]["number_of_replicas"],
        "0"
    );
    let (_, _, reason) = server
        .send("DELETE /_component_template/c", "")
        .await
        .error();
    assert!(
        reason.contains("still in use by index templates [t]"),
        "{reason}"
    );
    let refused = server
        .send(
            "PUT /_index_template/d",
            r#"{"index_patterns":["d"],"data_stream":{}}"#,
        )
        .await
        .error();
    assert_eq!(
        refused.2,
        "[data_stream] in an index template is not supported by this server"
    );
    assert_eq!(server.get("/_index_template/zz").await.error().0, 404);
    assert_eq!(server.get("/_template/zz").await.json(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_byte_for_byte_and_versioned() {
    let server = Server::start(Shape::Es).await;
    let source = "{\"n\": 1.00, \"big\": 123456789012345678901234567890, \"a\":[ 1 ]}";
    assert_eq!(
        server.send("PUT /i/_doc/1?routing=r", source).await.status,
        201
    );
    let found = server.get("/i/_doc/1?routing=r").await;
    assert!(found.text.contains(source), "{}", found.text);
    assert_eq!(server.get("/i/_source/1?routing=r").await.text, source);
    let filtered = server
        .get("/i/_doc/1?routing=r&_source_includes=a")
        .await
        .ok();
    assert_eq!(filtered["_source"], json!({"a": [1]}));
    assert_eq!(
        server
            .send("PUT /i/_create/1?routing=r", "{}")
            .await
            .error()
            .0,
        409
    );
    let conflict = server
        .send(
            "PUT /i/_doc/1?routing=r&if_seq_no=9&if_primary_term=1",
            "{}",
        )
        .await
        .error();
    assert!(
        conflict.2.contains("required seqNo [9], primary term [1]"),
        "{}",
        conflict.2
    );
    assert_eq!(
        server
            .send("PUT /i/_doc/e?version=5&version_type=external", "{}")
            .await
            .json()["_version"],
        5
    );
    assert_eq!(
        server
            .send("PUT /i/_doc/e?version=5&version_type=external", "{}")
            .await
            .status,
        409
    );
    assert_eq!(
        server.send("PUT /i/_doc/e?version=5", "{}").await.error().1,
        "action_request_validation_exception"
    );
    let deleted = server.send("DELETE /i/_doc/1?routing=r", "").await.ok();
    assert_eq!(
        (&deleted["result"], &deleted["_version"]),
        (&json!("deleted"), &json!(2))
    );
    let missing = server.get("/i/_doc/1?routing=r").await;
    assert_eq!(
        (missing.status, missing.json()),
        (404, json!({"_index": "i", "_id": "1", "found": false}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_merge_upsert_and_notice_nothing_changed() {
    let server = Server::start(Shape::Es).await;
    assert_eq!(
        server
            .send(
                "POST /i/_update/1",
                r#"{"doc":{"a":1},"doc_as_upsert":true}"#
            )
            .await
            .status,
        201
    );
    let answer = server
        .send("POST /i/_update/1?_source=true", r#"{"doc":{"b":{"c":2}}}"#)
        .await
        .ok();
    assert_eq!(answer["get"]["_source"], json!({"a": 1, "b": {"c": 2}}));
    let noop = server
        .send("POST /i/_update/1", r#"{"doc":{"a":1}}"#)
        .await
        .ok();
    assert_eq!(
        (&noop["result"], &noop["_shards"]["total"]),
        (&json!("noop"), &json!(0))
    );
    let missing = server
        .send("POST /i/_update/2", r#"{"doc":{}}"#)
        .await
        .error();
    assert_eq!(
        missing,
        (
            404,
            "document_missing_exception".into(),
            "[2]: document missing".into()
        )
    );
    let script = server
        .send("POST /i/_update/1", r#"{"script":"x"}"#)
        .await
        .error();
    assert!(
        script.2.contains("[script] is not supported"),
        "{}",
        script.2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_documents_say_what_and_where() {
    let server = with_documents(Shape::OpenSearch, 0).await;
    let clash = server.send("PUT /docs/_doc/9", r#"{"n":"x"}"#).await.json();
    assert_eq!(clash["error"]["type"], "mapper_parsing_exception");
    assert_eq!(
        clash["error"]["caused_by"]["type"],
        "number_format_exception"
    );
    let cut = server.send("PUT /docs/_doc/9", r#"{"n":"#).await.json();
    assert_eq!(
        (&cut["error"]["reason"], &cut["error"]["caused_by"]["type"]),
        (&json!("failed to parse"), &json!("json_e_o_f_exception"))
    );
    assert_eq!(
        server.send("PUT /docs/_doc/9", "").await.error().2,
        "request body is required"
    );
    let es = with_documents(Shape::Es, 0).await;
    assert!(
        es.send("PUT /docs/_doc/9", r#"{"n":"x"}"#)
            .await
            .error()
            .2
            .starts_with("[1:6] failed to parse field [n]")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_tells_each_operation_its_fate() {
    let server = with_documents(Shape::Es, 1).await;
    let body = "{\"index\":{\"_index\":\"docs\",\"_id\":\"7\"}}\n{\"n\":7}\n{\"create\":{\"_index\":\"docs\",\"_id\":\"7\"}}\n{}\n\
        {\"index\":{\"_index\":\"BAD\",\"_id\":\"1\"}}\n{}\n{\"update\":{\"_index\":\"docs\",\"_id\":\"7\"}}\n{\"doc\":{\"n\":8}}\n\
        {\"delete\":{\"_index\":\"docs\",\"_id\":\"none\"}}\n{\"index\":{\"_index\":\"docs\"}}\n{\"n\":\n";
    let answer = server.send("POST /_bulk", body).await.ok();
    assert_eq!(answer["errors"], true);
    let statuses: Vec<u64> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            item.as_object().unwrap().values().next().unwrap()["status"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(statuses, [201, 409, 400, 200, 404, 400]);
    assert_eq!(
        answer["items"][2]["index"]["error"]["type"],
        "invalid_index_name_exception"
    );
    assert_eq!(
        answer["items"][5]["index"]["error"]["type"],
        "document_parsing_exception"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_larger_than_a_batch_is_written_whole() {
    let server = with_documents(Shape::Es, 5_000).await;
    assert_eq!(server.get("/docs/_count").await.ok()["count"], 5_000);
    let (status, _, reason) = server
        .send("POST /_bulk", "{\"foo\":{}}\n{}\n")
        .await
        .error();
    assert_eq!(status, 400);
    assert!(reason.ends_with("or [update] but found [foo]"), "{reason}");
    assert_eq!(
        server.send("POST /_bulk", "").await.error().2,
        "request body is required"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_filter_sort_and_page() {
    let server = with_documents(Shape::Es, 30).await;
    let body = json!({"query": {"bool": {"filter": [{"term": {"tag": "even"}}, {"range": {"n": {"gte": 10}}}]}}, "sort": [{"n": "desc"}], "size": 3});
    let first = server
        .send("POST /docs/_search", body.to_string())
        .await
        .ok();
    assert_eq!(ids(&first), ["28", "26", "24"]);
    assert_eq!(
        first["hits"]["total"],
        json!({"value": 10, "relation": "eq"})
    );
    let by_url = server
        .get("/docs/_search?q=tag:odd&sort=n:desc&size=2&_source=n&rest_total_hits_as_int=true")
        .await
        .ok();
    assert_eq!(
        (ids(&by_url), &by_url["hits"]["total"]),
        (vec!["29", "27"], &json!(15))
    );
    assert_eq!(by_url["hits"]["hits"][0]["_source"], json!({"n": 29}));
    let after = json!({"sort": ["n"], "search_after": [27], "size": 5});
    assert_eq!(
        ids(&server
            .send("POST /docs/_search", after.to_string())
            .await
            .ok()),
        ["28", "29"]
    );
    let nothing = server
        .send("POST /nosuch/_search?ignore_unavailable=true", "{}")
        .await
        .ok();
    assert_eq!(
        nothing["hits"],
        json!({"total": {"value": 0, "relation": "eq"}, "max_score": 0.0, "hits": []})
    );
    let one_shard = server
        .get("/docs/_search?preference=_shards:0&size=0")
        .await
        .ok();
    assert_eq!(one_shard["_shards"]["total"], 1);
    assert!(one_shard["hits"]["total"]["value"].as_u64().unwrap() < 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_search_does_not_offer_is_named() {
    let server = with_documents(Shape::OpenSearch, 3).await;
    let search = async |body: &str| server.send("POST /docs/_search", body).await;
    assert_eq!(
        search(r#"{"aggs":{"a":{}}}"#).await.error().2,
        "[aggs] in a search is not supported by this server"
    );
    let unknown = search(r#"{"query": {"nosuch": {}}}"#).await.json();
    assert_eq!(
        (&unknown["error"]["reason"], &unknown["error"]["col"]),
        (&json!("unknown query [nosuch]"), &json!(22))
    );
    let deep = search(r#"{"from":10000}"#).await.json();
    assert_eq!(deep["error"]["type"], "search_phase_execution_exception");
    assert!(
        deep["error"]["root_cause"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("Result window is too large")
    );
    assert_eq!(
        search(r#"{"sort":["nosuch"]}"#).await.json()["error"]["root_cause"][0]["type"],
        "query_shard_exception"
    );
    let parameter = server.get("/docs/_search?foo=1").await.error();
    assert_eq!(
        parameter.2,
        "request [/docs/_search] contains unrecognized parameter: [foo]"
    );
    assert_eq!(
        server
            .send("POST /docs/_delete_by_query", "{}")
            .await
            .status,
        400
    );
    assert_eq!(server.get("/docs/_analyze").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn scrolls_read_everything_once_and_are_gone_when_cleared() {
    let server = with_documents(Shape::Es, 25).await;
    let mut page = server
        .send(
            "POST /docs/_search?scroll=1m",
            r#"{"size":10,"sort":["_doc"]}"#,
        )
        .await
        .ok();
    let id = page["_scroll_id"].as_str().unwrap().to_owned();
    let mut seen = 0;
    while !ids(&page).is_empty() {
        seen += ids(&page).len();
        page = server
            .send(
                "POST /_search/scroll",
                json!({"scroll": "1m", "scroll_id": id}).to_string(),
            )
            .await
            .ok();
    }
    assert_eq!(seen, 25);
    let clear = json!({"scroll_id": [id]}).to_string();
    assert_eq!(
        server
            .send("DELETE /_search/scroll", clear.clone())
            .await
            .ok(),
        json!({"succeeded": true, "num_freed": 1})
    );
    assert_eq!(
        server.send("DELETE /_search/scroll", clear).await.status,
        404
    );
    let gone = server
        .send("POST /_search/scroll", json!({"scroll_id": id}).to_string())
        .await;
    assert_eq!(
        (gone.status, &gone.json()["error"]["root_cause"][0]["type"]),
        (404, &json!("search_context_missing_exception"))
    );
    let garbage = server
        .send("POST /_search/scroll", r#"{"scroll_id":"garbage"}"#)
        .await
        .error();
    assert_eq!(
        garbage,
        (
            400,
            "illegal_argument_exception".into(),
            "Cannot parse scroll id".into()
        )
    );
    let from = server
        .send("POST /docs/_search?scroll=1m", r#"{"from":3}"#)
        .await
        .error();
    assert_eq!(
        from.2,
        "Validation Failed: 1: using [from] is not allowed in a scroll context;"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_does_not_see_later_writes() {
    for (shape, open, id_key, close) in [
        (Shape::Es, "/docs/_pit?keep_alive=1m", "id", "DELETE /_pit"),
        (
            Shape::OpenSearch,
            "/docs/_search/point_in_time?keep_alive=1m",
            "pit_id",
            "DELETE /_search/point_in_time",
        ),
    ] {
        let server = with_documents(shape, 12).await;
        let pit = server.send(&format!("POST {open}"), "").await.ok()[id_key].clone();
        server.send("DELETE /docs/_doc/3", "").await.ok();
        let mut seen = 0;
        let mut after: Option<Value> = None;
        loop {
            let mut body =
                json!({"size": 5, "pit": {"id": pit, "keep_alive": "1m"}, "sort": ["n"]});
            if let Some(after) = &after {
                body["search_after"] = after.clone();
            }
            let page = server.send("POST /_search", body.to_string()).await.ok();
            let hits = page["hits"]["hits"].as_array().unwrap().clone();
            let Some(last) = hits.last() else { break };
            seen += hits.len();
            after = Some(last["sort"].clone());
        }
        assert_eq!(seen, 12, "{shape}");
        assert_eq!(
            server
                .send(close, json!({ id_key: [pit] }).to_string())
                .await
                .status,
            200
        );
        let gone = server
            .send("POST /_search", json!({"pit": {"id": pit}}).to_string())
            .await;
        assert_eq!(gone.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_and_searches_in_one_request() {
    let server = with_documents(Shape::Es, 3).await;
    let body = r#"{"docs":[{"_index":"docs","_id":"1"},{"_index":"docs","_id":"x"},{"_index":"nosuch","_id":"1"}]}"#;
    let found = server.send("POST /_mget", body).await.ok();
    assert_eq!(found["docs"][0]["_source"]["n"], 1);
    assert_eq!(found["docs"][1]["found"], false);
    assert_eq!(
        found["docs"][2]["error"]["type"],
        "index_not_found_exception"
    );
    let lines = "{\"index\":\"docs\"}\n{\"size\":0}\n{\"index\":\"nosuch\"}\n{}\n";
    let answers = server.send("POST /_msearch", lines).await.ok();
    assert_eq!(answers["responses"][0]["hits"]["total"]["value"], 3);
    assert_eq!(answers["responses"][0]["status"], 200);
    assert_eq!(answers["responses"][1]["status"], 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_waits_for_what_never_comes_only_as_long_as_told() {
    let server = with_documents(Shape::Es, 1).await;
    assert_eq!(
        server
            .get("/_cluster/health?wait_for_status=green")
            .await
            .ok()["status"],
        "green"
    );
    server.send("PUT /copies", "").await.ok();
    let yellow = server
        .get("/_cluster/health?wait_for_status=green&timeout=60ms&level=indices")
        .await;
    assert_eq!(yellow.status, 408);
    assert_eq!(
        (&yellow.json()["timed_out"], &yellow.json()["status"]),
        (&json!(true), &json!("yellow"))
    );
    assert_eq!(yellow.json()["indices"]["copies"]["unassigned_shards"], 1);
    assert_eq!(
        server
            .get("/_cluster/health/nosuch?timeout=10ms")
            .await
            .status,
        408
    );
    assert_eq!(
        server.get("/_cluster/health?local=maybe").await.error().0,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_show_what_is_there() {
    let server = with_documents(Shape::Es, 4).await;
    let rows = server
        .get("/_cat/indices?format=json&h=index,status,docs.count,health")
        .await
        .ok();
    assert_eq!(
        rows,
        json!([{"index": "docs", "status": "open", "docs.count": "4", "health": "green"}])
    );
    assert_eq!(server.get("/_cat/count/docs?h=count").await.text, "4\n");
    assert_eq!(
        server
            .get("/_cat/aliases?h=alias,filter&s=alias")
            .await
            .text,
        "all  -\neven *\n"
    );
    assert_eq!(
        server
            .get("/_cat/shards?h=index,shard,prirep,state&s=shard")
            .await
            .text,
        "docs 0 p STARTED\ndocs 1 p STARTED\n"
    );
    assert!(server.get("/_cat").await.text.starts_with("=^.^=\n"));
    assert_eq!(
        server.get("/_cat/indices/nosuch").await.error().1,
        "index_not_found_exception"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_carry_the_change_token_of_each_shard() {
    let server = with_documents(Shape::Es, 9).await;
    let before = server.get("/docs/_stats?level=shards").await.ok();
    assert_eq!(before["_all"]["primaries"]["docs"]["count"], 9);
    let token = |stats: &Value| {
        let shards = stats["indices"]["docs"]["shards"].clone();
        json!([
            shards["0"][0]["seq_no"],
            shards["0"][0]["commit"],
            shards["1"][0]["seq_no"],
            shards["1"][0]["commit"]
        ])
    };
    assert_eq!(
        token(&before),
        token(&server.get("/docs/_stats?level=shards").await.ok())
    );
    server.send("PUT /docs/_doc/new", "{}").await;
    assert_ne!(
        token(&before),
        token(&server.get("/docs/_stats?level=shards").await.ok())
    );
    assert_eq!(server.get("/docs/_stats/nosuch").await.error().0, 400);
    let state = server
        .get("/_cluster/state/metadata,routing_table/docs")
        .await
        .ok();
    assert_eq!(state["metadata"]["indices"]["docs"]["state"], "open");
    assert_eq!(
        state["routing_table"]["indices"]["docs"]["shards"]["1"][0]["state"],
        "STARTED"
    );
    let nodes = server.get("/_nodes/plugins").await.ok();
    assert_eq!(nodes["_nodes"]["total"], 1);
}
