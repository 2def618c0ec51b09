//! The Weaviate dialect over HTTP: schema, objects, references, batches, GraphQL.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::auth::without_credentials;
use snapkeep_api::weaviate::{WeaviateConfig, WeaviateState, router};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tower::ServiceExt;

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";
const ABSENT: &str = "00000000-0000-4000-8000-00000000004d";

struct Server {
    router: Router,
    _dir: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Status and text of an error of a handler.
    fn complaint(&self) -> (u16, &str) {
        let text = self.body["error"][0]["message"].as_str();
        (self.status, text.unwrap_or_else(|| panic!("{}", self.body)))
    }

    /// Status, code and text of an error of the framework.
    fn framework(&self) -> (u16, i64, &str) {
        let code = self.body["code"].as_i64().unwrap();
        (self.status, code, self.body["message"].as_str().unwrap())
    }
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let engine = Engine::start(EngineConfig::new(dir.path().join("engine")), driver)
            .await
            .unwrap();
        let state = WeaviateState::new(engine, store, WeaviateConfig::default());
        Self {
            router: without_credentials(router(state)),
            _dir: dir,
        }
    }

    async fn raw(&self, line: &str, body: String, content_type: Option<&str>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content_type) = content_type.filter(|_| !body.is_empty()) {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn send(&self, line: &str, body: Value) -> Answer {
        self.raw(line, body.to_string(), Some("application/json"))
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.raw(&format!("GET {path}"), String::new(), None).await
    }

    async fn class(&self, class: Value) -> Value {
        self.send("POST /v1/schema", class).await.ok()
    }

    async fn object(&self, object: Value) -> Value {
        self.send("POST /v1/objects", object).await.ok()
    }

    async fn query(&self, text: &str) -> Value {
        self.send("POST /v1/graphql", json!({"query": text}))
            .await
            .ok()
    }

    /// Articles with three vectors, and paragraphs that refer to them.
    async fn with_articles() -> Self {
        let server = Self::start().await;
        server
            .class(json!({"class": "Article", "properties": [
                {"name": "title", "dataType": ["text"]}, {"name": "wordCount", "dataType": ["int"]}]}))
            .await;
        server
            .class(json!({"class": "Paragraph", "properties": [
                {"name": "contents", "dataType": ["text"]}, {"name": "inArticle", "dataType": ["Article"]}]}))
            .await;
        let article = |id: &str, title: &str, count: i64, vector: Value| json!({"class": "Article", "id": id, "properties": {"title": title, "wordCount": count}, "vector": vector});
        server
            .object(article(ONE, "one", 10, json!([0.1, 0.2, 0.3])))
            .await;
        server
            .object(article(TWO, "two", 20, json!([3, 1, 0])))
            .await;
        server
    }
}

#[tokio::test]
async fn the_frame_answers_as_the_framework_of_a_real_server() {
    let server = Server::start().await;
    let meta = server.get("/v1/meta").await.ok();
    assert_eq!(
        (&meta["version"], &meta["grpcMaxMessageSize"]),
        (&json!("1.39.0"), &json!(104_858_000))
    );
    assert_eq!(server.get("//v1//meta/").await.status, 200);
    let ready = server.get("/v1/.well-known/ready").await;
    assert_eq!(
        (ready.status, ready.headers.get(header::CONTENT_TYPE)),
        (200, None)
    );
    assert_eq!(
        server
            .get("/v1/.well-known/openid-configuration")
            .await
            .status,
        404
    );
    assert_eq!(
        server.get("/v1/nope").await.framework(),
        (404, 404, "path /v1/nope was not found")
    );
    let wrong = server.send("POST /v1/meta", json!({})).await;
    assert_eq!(
        wrong.framework(),
        (405, 405, "method POST is not allowed, but [GET] are")
    );
    assert_eq!(wrong.headers[header::ALLOW], "GET");
    let head = server.raw("HEAD /v1/meta", String::new(), None).await;
    assert_eq!((head.status, head.body), (405, Value::Null));
    assert_eq!(
        server
            .raw("OPTIONS /v1/meta", String::new(), None)
            .await
            .status,
        200
    );
    let plain = server
        .raw("POST /v1/schema", "{}".to_owned(), Some("text/plain"))
        .await;
    assert_eq!(
        plain.framework(),
        (
            415,
            415,
            "unsupported media type \"text/plain\", only [application/json application/yaml] are allowed"
        )
    );
    let none = server.raw("POST /v1/schema", String::new(), None).await;
    assert_eq!(
        none.framework(),
        (422, 602, "objectClass in body is required")
    );
}

