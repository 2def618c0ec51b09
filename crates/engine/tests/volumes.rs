//! Points of volumes: made, listed, renamed, deleted, and what they cost.
#![allow(clippy::unwrap_used)]

mod common;

use common::volumes::{Disk, KIB_256, create, point_of, query};
use common::{World, world};
use snapkeep_engine::{
    ChangeSource, CreatePoints, EngineError, JobKind, JobState, PointQuery, PointStatus,
};

/// Names, parents and heads of the points of a volume, oldest first.
async fn chain_of(world: &World, volume: &str) -> Vec<(String, Option<String>, bool)> {
    let page = world.engine.points(query(volume)).await.unwrap();
    let mut points = page.points;
    points.reverse();
    let names: std::collections::HashMap<String, String> = points
        .iter()
        .map(|point| (point.id.clone(), point.name.clone()))
        .collect();
    points
        .into_iter()
        .map(|point| {
            let parent = point.parent_id.map(|parent| names[&parent].clone());
            (point.name, parent, point.is_head)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_is_stored_whole_and_the_next_one_costs_what_changed() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 40 << 20);
    disk.fill(1, 0..10 << 20);
    disk.fill(2, 20 << 20..21 << 20);
    let full = create(&world, &["vol-0000001"], "one").await.unwrap();
    let first = point_of(&world, &full).await;
    assert_eq!(first.status, PointStatus::Available, "{first:?}");
    assert!(first.full && first.is_head && first.head_chain && first.taken);
    assert_eq!(
        (first.root_id.as_str(), &first.parent_id),
        (first.id.as_str(), &None)
    );
    assert_eq!(first.virtual_size_bytes, 40 << 20);
    assert_eq!(first.disks[0].changed_bytes, 11 << 20);
    assert!(first.size_bytes > 10 << 20);
    disk.assert_stored(&world, &first).await;

    disk.fill(3, 5 << 20..(5 << 20) + 100);
    disk.punch(20 << 20..21 << 20);
    let increment = create(&world, &["vol-0000001"], "two").await.unwrap();
    let second = point_of(&world, &increment).await;
    assert_eq!(second.status, PointStatus::Available, "{second:?}");
    assert_eq!(second.parent_id.as_ref(), Some(&first.id));
    assert_eq!(
        (second.full, second.root_id.as_str()),
        (false, first.id.as_str())
    );
    assert_eq!(second.disks[0].changed_bytes, KIB_256 + (1 << 20));
    assert!(second.size_bytes < 1 << 20, "{}", second.size_bytes);
    assert_eq!(second.total_count, 2);
    disk.assert_stored(&world, &second).await;
    let job = world.engine.job(&increment.job_id).await.unwrap();
    assert_eq!(
        (job.kind, job.state),
        (JobKind::VolumeSnapshot, JobState::Succeeded)
    );
    assert_eq!(job.resources, increment.points);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_costs_a_sample() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 64 << 20);
    disk.fill(1, 0..40 << 20);
    create(&world, &["vol-0000001"], "one").await.unwrap();
    let again = create(&world, &["vol-0000001"], "two").await.unwrap();
    let second = point_of(&world, &again).await;
    let stored = &second.disks[0];
    assert_ne!(
        stored.change_source,
        ChangeSource::Scan,
        "{:?}",
        stored.reason
    );
    assert_eq!((stored.changed_bytes, stored.stored_bytes), (0, 0));
    assert!(
        stored.read_bytes <= 2 * 64 * KIB_256,
        "{}",
        stored.read_bytes
    );
    disk.assert_stored(&world, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_token_costs_reading_and_nothing_else() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 32 << 20);
    disk.fill(1, 0..16 << 20);
    create(&world, &["vol-0000001"], "one").await.unwrap();
    std::fs::remove_dir_all(world.folder.path().join("data/volume-state/tokens")).unwrap();
    disk.fill(9, 0..4096);
    let again = create(&world, &["vol-0000001"], "two").await.unwrap();
    let second = point_of(&world, &again).await;
    let stored = &second.disks[0];
    assert_eq!(stored.change_source, ChangeSource::Scan);
    assert!(
        stored
            .reason
            .as_ref()
            .unwrap()
            .contains("nothing was noted")
    );
    assert_eq!(stored.changed_bytes, KIB_256);
    assert_eq!(stored.read_bytes, 16 << 20);
    disk.assert_stored(&world, &second).await;
    // And without the digests it is the same.
    std::fs::remove_dir_all(world.folder.path().join("data/volume-state")).unwrap();
    let third = create(&world, &["vol-0000001"], "three").await.unwrap();
    let third = point_of(&world, &third).await;
    assert_eq!(third.disks[0].changed_bytes, 0);
    disk.assert_stored(&world, &third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grew_is_stored_whole() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 8 << 20);
    disk.fill(1, 0..8 << 20);
    create(&world, &["vol-0000001"], "one").await.unwrap();
    disk.resize((9 << 20) + 512);
    disk.fill(2, 8 << 20..(9 << 20) + 512);
    let grown = create(&world, &["vol-0000001"], "two").await.unwrap();
    let second = point_of(&world, &grown).await;
    assert_eq!(second.virtual_size_bytes, (9 << 20) + 512);
    assert!(second.disks[0].reason.is_some());
    disk.assert_stored(&world, &second).await;
    disk.resize(1 << 20);
    let shrunk = create(&world, &["vol-0000001"], "three").await.unwrap();
    disk.assert_stored(&world, &point_of(&world, &shrunk).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_lies_is_found_out() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 16 << 20);
    disk.fill(1, 0..16 << 20);
    let one = create(&world, &["vol-0000001"], "one").await.unwrap();
    let one = point_of(&world, &one).await;
    disk.fill(2, 0..16 << 20);
    create(&world, &["vol-0000001"], "two").await.unwrap();
    // What was noted of the second point is passed off as of the first, which everything differs from.
    world.forge_token("vol-0000001", &one.snapshot_uuid);
    world
        .engine
        .delete_points(&[last(&world).await], true)
        .await
        .unwrap();
    world.settle().await;
    let three = create(&world, &["vol-0000001"], "three").await.unwrap();
    let three = point_of(&world, &three).await;
    assert_eq!(three.parent_id.as_ref(), Some(&one.id));
    assert_eq!(three.disks[0].change_source, ChangeSource::Scan);
    let reason = three.disks[0].reason.clone().unwrap();
    assert!(reason.contains("differs"), "{reason}");
    disk.assert_stored(&world, &three).await;
}

