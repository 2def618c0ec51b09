//! Rolling volumes and instances back to points.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::rollbacks::{
    BLOCK, Pair, assert_file, changed, copy_of_state, disk, host, limit_reading, lines, run,
    start_from, succeeded, until_mixed,
};
use common::volumes::assert_content;
use common::{World, world};
use serde_json::{Value, json};
use snapkeep_engine::{
    CreatePoints, Engine, EngineError, HostSpec, JobInfo, JobState, PointInfo, RollbackMode,
    VolumeStatus,
};

fn outcome_of<'a>(job: &'a JobInfo, volume: &str) -> &'a Value {
    let volumes = job.result.as_ref().unwrap()["volumes"].as_array().unwrap();
    let of_volume = volumes.iter().find(|it| it["volume"] == volume).unwrap();
    &of_volume["outcome"]
}

async fn assert_available(engine: &Engine, volume: &str) {
    let status = engine.volume(volume).await.unwrap().status;
    assert_eq!(status, VolumeStatus::Available);
}

/// A volume that held `first` at its point and holds `other` now, and is rolled back in place, slowly.
async fn long_way_back(world: &World, first: &[u8], other: &[u8]) -> (String, PathBuf, PointInfo) {
    limit_reading(world, None).await;
    let (volume, path) = world.volume("web", first, RollbackMode::InPlace).await;
    let point = world.point(&volume, "one").await;
    std::fs::write(&path, other).unwrap();
    limit_reading(world, Some("2mb")).await;
    (volume, path, point)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_swapped_and_byte_for_byte_as_the_point_shows() {
    let world = world().await;
    let first = disk(1, 40);
    let (volume, path) = world.volume("web", &first, RollbackMode::Swap).await;
    let one = world.point(&volume, "one").await;
    let mut second = changed(&first, 7, 3);
    second[3 * BLOCK..4 * BLOCK].fill(9);
    second.truncate(39 * BLOCK + 4096);
    std::fs::write(&path, &second).unwrap();
    let two = world.point(&volume, "two").await;
    assert!(two.is_head && two.parent_id.as_deref() == Some(one.id.as_str()));

    let inode = std::fs::metadata(&path).unwrap().ino();
    let job = world.rolled_back(&[&one.id]).await;
    assert_file(&path, &first);
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), inode);
    let outcome = outcome_of(&job, &volume);
    assert_eq!(
        (&outcome["state"], &outcome["mode"]),
        (&json!("applied"), &json!("swap"))
    );
    assert_eq!(job.resources, std::slice::from_ref(&volume));
    assert!(world.engine.point(&one.id).await.unwrap().is_head);
    assert!(!world.engine.point(&two.id).await.unwrap().is_head);

    // The next increment hangs on the applied point: the chain is a tree.
    let third = changed(&first, 20, 5);
    std::fs::write(&path, &third).unwrap();
    let three = world.point(&volume, "three").await;
    assert_eq!(three.parent_id.as_deref(), Some(one.id.as_str()));
    for (point, bytes) in [(&two, &second), (&three, &third), (&one, &first)] {
        world.apply(&[&point.id]).await.unwrap();
        assert_file(&path, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_only_what_differs_is_written() {
    let world = world().await;
    let first = disk(1, 40);
    let (volume, path) = world.volume("web", &first, RollbackMode::InPlace).await;
    let one = world.point(&volume, "one").await;
    std::fs::write(&path, changed(&changed(&first, 5, 3), 8, 1)).unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    let job = world.rolled_back(&[&one.id]).await;
    assert_file(&path, &first);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    let outcome = outcome_of(&job, &volume);
    assert_eq!(outcome["mode"], "in_place");
    assert_eq!(outcome["written_bytes"], 2 * BLOCK as u64);
    assert_available(&world.engine, &volume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_of_several_volumes_is_stopped_once_and_started_once() {
    let world = world().await;
    let (first, second) = (disk(1, 12), disk(2, 12));
    let web = Pair::new(&world, &first, &second, RollbackMode::InPlace).await;
    std::fs::write(&web.boot_path, changed(&first, 1, 1)).unwrap();
    std::fs::write(&web.data_path, changed(&second, 1, 1)).unwrap();

    world.rolled_back(&[&web.point.id]).await;
    assert_file(&web.boot_path, &first);
    assert_file(&web.data_path, &second);
    assert_eq!(lines(&web.log), ["stop", "start"]);

    // One that is stopped stays so.
    std::fs::remove_file(web.log.with_extension("running")).unwrap();
    std::fs::write(&web.boot_path, changed(&first, 1, 1)).unwrap();
    world.rolled_back(&[&web.point.id]).await;
    assert_file(&web.boot_path, &first);
    assert_eq!(lines(&web.log).len(), 2);
}

/// Spoils the middle of every larger file of packs, so that data cannot be read and small descriptions can.
fn damage(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.len() > 1 << 20 {
            let (start, end) = (bytes.len() / 8, bytes.len() / 8 * 7);
            bytes[start..end].fill(0x55);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_volume_fails_the_host_stays_down_and_all_states_are_told() {
    let world = world().await;
    let (first, second) = (disk(1, 2), disk(2, 40));
    let web = Pair::new(&world, &first, &second, RollbackMode::Swap).await;
    let other = disk(3, 40);
    std::fs::write(&web.data_path, &other).unwrap();
    damage(&world.repository_dir("volumes").join("data"));

    let job = world.apply(&[&web.point.id]).await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.unwrap();
    assert!(
        error.contains(&format!(
            "[{}] is as point {} shows",
            web.boot, web.point.id
        )),
        "{error}"
    );
    assert!(
        error.contains(&format!("[{}] is unchanged", web.data)),
        "{error}"
    );
    assert!(error.contains("is left stopped"), "{error}");
    assert_file(&web.boot_path, &first);
    assert_file(&web.data_path, &other);
    assert_eq!(lines(&web.log), ["stop"]);
    // A swap that failed left the old file: nothing has to be finished.
    for volume in [&web.boot, &web.data] {
        assert_available(&world.engine, volume).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_change_nothing() {
    let world = world().await;
    let first = disk(1, 4);
    let (volume, path) = world.volume("web", &first, RollbackMode::Swap).await;
    let (other, _) = world.volume("other", &first, RollbackMode::Swap).await;
    let instance = world.instance("pair", &[&other], HostSpec::None).await;
    let (one, two) = (
        world.point(&volume, "one").await,
        world.point(&volume, "two").await,
    );
    let whole = world.point(&instance, "whole").await;
    let disk_alone = world.point(&other, "alone").await;
    let now = changed(&first, 0, 1);
    std::fs::write(&path, &now).unwrap();

    let refused = |result: Result<JobInfo, EngineError>| result.unwrap_err();
    assert!(matches!(
        refused(world.apply(&[]).await),
        EngineError::NothingNamed { .. }
    ));
    assert!(matches!(
        refused(world.apply(&["ss-0000000"]).await),
        EngineError::PointMissing { .. }
    ));
    assert!(matches!(
        refused(world.apply(&[&one.id, &two.id]).await),
        EngineError::ResourceRepeated { resource, .. } if resource == volume
    ));
    assert!(matches!(
        refused(world.apply(&[&whole.id, &disk_alone.id]).await),
        EngineError::ResourceRepeated { resource, .. } if resource == other
    ));
    // Nobody can stop what has the disk open.
    let open = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let used = std::process::Command::new("sleep")
        .arg("60")
        .stdout(open)
        .spawn();
    let mut used = used.unwrap();
    let error = refused(world.apply(&[&one.id]).await).to_string();
    assert!(error.contains("is in use by"), "{error}");
    used.kill().unwrap();
    used.wait().unwrap();
    assert_file(&path, &now);
    // The same point twice is once.
    world.rolled_back(&[&one.id, &one.id]).await;
    assert_file(&path, &first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_of_how_things_are_now_is_made_first_when_asked_for() {
    let world = world().await;
    let first = disk(1, 8);
    let (volume, path) = world.volume("web", &first, RollbackMode::Swap).await;
    let one = world.point(&volume, "one").await;
    let second = changed(&first, 2, 2);
    std::fs::write(&path, &second).unwrap();
    let ticket = world
        .engine
        .apply_points(std::slice::from_ref(&one.id), true)
        .await
        .unwrap();
    let job = succeeded(&world.engine, &ticket).await;
    assert_file(&path, &first);
    let safety = job.result.unwrap()["safety_points"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let safety = world.engine.point(&safety).await.unwrap();
    assert_content(&world, &safety, &volume, &second).await;
    assert!(world.engine.point(&one.id).await.unwrap().is_head);
    world.rolled_back(&[&safety.id]).await;
    assert_file(&path, &second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_is_stopped_before_the_point_of_how_things_are_now() {
    let world = world().await;
    let first = disk(1, 16);
    let (volume, path) = world.volume("web", &first, RollbackMode::Swap).await;
    let (host, log) = host(&world, "web");
    let instance = world.instance("web", &[&volume], host).await;
    let point = world.point(&instance, "one").await;
    let second = disk(2, 16);
    std::fs::write(&path, &second).unwrap();
    run(&log);
    let points = [point.id.clone()];
    let ticket = world.engine.apply_points(&points, true).await.unwrap();
    let job = succeeded(&world.engine, &ticket).await;
    assert_file(&path, &first);
    assert_eq!(lines(&log), ["stop", "start"]);
    let safety = job.result.unwrap()["safety_points"][0].clone();
    let safety = world.engine.point(safety.as_str().unwrap()).await.unwrap();
    assert_content(&world, &safety, &volume, &second).await;

    // Cancelled, or cut off, while that point is made: nothing was rolled back, and the host runs again.
    let third = disk(3, 40);
    std::fs::write(&path, &third).unwrap();
    let slow = json!({ "location": "volumes", "max_snapshot_bytes_per_sec": "100kb" });
    world.register_with("volumes", slow).await.unwrap();
    let ticket = world.engine.apply_points(&points, true).await.unwrap();
    while lines(&log).len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let copy = copy_of_state(&world);
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled, "{:?}", job.error);
    assert_file(&path, &third);
    assert_eq!(lines(&log), ["stop", "start", "stop", "start"]);
    std::fs::remove_file(log.with_extension("running")).unwrap();

    let engine = start_from(&world, &copy).await;
    let job = engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.unwrap();
    assert!(error.contains("nothing was rolled back"), "{error}");
    assert_file(&path, &third);
    assert_eq!(lines(&log).len(), 5);
    assert_available(&engine, &volume).await;
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rollback_in_place_leaves_the_volume_suspended_until_it_is_applied_again() {
    let world = world().await;
    let (first, other) = (disk(1, 64), disk(2, 64));
    let (volume, path, one) = long_way_back(&world, &first, &other).await;
    let points = [one.id.clone()];
    let ticket = world.engine.apply_points(&points, false).await.unwrap();
    // While it runs nothing else may touch the volume.
    let again = world.engine.apply_points(&points, false).await.unwrap_err();
    assert!(matches!(again, EngineError::ResourceBusy { .. }), "{again}");
    until_mixed(&path, &other).await;
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);

    let status = world.engine.volume(&volume).await.unwrap().status;
    let VolumeStatus::Suspended { reason } = status else {
        panic!("{status:?}");
    };
    assert!(reason.contains("its content is a mixture"), "{reason}");
    let request = CreatePoints {
        resources: vec![volume.clone()],
        name: "of a mixture".into(),
        ..CreatePoints::default()
    };
    let refused = world.engine.create_points(request).await.unwrap_err();
    assert!(
        matches!(refused, EngineError::VolumeSuspended { .. }),
        "{refused}"
    );
    // A restart does not forget it, and does not decide for the operator.
    let world = world.restart().await;
    limit_reading(&world, None).await;
    let status = world.engine.volume(&volume).await.unwrap().status;
    assert_eq!(status, VolumeStatus::Suspended { reason });
    world.rolled_back(&[&one.id]).await;
    assert_file(&path, &first);
    assert_available(&world.engine, &volume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_a_crash_cut_off_is_finished_by_the_next_start_as_the_same_job() {
    let world = world().await;
    limit_reading(&world, None).await;
    let (first, second) = (disk(1, 4), disk(2, 64));
    let web = Pair::new(&world, &first, &second, RollbackMode::InPlace).await;
    std::fs::write(&web.boot_path, changed(&first, 1, 1)).unwrap();
    let other = disk(3, 64);
    std::fs::write(&web.data_path, &other).unwrap();
    limit_reading(&world, Some("2mb")).await;
    let ticket = world
        .engine
        .apply_points(std::slice::from_ref(&web.point.id), false)
        .await
        .unwrap();
    until_mixed(&web.data_path, &other).await;
    let copy = copy_of_state(&world);
    // The dead do not write.
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(lines(&web.log), ["stop"]);
    limit_reading(&world, None).await;

    let engine = start_from(&world, &copy).await;
    let job = succeeded(&engine, &ticket).await;
    assert_eq!(job.id, ticket.job_id);
    assert_file(&web.boot_path, &first);
    assert_file(&web.data_path, &second);
    assert_eq!(lines(&web.log), ["stop", "start"]);
    for volume in [&web.boot, &web.data] {
        assert_available(&engine, volume).await;
    }
    assert!(engine.point(&web.point.id).await.unwrap().is_head);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_a_shutdown_cut_off_goes_on_at_the_next_start() {
    let world = world().await;
    let (first, other) = (disk(1, 64), disk(2, 64));
    let (volume, path, one) = long_way_back(&world, &first, &other).await;
    world
        .engine
        .apply_points(std::slice::from_ref(&one.id), false)
        .await
        .unwrap();
    until_mixed(&path, &other).await;
    world.engine.shutdown(Duration::ZERO).await;
    let folder = Arc::clone(&world.folder);
    drop(world);
    let world = common::open(folder).await;
    limit_reading(&world, None).await;
    let jobs = world.engine.jobs().await.unwrap();
    let resumed = jobs
        .iter()
        .find(|job| job.resources == [volume.clone()] && job.finished_ms.is_none());
    if let Some(resumed) = resumed {
        let ended = world.engine.wait_job(&resumed.id).await.unwrap();
        assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    }
    assert_file(&path, &first);
    assert_available(&world.engine, &volume).await;
}
