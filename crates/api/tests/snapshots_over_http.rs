//! The snapshot API from request to answer, with a real engine and store behind it.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::auth::without_credentials;
use snapkeep_api::elasticsearch::{ApiState, ElasticsearchConfig, Shape, router};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tower::ServiceExt;

struct Server {
    router: Router,
    _dir: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn reason(&self) -> String {
        self.json()["error"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn kind(&self) -> String {
        self.json()["error"]["type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Server {
    async fn start(shape: Shape) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let mut config = EngineConfig::new(dir.path().join("engine"));
        config.repo_roots = vec![dir.path().join("repositories")];
        let engine = Engine::start(config, driver).await.unwrap();
        let config = ElasticsearchConfig::new(shape, store.uuid());
        Self {
            router: without_credentials(router(ApiState::new(engine, store, config))),
            _dir: dir,
        }
    }

    async fn send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> Answer {
        self.send_with(method, path, body, &[]).await
    }

    async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, String)>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some((media, text)) => request
                .header(header::CONTENT_TYPE, media)
                .body(Body::from(text)),
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(("application/json", body.to_string())))
            .await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(("application/json", body.to_string())))
            .await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    /// Two indices with documents, and a repository without limits.
    async fn with_data(shape: Shape) -> Self {
        let server = Self::start(shape).await;
        for (index, shards) in [("index_1", 2), ("index_2", 1)] {
            let settings =
                json!({"settings": {"number_of_shards": shards, "number_of_replicas": 0}});
            server.put(&format!("/{index}"), settings).await.expect_ok();
            for id in 0..20 {
                let document = json!({"n": id, "text": "some words"});
                let answer = server.put(&format!("/{index}/_doc/{id}"), document).await;
                assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
            }
        }
        let settings = json!({"location": "my_backup", "max_snapshot_bytes_per_sec": "0", "max_restore_bytes_per_sec": "0"});
        server
            .put(
                "/_snapshot/my_backup",
                json!({"type": "fs", "settings": settings}),
            )
            .await
            .expect_ok();
        server
    }
}