#[tokio::test]
async fn a_class_is_completed_kept_with_unknown_keys_and_changed() {
    let server = Server::start().await;
    let class = server
        .class(json!({"class": "article", "frob": {"x": 1}}))
        .await;
    assert_eq!(
        (&class["class"], &class["frob"]),
        (&json!("Article"), &json!({"x": 1}))
    );
    assert_eq!(class["vectorIndexConfig"]["distance"], "cosine");
    assert_eq!(server.get("/v1/schema/article").await.ok(), class);
    assert_eq!(
        server.get("/v1/schema").await.ok()["classes"],
        json!([class])
    );
    let again = server
        .send("POST /v1/schema", json!({"class": "ARTICLE"}))
        .await;
    assert_eq!(
        again.complaint(),
        (422, "class already exists: found similar class \"Article\"")
    );
    assert_eq!(again.body["allowed"], Value::Null);
    let property = json!({"name": "summary", "dataType": ["text"]});
    let added = server
        .send("POST /v1/schema/Article/properties", property.clone())
        .await
        .ok();
    assert_eq!(added["tokenization"], "word");
    let twice = server
        .send("POST /v1/schema/Article/properties", property)
        .await;
    assert_eq!(
        twice.complaint(),
        (
            422,
            "class \"Article\": conflict for property \"summary\": already in use or provided multiple times"
        )
    );
    let mut changed = server.get("/v1/schema/Article").await.ok();
    changed["description"] = json!("changed");
    server
        .send("PUT /v1/schema/Article", changed.clone())
        .await
        .ok();
    assert_eq!(
        server.get("/v1/schema/Article").await.ok()["description"],
        "changed"
    );
    changed["class"] = json!("Renamed");
    assert_eq!(
        server
            .send("PUT /v1/schema/Article", changed.clone())
            .await
            .complaint(),
        (
            422,
            "class name is immutable: attempted change from \"Article\" to \"Renamed\""
        )
    );
    assert_eq!(
        server.send("PUT /v1/schema/Nope", changed).await.status,
        404
    );
    for _ in 0..2 {
        assert_eq!(
            server
                .raw("DELETE /v1/schema/Article", String::new(), None)
                .await
                .status,
            200
        );
    }
    assert_eq!(server.get("/v1/schema/Article").await.status, 404);
}

#[tokio::test]
async fn objects_are_written_read_replaced_merged_and_deleted() {
    let server = Server::with_articles().await;
    let path = format!("/v1/objects/Article/{ONE}");
    let read = server.get(&format!("{path}?include=vector")).await.ok();
    assert_eq!(read["vector"], json!([0.1, 0.2, 0.3]));
    assert_eq!(read["vectorWeights"], Value::Null);
    assert!(server.get(&path).await.ok().get("vector").is_none());
    let again = json!({"class": "Article", "id": ONE});
    assert_eq!(
        server.send("POST /v1/objects", again).await.complaint(),
        (422, format!("id '{ONE}' already exists").as_str())
    );
    let patch = json!({"class": "Article", "properties": {"title": null, "wordCount": 11}});
    assert_eq!(
        server.send(&format!("PATCH {path}"), patch).await.status,
        204
    );
    let merged = server.get(&path).await.ok();
    assert_eq!(merged["properties"], json!({"wordCount": 11}));
    assert_eq!(merged["creationTimeUnix"], read["creationTimeUnix"]);
    let put = json!({"class": "Article", "id": ONE, "properties": {"title": "replaced"}});
    server.send(&format!("PUT {path}"), put.clone()).await.ok();
    let replaced = server
        .get(&format!("/v1/objects/{ONE}?include=vector"))
        .await
        .ok();
    assert_eq!(replaced["properties"], json!({"title": "replaced"}));
    assert!(replaced.get("vector").is_none());
    assert_eq!(
        server
            .send(&format!("PUT /v1/objects/Article/{TWO}"), put)
            .await
            .complaint(),
        (422, "invalid update: field 'id' is immutable")
    );
    assert_eq!(
        server
            .raw(&format!("HEAD {path}"), String::new(), None)
            .await
            .status,
        204
    );
    for _ in 0..2 {
        assert_eq!(
            server
                .raw(&format!("DELETE {path}"), String::new(), None)
                .await
                .status,
            204
        );
    }
    assert_eq!(server.get(&path).await.status, 404);
    assert_eq!(
        server.get("/v1/objects/Article/nope").await.framework(),
        (422, 601, "id in path must be of type uuid: \"nope\"")
    );
}