async fn last(world: &World) -> String {
    let page = world.engine.points(query("vol-0000001")).await.unwrap();
    page.points[0].id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_hang_on_each_other_and_a_full_point_begins_a_chain() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 1 << 20);
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        disk.fill(number as u64, 0..1000);
        create(&world, &["vol-0000001"], name).await.unwrap();
    }
    let full = CreatePoints {
        resources: vec!["vol-0000001".to_owned()],
        name: "d".to_owned(),
        full: true,
        ..CreatePoints::default()
    };
    let ticket = world.engine.create_points(full).await.unwrap();
    world.engine.wait_job(&ticket.job_id).await.unwrap();
    create(&world, &["vol-0000001"], "e").await.unwrap();
    let of = |name: &str| Some(name.to_owned());
    assert_eq!(
        chain_of(&world, "vol-0000001").await,
        [
            ("a".to_owned(), None, false),
            ("b".to_owned(), of("a"), false),
            ("c".to_owned(), of("b"), false),
            ("d".to_owned(), None, false),
            ("e".to_owned(), of("d"), true),
        ]
    );
    let increments = PointQuery {
        full: Some(false),
        limit: 1,
        offset: 1,
        ..query("vol-0000001")
    };
    let page = world.engine.points(increments).await.unwrap();
    assert_eq!((page.total, page.points.len()), (3, 1));
    assert_eq!(page.points[0].name, "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_takes_what_hangs_on_a_point_unless_it_is_to_go_alone() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 2 << 20);
    let mut points = Vec::new();
    for number in 0..6 {
        disk.fill(number, 0..1 << 20);
        let ticket = create(&world, &["vol-0000001"], &format!("p{number}"))
            .await
            .unwrap();
        points.push((point_of(&world, &ticket).await, disk.content()));
    }
    let alone = world
        .engine
        .delete_points(&[points[1].0.id.clone()], false)
        .await
        .unwrap();
    assert_eq!(
        world.engine.wait_job(&alone.job_id).await.unwrap().state,
        JobState::Succeeded
    );
    let third = world.engine.point(&points[2].0.id).await.unwrap();
    assert_eq!(third.parent_id.as_ref(), Some(&points[0].0.id));
    let cascade = world
        .engine
        .delete_points(&[points[3].0.id.clone()], true)
        .await
        .unwrap();
    assert_eq!(cascade.points.len(), 3);
    world.engine.wait_job(&cascade.job_id).await.unwrap();
    let left = chain_of(&world, "vol-0000001").await;
    assert_eq!(left.len(), 2);
    assert_eq!(left[1], ("p2".to_owned(), Some("p0".to_owned()), true));
    for (point, content) in [&points[0], &points[2]] {
        common::volumes::assert_content(&world, point, "vol-0000001", content).await;
    }
    let gone = PointQuery {
        statuses: vec![PointStatus::Deleted],
        ..query("vol-0000001")
    };
    assert_eq!(world.engine.points(gone).await.unwrap().total, 4);
    let again = world
        .engine
        .delete_points(&[points[3].0.id.clone()], true)
        .await;
    assert!(matches!(again, Err(EngineError::PointMissing { .. })));
    // The full one alone: what hung on it begins a chain.
    let full = world
        .engine
        .delete_points(&[points[0].0.id.clone()], false)
        .await
        .unwrap();
    world.engine.wait_job(&full.job_id).await.unwrap();
    let third = world.engine.point(&points[2].0.id).await.unwrap();
    assert!(third.full && third.root_id == third.id && third.total_count == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_point_stops_the_whole_cascade() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 1 << 20);
    let mut points = Vec::new();
    for number in 0..3 {
        disk.fill(number, 0..1000);
        let ticket = create(&world, &["vol-0000001"], "p").await.unwrap();
        points.push(point_of(&world, &ticket).await);
    }
    let soon = world.now_ms() + 3_600_000;
    world
        .engine
        .lock_snapshot("volumes", &points[2].id, soon)
        .await
        .unwrap();
    let refused = world
        .engine
        .delete_points(&[points[0].id.clone()], true)
        .await;
    assert!(
        matches!(refused, Err(EngineError::SnapshotLocked { .. })),
        "{refused:?}"
    );
    assert_eq!(chain_of(&world, "vol-0000001").await.len(), 3);
    let shown = world.engine.point(&points[2].id).await.unwrap();
    assert_eq!(shown.locked_until_ms, Some(soon));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_chains_survive_the_loss_of_the_catalogue() {
    let world = world().await;
    let disk = Disk::new(&world, "web.raw", 2 << 20);
    let volume = world.engine.volumes().await.unwrap()[0].id.clone();
    let mut points = Vec::new();
    for number in 0..4 {
        disk.fill(number, 0..1 << 20);
        let ticket = create(&world, &[&volume], &format!("p{number}"))
            .await
            .unwrap();
        points.push(point_of(&world, &ticket).await);
    }
    let renamed = world
        .engine
        .update_point(
            &points[1].id,
            Some("before the upgrade".into()),
            Some("why".into()),
        )
        .await
        .unwrap();
    assert_eq!(renamed.name, "before the upgrade");
    let deleted = world
        .engine
        .delete_points(&[points[3].id.clone()], true)
        .await
        .unwrap();
    world.engine.wait_job(&deleted.job_id).await.unwrap();
    let before = chain_of(&world, &volume).await;
    let world = world.lose_catalogue().await;
    assert_eq!(world.engine.volumes().await.unwrap()[0].id, volume);
    assert_eq!(chain_of(&world, &volume).await, before);
    let found = world.engine.point(&points[1].id).await.unwrap();
    assert_eq!(
        (found.name.as_str(), found.description.as_str()),
        ("before the upgrade", "why")
    );
    let next = create(&world, &[&volume], "p4").await.unwrap();
    let next = point_of(&world, &next).await;
    assert_eq!(next.parent_id.as_ref(), Some(&points[2].id));
    disk.assert_stored(&world, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_snapshots_of_their_repository() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-0000001.raw", 3 << 20);
    disk.fill(1, 0..3 << 20);
    let ticket = create(&world, &["vol-0000001"], "one").await.unwrap();
    let snapshots = world.engine.snapshots("volumes").await.unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].name, ticket.points[0]);
    assert!(snapshots[0].indices.is_empty());
    let report = world.check("volumes").await;
    assert_eq!(report, JobState::Succeeded);
    world
        .engine
        .delete_snapshots("volumes", &ticket.points)
        .await
        .unwrap();
    let point = world.engine.point(&ticket.points[0]).await.unwrap();
    assert_eq!(point.status, PointStatus::Deleted);
}
