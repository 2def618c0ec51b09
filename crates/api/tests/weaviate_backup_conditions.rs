//! Every row of the table of conditions, sent to a real engine and store: the table is the test.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::auth::{Caller, Limits, Method, Principal, Role, without_credentials};
use snapkeep_api::weaviate::backups::conditions::{
    Call, Condition, Example, Step, TABLE, UNKNOWN_STATUS, Who,
};
use snapkeep_api::weaviate::backups::{Backends, DEFAULT_FOLDER, DEFAULT_REPOSITORY};
use snapkeep_api::weaviate::{WeaviateConfig, WeaviateState, router};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig, RepositorySpec};
use snapkeep_store::collections::{CollectionSpec, NewObject, ObjectId, ObjectOp, ObjectVector};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tower::ServiceExt;

const NODE: &str = "snapkeep-1";
const PATIENCE: Duration = Duration::from_secs(20);
const HEAVY_OBJECTS: usize = 400;
const HEAVY_DIMS: usize = 1_000;

struct World {
    engine: Engine,
    store: Store,
    anyone: Router,
    viewer: Router,
    elsewhere: Router,
    who: Who,
    home: String,
    roots: String,
    dir: TempDir,
}

/// Everything comes from this caller.
fn as_caller(router: Router, role: Role, limits: Limits) -> Router {
    let principal = Principal {
        id: "custom".into(),
        name: "custom-user".into(),
        role,
        limits,
    };
    let caller = Caller::new(principal, Method::ApiKey, None);
    router.layer(from_fn(move |mut request: Request, next: Next| {
        request.extensions_mut().insert(caller.clone());
        next.run(request)
    }))
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repositories");
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let mut config = EngineConfig::new(dir.path().join("engine"));
        config.repo_roots = vec![root.clone()];
        let engine = Engine::start(config, driver).await.unwrap();
        let config = WeaviateConfig {
            node_name: NODE.into(),
            backends: Backends {
                roots: vec![root.clone()],
                ..Backends::default()
            },
            ..WeaviateConfig::default()
        };
        let all = router(WeaviateState::new(engine.clone(), store.clone(), config));
        let limits = Limits {
            resources: Some(vec!["Other".into()]),
            ..Limits::default()
        };
        Self {
            anyone: without_credentials(all.clone()),
            viewer: as_caller(all.clone(), Role::Viewer, Limits::default()),
            elsewhere: as_caller(all, Role::Operator, limits),
            who: Who::Anyone,
            home: root.join(DEFAULT_FOLDER).display().to_string(),
            roots: root.display().to_string(),
            engine,
            store,
            dir,
        }
    }

    async fn send(&self, call: Call) -> (StatusCode, Value) {
        let router = match self.who {
            Who::Anyone => &self.anyone,
            Who::Viewer => &self.viewer,
            Who::Elsewhere => &self.elsewhere,
        };
        let request = http::Request::builder()
            .method(call.method)
            .uri(format!("/v1/backups/{}", call.path));
        let request = match call.body {
            "" => request.body(Body::empty()),
            body => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body)),
        };
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (head.status, value)
    }

    async fn status(&self, path: &'static str) -> Value {
        let call = Call {
            method: "GET",
            path,
            body: "",
        };
        self.send(call).await.1
    }

    async fn until(&self, path: &'static str, wanted: &[&str]) -> Value {
        let since = Instant::now();
        loop {
            let status = self.status(path).await;
            if wanted.contains(&status["status"].as_str().unwrap_or_default()) {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "{path} is {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Class(name) => self.class(name, 3, 4),
            Step::Heavy(name) => self.class(name, HEAVY_OBJECTS, HEAVY_DIMS),
            Step::Drop(name) => self.store.delete_collection(name).unwrap(),
            Step::Throttle { backup, restore } => {
                let spec = RepositorySpec {
                    kind: "fs".into(),
                    settings: json!({
                        "location": DEFAULT_FOLDER,
                        "max_snapshot_bytes_per_sec": format!("{backup}b"),
                        "max_restore_bytes_per_sec": format!("{restore}b"),
                    })
                    .as_object()
                    .cloned()
                    .unwrap(),
                };
                let put = self.engine.put_repository(DEFAULT_REPOSITORY, spec, false);
                put.await.unwrap();
            }
            Step::Send(call) => {
                let (status, body) = self.send(call).await;
                assert!(status.is_success(), "{call:?}: {status} {body}");
            }
            Step::Until(path, status) => {
                self.until(path, &[status]).await;
            }
            Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::As(who) => self.who = who,
        }
    }

    fn class(&self, name: &str, objects: usize, dims: usize) {
        let spec = CollectionSpec {
            name: name.to_owned(),
            class: json!({"class": name, "properties": [], "vectorIndexType": "hnsw"}),
            multi_tenant: false,
            shards: vec!["shard".to_owned()],
        };
        self.store.create_collection(spec).unwrap();
        let mut noise: u32 = 1;
        let ops = (0..objects).map(|_| {
            let mut object = NewObject::new(ObjectId::random(), serde_json::Map::new());
            let values = (0..dims).map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from_bits(0x3f80_0000 | (noise >> 9)) - 1.5
            });
            object.vectors = vec![ObjectVector::single("", values.collect())];
            ObjectOp::put(name, None, object)
        });
        for outcome in self.store.write_objects(ops.collect()) {
            outcome.unwrap();
        }
    }

    fn expected(&self, row: &Condition, values: &[(&str, &str)]) -> String {
        let given = |value: &str| {
            value
                .replace("{home}", &self.home)
                .replace("{roots}", &self.roots)
                .replace("{node}", NODE)
        };
        let values: Vec<(&str, String)> = values
            .iter()
            .map(|(key, value)| (*key, given(value)))
            .collect();
        let values: Vec<(&str, &str)> = values
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        row.fill(&values)
    }

    async fn end(self) {
        self.engine.shutdown(Duration::ZERO).await;
        drop(self.dir);
    }
}