#[tokio::test]
async fn wrong_values_and_vectors_are_refused() {
    let server = Server::with_articles().await;
    let cases = [
        (
            json!({"properties": {"x": 1}}),
            422,
            "invalid object: the given class is empty",
        ),
        (
            json!({"class": "Article", "properties": {"wordCount": "ten"}}),
            422,
            "invalid object: invalid integer property 'wordCount' on class 'Article': requires an integer, the given value is 'ten'",
        ),
        (
            json!({"class": "Paragraph", "properties": {"inArticle": [{"beacon": format!("weaviate://localhost/Article/{ABSENT}")}]}}),
            422,
            "invalid object: invalid cref: 'cref' Paragraph:inArticle: no object with id 00000000-0000-4000-8000-00000000004d found",
        ),
        (
            json!({"class": "Article", "vectors": {"zz": [1]}}),
            422,
            "invalid object: collection Article does not have configuration for vector zz",
        ),
        (
            json!({"class": "Article", "tenant": "t"}),
            422,
            "determine shard: class Article has multi-tenancy disabled, but request was with tenant",
        ),
    ];
    for (object, status, text) in cases {
        assert_eq!(
            server.send("POST /v1/objects", object).await.complaint(),
            (status, text)
        );
    }
    let short = server
        .send(
            "POST /v1/objects",
            json!({"class": "Article", "vector": [1, 2]}),
        )
        .await;
    let (status, text) = short.complaint();
    assert_eq!(status, 500);
    assert!(text.ends_with(
        "new node has a vector with length 2. Existing nodes have vectors with length 3: vector dimensions do not match the index dimensions"
    ), "{text}");
    let level = server
        .send(
            "POST /v1/objects?consistency_level=FROB",
            json!({"class": "Article"}),
        )
        .await;
    assert_eq!(level.status, 400);
}

#[tokio::test]
async fn vectors_of_all_kinds_come_back_bit_by_bit() {
    let server = Server::start().await;
    server
        .class(json!({"class": "Named", "vectorConfig": {
            "a": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"},
            "m": {"vectorizer": {"none": {}}, "vectorIndexConfig": {"multivector": {"enabled": true}}}}}))
        .await;
    let vectors = json!({"a": [0.1, 1e-7, 16_777_217.0], "m": [[1, 2, 3], [4, 5, 6]]});
    server
        .object(json!({"class": "Named", "id": ONE, "vectors": vectors}))
        .await;
    let read = server
        .get(&format!("/v1/objects/Named/{ONE}?include=vector"))
        .await
        .ok();
    assert_eq!(
        read["vectors"],
        json!({"a": [0.1, 1e-7, 16_777_216], "m": [[1, 2, 3], [4, 5, 6]]})
    );
    assert!(read.get("vector").is_none());
    let answer = server.query("{Get{Named(nearVector:{vector:[0.1,0,1] targetVectors:[\"a\"]}){_additional{vectors{a m}}}}}").await;
    assert_eq!(
        answer["data"]["Get"]["Named"][0]["_additional"]["vectors"]["m"],
        json!([[1, 2, 3], [4, 5, 6]])
    );
}

