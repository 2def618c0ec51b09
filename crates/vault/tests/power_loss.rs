//! What a power cut leaves: every prefix of the log of writes of a backup, a forget and a prune is replayed, with the undecided changes made,
//! not made, and mixed. The repository must open, check, and hold every snapshot that was answered as finished.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, assert_file, open};
use rand::{Rng, SeedableRng, rngs::StdRng};
use snapkeep_vault::storage::{FileKind, ObjectStorage, PowerLoss, Recording, Storage};
use snapkeep_vault::{CheckOptions, PruneOptions, ReadData, SnapshotId};
use std::sync::Arc;
use tokio::runtime::Runtime;

const FIRST: &[common::FileSpec] = &[("both", 1, 900_000), ("old", 2, 700_000)];
const SECOND: &[common::FileSpec] = &[("both", 1, 900_000), ("new", 3, 600_000)];
const THIRD: &[common::FileSpec] = &[("new", 3, 600_000), ("last", 4, 100_000)];

/// A snapshot and the moments between which it must be there whole.
struct Promise {
    snapshot: SnapshotId,
    files: &'static [common::FileSpec],
    from: usize,
    until: usize,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn rewrite_everything() -> PruneOptions {
    PruneOptions {
        max_unused: 0.0,
        ..PruneOptions::default()
    }
}

/// Runs the story once and gives its log, the first moment with a repository, and what was promised.
fn record(runtime: &Runtime) -> (Arc<Recording>, usize, Vec<Promise>) {
    let inner = Arc::new(ObjectStorage::memory(runtime.handle().clone()));
    let recording = Arc::new(Recording::new(inner).unwrap());
    let place = Place::on(Arc::clone(&recording) as Arc<dyn Storage>);
    let begin = recording.moments();
    let save = |files| (place.save(files), recording.moments());
    let (first, first_saved) = save(FIRST);
    let (second, second_saved) = save(SECOND);
    let forgetting = recording.moments();
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(
        report.bytes_rewritten > 0 && report.packs_deleted > 0,
        "{report:?}"
    );
    let (third, third_saved) = save(THIRD);
    let end = recording.moments() + 1;
    let promises = vec![
        Promise {
            snapshot: first,
            files: FIRST,
            from: first_saved,
            until: forgetting,
        },
        Promise {
            snapshot: second,
            files: SECOND,
            from: second_saved,
            until: end,
        },
        Promise {
            snapshot: third,
            files: THIRD,
            from: third_saved,
            until: end,
        },
    ];
    (recording, begin, promises)
}

fn assert_good_after(
    runtime: &Runtime,
    recording: &Recording,
    promises: &[Promise],
    loss: &PowerLoss<'_>,
) {
    let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::memory(runtime.handle().clone()));
    recording.replay(loss, storage.as_ref()).unwrap();
    // The process that held it is gone with the power; here it is this very process.
    storage.delete(FileKind::Side, "prune-lease").unwrap();
    let repository = open(&storage);
    let whole = |when: &str| {
        let options = CheckOptions {
            read_data: ReadData::All,
            ..CheckOptions::default()
        };
        let report = repository.check(&options).unwrap();
        assert!(
            report.is_ok(),
            "moment {}, {when}: {:?}",
            loss.moment,
            report.problems
        );
        for promise in promises
            .iter()
            .filter(|promise| (promise.from..promise.until).contains(&loss.moment))
        {
            for file in promise.files {
                assert_file(&repository, promise.snapshot, *file);
            }
        }
    };
    whole("as it was found");
    repository.prune(&rewrite_everything()).unwrap();
    whole("after the next prune");
}

#[test]
fn a_power_cut_at_any_moment_leaves_every_finished_snapshot_whole() {
    let runtime = runtime();
    let (recording, begin, promises) = record(&runtime);
    let mut rng = StdRng::seed_from_u64(11);
    for moment in begin..=recording.moments() {
        let is_decided = recording.undecided(moment) == 0;
        let coin = rng.random::<u64>();
        let ways: [&dyn Fn(usize) -> bool; 3] = [&|_| true, &|_| false, &move |number| {
            coin >> (number % 64) & 1 == 1
        }];
        for is_made in &ways[..if is_decided { 1 } else { 3 }] {
            let loss = PowerLoss {
                moment,
                is_made: *is_made,
            };
            assert_good_after(&runtime, &recording, &promises, &loss);
        }
    }
}