/// What is not as the row says; none for a row that does not happen here.
async fn complaint(row: &Condition) -> Option<String> {
    let (before, values) = match row.example {
        Example::Never(_) => return None,
        Example::Answer { before, values, .. } | Example::Reason { before, values, .. } => {
            (before, values)
        }
    };
    let mut world = World::start().await;
    for step in before {
        world.take(step).await;
    }
    let expected = world.expected(row, values);
    let (is_right, answer) = match row.example {
        Example::Answer { call, .. } => {
            let (status, body) = world.send(call).await;
            let text = body["error"][0]["message"].as_str().unwrap_or_default();
            let is_right = status.as_u16() == row.status && text == expected;
            (is_right, format!("{status} {body}"))
        }
        Example::Reason {
            status, outcome, ..
        } => {
            let ended = world
                .until(status, &["SUCCESS", "FAILED", "CANCELED"])
                .await;
            let is_right = ended["status"] == outcome && ended["error"] == expected;
            (is_right, ended.to_string())
        }
        Example::Never(_) => (true, String::new()),
    };
    world.end().await;
    (!is_right).then(|| format!("{}:\n  {answer}\n  expected {expected}", row.about))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_the_table_is_answered_as_it_says() {
    let mut complaints = Vec::new();
    for row in TABLE {
        complaints.extend(complaint(row).await);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn post(path: &'static str, body: &'static str) -> Call {
    Call {
        method: "POST",
        path,
        body,
    }
}

fn bare(method: &'static str, path: &'static str) -> Call {
    Call {
        method,
        path,
        body: "",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_its_way_and_its_id_is_free_after_a_purge() {
    let mut world = World::start().await;
    world.take(&Step::Class("Article")).await;
    let one = post(
        "filesystem",
        r#"{"ID":"one","config":{"bucket":"b"},"include":[]}"#,
    );
    let (status, answer) = world.send(one).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let path = format!("{}/one", world.home);
    let expected = json!({"backend": "filesystem", "bucket": "b", "classes": ["Article"], "id": "one", "path": path, "status": "STARTED"});
    assert_eq!(answer, expected);
    let ended = world.until("filesystem/one", &["SUCCESS"]).await;
    assert_eq!(ended["path"], path);
    assert!(ended["size"].as_f64().unwrap() > 0.0 && ended.get("error").is_none());
    assert!(ended["completedAt"].as_str().unwrap() >= ended["startedAt"].as_str().unwrap());
    world
        .take(&Step::Send(post("backup-filesystem", r#"{"id":"two"}"#)))
        .await;
    world.until("filesystem/two", &["SUCCESS"]).await;
    let list = world.status("filesystem?order=asc").await;
    let ids: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, ["one", "two"]);
    world
        .take(&Step::Send(bare("DELETE", "filesystem/one?purge=true")))
        .await;
    let (gone, _) = world.send(bare("GET", "filesystem/one")).await;
    assert_eq!(gone.as_u16(), UNKNOWN_STATUS.status);
    world
        .take(&Step::Send(post("filesystem", r#"{"id":"one"}"#)))
        .await;
    world.until("filesystem/one", &["SUCCESS"]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_can_rename_skip_and_overwrite() {
    let mut world = World::start().await;
    for step in [
        Step::Class("Article"),
        Step::Class("Paragraph"),
        Step::Send(post("filesystem", r#"{"id":"one"}"#)),
        Step::Until("filesystem/one", "SUCCESS"),
        Step::Drop("Paragraph"),
        Step::Send(post(
            "filesystem/one/restore",
            r#"{"include":["Article"],"config":{"rename":{"Article":"copy"}}}"#,
        )),
        Step::Until("filesystem/one/restore", "SUCCESS"),
    ] {
        world.take(&step).await;
    }
    let names = |world: &World| -> Vec<String> {
        let all = world.store.collections();
        all.iter().map(|it| it.name.clone()).collect()
    };
    assert_eq!(names(&world), ["Article", "Copy"]);
    // All or none: what is there already keeps the other from coming back.
    world
        .take(&Step::Send(post("filesystem/one/restore", "{}")))
        .await;
    world.until("filesystem/one/restore", &["FAILED"]).await;
    assert_eq!(names(&world), ["Article", "Copy"]);
    let before = world.store.collection("Article").unwrap().uuid.clone();
    world
        .take(&Step::Send(post(
            "filesystem/one/restore",
            r#"{"config":{"onConflict":"skip"}}"#,
        )))
        .await;
    world.until("filesystem/one/restore", &["SUCCESS"]).await;
    assert_eq!(names(&world), ["Article", "Copy", "Paragraph"]);
    assert_eq!(world.store.collection("Article").unwrap().uuid, before);
    world
        .take(&Step::Send(post(
            "filesystem/one/restore",
            r#"{"config":{"onConflict":"overwrite"}}"#,
        )))
        .await;
    world.until("filesystem/one/restore", &["SUCCESS"]).await;
    assert_ne!(world.store.collection("Article").unwrap().uuid, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_path_is_another_place() {
    let mut world = World::start().await;
    world.take(&Step::Class("Article")).await;
    world
        .take(&Step::Send(post(
            "filesystem",
            r#"{"id":"one","config":{"Path":"team/a"}}"#,
        )))
        .await;
    let ended = world
        .until("filesystem/one?path=team/a", &["SUCCESS"])
        .await;
    assert_eq!(ended["path"], "team/a/one");
    let (status, _) = world.send(bare("GET", "filesystem/one")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(world.status("filesystem").await, json!([]));
    let elsewhere = std::path::Path::new(&world.roots).join("team/b");
    let (status, _) = world.send(bare("GET", "filesystem/one?path=team/b")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        !elsewhere.exists(),
        "looking for a backup left something behind"
    );
    world.end().await;
}
