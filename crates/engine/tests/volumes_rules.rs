//! What is refused before anything changes, groups, and points that come to no end.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::Duration;

use common::volumes::{Disk, assert_content, create, point_of, query};
use common::{World, after_crash, world};
use serde_json::json;
use snapkeep_engine::{
    AddInstance, AddVolume, CreatePoints, EngineError, HostSpec, JobState, PointKind, PointQuery,
    PointStatus, PointTransition, PointsTicket, SnapshotState, VolumeFormat, VolumeOrigin,
};

fn request(resources: &[&str]) -> CreatePoints {
    CreatePoints {
        resources: resources.iter().map(|it| (*it).to_owned()).collect(),
        name: "point".to_owned(),
        ..CreatePoints::default()
    }
}

/// Declares an instance as an operator does.
fn instance(world: &World, id: &str, volumes: &[&str]) {
    let folder = world.folder.path().join("data/instances");
    fs::create_dir_all(&folder).unwrap();
    let text = format!("name = \"web\"\nvolumes = {volumes:?}\n");
    fs::write(folder.join(format!("{id}.toml")), text).unwrap();
}

/// A repository that takes in so little that a point of a few MiB lasts.
async fn slow_point(world: &World, resources: &[&str]) -> PointsTicket {
    let slow = json!({ "location": "volumes", "max_snapshot_bytes_per_sec": "20kb" });
    world.register_with("volumes", slow).await.unwrap();
    let ticket = world
        .engine
        .create_points(request(resources))
        .await
        .unwrap();
    for _ in 0..200 {
        let job = world.engine.job(&ticket.job_id).await.unwrap();
        if job.progress.bytes_done > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ticket
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_one_point_with_all_its_disks() {
    let world = world().await;
    let disks = [
        Disk::new(&world, "vol-0000001.raw", 2 << 20),
        Disk::new(&world, "data.img", 1 << 20),
    ];
    disks[0].fill(1, 0..1 << 20);
    disks[1].fill(2, 0..1 << 20);
    instance(&world, "i-0000001", &["vol-0000001", "data"]);
    let single = Disk::new(&world, "vol-0000003.raw", 1 << 20);
    single.fill(3, 0..4096);
    let ticket = create(&world, &["i-0000001", "vol-0000003"], "group")
        .await
        .unwrap();
    let point = world.engine.point(&ticket.points[0]).await.unwrap();
    assert_eq!(point.resource.kind, PointKind::Instance);
    assert_eq!(
        (point.resource.name.as_str(), point.disks.len()),
        ("web", 2)
    );
    assert_eq!(point.virtual_size_bytes, 3 << 20);
    for (disk, stored) in disks.iter().zip(&point.disks) {
        assert_content(&world, &point, &stored.volume, &disk.content()).await;
    }
    let other = world.engine.point(&ticket.points[1]).await.unwrap();
    assert_eq!(other.snapshot_ms, point.snapshot_ms);
    single.assert_stored(&world, &other).await;
    // The instance and its volume have chains of their own.
    let of_volume = create(&world, &["vol-0000001"], "alone").await.unwrap();
    assert!(point_of(&world, &of_volume).await.full);
    let again = create(&world, &["i-0000001"], "again").await.unwrap();
    assert_eq!(point_of(&world, &again).await.parent_id, Some(point.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_changes() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 1 << 20);
    instance(&world, "i-0000001", &["vol-0000001"]);
    instance(&world, "i-0000002", &["vol-0000009"]);
    let refused = |resources: &'static [&'static str]| {
        let engine = world.engine.clone();
        async move { engine.create_points(request(resources)).await.unwrap_err() }
    };
    let missing = refused(&["vol-0000001", "vol-0000008"]).await;
    assert!(matches!(missing, EngineError::VolumeMissing { id } if id == "vol-0000008"));
    let missing = refused(&["i-0000008"]).await;
    assert!(matches!(missing, EngineError::InstanceMissing { .. }));
    let missing = refused(&["i-0000002"]).await;
    assert!(matches!(missing, EngineError::VolumeMissing { id } if id == "vol-0000009"));
    let repeated = refused(&["vol-0000001", "vol-0000001"]).await;
    assert!(matches!(repeated, EngineError::ResourceRepeated { .. }));
    let repeated = refused(&["vol-0000001", "i-0000001"]).await.to_string();
    assert!(repeated.contains("as a disk of [i-0000001]"), "{repeated}");
    assert!(matches!(
        refused(&[]).await,
        EngineError::NothingNamed { .. }
    ));
    fs::write(
        world.folder.path().join("data/instances/i-0000003.toml"),
        "volumes = 7",
    )
    .unwrap();
    let broken = refused(&["i-0000003"]).await.to_string();
    assert!(broken.contains("i-0000003.toml"), "{broken}");
    fs::remove_file(&disk.path).unwrap();
    assert!(matches!(
        refused(&["vol-0000001"]).await,
        EngineError::VolumeMissing { .. }
    ));
    assert!(world.engine.jobs().await.unwrap().is_empty());
    let made = world.engine.points(query("vol-0000001")).await.unwrap();
    assert_eq!(made.total, 0);
    let missing = world.engine.point("ss-0000000").await.unwrap_err();
    assert!(matches!(missing, EngineError::PointMissing { .. }));
    let missing = world
        .engine
        .delete_points(&["ss-0000000".into()], true)
        .await;
    assert!(matches!(missing, Err(EngineError::PointMissing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_a_job_works_on_is_busy_and_its_point_pending() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 4 << 20);
    disk.fill(1, 0..1 << 20);
    instance(&world, "i-0000001", &["vol-0000001"]);
    let first = create(&world, &["vol-0000001"], "first").await.unwrap();
    disk.fill(2, 0..4 << 20);
    let ticket = slow_point(&world, &["vol-0000001"]).await;
    for resource in ["vol-0000001", "i-0000001"] {
        let busy = world.engine.create_points(request(&[resource])).await;
        let Err(EngineError::ResourceBusy { job, .. }) = busy else {
            panic!("{busy:?}");
        };
        assert_eq!(job, ticket.job_id);
    }
    let point = point_of(&world, &ticket).await;
    assert_eq!(point.status, PointStatus::Pending);
    assert_eq!(point.transition, Some(PointTransition::Creating));
    assert_eq!(point.parent_id.as_ref(), Some(&first.points[0]));
    assert_eq!((point.total_count, point.is_head), (2, false));
    let pending = world
        .engine
        .update_point(&point.id, Some("x".into()), None)
        .await;
    assert!(matches!(pending, Err(EngineError::PointPending { .. })));
    let pending = world
        .engine
        .delete_points(std::slice::from_ref(&point.id), true)
        .await;
    assert!(matches!(pending, Err(EngineError::PointPending { .. })));
    let below = world.engine.delete_points(&first.points, true).await;
    assert!(matches!(below, Err(EngineError::PointPending { id }) if id == point.id));
    let busy = world.engine.delete_points(&first.points, false).await;
    assert!(matches!(busy, Err(EngineError::ResourceBusy { .. })));
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    let ceased = point_of(&world, &ticket).await;
    assert_eq!(ceased.status, PointStatus::Ceased);
    assert!(ceased.reason.unwrap().contains("cancelled"));
    let living = world.engine.points(query("vol-0000001")).await.unwrap();
    assert_eq!(living.total, 1);
    world.register("volumes").await;
    let next = create(&world, &["vol-0000001"], "next").await.unwrap();
    let next = point_of(&world, &next).await;
    assert_eq!(next.parent_id.as_ref(), Some(&first.points[0]));
    disk.assert_stored(&world, &next).await;
    // One that came to nothing can be removed from the lists.
    let removed = world
        .engine
        .delete_points(&ticket.points, true)
        .await
        .unwrap();
    world.engine.wait_job(&removed.job_id).await.unwrap();
    assert_eq!(point_of(&world, &ticket).await.status, PointStatus::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_being_made_after_a_crash() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 4 << 20);
    disk.fill(1, 0..100_000);
    let first = create(&world, &["vol-0000001"], "first").await.unwrap();
    disk.fill(2, 0..4 << 20);
    let ticket = slow_point(&world, &["vol-0000001"]).await;
    let (folder, engine) = after_crash(&world).await;
    let point = engine.point(&ticket.points[0]).await.unwrap();
    assert_eq!(point.status, PointStatus::Ceased);
    assert_eq!(point.job_id.as_ref(), Some(&ticket.job_id));
    assert!(point.reason.unwrap().contains("stopped before"));
    assert_eq!(
        engine.job(&ticket.job_id).await.unwrap().state,
        JobState::Failed
    );
    let listed = engine.snapshots("volumes").await.unwrap();
    let failed = listed.iter().find(|it| it.name == ticket.points[0]);
    assert_eq!(failed.unwrap().state, SnapshotState::Failed);
    let head = engine.point(&first.points[0]).await.unwrap();
    assert!(head.is_head && head.total_count == 1);
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    world.settle().await;
    engine.shutdown(Duration::from_secs(10)).await;
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_shrinks_while_it_is_read_fails_its_point_and_no_other() {
    let world = world().await;
    let good = Disk::new(&world, "vol-0000001.raw", 1 << 20);
    good.fill(1, 0..1 << 20);
    let shrinking = Disk::new(&world, "vol-0000002.raw", 2 << 20);
    shrinking.fill(2, 0..2 << 20);
    let slow = json!({ "location": "volumes", "max_snapshot_bytes_per_sec": "1mb" });
    world.register_with("volumes", slow).await.unwrap();
    let request = request(&["vol-0000001", "vol-0000002"]);
    let ticket = world.engine.create_points(request).await.unwrap();
    // While the first one is written, the second one is captured and not read yet.
    for _ in 0..500 {
        if world
            .engine
            .point(&ticket.points[0])
            .await
            .unwrap()
            .virtual_size_bytes
            > 0
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    shrinking.resize(1 << 20);
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.unwrap();
    assert!(
        error.contains(&ticket.points[1]) && error.contains("vol-0000002"),
        "{error}"
    );
    let first = world.engine.point(&ticket.points[0]).await.unwrap();
    assert_eq!(first.status, PointStatus::Available);
    good.assert_stored(&world, &first).await;
    let second = world.engine.point(&ticket.points[1]).await.unwrap();
    assert_eq!(second.status, PointStatus::Ceased);
    let next = create(&world, &["vol-0000002"], "next").await.unwrap();
    shrinking
        .assert_stored(&world, &point_of(&world, &next).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_takes_no_more_fails_the_point_and_keeps_the_rest() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 2 << 20);
    disk.fill(1, 0..1 << 20);
    let first = create(&world, &["vol-0000001"], "first").await.unwrap();
    let first = point_of(&world, &first).await;
    let before = disk.content();
    let data = world.repository_dir("volumes").join("data");
    let aside = world.repository_dir("volumes").join("aside");
    fs::rename(&data, &aside).unwrap();
    fs::write(&data, b"no folder").unwrap();
    disk.fill(2, 0..2 << 20);
    let failed = create(&world, &["vol-0000001"], "second").await.unwrap();
    let point = point_of(&world, &failed).await;
    assert_eq!(point.status, PointStatus::Ceased, "{point:?}");
    assert!(point.reason.is_some());
    fs::remove_file(&data).unwrap();
    fs::rename(&aside, &data).unwrap();
    let again = create(&world, &["vol-0000001"], "third").await.unwrap();
    let third = point_of(&world, &again).await;
    assert_eq!(third.status, PointStatus::Available, "{third:?}");
    assert_eq!(third.parent_id.as_ref(), Some(&first.id));
    disk.assert_stored(&world, &third).await;
    assert_content(&world, &first, "vol-0000001", &before).await;
    assert_eq!(world.check("volumes").await, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_added_and_removed() {
    let world = world().await;
    let path = world.folder.path().join("elsewhere.raw");
    fs::write(&path, vec![7; 8192]).unwrap();
    let add = |location: &str| AddVolume {
        id: None,
        name: None,
        location: location.to_owned(),
        format: None,
        allow_inconsistent: false,
        rollback: None,
    };
    let location = path.display().to_string();
    let added = world.engine.add_volume(add(&location)).await.unwrap();
    assert_eq!((added.name.as_str(), added.size_bytes), ("elsewhere", 8192));
    assert_eq!(added.origin, VolumeOrigin::Added);
    for wrong in [location.as_str(), "relative.raw", "/nowhere/at/all"] {
        let refused = world.engine.add_volume(add(wrong)).await;
        assert!(
            matches!(refused, Err(EngineError::ResourceRefused { .. })),
            "{wrong}"
        );
    }
    let web = AddInstance {
        id: None,
        name: "web".to_owned(),
        description: String::new(),
        volumes: vec!["elsewhere".to_owned()],
        host: HostSpec::None,
    };
    let web = world.engine.add_instance(web).await.unwrap();
    assert_eq!(web.volumes, [added.id.as_str()]);
    let used = world.engine.remove_volume(&added.id).await;
    assert!(matches!(used, Err(EngineError::ResourceRefused { .. })));
    let ticket = create(&world, &[&web.id], "one").await.unwrap();
    assert_eq!(
        point_of(&world, &ticket).await.status,
        PointStatus::Available
    );
    let world = world.restart().await;
    assert_eq!(world.engine.instance(&web.id).await.unwrap(), web);
    world.engine.remove_instance(&web.id).await.unwrap();
    world.engine.remove_volume(&added.id).await.unwrap();
    let missing = world.engine.volume(&added.id).await;
    assert!(matches!(missing, Err(EngineError::VolumeMissing { .. })));
    // Its points stay.
    let of_web = PointQuery {
        search: Some("WEB".to_owned()),
        limit: 10,
        ..PointQuery::default()
    };
    assert_eq!(world.engine.points(of_web).await.unwrap().total, 1);
    let found = Disk::new(&world, "vol-0000001.raw", 512);
    let file = world.engine.remove_volume(&found.volume).await;
    assert!(matches!(file, Err(EngineError::ResourceRefused { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_writes_to_its_raw_disk_does_not_make_it_another_format() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 1 << 20);
    fs::write(&disk.path, [b"QFI\xfb".as_slice(), &[9; 100_000]].concat()).unwrap();
    let volume = world.engine.volume("vol-0000001").await.unwrap();
    assert_eq!(volume.format, VolumeFormat::Raw);
    assert_eq!(volume.size_bytes, 100_004);
    let ticket = create(&world, &["vol-0000001"], "one").await.unwrap();
    let point = point_of(&world, &ticket).await;
    assert_eq!(point.status, PointStatus::Available, "{point:?}");
    disk.assert_stored(&world, &point).await;
}