#[tokio::test]
async fn lists_go_by_pages_by_cursor_and_by_property() {
    let server = Server::with_articles().await;
    let ids = |answer: &Value| -> Vec<String> {
        let objects = answer["objects"].as_array().unwrap();
        objects
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = server.get("/v1/objects?class=Article").await.ok();
    assert_eq!(
        (ids(&all), &all["totalResults"]),
        (vec![ONE.to_owned(), TWO.to_owned()], &json!(2))
    );
    let second = server
        .get("/v1/objects?class=Article&limit=1&offset=1")
        .await
        .ok();
    assert_eq!(ids(&second), [TWO]);
    let after = server
        .get(&format!("/v1/objects?class=Article&limit=5&after={ONE}"))
        .await
        .ok();
    assert_eq!(ids(&after), [TWO]);
    let sorted = server
        .get("/v1/objects?class=Article&sort=wordCount&order=desc")
        .await
        .ok();
    assert_eq!(ids(&sorted), [TWO, ONE]);
    let end = server
        .get(&format!("/v1/objects?class=Article&limit=5&after={TWO}"))
        .await
        .ok();
    assert_eq!(end, json!({"deprecations": [], "objects": []}));
    let everything = server.get("/v1/objects?limit=1&offset=1").await.ok();
    assert_eq!(
        (ids(&everything), &everything["deprecations"]),
        (vec![TWO.to_owned()], &Value::Null)
    );
    let refused = [
        (
            format!("class=Article&after={ONE}"),
            422,
            "limit parameter must be set",
        ),
        (
            format!("class=Article&limit=1&sort=title&after={ONE}"),
            422,
            "sort cannot be set with after and limit parameters",
        ),
        (format!("limit=1&after={ONE}"), 500, "set class query param"),
        (
            "class=Article&limit=1&after=nope".to_owned(),
            422,
            "is not a valid uuid: invalid UUID length: 4",
        ),
        (
            "class=Article&limit=-1".to_owned(),
            422,
            "this may be an underflow error",
        ),
        (
            "class=Article&limit=10001".to_owned(),
            422,
            "this may be an underflow error",
        ),
    ];
    for (query, status, end) in refused {
        let answer = server.get(&format!("/v1/objects?{query}")).await;
        let (found, text) = answer.complaint();
        assert!(
            found == status && text.ends_with(end),
            "{query}: {found} {text}"
        );
    }
    assert_eq!(server.get("/v1/objects?class=Nope").await.status, 404);
}

#[tokio::test]
async fn tenants_keep_objects_apart_and_can_sleep() {
    let server = Server::start().await;
    server
        .class(json!({"class": "Tenanted", "multiTenancyConfig": {"enabled": true}}))
        .await;
    let tenants = json!([{"name": "t1"}, {"name": "cold", "activityStatus": "COLD"}]);
    assert_eq!(
        server
            .send("POST /v1/schema/Tenanted/tenants", tenants.clone())
            .await
            .ok(),
        tenants
    );
    server
        .object(json!({"class": "Tenanted", "tenant": "t1", "id": ONE, "vector": [1]}))
        .await;
    let path = format!("/v1/objects/Tenanted/{ONE}");
    assert_eq!(
        server.get(&format!("{path}?tenant=t1")).await.ok()["tenant"],
        "t1"
    );
    assert_eq!(
        server.get(&path).await.complaint(),
        (
            422,
            "repo: object by id: search index tenanted: determine shard: class Tenanted has multi-tenancy enabled, but request was without tenant"
        )
    );
    assert_eq!(
        server
            .get("/v1/objects?class=Tenanted&tenant=cold")
            .await
            .complaint(),
        (
            422,
            "msg:search index tenanted code:422 err:tenant not active: 'cold'"
        )
    );
    let woken = json!([{"name": "cold", "activityStatus": "ACTIVE"}]);
    assert_eq!(
        server
            .send("PUT /v1/schema/Tenanted/tenants", woken)
            .await
            .ok(),
        json!([{"activityStatus": "HOT", "name": "cold"}])
    );
    assert_eq!(
        server
            .get("/v1/objects?class=Tenanted&tenant=cold")
            .await
            .status,
        200
    );
    let counted = server
        .query("{Aggregate{Tenanted(tenant:\"t1\"){meta{count}}}}")
        .await;
    assert_eq!(
        counted["data"]["Aggregate"]["Tenanted"],
        json!([{"meta": {"count": 1}}])
    );
    let without = server.query("{Aggregate{Tenanted{meta{count}}}}").await;
    assert_eq!(
        without["errors"],
        json!([{"locations": [{"column": 12, "line": 1}], "path": ["Aggregate", "Tenanted"],
            "message": "class Tenanted has multi-tenancy enabled, but request was without tenant"}])
    );
    server
        .send("DELETE /v1/schema/Tenanted/tenants", json!(["t1", "nope"]))
        .await
        .ok();
    assert_eq!(
        server.get(&format!("{path}?tenant=t1")).await.complaint().0,
        422
    );
}

#[tokio::test]
async fn a_batch_tells_each_object_how_it_ended() {
    let server = Server::with_articles().await;
    let objects = json!({"objects": [
        {"class": "Article", "id": ONE, "properties": {"title": "over"}, "vector": [9, 9, 9]},
        {"class": "Article", "vector": [1]},
        {"id": TWO},
        {"class": "Made", "properties": {"when": "2024-01-01T00:00:00Z", "deep": {"k": 1}}},
    ]});
    let answer = server.send("POST /v1/batch/objects", objects).await.ok();
    let statuses: Vec<&str> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["result"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["SUCCESS", "FAILED", "FAILED", "SUCCESS"]);
    assert_eq!(answer[0]["vector"], json!([9, 9, 9]));
    assert_eq!(
        answer[2]["result"]["errors"]["error"][0]["message"],
        "the given class is empty"
    );
    let made = server.get("/v1/schema/Made").await.ok();
    let types: Vec<&Value> = made["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["dataType"][0])
        .collect();
    assert_eq!(types, ["date", "object"]);
    let empty = server.send("POST /v1/batch/objects", json!({})).await;
    assert_eq!(
        empty.complaint(),
        (
            422,
            "invalid param 'objects': cannot be empty, need at least one object for batching"
        )
    );
    let bad = server
        .send(
            "POST /v1/batch/objects",
            json!({"objects": [{"class": "Article", "id": "bad"}]}),
        )
        .await;
    assert_eq!(
        bad.framework(),
        (
            422,
            601,
            "body.objects.0.id in body must be of type uuid: \"bad\""
        )
    );
    let clause = json!({"match": {"class": "Article", "where": {"path": ["title"], "operator": "Equal", "valueText": "over"}},
        "dryRun": true, "output": "verbose"});
    let dry = server
        .send("DELETE /v1/batch/objects", clause.clone())
        .await
        .ok();
    assert_eq!(
        dry["results"]["objects"],
        json!([{"id": ONE, "status": "DRYRUN"}])
    );
    let mut for_real = clause;
    for_real["dryRun"] = json!(false);
    let gone = server.send("DELETE /v1/batch/objects", for_real).await.ok();
    assert_eq!(
        (&gone["results"]["matches"], &gone["results"]["successful"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        server
            .get(&format!("/v1/objects/Article/{ONE}"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn references_are_added_replaced_removed_and_followed() {
    let server = Server::with_articles().await;
    server
        .object(json!({"class": "Paragraph", "id": ONE, "properties": {"contents": "p"}}))
        .await;
    let path = format!("/v1/objects/Paragraph/{ONE}/references/inArticle");
    let to = |id: &str| json!({"beacon": format!("weaviate://localhost/Article/{id}")});
    server.send(&format!("POST {path}"), to(ONE)).await.ok();
    assert_eq!(
        server
            .send(&format!("POST {path}"), to(ABSENT))
            .await
            .complaint(),
        (
            422,
            "msg:validate existence code:400 err:validate reference: no object with id 00000000-0000-4000-8000-00000000004d found"
        )
    );
    let followed = server
        .query("{Get{Paragraph{contents inArticle{... on Article{title}}}}}")
        .await;
    assert_eq!(
        followed["data"]["Get"]["Paragraph"],
        json!([{"contents": "p", "inArticle": [{"title": "one"}]}])
    );
    server
        .send(&format!("PUT {path}"), json!([to(TWO)]))
        .await
        .ok();
    let read = server
        .get(&format!("/v1/objects/Paragraph/{ONE}"))
        .await
        .ok();
    assert_eq!(
        read["properties"]["inArticle"][0]["href"],
        format!("/v1/objects/Article/{TWO}")
    );
    assert_eq!(
        server.send(&format!("DELETE {path}"), to(TWO)).await.status,
        204
    );
    let batch = json!([
        {"from": format!("weaviate://localhost/Paragraph/{ONE}/inArticle"), "to": format!("weaviate://localhost/Article/{ONE}")},
        {"from": format!("weaviate://localhost/Paragraph/{ONE}/inArticle"), "to": format!("weaviate://localhost/Article/{ABSENT}")},
        {"from": format!("weaviate://localhost/Paragraph/{ONE}/nope"), "to": format!("weaviate://localhost/Article/{ONE}")},
    ]);
    let answer = server.send("POST /v1/batch/references", batch).await.ok();
    assert_eq!(answer[0]["result"], json!({"status": "SUCCESS"}));
    assert_eq!(answer[1]["result"], json!({"status": "SUCCESS"}));
    assert_eq!(
        answer[2]["result"]["errors"]["error"][0]["message"],
        "ref batch: property 'nope' not found in schema"
    );
    let dangling = server
        .query("{Get{Paragraph{inArticle{... on Article{_additional{id}}}}}}")
        .await;
    assert_eq!(
        dangling["data"]["Get"]["Paragraph"][0]["inArticle"],
        json!([{"_additional": {"id": ONE}}])
    );
}

#[tokio::test]
async fn aliases_stand_for_classes() {
    let server = Server::with_articles().await;
    let alias = json!({"alias": "ArtAlias", "class": "Article"});
    assert_eq!(
        server.send("POST /v1/aliases/", alias.clone()).await.ok(),
        alias
    );
    assert_eq!(
        server.get("/v1/schema/ArtAlias").await.ok()["class"],
        "Article"
    );
    assert_eq!(
        server
            .get(&format!("/v1/objects/ArtAlias/{ONE}"))
            .await
            .ok()["class"],
        "Article"
    );
    let taken = server
        .send(
            "POST /v1/aliases",
            json!({"alias": "Paragraph", "class": "Article"}),
        )
        .await;
    assert_eq!(taken.complaint().0, 500);
    assert_eq!(
        server
            .send("POST /v1/schema", json!({"class": "ArtAlias"}))
            .await
            .complaint(),
        (422, "alias name ArtAlias already exists")
    );
    server
        .send("PUT /v1/aliases/ArtAlias", json!({"class": "Paragraph"}))
        .await
        .ok();
    assert_eq!(
        server.get("/v1/aliases?class=Article").await.ok(),
        json!({"aliases": []})
    );
    assert_eq!(
        server
            .raw("DELETE /v1/aliases/ArtAlias", String::new(), None)
            .await
            .status,
        204
    );
    assert_eq!(server.get("/v1/aliases/ArtAlias").await.status, 404);
}

#[tokio::test]
async fn graphql_filters_sorts_searches_and_says_what_it_does_not_offer() {
    let server = Server::with_articles().await;
    let titles = |answer: &Value| -> Vec<String> {
        let list = answer["data"]["Get"]["Article"].as_array().unwrap();
        list.iter()
            .map(|it| it["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let filtered = server
        .query(
            "{Get{Article(where:{path:[\"wordCount\"],operator:GreaterThan,valueInt:15}){title}}}",
        )
        .await;
    assert_eq!(titles(&filtered), ["two"]);
    let sorted = server
        .query("{Get{Article(sort:{path:[\"title\"] order:desc}){title}}}")
        .await;
    assert_eq!(titles(&sorted), ["two", "one"]);
    let near = server
        .query("{Get{Article(nearVector:{vector:[3,1,0]} limit:1){title _additional{distance certainty}}}}")
        .await;
    assert_eq!(titles(&near), ["two"]);
    let of_object = server
        .query(&format!(
            "{{Get{{Article(nearObject:{{id:\"{ONE}\"}} limit:1){{title}}}}}}"
        ))
        .await;
    assert_eq!(titles(&of_object), ["one"]);
    let counted = server.query("{Aggregate{Article{meta{count}}}}").await;
    assert_eq!(
        counted["data"]["Aggregate"]["Article"][0]["meta"]["count"],
        2
    );
    let unknown = server.query("{Get{Article{nope}}}").await;
    assert_eq!(
        unknown["errors"][0]["message"],
        "Cannot query field \"nope\" on type \"Article\"."
    );
    let syntax = server.query("{Get{").await;
    assert_eq!(
        syntax["errors"][0]["locations"],
        json!([{"column": 6, "line": 1}])
    );
    let refused = server
        .send(
            "POST /v1/graphql",
            json!({"query": "{Get{Article(bm25:{query:\"x\"}){title}}}"}),
        )
        .await;
    assert_eq!(
        refused.complaint(),
        (
            422,
            "argument \"bm25\" of GraphQL Article is not offered by this server"
        )
    );
    let variables =
        json!({"query": "query($n:Int){Get{Article(limit:$n){title}}}", "variables": {"n": 1}});
    let batch = server
        .send("POST /v1/graphql/batch", json!([variables]))
        .await
        .ok();
    assert_eq!(titles(&batch[0]), ["one"]);
}

#[tokio::test]
async fn a_shard_can_be_closed_for_writing() {
    let server = Server::with_articles().await;
    let shards = server.get("/v1/schema/Article/shards").await.ok();
    let name = shards[0]["name"].as_str().unwrap();
    let path = format!("PUT /v1/schema/Article/shards/{name}");
    server.send(&path, json!({"status": "READONLY"})).await.ok();
    let refused = server
        .send("POST /v1/objects", json!({"class": "Article"}))
        .await;
    assert!(
        refused
            .complaint()
            .1
            .ends_with("store is read-only due to: manually set by user")
    );
    server.send(&path, json!({"status": "READY"})).await.ok();
    server.object(json!({"class": "Article"})).await;
    let nodes = server.get("/v1/nodes/Article?output=verbose").await.ok();
    assert_eq!(
        nodes["nodes"][0]["stats"],
        json!({"objectCount": 3, "shardCount": 1})
    );
}
