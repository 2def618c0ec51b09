//! What a process that dies leaves, and shards that cannot be read.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::convert::identity;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use common::collections::{backup_request, collections_renamed, plain_object};
use common::rollbacks::start_from;
use common::{World, after_crash, config, restore_request, some_documents, world};
use serde_json::{Value, json};
use snapkeep_drivers::{
    Capture, CapturedResource, ChangeToken, CollectionsRestoration, DocumentDriver, DriverError,
    GoneDocument, LiveDocument, Proof, ResourceInfo, ResourceRef, Restoration, RestoreCollection,
    RestoreIndex, ShardCapture, StoreDriver,
};
use snapkeep_engine::{
    CreateSnapshot, Engine, EngineError, JobState, RestoreProblem, ShardStage, SnapshotInfo,
    SnapshotPhase, SnapshotState,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_a_dead_process_left_is_failed_with_the_reason() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 2);
    world.put("a", some_documents(0, 20_000));
    let slow = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "20kb" });
    world.register_with("backup", slow).await.unwrap();
    let ticket = world.begin("backup", "slow", &["a"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let (_folder, engine) = after_crash(&world).await;
    let info = engine.snapshot("backup", "slow").await.unwrap();
    assert_eq!(
        (info.state, info.uuid.as_str()),
        (SnapshotState::Failed, ticket.uuid.as_str())
    );
    assert_eq!(
        info.reason.as_deref(),
        Some("the server stopped before it was done")
    );
    assert_eq!(
        (info.shards_total, info.shards_failed, info.failures.len()),
        (2, 2, 2)
    );
    let status = engine.snapshot_status("backup", "slow").await.unwrap();
    assert_eq!(status.phase, SnapshotPhase::Failed);
    assert_eq!(status.indices[0].shards[1].stage, ShardStage::Failure);
    let job = engine.job(&ticket.job_id).await.unwrap();
    assert_eq!(
        (job.state, job.error.as_deref()),
        (JobState::Failed, info.reason.as_deref())
    );
    engine
        .delete_snapshots("backup", &["slow".into()])
        .await
        .unwrap();
    assert!(engine.snapshots("backup").await.unwrap().is_empty());
    engine.shutdown(Duration::from_secs(1)).await;
    world
        .engine
        .delete_snapshots("backup", &["slow".into()])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_stored_but_not_noted_is_found() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 3000));
    let ticket = world.begin("backup", "one", &["a"]).await.unwrap();
    // The catalogue of this moment knows only of the job.
    let copy = tempfile::tempdir().unwrap();
    for name in ["catalogue.sqlite", "catalogue.sqlite-wal", "repository.key"] {
        let _ = std::fs::copy(
            world.folder.path().join("data").join(name),
            copy.path().join(name),
        );
    }
    let finished = world.engine.wait_snapshot(&ticket).await.unwrap();
    let engine = start_from(&world, &copy).await;
    engine.refresh_repository("backup").await.unwrap();
    assert_eq!(engine.snapshots("backup").await.unwrap(), [finished]);
}

/// The store's driver, but shard 1 of every index cannot be read.
#[derive(Debug)]
struct Flaky(StoreDriver);

impl DocumentDriver for Flaky {
    fn resources(&self) -> Result<Vec<ResourceInfo>, DriverError> {
        self.0.resources()
    }

    fn capture(&self, resources: &[ResourceRef]) -> Result<Box<dyn Capture>, DriverError> {
        Ok(Box::new(FlakyCapture(self.0.capture(resources)?)))
    }

    fn begin_restore(&self, index: RestoreIndex) -> Result<Box<dyn Restoration>, DriverError> {
        self.0.begin_restore(index)
    }

    fn begin_collections_restore(
        &self,
        collections: Vec<RestoreCollection>,
        renamed: &BTreeMap<String, String>,
    ) -> Result<Box<dyn CollectionsRestoration>, DriverError> {
        self.0.begin_collections_restore(collections, renamed)
    }

    fn restore_global_state(&self, state: &Value) -> Result<(), DriverError> {
        self.0.restore_global_state(state)
    }
}

struct FlakyCapture(Box<dyn Capture>);

impl Capture for FlakyCapture {
    fn resources(&self) -> &[CapturedResource] {
        self.0.resources()
    }

    fn shard(
        &self,
        resource: &CapturedResource,
        shard: u32,
    ) -> Result<Box<dyn ShardCapture>, DriverError> {
        Ok(Box::new(FlakyShard {
            inner: self.0.shard(resource, shard)?,
            readable: shard != 1,
        }))
    }

    fn global_state(&self) -> Result<Value, DriverError> {
        self.0.global_state()
    }
}

struct FlakyShard {
    inner: Box<dyn ShardCapture>,
    readable: bool,
}

impl ShardCapture for FlakyShard {
    fn token(&self) -> ChangeToken {
        self.inner.token()
    }