impl Answer {
    #[track_caller]
    fn expect_ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_come_back_after_their_index_was_deleted() {
    let server = Server::with_data(Shape::Es).await;
    let done = server
        .put(
            "/_snapshot/my_backup/snapshot_1?wait_for_completion=true",
            json!({}),
        )
        .await
        .expect_ok();
    assert_eq!(done["snapshot"]["state"], "SUCCESS", "{done}");
    assert_eq!(done["snapshot"]["indices"], json!(["index_1", "index_2"]));
    assert_eq!(
        done["snapshot"]["shards"],
        json!({"total": 3, "failed": 0, "successful": 3})
    );
    server.delete("/index_1").await.expect_ok();
    let body = json!({"indices": "index_1"});
    let restored = server
        .post(
            "/_snapshot/my_backup/snapshot_1/_restore?wait_for_completion=true",
            body,
        )
        .await
        .expect_ok();
    assert_eq!(
        restored["snapshot"],
        json!({"snapshot": "snapshot_1", "indices": ["index_1"], "shards": {"total": 2, "failed": 0, "successful": 2}})
    );
    assert_eq!(server.get("/index_1/_count").await.expect_ok()["count"], 20);
    let recovery = server.get("/index_1/_recovery").await.expect_ok();
    assert_eq!(recovery["index_1"]["shards"][0]["type"], "SNAPSHOT");
    assert_eq!(recovery["index_1"]["shards"][1]["stage"], "DONE");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_listed_followed_and_deleted() {
    let server = Server::with_data(Shape::Es).await;
    for name in ["a", "b", "c"] {
        let path = format!("/_snapshot/my_backup/{name}?wait_for_completion=true");
        let body = json!({"indices": ["index_*", "-index_2"], "metadata": {"policy": name}});
        server.put(&path, body).await.expect_ok();
    }
    let listed = server.get("/_snapshot/my_backup/_all").await.expect_ok();
    let names: Vec<&Value> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["snapshot"])
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(
        (&listed["total"], &listed["remaining"]),
        (&json!(3), &json!(0))
    );
    let page = server
        .get("/_snapshot/*/_all?sort=name&order=desc&size=1")
        .await
        .expect_ok();
    assert_eq!(page["snapshots"][0]["snapshot"], "c");
    assert_eq!(page["remaining"], 2);
    let next = format!(
        "/_snapshot/*/_all?sort=name&order=desc&size=1&after={}",
        page["next"].as_str().unwrap()
    );
    assert_eq!(
        server.get(&next).await.expect_ok()["snapshots"][0]["snapshot"],
        "b"
    );
    let filtered = server
        .get("/_snapshot/my_backup/*?slm_policy_filter=a")
        .await
        .expect_ok();
    assert_eq!(filtered["total"], 1);

    let status = server
        .get("/_snapshot/my_backup/a/_status")
        .await
        .expect_ok();
    let status = &status["snapshots"][0];
    assert_eq!(status["state"], "SUCCESS");
    assert_eq!(status["shards_stats"]["done"], 2);
    assert_eq!(
        status["stats"]["number_of_files"],
        status["stats"]["processed_files"]
    );
    assert_eq!(status["indices"]["index_1"]["shards"]["0"]["stage"], "DONE");
    assert_eq!(
        server.get("/_snapshot/_status").await.expect_ok(),
        json!({"snapshots": []})
    );

    let table = server
        .get("/_cat/snapshots/my_backup?h=id,repository,status,indices&s=id:desc")
        .await;
    assert_eq!(
        table.text,
        "c my_backup SUCCESS 1\nb my_backup SUCCESS 1\na my_backup SUCCESS 1\n"
    );
    let missing = server.delete("/_snapshot/my_backup/a,nope").await;
    assert_eq!(
        (missing.status, missing.kind().as_str()),
        (StatusCode::NOT_FOUND, "snapshot_missing_exception")
    );
    server.delete("/_snapshot/my_backup/b,c*").await.expect_ok();
    let left = server
        .get("/_snapshot/my_backup/_all?verbose=false")
        .await
        .expect_ok();
    assert_eq!(left["snapshots"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_shown_as_they_were_registered() {
    let server = Server::start(Shape::Es).await;
    let settings = json!({"location": "r", "compress": true, "chunk_size": null, "max_number_of_snapshots": 500});
    server
        .put("/_snapshot/r", json!({"type": "fs", "settings": settings}))
        .await
        .expect_ok();
    let shown = server.get("/_snapshot/r").await.expect_ok();
    assert_eq!(
        shown["r"]["settings"],
        json!({"chunk_size": null, "compress": "true", "location": "r", "max_number_of_snapshots": "500"})
    );
    server
        .post("/_snapshot/r/_verify", json!({}))
        .await
        .expect_ok();
    let cleaned = server
        .post("/_snapshot/r/_cleanup", json!({}))
        .await
        .expect_ok();
    assert_eq!(cleaned["results"]["deleted_blobs"], 0);
    assert_eq!(server.get("/_snapshot/zzz*").await.expect_ok(), json!({}));
    assert_eq!(server.get("/_cat/repositories").await.text, "r fs\n");
    let integrity = server
        .post("/_snapshot/r/_verify_integrity", json!({}))
        .await
        .expect_ok();
    assert_eq!(integrity["results"]["result"], "pass");
    server.delete("/_snapshot/r").await.expect_ok();
    let gone = server.get("/_snapshot/r").await;
    assert_eq!(
        (gone.status, gone.reason().as_str()),
        (StatusCode::NOT_FOUND, "[r] missing")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_told_and_change_nothing() {
    let server = Server::with_data(Shape::Es).await;
    let refused = |answer: Answer, status: u16, kind: &str, reason: &str| {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(
            (answer.kind().as_str(), answer.reason().as_str()),
            (kind, reason)
        );
    };
    let fs = |location: &str| json!({"type": "fs", "settings": {"location": location}});
    let bad = "/_snapshot/bad";
    let failed = "[bad] failed to create repository";
    refused(
        server.put(bad, fs("/nowhere/else")).await,
        500,
        "repository_exception",
        failed,
    );
    refused(
        server.put(bad, fs("../../etc")).await,
        500,
        "repository_exception",
        failed,
    );
    refused(
        server.put(bad, json!({"type": "fs"})).await,
        500,
        "repository_exception",
        failed,
    );
    let unknown = "[bad] repository type [nosuch] does not exist";
    refused(
        server.put(bad, json!({"type": "nosuch"})).await,
        500,
        "repository_exception",
        unknown,
    );
    let no_type = "Validation Failed: 1: type is missing;";
    refused(
        server.put(bad, json!({})).await,
        400,
        "action_request_validation_exception",
        no_type,
    );
    refused(
        server.send("PUT", bad, None).await,
        400,
        "parse_exception",
        "request body is required",
    );
    refused(
        server.get(bad).await,
        404,
        "repository_missing_exception",
        "[bad] missing",
    );

    let name = "/_snapshot/my_backup/Upper";
    let upper = "[my_backup:Upper] Invalid snapshot name [Upper], must be lowercase";
    refused(
        server.put(name, json!({})).await,
        400,
        "invalid_snapshot_name_exception",
        upper,
    );
    let lost = server
        .put("/_snapshot/my_backup/s", json!({"indices": "nosuch"}))
        .await;
    refused(
        lost,
        404,
        "index_not_found_exception",
        "no such index [nosuch]",
    );
    let unread = server.put("/_snapshot/my_backup/s?wait=1", json!({})).await;
    assert_eq!(unread.status, 400);
    assert!(
        unread.reason().starts_with(
            "request [/_snapshot/my_backup/s] contains unrecognized parameter: [wait]"
        )
    );
    let garbage = server
        .send(
            "PUT",
            "/_snapshot/my_backup/s",
            Some(("application/json", "xyz".into())),
        )
        .await;
    assert_eq!(
        (garbage.status.as_u16(), garbage.kind().as_str()),
        (400, "x_content_parse_exception")
    );
    let form = server
        .send(
            "PUT",
            "/_snapshot/my_backup/s",
            Some(("text/plain", "{}".into())),
        )
        .await;
    assert_eq!(
        (form.status.as_u16(), form.json()["error"].as_str()),
        (
            406,
            Some("Content-Type header [text/plain] is not supported")
        )
    );
    let restore = server
        .post("/_snapshot/my_backup/nope/_restore", json!({}))
        .await;
    refused(
        restore,
        500,
        "snapshot_restore_exception",
        "[my_backup:nope] snapshot does not exist",
    );
    let verb = server.send("PATCH", "/_snapshot/my_backup", None).await;
    assert_eq!(
        (
            verb.status.as_u16(),
            verb.headers[header::ALLOW].to_str().unwrap()
        ),
        (405, "GET,POST,PUT,DELETE")
    );
    let path = server.get("/_snapshot/my_backup/s/x/y/z").await;
    assert_eq!(
        path.json(),
        json!({"error": "no handler found for uri [/_snapshot/my_backup/s/x/y/z] and method [GET]"})
    );
    assert_eq!(
        server.get("/_snapshot/my_backup/_all").await.expect_ok()["total"],
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_take_the_form_asked_for() {
    let server = Server::start(Shape::Es).await;
    let vnd = "application/vnd.elasticsearch+json; compatible-with=8";
    let answer = server
        .send_with(
            "GET",
            "/_snapshot",
            None,
            &[("accept", vnd), ("x-opaque-id", "me-1")],
        )
        .await;
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/vnd.elasticsearch+json;compatible-with=8"
    );
    assert_eq!(answer.headers["x-elastic-product"], "Elasticsearch");
    assert_eq!(answer.headers["x-opaque-id"], "me-1");
    let yaml = server.get("/?format=yaml&filter_path=version.number").await;
    assert_eq!(yaml.text, "---\nversion:\n  number: \"8.19.21\"\n");
    let pretty = server.get("/?pretty&filter_path=tagline").await;
    assert_eq!(
        pretty.text,
        "{\n  \"tagline\" : \"You Know, for Search\"\n}\n"
    );
    let traced = server.get("/_snapshot/nope?error_trace=true").await;
    assert!(
        traced.json()["error"]["stack_trace"]
            .as_str()
            .unwrap()
            .contains("[nope] missing")
    );
    let filtered = server.get("/_snapshot/nope?filter_path=nothing").await;
    assert_eq!(
        filtered.reason(),
        "[nope] missing",
        "errors are never filtered"
    );
    let unknown = server.get("/_nosuch/x/y?pretty=false").await;
    assert_eq!(
        unknown.json()["error"],
        "no handler found for uri [/_nosuch/x/y] and method [GET]"
    );
    let zipped = server
        .send_with("GET", "/", None, &[("accept-encoding", "gzip")])
        .await;
    assert_eq!(zipped.headers[header::CONTENT_ENCODING], "gzip");

    let opensearch = Server::start(Shape::OpenSearch).await;
    let answer = opensearch.get("/_snapshot").await;
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/json; charset=UTF-8"
    );
    assert!(answer.headers.get("x-elastic-product").is_none());
    let listed = opensearch.get("/_cat/snapshots").await;
    assert_eq!(
        listed.reason(),
        "Validation Failed: 1: repository is missing;"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_stop_its_snapshot() {
    let server = Server::with_data(Shape::Es).await;
    let waiting = server.put(
        "/_snapshot/my_backup/left?wait_for_completion=true",
        json!({}),
    );
    // Polled once or a few times, then dropped: as when the connection breaks.
    let _ = tokio::time::timeout(Duration::from_millis(5), waiting).await;
    let limit = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let listed = server
            .get("/_snapshot/my_backup/left?ignore_unavailable=true")
            .await
            .expect_ok();
        if listed["snapshots"][0]["state"] == "SUCCESS" {
            break;
        }
        assert!(std::time::Instant::now() < limit, "{listed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_and_renamed_restores() {
    let server = Server::with_data(Shape::OpenSearch).await;
    server
        .put("/_snapshot/my_backup/s?wait_for_completion=true", json!({}))
        .await
        .expect_ok();
    server
        .put(
            "/_snapshot/my_backup/s/_clone/c",
            json!({"indices": "index_2"}),
        )
        .await
        .expect_ok();
    let cloned = server.get("/_snapshot/my_backup/c").await.expect_ok();
    assert_eq!(cloned["snapshots"][0]["indices"], json!(["index_2"]));
    let nothing = server
        .put(
            "/_snapshot/my_backup/s/_clone/d",
            json!({"indices": "zzz*"}),
        )
        .await;
    assert_eq!(
        (nothing.status.as_u16(), nothing.kind().as_str()),
        (500, "snapshot_exception")
    );
    let body = json!({"rename_pattern": "(.+)", "rename_replacement": "$1_restored"});
    let restored = server
        .post(
            "/_snapshot/my_backup/c/_restore?wait_for_completion=true",
            body,
        )
        .await
        .expect_ok();
    assert_eq!(restored["snapshot"]["indices"], json!(["index_2_restored"]));
    let over = server
        .post("/_snapshot/my_backup/c/_restore", json!({}))
        .await;
    assert_eq!(
        (over.status.as_u16(), over.kind().as_str()),
        (500, "snapshot_restore_exception")
    );
    assert!(over.reason().contains(
        "cannot restore index [index_2] because an open index with same name already exists"
    ));
    let nothing = server
        .post(
            "/_snapshot/my_backup/c/_restore",
            json!({"indices": "zzz*"}),
        )
        .await
        .expect_ok();
    assert_eq!(nothing["snapshot"]["shards"]["total"], 0);
    let closed = server.post("/index_2/_close", json!({})).await;
    assert_eq!(closed.status, StatusCode::OK, "{}", closed.text);
    server
        .post(
            "/_snapshot/my_backup/c/_restore?wait_for_completion=true",
            json!({}),
        )
        .await
        .expect_ok();
    assert_eq!(server.get("/index_2/_count").await.expect_ok()["count"], 20);
}
