//! Long chains with branches: every point is what it was, in whatever order others go.
#![allow(clippy::unwrap_used)]

mod common;

use common::volumes::{Disk, assert_content, create, point_of, query};
use common::{World, world};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use snapkeep_engine::{JobState, PointInfo, PointStatus};

/// A point and what the disk was then.
type Kept = (PointInfo, Vec<u8>);

async fn done(world: &World, job: &str) {
    let job = world.engine.wait_job(job).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
}

/// Writes somewhere on the disk, or zeros.
fn change(disk: &Disk, random: &mut SmallRng) {
    let start = random.random_range(0..3 << 20);
    let length = random.random_range(1..400_000);
    if random.random_bool(0.25) {
        disk.punch(start..start + length);
    } else {
        disk.fill(random.random(), start..start + length);
    }
}

/// Ten points of one volume; after the fourth and the seventh the disk is rolled back to an earlier one, so that branches grow.
async fn branched(world: &World, disk: &Disk, random: &mut SmallRng) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for number in 0..10 {
        if number == 4 || number == 7 {
            let (point, content) = &kept[number / 3];
            let ticket = world
                .engine
                .apply_points(std::slice::from_ref(&point.id), false)
                .await
                .unwrap();
            done(world, &ticket.job_id).await;
            assert!(disk.content() == *content, "the rollback to {}", point.id);
            assert!(world.engine.point(&point.id).await.unwrap().is_head);
        }
        change(disk, random);
        let ticket = create(world, &["vol-0000001"], &format!("p{number}"))
            .await
            .unwrap();
        let point = point_of(world, &ticket).await;
        assert_eq!(point.status, PointStatus::Available, "{point:?}");
        kept.push((point, disk.content()));
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn every_point_of_a_branched_chain_stays_what_it_was_until_it_is_deleted_itself() {
    for seed in 0..3 {
        let world = world().await;
        let random = &mut SmallRng::seed_from_u64(seed);
        let disk = Disk::new(&world, "vol-0000001.raw", (4 << 20) + 512);
        disk.fill(seed, 0..2 << 20);
        let mut kept = branched(&world, &disk, random).await;
        let parent = |at: usize| kept[at].0.parent_id.clone().unwrap();
        // The branches hang on what was applied before them.
        assert_eq!(parent(4), kept[1].0.id);
        assert_eq!(parent(7), kept[2].0.id);
        assert_eq!(parent(9), kept[8].0.id);
        kept.shuffle(random);
        while let Some((point, _)) = kept.pop() {
            for (point, content) in &kept {
                assert_content(&world, point, "vol-0000001", content).await;
            }
            let alone = world
                .engine
                .delete_points(&[point.id], false)
                .await
                .unwrap();
            assert_eq!(alone.points.len(), 1);
            done(&world, &alone.job_id).await;
            let left = world.engine.points(query("vol-0000001")).await.unwrap();
            assert_eq!(left.total, kept.len());
            let heads = left.points.iter().filter(|point| point.is_head).count();
            assert_eq!(heads, usize::from(!kept.is_empty()));
        }
        assert_eq!(world.check("volumes").await, JobState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cascade_spares_the_branches_beside_it() {
    let world = world().await;
    let random = &mut SmallRng::seed_from_u64(7);
    let disk = Disk::new(&world, "vol-0000001.raw", 4 << 20);
    let kept = branched(&world, &disk, random).await;
    // p1 ← p4 p5 p6, p1 ← p2 ← p3, p2 ← p7 p8 p9
    let cascade = world
        .engine
        .delete_points(&[kept[2].0.id.clone()], true)
        .await
        .unwrap();
    done(&world, &cascade.job_id).await;
    let mut gone = cascade.points.clone();
    gone.sort();
    let mut expected: Vec<String> = [2, 3, 7, 8, 9]
        .map(|at: usize| kept[at].0.id.clone())
        .to_vec();
    expected.sort();
    assert_eq!(gone, expected);
    for at in [0, 1, 4, 5, 6] {
        let (point, content) = &kept[at];
        assert_content(&world, point, "vol-0000001", content).await;
    }
    // The head was in the branch that is gone; the point that it grew from is the head now.
    assert!(world.engine.point(&kept[1].0.id).await.unwrap().is_head);
    let world = world.lose_catalogue().await;
    let left = world.engine.points(query("vol-0000001")).await.unwrap();
    assert_eq!(left.total, 5);
    assert!(world.engine.point(&kept[1].0.id).await.unwrap().is_head);
}