    fn proof(&self) -> Proof {
        self.inner.proof()
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn can_continue(&self, token: &ChangeToken) -> bool {
        self.inner.can_continue(token)
    }

    fn parts(&self, from: u64, target_bytes: u64) -> Vec<Range<u64>> {
        self.inner.parts(from, target_bytes)
    }

    fn read(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(LiveDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError> {
        if self.readable {
            self.inner.read(range, visit)
        } else {
            Err(DriverError::Io("disk error".into()))
        }
    }

    fn gone_since(
        &self,
        next_seq_no: u64,
        visit: &mut dyn FnMut(GoneDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError> {
        self.inner.gone_since(next_seq_no, visit)
    }
}

/// A world whose engine reads through a driver over the store's, with at most so many operations at once; none = as usual.
async fn world_of<D: DocumentDriver + 'static>(
    driver: impl FnOnce(StoreDriver) -> D,
    max_operations: Option<usize>,
) -> World {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let store =
        snapkeep_store::Store::open(&folder.path().join("store"), &Default::default()).unwrap();
    let mut config = config(&folder);
    if let Some(max_operations) = max_operations {
        config.max_concurrent_operations = max_operations;
    }
    let driver = Arc::new(driver(StoreDriver::new(store.clone())));
    let engine = Engine::start(config, driver).await.unwrap();
    World {
        folder,
        store,
        engine,
    }
}

/// Snapshots something of two shards, of which one cannot be read, and lets that be.
async fn partial(world: &World, mut request: CreateSnapshot) -> SnapshotInfo {
    request.partial = true;
    let ticket = world
        .engine
        .create_snapshot("backup", request)
        .await
        .unwrap();
    let partial = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(
        (
            partial.state,
            partial.shards_successful,
            partial.shards_failed
        ),
        (SnapshotState::Partial, 1, 1)
    );
    partial
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_cannot_be_read_makes_the_snapshot_failed_or_partial() {
    let world = world_of(Flaky, None).await;
    world.register("backup").await;
    world.create_multi_tenant("Notes", &["north", "south"]);
    for tenant in ["north", "south"] {
        let objects = (0..20).map(|number| plain_object(number, 4));
        world.put_objects("Notes", Some(tenant), objects);
    }
    let failed = world.back_up("backup", "failed", &["Notes"]).await;
    assert_eq!(
        (failed.state, failed.reason.as_deref(), failed.cancelled),
        (
            SnapshotState::Failed,
            Some("[Notes][south] disk error"),
            false
        )
    );
    assert_eq!(failed.failures[1].shard_name.as_deref(), Some("south"));
    let status = world
        .engine
        .snapshot_status("backup", "failed")
        .await
        .unwrap();
    let south = &status.collections[0].shards[1];
    assert_eq!(
        (south.stage, south.name.as_deref()),
        (ShardStage::Failure, Some("south"))
    );
    // Its name is not free: nobody asked for its end.
    let again = world
        .engine
        .create_snapshot("backup", backup_request("failed", &["Notes"]))
        .await;
    assert!(matches!(again, Err(EngineError::SnapshotExists { .. })));

    partial(&world, backup_request("partial", &["Notes"])).await;
    let renamed = collections_renamed(&[("Notes", "Part")]);
    let refused = world
        .engine
        .restore("backup", "partial", renamed.clone())
        .await;
    assert!(matches!(
        refused,
        Err(EngineError::Restore {
            problem: RestoreProblem::CollectionNotFullySnapshotted { .. },
            ..
        })
    ));
    let mut wanted = renamed;
    wanted.partial = true;
    let run = world.bring_back("backup", "partial", wanted).await;
    assert_eq!(run.error, None);
    let (all, part) = (world.objects("Notes"), world.objects("Part"));
    assert_eq!(part["north"], all["north"]);
    assert!(part["south"].is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_cannot_be_read_makes_the_snapshot_failed_or_partial() {
    let world = world_of(Flaky, Some(1)).await;
    world.register("backup").await;
    world.create_index("a", 2);
    world.put("a", some_documents(0, 200));

    let failed = world.snapshot("backup", "failed", &["a"]).await;
    assert_eq!(
        (failed.state, failed.reason.as_deref()),
        (SnapshotState::Failed, Some("[a][1] disk error"))
    );

    let partial = partial(&world, common::request("partial", &["a"])).await;
    assert_eq!(
        (
            partial.failures[0].shard,
            partial.failures[0].reason.as_str()
        ),
        (1, "disk error")
    );

    let all = world.documents("a");
    world.store.delete_index("a").unwrap();
    let refused = world
        .restore("backup", "partial", restore_request(&["a"]))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        EngineError::Restore {
            problem: RestoreProblem::NotFullySnapshotted { .. },
            ..
        }
    ));
    let mut lenient = restore_request(&["a"]);
    lenient.partial = true;
    let restored = world.restore("backup", "partial", lenient).await.unwrap();
    assert_eq!(restored.shards_failed, 0);
    let there = world.documents("a");
    assert!(!there.is_empty() && there.len() < all.len());
    assert!(there.iter().all(|(id, document)| all[id] == *document));
    let clone = world
        .engine
        .clone_snapshot("backup", "partial", "copy", &["a".into()])
        .await
        .unwrap_err();
    assert!(matches!(clone, EngineError::ClonePartialIndex { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_operations_than_allowed_are_refused() {
    let world = world_of(identity, Some(1)).await;
    let slow = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "10kb" });
    world.register_with("backup", slow).await.unwrap();
    world.create_index("a", 1);
    world.put("a", some_documents(0, 5000));
    let ticket = world.begin("backup", "one", &["a"]).await.unwrap();
    let refused = world.begin("backup", "two", &["a"]).await.unwrap_err();
    assert!(
        matches!(
            refused,
            EngineError::TooManyOperations {
                running: 1,
                limit: 1,
                ..
            }
        ),
        "{refused}"
    );
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    world.engine.wait_snapshot(&ticket).await.unwrap();
    world.begin("backup", "two", &[]).await.unwrap();
}
