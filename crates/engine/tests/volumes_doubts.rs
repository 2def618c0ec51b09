//! What could make a point or a rollback wrong without anybody noticing.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::rollbacks::{
    assert_file, changed, copy_of_state, disk, host, limit_reading, lines, run, start_from,
    until_mixed,
};
use common::volumes::{Disk, KIB_256, assert_content, point_of};
use common::{World, world};
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use snapkeep_engine::{
    CreatePoints, JobState, PointInfo, RollbackMode, VolumeFormat, VolumeStatus,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_not_started_while_a_disk_of_it_waits_for_the_rest_of_its_rollback() {
    let world = world().await;
    limit_reading(&world, None).await;
    let (first, second) = (disk(1, 4), disk(2, 64));
    let (boot, boot_path) = world.volume("boot", &first, RollbackMode::Swap).await;
    let (data, data_path) = world.volume("data", &second, RollbackMode::InPlace).await;
    let (host, log) = host(&world, "web");
    let instance = world.instance("web", &[&boot, &data], host).await;
    let point = world.point(&instance, "both").await;
    run(&log);
    std::fs::write(&boot_path, changed(&first, 1, 1)).unwrap();
    let other = disk(3, 64);
    std::fs::write(&data_path, &other).unwrap();
    limit_reading(&world, Some("2mb")).await;
    let points = [point.id.clone()];
    let ticket = world.engine.apply_points(&points, false).await.unwrap();
    until_mixed(&data_path, &other).await;
    let copy = copy_of_state(&world);
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    world.engine.wait_job(&ticket.job_id).await.unwrap();
    limit_reading(&world, None).await;

    // Somebody looks at the mixture when the server starts again.
    let mut user = Command::new("sh")
        .args(["-c", "exec 3<>\"$0\"; echo; exec sleep 600"])
        .arg(&data_path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(user.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let engine = start_from(&world, &copy).await;
    let job = engine.wait_job(&ticket.job_id).await.unwrap();
    user.kill().unwrap();
    user.wait().unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(lines(&log), ["stop"], "{:?}", job.error);
    let status = engine.volume(&data).await.unwrap().status;
    let VolumeStatus::Suspended { reason } = status else {
        panic!("{status:?}");
    };
    assert!(reason.contains("was cut off"), "{reason}");

    // Applied again it is whole, and the host that was stopped for it runs again.
    let again = engine.apply_points(&points, false).await.unwrap();
    let job = engine.wait_job(&again.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_file(&boot_path, &first);
    assert_file(&data_path, &second);
    assert_eq!(lines(&log), ["stop", "start"]);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_any_size_are_whole_and_come_back_whole() {
    let world = world().await;
    let sizes = [0, 1, 511, 513, KIB_256 - 1, KIB_256 + 1, 3 * KIB_256 + 513];
    for (number, size_bytes) in sizes.into_iter().enumerate() {
        let disk = Disk::new(&world, &format!("vol-size00{number}.raw"), size_bytes);
        if size_bytes > 0 {
            disk.fill(number as u64, 0..size_bytes);
        }
        let before = disk.content();
        let one = world.point(&disk.volume, "one").await;
        disk.assert_stored(&world, &one).await;
        // The last byte only, then one more.
        if size_bytes > 0 {
            disk.fill(99, size_bytes - 1..size_bytes);
        }
        let two = world.point(&disk.volume, "two").await;
        disk.assert_stored(&world, &two).await;
        disk.resize(size_bytes + 1);
        let three = world.point(&disk.volume, "three").await;
        disk.assert_stored(&world, &three).await;
        let job = world.apply(&[&one.id]).await.unwrap();
        assert_eq!(
            job.state,
            JobState::Succeeded,
            "{size_bytes}: {:?}",
            job.error
        );
        assert_file(&disk.path, &before);
        let made = world
            .engine
            .create_volume_from(&one.id, "copy")
            .await
            .unwrap();
        let job = world.engine.wait_job(&made.job_id).await.unwrap();
        assert_eq!(
            job.state,
            JobState::Succeeded,
            "{size_bytes}: {:?}",
            job.error
        );
        let copy = world.engine.volume(&made.resources[0]).await.unwrap();
        assert_file(copy.location.as_ref(), &before);
    }
    world.check("volumes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_disk_stays_one_when_its_guest_writes_the_header_of_an_image_to_it() {
    let world = world().await;
    let disk = Disk::new(&world, "vol-guest01.img", 4 * KIB_256);
    disk.fill(1, 0..4 * KIB_256);
    let before = disk.content();
    let one = world.point(&disk.volume, "one").await;
    // Version 3, 1 MiB, lying over a file of the server's.
    let mut header = [0; 512];
    header[..4].copy_from_slice(b"QFI\xfb");
    header[7] = 3;
    header[15] = 128;
    header[19] = 11;
    header[23] = 16;
    header[29] = 16;
    header[103] = 104;
    header[128..139].copy_from_slice(b"/etc/passwd");
    let file = File::options().write(true).open(&disk.path).unwrap();
    file.write_all_at(&header, 0).unwrap();
    drop(file);
    let world = world.restart().await;
    let two = world.point(&disk.volume, "two").await;
    assert_eq!(two.disks[0].format, VolumeFormat::Raw);
    disk.assert_stored(&world, &two).await;
    let job = world.apply(&[&one.id]).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_file(&disk.path, &before);
}

/// Some bytes of a file.
fn piece_of(path: &Path, at: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    File::open(path)
        .unwrap()
        .read_exact_at(&mut bytes, at)
        .unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_several_pieces_keep_what_is_at_their_seams() {
    let world = world().await;
    // Stored in pieces of 4 GiB; the last one is a part of one.
    let piece = 4_u64 << 30;
    let disk = Disk::new(&world, "vol-large01.raw", 2 * piece + 5 * KIB_256 + 4096);
    let seams = [
        0,
        piece - 4096,
        piece,
        2 * piece - 4096,
        2 * piece,
        2 * piece + 5 * KIB_256,
    ];
    let fill = |seed: u64, at: u64| disk.fill(seed + at, at..at + 4096);
    let now = || seams.map(|at| piece_of(&disk.path, at));
    let mut points = Vec::new();
    seams.iter().for_each(|at| fill(1, *at));
    points.push((world.point(&disk.volume, "all").await, now()));
    fill(2, piece);
    points.push((world.point(&disk.volume, "one").await, now()));
    fill(3, 2 * piece + 5 * KIB_256);
    points.push((world.point(&disk.volume, "end").await, now()));
    for (point, expected) in &points {
        let stored = world.engine.open_disk(&point.id, None).await.unwrap();
        let found = tokio::task::spawn_blocking(move || {
            seams.map(|at| {
                let mut bytes = vec![0; 4096];
                stored.read_at(at, &mut bytes).unwrap();
                bytes
            })
        });
        assert!(found.await.unwrap() == *expected, "{}", point.name);
    }
    for (point, expected) in points.iter().rev().chain(&points) {
        let job = world.apply(&[&point.id]).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        assert!(now() == *expected, "{}", point.name);
        let metadata = std::fs::metadata(&disk.path).unwrap();
        assert!(metadata.blocks() * 512 < 64 << 20, "holes came back full");
    }
    world.check("volumes").await;
}

/// What each point has to hold, by its id.
type Expected = BTreeMap<String, (String, Vec<u8>)>;

async fn assert_all(world: &World, expected: &Expected) {
    for (id, (volume, bytes)) in expected {
        let point = world.engine.point(id).await.unwrap();
        assert_content(world, &point, volume, bytes).await;
    }
}

async fn point_in(world: &World, repository: &str, disk: &Disk, full: bool) -> PointInfo {
    let request = CreatePoints {
        repository: Some(repository.to_owned()),
        resources: vec![disk.volume.clone()],
        name: "any".to_owned(),
        full,
        ..CreatePoints::default()
    };
    let ticket = world.engine.create_points(request).await.unwrap();
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    point_of(world, &ticket).await
}

/// Tokens, digests and bases of one volume whose points are in two repositories, are deleted, applied and lost in any order.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_between_points_each_holds_what_was_there() {
    for seed in 0..3 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut world = world().await;
        world.register("one").await;
        world.register("two").await;
        let blocks = 40_u64;
        let disk = Disk::new(&world, "vol-any0001.raw", blocks * KIB_256 + 700);
        let mut expected = Expected::new();
        for step in 0..40_u64 {
            let block = random.random_range(0..blocks);
            let any = expected.keys().choose(&mut random).cloned();
            match (random.random_range(0..14), any) {
                (0..3, _) => disk.fill(step, block * KIB_256..(block + 1) * KIB_256 + 5),
                (3, _) => disk.punch(block * KIB_256..(block + 2) * KIB_256),
                (4, _) => {
                    // Another file of the same name and content.
                    let copy = disk.path.with_extension("copy");
                    std::fs::copy(&disk.path, &copy).unwrap();
                    std::fs::rename(&copy, &disk.path).unwrap();
                }
                (5, Some(id)) => {
                    let (_, bytes) = &expected[&id];
                    let job = world.apply(&[&id]).await.unwrap();
                    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
                    assert_file(&disk.path, bytes);
                }
                (6, Some(id)) => {
                    let ids = std::slice::from_ref(&id);
                    let ticket = world.engine.delete_points(ids, false).await.unwrap();
                    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
                    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
                    expected.remove(&id);
                }
                (7, _) => {
                    let name = ["one", "two"][random.random_range(0..2)];
                    world.engine.cleanup(name).await.unwrap();
                }
                (8, _) if step % 3 == 0 => world = world.restart().await,
                _ => {
                    let name = ["one", "two"][random.random_range(0..2)];
                    let full = random.random_range(0..6) == 0;
                    let point = point_in(&world, name, &disk, full).await;
                    disk.assert_stored(&world, &point).await;
                    expected.insert(point.id, (disk.volume.clone(), disk.content()));
                }
            }
        }
        assert_all(&world, &expected).await;
        world.check("one").await;
        world.check("two").await;
    }
}
