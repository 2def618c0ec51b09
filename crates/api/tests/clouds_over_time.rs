//! Automatic snapshots of the clouds' dialects while days pass on a simulated clock.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::alibaba::{self, AlibabaConfig, AlibabaState};
use snapkeep_api::auth::without_credentials;
use snapkeep_api::elasticsearch::{self, ApiState, ElasticsearchConfig, Shape};
use snapkeep_api::huawei_css::{self, HuaweiConfig, HuaweiState};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Clock, Engine, EngineConfig, SimulatedTime};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tower::ServiceExt;

/// 2026-06-27T16:30:00Z: half past midnight on the 28th in UTC+8.
const START_MS: i64 = 1_782_577_800_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const INSTANCE: &str = "/openapi/instances/es-cn-abcdefghijklmn";
const CLUSTER: &str =
    "/v1.0/6204a5bd270343b5885144cf9c8c158d/clusters/ea244205-d641-45d9-9dcb-ab2236bcd07e";

struct World {
    router: Router,
    engine: Engine,
    time: SimulatedTime,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let (clock, time) = Clock::simulated(START_MS);
        let config = EngineConfig {
            clock,
            ..EngineConfig::new(dir.path().join("engine"))
        };
        let engine = Engine::start(config, driver).await.unwrap();
        let identity = ElasticsearchConfig::new(Shape::Es, store.uuid());
        let state = ApiState::new(engine.clone(), store.clone(), identity);
        let huawei = HuaweiState::new(engine.clone(), store, HuaweiConfig::default());
        let alibaba = AlibabaState::new(engine.clone(), AlibabaConfig::default());
        let router = huawei_css::router(huawei)
            .merge(alibaba::router(alibaba))
            .fallback_service(elasticsearch::router(state));
        let world = Self {
            router: without_credentials(router),
            engine,
            time,
            _dir: dir,
        };
        world
            .send("PUT /books/_doc/1", json!({"title": "first"}))
            .await;
        world
            .send("PUT /.monitoring-es/_doc/1", json!({"load": 1}))
            .await;
        world
    }

    /// Sends `"METHOD /path"`, which must succeed; null is no body.
    async fn send(&self, line: &str, body: Value) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = match &body {
            Value::Null => request.body(Body::empty()),
            body => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(status.is_success(), "{line}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Time goes on, and all that is due in it is done.
    async fn live(&self, ms: i64) {
        self.time.advance(ms);
        self.engine.run_due_policies().await.unwrap();
    }

    async fn names(&self, repository: &str) -> Vec<String> {
        let answer = self
            .send(&format!("GET /_snapshot/{repository}/_all"), Value::Null)
            .await;
        let snapshots = answer["snapshots"].as_array().unwrap();
        let name = |info: &Value| info["snapshot"].as_str().unwrap().to_owned();
        snapshots.iter().map(name).collect()
    }

    async fn backups(&self) -> Vec<Value> {
        let answer = self
            .send(&format!("GET {CLUSTER}/index_snapshots"), Value::Null)
            .await;
        answer["backups"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alibabas_snapshots_have_the_date_of_their_region_and_go_after_seven_days() {
    let world = World::new().await;
    let body = json!({"enable": true, "quartzRegex": "0 0 01 ? * * *"});
    world
        .send(&format!("POST {INSTANCE}/snapshot-setting"), body)
        .await;
    world.live(29 * MINUTE_MS).await;
    assert!(world.names("aliyun_auto_snapshot").await.is_empty());
    world.live(MINUTE_MS).await;
    let first = "es-cn-abcdefghijklmn_20260628010000";
    assert_eq!(world.names("aliyun_auto_snapshot").await, [first]);
    let shown = world
        .send(
            &format!("GET /_snapshot/aliyun_auto_snapshot/{first}"),
            Value::Null,
        )
        .await;
    assert_eq!(shown["snapshots"][0]["indices"], json!(["books"]));
    assert_eq!(shown["snapshots"][0]["include_global_state"], json!(false));
    for _ in 0..6 {
        world.live(DAY_MS).await;
    }
    assert_eq!(world.names("aliyun_auto_snapshot").await.len(), 7);
    world.live(DAY_MS).await;
    world.live(HOUR_MS).await;
    let names = world.names("aliyun_auto_snapshot").await;
    assert!(!names.contains(&first.to_owned()), "{names:?}");
    assert_eq!(names.last().unwrap(), "es-cn-abcdefghijklmn_20260705010000");
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_alibabas_off_takes_a_last_one_and_changing_the_time_takes_none() {
    let world = World::new().await;
    let setting = format!("PUT {INSTANCE}/snapshot-setting");
    let at = |quartz: &str| json!({"enable": true, "quartzRegex": quartz});
    world.send(&setting, at("0 0 01 ? * * *")).await;
    world.send(&setting, at("0 0 02 ? * * *")).await;
    assert!(world.names("aliyun_auto_snapshot").await.is_empty());
    world.send(&setting, json!({"enable": false})).await;
    let last = ["es-cn-abcdefghijklmn_20260628003000"];
    assert_eq!(world.names("aliyun_auto_snapshot").await, last);
    world.live(10 * DAY_MS).await;
    assert_eq!(world.names("aliyun_auto_snapshot").await, last);
    let shown = world
        .send(&format!("GET {INSTANCE}/snapshot-setting"), Value::Null)
        .await;
    assert_eq!(shown["Result"]["Enable"], json!(false));
    assert_eq!(shown["Result"]["QuartzRegex"], "0 0 02 ? * * *");
}

#[tokio::test(flavor = "multi_thread")]
async fn huaweis_daily_snapshots_are_kept_for_days() {
    let world = World::new().await;
    let body = json!({"enable": "true", "prefix": "daily", "period": "01:00 GMT+08:00", "keepday": 3, "indices": "books"});
    world
        .send(&format!("POST {CLUSTER}/index_snapshot/policy"), body)
        .await;
    world.live(30 * MINUTE_MS).await;
    let [first] = world.backups().await.try_into().unwrap();
    assert_eq!(
        first["name"],
        format!("daily-{}", START_MS + 30 * MINUTE_MS)
    );
    assert_eq!(first["backupType"], "0");
    assert_eq!(first["backupMethod"], "auto");
    assert_eq!(first["backupKeepDay"], 3);
    assert_eq!(first["backupExpectedStartTime"], "2026-06-27T17:00:00");
    assert_eq!(first["indices"], "books");
    for _ in 0..5 {
        world.live(DAY_MS - HOUR_MS).await;
        world.live(HOUR_MS).await;
    }
    let kept = world.backups().await;
    assert!((3..=4).contains(&kept.len()), "{kept:?}");
    assert!(!kept.iter().any(|backup| backup["name"] == first["name"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn huaweis_hourly_snapshots_are_counted_and_another_frequency_leaves_them_alone() {
    let world = World::new().await;
    let policy = format!("POST {CLUSTER}/index_snapshot/policy");
    world
        .send(
            &policy,
            json!({"enable": true, "prefix": "hourly", "keepday": 2, "frequency": "HOUR"}),
        )
        .await;
    for _ in 0..6 {
        world.live(30 * MINUTE_MS).await;
    }
    assert!((2..=3).contains(&world.backups().await.len()));
    let before = world.backups().await.len();
    world.send(&policy, json!({"enable": true, "prefix": "weekly", "keepday": 1, "frequency": "SUN", "period": "05:00 GMT+08:00"})).await;
    for _ in 0..48 {
        world.live(30 * MINUTE_MS).await;
    }
    let names: Vec<String> = world
        .backups()
        .await
        .iter()
        .map(|backup| backup["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("hourly-"))
            .count(),
        before,
        "{names:?}"
    );
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("weekly-"))
            .count(),
        1,
        "{names:?}"
    );
    // Off, with all automatic ones, of whatever frequency.
    world
        .send(&policy, json!({"enable": "false", "delete_auto": "true"}))
        .await;
    assert!(world.backups().await.is_empty());
    let shown = world
        .send(&format!("GET {CLUSTER}/index_snapshot/policy"), Value::Null)
        .await;
    assert_eq!(shown["enable"], "false");
    assert_eq!(shown["frequency"], "SUN");
}
