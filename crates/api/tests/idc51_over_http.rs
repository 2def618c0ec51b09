//! The 51idc dialect over a real engine with disks, spoken to without a socket: what it tolerates, and every refusal.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::auth::without_credentials;
use snapkeep_api::idc51::{self, Idc51Config, Idc51State};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const ZONE: &str = "/v2/zone/ac1";
const DISK: &str = "vol-SACNVJNS";
const OTHER: &str = "vol-ascdvf";

struct World {
    /// As the server has it, but for credentials.
    open: Router,
    /// Without the middleware, so that nobody is known.
    closed: Router,
    engine: Engine,
    folder: PathBuf,
    _dir: TempDir,
}

struct Answer {
    status: u16,
    kind: Option<String>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status, code and first word of a refusal, after a look at its shape.
    fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        assert_eq!(self.kind.as_deref(), Some("application/json"), "{body}");
        let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("{body}"));
        let word = text("message").split_once(", ").unwrap().0.to_owned();
        assert!(text("detail").len() < 1000);
        (self.status, text("code").to_owned(), word)
    }
}

impl World {
    async fn new(config: Idc51Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store));
        let engine_config = EngineConfig::new(dir.path().join("engine"));
        let folder = engine_config.volumes.folder.clone();
        std::fs::create_dir_all(&folder).unwrap();
        for (id, byte) in [(DISK, 1), (OTHER, 2)] {
            let content = vec![byte; 1 << 20];
            std::fs::write(folder.join(format!("{id}.raw")), content).unwrap();
        }
        let engine = Engine::start(engine_config, driver).await.unwrap();
        let state = Idc51State::new(engine.clone(), config, CancellationToken::new());
        let closed = idc51::router(state);
        Self {
            open: without_credentials(closed.clone()),
            closed,
            engine,
            folder,
            _dir: dir,
        }
    }

    async fn send_to(&self, router: &Router, line: &str, body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.replacen("~", ZONE, 1);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, kind, text }
    }

    /// Sends `"METHOD ~/path"`, where `~` is the zone; null is no body.
    async fn send(&self, line: &str, body: Value) -> Answer {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send_to(&self.open, line, &body).await
    }

    /// Begins a job, which must succeed, and gives the ids that it names.
    async fn job(&self, line: &str, body: Value) -> Vec<String> {
        let answer = self.send(line, body).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text);
        let job = answer.json();
        assert_eq!(job["status"], "pending");
        let path = format!("GET ~/job/{}", job["job_id"].as_str().unwrap());
        for _ in 0..600 {
            let now = self.send(&path, Value::Null).await.json();
            if now["status"] == "successful" {
                let ids = now["resource_ids"].as_array().unwrap();
                return ids
                    .iter()
                    .map(|id| id.as_str().unwrap().to_owned())
                    .collect();
            }
            assert_ne!(now["status"], "failed", "{now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{line} does not end");
    }

    async fn take(&self, resource: &str, is_full: Value) -> Value {
        let body = json!({"resources": [resource], "snapshot_name": "demo", "is_full": is_full});
        let ids = self.job("POST ~/volume_snapshots", body).await;
        self.list(&format!("snapshots={}", ids[0])).await[0].clone()
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let line = format!("GET ~/volume_snapshots?{query}");
        let answer = self.send(&line, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["snapshots"].as_array().unwrap().clone()
    }

    fn disk(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.raw"))
    }
}

