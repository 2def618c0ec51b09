//! Volumes and their snapshots through the native API, with a real engine behind it and disks in a folder of the test.

#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use snapkeep_api::auth::Gate;
use snapkeep_api::elasticsearch::Shape;
use snapkeep_api::native::{self, NativeState};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::credentials::{Kind, Limits, NewCredential, Role};
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 16 * MIB;

struct Server {
    router: Router,
    engine: Engine,
    /// Presented with every request, where there is one.
    caller: Option<String>,
    dir: TempDir,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let mut config = EngineConfig::new(dir.path().join("engine"));
        config.snapshot_bytes_per_sec = None;
        config.restore_bytes_per_sec = None;
        let engine = Engine::start(config, driver).await.unwrap();
        let native = native::router(NativeState {
            engine: engine.clone(),
            store,
            shutdown: CancellationToken::new(),
        });
        let gate = Gate::new(engine.clone(), Shape::Es, false, false);
        Self {
            router: gate.protect(native),
            engine,
            caller: None,
            dir,
        }
    }

    /// A disk of 16 MiB with 1 MiB of data at its begin, in the volumes folder.
    fn disk(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join("engine/volumes");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let file = File::create(&path).unwrap();
        file.set_len(DISK_BYTES).unwrap();
        fill(&path, 0, 7);
        path
    }

    async fn send(&self, line: &str, body: Option<Value>) -> (StatusCode, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"));
        if let Some(caller) = &self.caller {
            request = request.header("authorization", caller);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = if bytes.is_empty() {
            b"null"
        } else {
            &bytes[..]
        };
        (status, serde_json::from_slice(text).unwrap())
    }

    async fn ok(&self, line: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.send(line, body).await;
        assert!(status.is_success(), "{line}: {status} {answer}");
        answer
    }

    async fn refused(&self, line: &str, body: Option<Value>) -> (u16, String) {
        let (status, answer) = self.send(line, body).await;
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        (status.as_u16(), code.to_owned())
    }

    /// Starts a job and waits for its good end.
    async fn job(&self, line: &str, body: Option<Value>) -> Value {
        let (status, accepted) = self.send(line, body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{line}: {accepted}");
        let path = format!("GET /jobs/{}", accepted["id"].as_str().unwrap());
        for _ in 0..2_000 {
            let job = self.ok(&path, None).await;
            match job["state"].as_str().unwrap() {
                "succeeded" => return accepted,
                "failed" | "cancelled" => panic!("{line}: {job}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("{line}: no end");
    }

    async fn take(&self, resource: &str, name: &str) -> String {
        let body = json!({"resources": [resource], "name": name});
        let accepted = self.job("POST /volume-snapshots", Some(body)).await;
        accepted["snapshots"][0].as_str().unwrap().to_owned()
    }

    async fn credential(&self, name: &str, role: Role, resources: Option<&str>) -> String {
        let new = NewCredential {
            name: name.to_owned(),
            kind: Kind::ApiKey,
            role,
            limits: Limits {
                resources: resources.map(|pattern| vec![pattern.to_owned()]),
                ..Limits::default()
            },
            password: None,
        };
        let issued = self.engine.credentials().add(new).await.unwrap();
        let pair = format!("{}:{}", issued.credential.key_id, issued.secret.expose());
        format!("ApiKey {}", STANDARD.encode(pair))
    }
}

fn fill(path: &PathBuf, at: u64, byte: u8) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![byte; MIB as usize]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_snapshotted_rolled_back_and_copied() {
    let server = Server::start().await;
    let path = server.disk("vol-abc1234.raw");
    let before = std::fs::read(&path).unwrap();

    let volume = server.ok("GET /volumes/vol-abc1234", None).await;
    assert_eq!(volume["format"], "raw");
    assert_eq!(volume["size_bytes"], DISK_BYTES);
    assert_eq!(volume["status"], "available");
    assert_eq!(volume["origin"], "found");

    let first = server.take("vol-abc1234", "first").await;
    fill(&path, 4 * MIB, 9);
    let second = server.take("vol-abc1234", "second").await;
    let shown = server
        .ok(&format!("GET /volume-snapshots/{second}"), None)
        .await;
    assert_eq!(shown["parent_id"], json!(first));
    assert_eq!(shown["resource"]["id"], "vol-abc1234");
    assert_eq!(shown["disks"][0]["changed_bytes"], MIB);

    let path_of_first = format!("POST /volume-snapshots/{first}/apply");
    let accepted = server.job(&path_of_first, None).await;
    assert_eq!(accepted["kind"], "volume_apply");
    assert_eq!(accepted["resources"], json!(["vol-abc1234"]));
    assert!(std::fs::read(&path).unwrap() == before, "rolled back");

    let made = server
        .job(
            &format!("POST /volume-snapshots/{second}/volume"),
            Some(json!({"name": "copy"})),
        )
        .await;
    let id = made["resources"][0].as_str().unwrap();
    let copy = server.ok(&format!("GET /volumes/{id}"), None).await;
    assert_eq!(copy["name"], "copy");
    let content = std::fs::read(copy["location"].as_str().unwrap()).unwrap();
    assert!(
        content[(4 * MIB) as usize..(5 * MIB) as usize]
            .iter()
            .all(|byte| *byte == 9)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_listed_by_filters_renamed_and_deleted() {
    let server = Server::start().await;
    let path = server.disk("vol-abc1234.raw");
    server.disk("vol-other00.raw");
    let mut ids = Vec::new();
    for number in 0..3 {
        fill(&path, 8 * MIB, number);
        ids.push(server.take("vol-abc1234", &format!("point {number}")).await);
    }
    server.take("vol-other00", "other").await;
    let listed = async |query: &str| -> Vec<String> {
        let answer = server
            .ok(&format!("GET /volume-snapshots{query}"), None)
            .await;
        let snapshots = answer["snapshots"].as_array().unwrap();
        let id = |snapshot: &Value| snapshot["id"].as_str().unwrap().to_owned();
        snapshots.iter().map(id).collect()
    };
    assert_eq!(listed("").await.len(), 4);
    let of = "?resource=vol-abc1234";
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(listed(of).await, newest_first);
    assert_eq!(listed(&format!("{of}&full=true")).await, ids[..1]);
    assert_eq!(listed(&format!("{of}&full=false&limit=1")).await, ids[2..]);
    assert_eq!(listed(&format!("{of}&search=point%201")).await, ids[1..2]);
    assert_eq!(
        listed(&format!("?root={}", ids[0])).await,
        newest_first[..2]
    );
    assert!(listed("?status=ceased,deleted").await.is_empty());
    for query in ["?status=broken", "?limit=1001", "?colour=red", "?limit=x"] {
        let refused = server
            .refused(&format!("GET /volume-snapshots{query}"), None)
            .await;
        assert_eq!(refused, (400, "invalid_parameter".into()), "{query}");
    }

    let one = format!("/volume-snapshots/{}", ids[1]);
    let body = json!({"name": "before upgrade"});
    let renamed = server.ok(&format!("PATCH {one}"), Some(body)).await;
    assert_eq!(renamed["name"], "before upgrade");
    let body = json!({"description": "schema 41"});
    let described = server.ok(&format!("PATCH {one}"), Some(body)).await;
    assert_eq!(described["name"], "before upgrade");
    assert_eq!(described["description"], "schema 41");

    server.job(&format!("DELETE {one}"), None).await;
    let last = server
        .ok(&format!("GET /volume-snapshots/{}", ids[2]), None)
        .await;
    assert_eq!(last["parent_id"], json!(ids[0]));
    let gone = server
        .job(
            &format!("DELETE /volume-snapshots/{}?cascade=true", ids[0]),
            None,
        )
        .await;
    let mut deleted: Vec<&str> = gone["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    deleted.sort_unstable();
    let mut expected = vec![ids[0].as_str(), ids[2].as_str()];
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert!(listed(of).await.is_empty());
    assert_eq!(listed(&format!("{of}&status=deleted")).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_a_code() {
    let server = Server::start().await;
    server.disk("vol-abc1234.raw");
    let snapshot = server.take("vol-abc1234", "one").await;
    let table = [
        ("GET /volumes/vol-none", None, (404, "volume_missing")),
        ("GET /instances/i-none", None, (404, "instance_missing")),
        (
            "GET /volume-snapshots/ss-NONE",
            None,
            (404, "volume_snapshot_missing"),
        ),
        (
            "DELETE /volume-snapshots/ss-NONE",
            None,
            (404, "volume_snapshot_missing"),
        ),
        (
            "POST /volume-snapshots",
            Some(json!({"resources": ["vol-none"]})),
            (404, "volume_missing"),
        ),
        (
            "POST /volume-snapshots",
            Some(json!({"resources": []})),
            (400, "resource_refused"),
        ),
        (
            "POST /volume-snapshots",
            Some(json!({"resources": ["vol-abc1234", "vol-abc1234"]})),
            (400, "resource_refused"),
        ),
        (
            "POST /volume-snapshots",
            Some(json!({"resource": "vol-abc1234"})),
            (400, "invalid_body"),
        ),
        (
            "POST /volumes",
            Some(json!({"location": "/nowhere/disk.raw"})),
            (400, "resource_refused"),
        ),
        (
            "POST /volumes",
            Some(json!({"location": "relative.raw"})),
            (400, "resource_refused"),
        ),
        (
            "DELETE /volumes/vol-abc1234",
            None,
            (400, "resource_refused"),
        ),
        (
            "POST /instances",
            Some(json!({"name": "a", "volumes": ["vol-abc1234"], "host": {"driver": "vmware"}})),
            (400, "invalid_body"),
        ),
        (
            "POST /instances",
            Some(json!({"name": "a", "volumes": ["vol-none"]})),
            (404, "volume_missing"),
        ),
    ];
    for (line, body, (status, code)) in table {
        let refused = server.refused(line, body.clone()).await;
        assert_eq!(refused, (status, code.to_owned()), "{line} {body:?}");
    }
    let image = server
        .refused(
            &format!("POST /volume-snapshots/{snapshot}/image"),
            Some(json!({"name": "x"})),
        )
        .await;
    assert_eq!(image, (400, "wrong_resource_kind".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_added_snapshotted_and_made_an_image_of() {
    let server = Server::start().await;
    server.disk("vol-disk001.raw");
    server.disk("vol-disk002.raw");
    let host = json!({"driver": "hooks", "stop": {"argv": ["/bin/true"]}, "start": {"argv": ["/bin/true"], "timeout_s": 5}});
    let body = json!({"name": "node", "volumes": ["vol-disk001", "vol-disk002"], "host": host});
    let (status, added) = server.send("POST /instances", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{added}");
    assert_eq!(added["host"], host);
    let id = added["id"].as_str().unwrap();
    let volume = server.ok("GET /volumes/vol-disk001", None).await;
    assert_eq!(volume["instance"], added["id"]);

    let point = server.take(id, "both").await;
    let shown = server
        .ok(&format!("GET /volume-snapshots/{point}"), None)
        .await;
    assert_eq!(shown["disks"].as_array().unwrap().len(), 2);
    let body = json!({"name": "golden", "format": "qcow2"});
    let captured = server
        .job(&format!("POST /volume-snapshots/{point}/image"), Some(body))
        .await;
    let images = server.ok("GET /images", None).await;
    let image = &images["images"][0];
    assert_eq!(image["id"], captured["resources"][0]);
    assert_eq!(image["snapshot"], json!(point));
    assert_eq!(image["disks"].as_array().unwrap().len(), 2);

    let (status, _) = server.send(&format!("DELETE /instances/{id}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(
        server.ok("GET /instances", None).await["instances"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_limits_hold() {
    let mut server = Server::start().await;
    server.disk("vol-mine001.raw");
    server.disk("vol-yours01.raw");
    let snapshot = server.take("vol-yours01", "theirs").await;
    let admin = server.credential("admin", Role::Admin, None).await;
    let viewer = server.credential("viewer", Role::Viewer, None).await;
    let operator = server.credential("operator", Role::Operator, None).await;
    let confined = server
        .credential("confined", Role::Operator, Some("vol-mine*"))
        .await;
    let take = || Some(json!({"resources": ["vol-mine001"]}));

    server.caller = Some(viewer);
    server.ok("GET /volumes", None).await;
    server
        .ok(&format!("GET /volume-snapshots/{snapshot}"), None)
        .await;
    for line in [
        "POST /volume-snapshots",
        "POST /volumes",
        "POST /volume-snapshots/x/apply",
    ] {
        assert_eq!(server.refused(line, take()).await.0, 403, "{line}");
    }
    server.caller = Some(operator);
    server.job("POST /volume-snapshots", take()).await;
    for line in [
        "POST /volumes",
        "DELETE /volumes/vol-mine001",
        "POST /instances",
        "DELETE /instances/i-x",
    ] {
        assert_eq!(
            server.refused(line, None).await,
            (403, "forbidden".into()),
            "{line}"
        );
    }
    let delete = format!("DELETE /volume-snapshots/{snapshot}");
    assert_eq!(server.refused(&delete, None).await.0, 403);

    server.caller = Some(confined);
    let seen = server.ok("GET /volumes", None).await;
    assert_eq!(seen["volumes"].as_array().unwrap().len(), 1);
    let seen = server.ok("GET /volume-snapshots", None).await;
    assert_eq!(seen["total"], 1);
    server.job("POST /volume-snapshots", take()).await;
    let theirs = Some(json!({"resources": ["vol-yours01"]}));
    assert_eq!(
        server.refused("POST /volume-snapshots", theirs).await.0,
        403
    );
    for (end, body) in [("apply", None), ("volume", Some(json!({"name": "x"})))] {
        let line = format!("POST /volume-snapshots/{snapshot}/{end}");
        assert_eq!(server.refused(&line, body).await.0, 403, "{line}");
    }
    assert_eq!(
        server
            .refused(&format!("GET /volume-snapshots/{snapshot}"), None)
            .await
            .0,
        403
    );

    server.caller = Some(admin);
    server.job(&delete, None).await;
}