fn id(snapshot: &Value) -> &str {
    snapshot["snapshot_id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_asks_for_a_full_point_or_leaves_it_to_the_system_is_understood() {
    let world = World::new(Idc51Config::default()).await;
    for full in [json!(1), json!("1"), json!(true), json!("IS_FULL")] {
        let point = world.take(DISK, full.clone()).await;
        assert_eq!(point["snapshot_type"], "IS_FULL", "{full}");
        assert_eq!(point["parent_id"], "self");
        assert_eq!(point["root_id"], point["snapshot_id"]);
    }
    for auto in [json!(0), json!(null), json!("IS_AUTO"), json!("is_auth")] {
        let head = world.list(&format!("resource_id={DISK}&limit=1")).await;
        let point = world.take(DISK, auto.clone()).await;
        assert_eq!(point["snapshot_type"], "IS_INCREMENTAL", "{auto}");
        assert_eq!(point["parent_id"], head[0]["snapshot_id"]);
    }
    let body = json!({"resources": [DISK], "snapshot_name": "demo", "is_full": "maybe"});
    let answer = world.send("POST ~/volume_snapshots", body).await;
    assert_eq!(answer.refusal().0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_rolled_back_copied_renamed_and_its_chain_deleted() {
    let world = World::new(Idc51Config::default()).await;
    let root = world.take(DISK, json!("IS_FULL")).await;
    let first = std::fs::read(world.disk(DISK)).unwrap();
    let second = vec![9; 1 << 20];
    std::fs::write(world.disk(DISK), &second).unwrap();
    let son = world.take(DISK, json!(0)).await;
    assert_eq!(son["root_id"], root["snapshot_id"]);

    // Twice the same, with the prefix of the documentation.
    let twice = id(&root).replacen("ss-", "s-", 1);
    let body = json!({ "snapshots": [twice, id(&root)] });
    world.job("POST ~/volume_snapshots/apply", body).await;
    assert_eq!(std::fs::read(world.disk(DISK)).unwrap(), first);

    let line = format!("POST ~/volume_snapshots/create_volume/{}", id(&son));
    let made = world.job(&line, json!({"volume_name": "demo"})).await;
    assert_eq!(std::fs::read(world.disk(&made[0])).unwrap(), second);

    let line = format!("PUT ~/volume_snapshots/{}", id(&son));
    let answer = world.send(&line, json!({"snapshot_name": "name"})).await;
    let empty = (answer.status, answer.text.as_str(), answer.kind);
    assert_eq!(empty, (200, "", None));
    let renamed = world.list(&format!("snapshots={}", id(&son))).await;
    assert_eq!(renamed[0]["snapshot_name"], "name");

    let line = format!(
        "DELETE ~/volume_snapshots/:snapshot_id?snapshot={}",
        id(&root)
    );
    let mut gone = world.job(&line, Value::Null).await;
    gone.sort();
    let mut expected = [id(&root), id(&son)];
    expected.sort_unstable();
    assert_eq!(gone, expected);
    assert!(world.list("").await.is_empty());
    assert_eq!(world.list("status=deleted").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_code_and_word_and_changes_nothing() {
    let world = World::new(Idc51Config::default()).await;
    let point = world.take(DISK, json!(1)).await;
    let son = world.take(DISK, json!(0)).await;
    let all = "status=pending,available,deleted,ceased";
    let before = world.list(all).await;
    let capture = format!("POST ~/volume_snapshots/capture_instance/{}", id(&point));
    let both = json!({"snapshots": [id(&point), id(&son)]});
    let named = json!({"resources": [DISK], "snapshot_name": "x"});
    let no_disk = json!({"resources": ["vol-none"], "snapshot_name": "x"});
    let large = json!({"snapshot_name": "a".repeat(1 << 20)});
    let malformed = (400, "1100", "InvalidRequestFormat");
    let missing = (404, "2100", "ResourceNotFound");
    for (line, body, expected) in [
        ("POST ~/volume_snapshots", json!([]), malformed),
        ("POST ~/volume_snapshots", json!({}), malformed),
        ("POST ~/volume_snapshots/apply", both, malformed),
        ("DELETE ~/volume_snapshots", Value::Null, malformed),
        ("GET ~/volume_snapshots?limit=-1", Value::Null, malformed),
        ("POST ~/volume_snapshots", no_disk, missing),
        ("DELETE ~/volume_snapshots/ss-NONE000", Value::Null, missing),
        ("GET ~/job/none", Value::Null, missing),
        (
            "GET /v2/zone/%7Bzone%7D/volume_snapshots",
            Value::Null,
            missing,
        ),
        (
            "GET ~/nothing",
            Value::Null,
            (404, "1101", "InvalidRequestMethod"),
        ),
        (
            "PATCH ~/volume_snapshots",
            Value::Null,
            (405, "1101", "InvalidRequestMethod"),
        ),
        (
            capture.as_str(),
            json!({}),
            (409, "1400", "PermissionDenied"),
        ),
        (
            "POST ~/volume_snapshots",
            large,
            (413, "1100", "InvalidRequestFormat"),
        ),
    ] {
        let (status, code, word) = expected;
        let found = world.send(line, body).await.refusal();
        assert_eq!(found, (status, code.to_owned(), word.to_owned()), "{line}");
    }
    let nobody = world
        .send_to(&world.closed, "POST ~/volume_snapshots", &named.to_string())
        .await;
    assert_eq!(nobody.refusal().0, 403);

    // Locked: the root may not go because the point that hangs on it may not.
    let until_ms = jiff::Timestamp::now().as_millisecond() + 60_000;
    let lock = world.engine.lock_snapshot("volumes", id(&son), until_ms);
    lock.await.unwrap();
    let line = format!("DELETE ~/volume_snapshots/{}", id(&point));
    let found = world.send(&line, Value::Null).await.refusal();
    let expected = (409, "5400".to_owned(), "DependencyViolation".to_owned());
    assert_eq!(found, expected);
    assert_eq!(world.list(all).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_can_be_required_and_zones_named() {
    let config = Idc51Config {
        zones: vec!["ac1".to_owned()],
        require_names: true,
        ..Idc51Config::default()
    };
    let world = World::new(config).await;
    let unnamed = json!({ "resources": [DISK] });
    let answer = world.send("POST ~/volume_snapshots", unnamed).await;
    assert_eq!(answer.refusal().0, 400);
    let elsewhere = "GET /v2/zone/ac2/volume_snapshots";
    let answer = world.send(elsewhere, Value::Null).await;
    assert_eq!(answer.refusal().0, 404);
    assert!(world.list("").await.is_empty());
}
