//! The test of the contract of [`Storage`], run by every implementation and decorator.

use super::{FileEntry, FileKind, PutMode, Storage, StorageErrorKind};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Writers that race for one file.
const RACERS: usize = 8;
/// Races.
const ROUNDS: usize = 10;

/// Checks everything that the contract promises. `storage` must be empty and is empty afterwards.
///
/// # Panics
/// At the first promise that is not kept, naming it.
pub fn run(storage: &dyn Storage) {
    an_empty_storage_has_nothing(storage);
    files_of_every_kind_come_back(storage);
    overwriting_replaces(storage);
    creating_refuses_what_exists(storage);
    ranges_are_exact(storage);
    listings_are_sorted_and_complete(storage);
    removing_what_is_not_there_is_fine(storage);
    names_that_no_kind_allows_are_refused(storage);
    of_many_creators_one_wins(storage);
    readers_never_see_a_part(storage);
    for kind in FileKind::ALL {
        assert!(list(storage, kind).is_empty(), "{kind} is empty afterwards");
    }
}

fn id_name(number: usize) -> String {
    // The first digits differ, so that packs spread over folders.
    format!("{:02x}{number:062x}", number * 37 % 256)
}

fn name_for(kind: FileKind, number: usize) -> String {
    match kind {
        FileKind::Config => String::new(),
        FileKind::Side => format!("folder/{number:04}.bin"),
        _ => id_name(number),
    }
}

fn put(storage: &dyn Storage, kind: FileKind, name: &str, data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    if let Err(error) = storage.put(kind, name, data, PutMode::Overwrite) {
        panic!("{kind}: a file is written: {error}");
    }
}

fn get(storage: &dyn Storage, kind: FileKind, name: &str) -> Bytes {
    match storage.get(kind, name) {
        Ok(data) => data,
        Err(error) => panic!("{kind}: a file is read: {error}"),
    }
}

fn delete(storage: &dyn Storage, kind: FileKind, name: &str) {
    if let Err(error) = storage.delete(kind, name) {
        panic!("{kind}: a file is removed: {error}");
    }
}

fn list(storage: &dyn Storage, kind: FileKind) -> Vec<FileEntry> {
    match storage.list(kind) {
        Ok(entries) => entries,
        Err(error) => panic!("{kind}: files are listed: {error}"),
    }
}

fn an_empty_storage_has_nothing(storage: &dyn Storage) {
    for kind in FileKind::ALL {
        let name = name_for(kind, 1);
        assert!(list(storage, kind).is_empty(), "{kind} is empty at first");
        let missing = storage.get(kind, &name);
        assert!(
            missing.is_err_and(|error| error.is_not_found()),
            "{kind}: get"
        );
        let missing = storage.size(kind, &name);
        assert!(
            missing.is_err_and(|error| error.is_not_found()),
            "{kind}: size"
        );
        let missing = storage.get_range(kind, &name, 0, 1);
        assert!(
            missing.is_err_and(|error| error.is_not_found()),
            "{kind}: range"
        );
        let exists = storage.exists(kind, &name);
        assert!(exists.is_ok_and(|exists| !exists), "{kind}: exists");
    }
    assert!(!storage.location().is_empty(), "the place has a name");
}

fn files_of_every_kind_come_back(storage: &dyn Storage) {
    for kind in FileKind::ALL {
        let name = name_for(kind, 1);
        for data in [&b""[..], b"some data", &[7; 100_000]] {
            put(storage, kind, &name, data);
            assert_eq!(get(storage, kind, &name), data, "{kind}");
            let size = storage.size(kind, &name);
            assert!(size.is_ok_and(|size| size == data.len() as u64), "{kind}");
            let entries = list(storage, kind);
            assert_eq!(entries.len(), 1, "{kind}");
            assert_eq!(entries[0].size_bytes, data.len() as u64, "{kind}");
        }
    }
    for kind in FileKind::ALL {
        delete(storage, kind, &name_for(kind, 1));
        assert!(list(storage, kind).is_empty(), "{kind}: gone when removed");
    }
}

fn overwriting_replaces(storage: &dyn Storage) {
    put(storage, FileKind::Side, "a", b"long old content");
    put(storage, FileKind::Side, "a", b"new");
    assert_eq!(get(storage, FileKind::Side, "a"), "new");
    delete(storage, FileKind::Side, "a");
}

fn creating_refuses_what_exists(storage: &dyn Storage) {
    for kind in FileKind::ALL {
        let name = name_for(kind, 2);
        let create = |data| storage.put(kind, &name, Bytes::from_static(data), PutMode::Create);
        assert!(create(b"first").is_ok(), "{kind}");
        let second = create(b"second");
        assert!(
            second.is_err_and(|error| error.kind == StorageErrorKind::AlreadyExists),
            "{kind}: the second creation is refused"
        );
        assert_eq!(get(storage, kind, &name), "first", "{kind}");
        delete(storage, kind, &name);
        assert!(create(b"again").is_ok(), "{kind}: the name is free again");
        delete(storage, kind, &name);
    }
}

fn ranges_are_exact(storage: &dyn Storage) {
    let name = id_name(3);
    put(storage, FileKind::Data, &name, b"0123456789");
    let range = |offset, len| storage.get_range(FileKind::Data, &name, offset, len);
    for (offset, len, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (9, 1, "9")] {
        let data = range(offset, len);
        assert!(data.is_ok_and(|data| data == expected), "{len} at {offset}");
    }
    for offset in [0, 5, 10] {
        let data = range(offset, 0);
        assert!(
            data.is_ok_and(|data| data.is_empty()),
            "nothing at {offset}"
        );
    }
    for (offset, len) in [(0, 11), (9, 2), (10, 1), (11, 0), (50, 1), (u64::MAX, 2)] {
        assert!(range(offset, len).is_err(), "{len} at {offset}");
    }
    delete(storage, FileKind::Data, &name);
}

fn listings_are_sorted_and_complete(storage: &dyn Storage) {
    for kind in [FileKind::Data, FileKind::Index, FileKind::Side] {
        let mut names: Vec<String> = (0..100).map(|number| name_for(kind, number)).collect();
        for (size, name) in names.iter().enumerate() {
            put(storage, kind, name, &vec![1; size]);
        }
        names.sort();
        let entries = list(storage, kind);
        let listed: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(listed, names, "{kind}");
        for name in names {
            delete(storage, kind, &name);
        }
    }
}

fn removing_what_is_not_there_is_fine(storage: &dyn Storage) {
    for kind in FileKind::ALL {
        delete(storage, kind, &name_for(kind, 4));
    }
}

fn names_that_no_kind_allows_are_refused(storage: &dyn Storage) {
    for (kind, name) in [
        (FileKind::Data, "short"),
        (FileKind::Side, "../config"),
        (FileKind::Side, ""),
        (FileKind::Side, "name#1"),
    ] {
        let data = Bytes::from_static(b"x");
        assert!(
            storage.put(kind, name, data, PutMode::Overwrite).is_err(),
            "{name}"
        );
        assert!(storage.get(kind, name).is_err(), "{name}");
        assert!(storage.delete(kind, name).is_err(), "{name}");
    }
}

fn of_many_creators_one_wins(storage: &dyn Storage) {
    for round in 0..ROUNDS {
        let name = id_name(1000 + round);
        let winners = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for racer in 0..RACERS {
                let (name, winners) = (&name, &winners);
                scope.spawn(move || {
                    let data = Bytes::from(vec![racer as u8; 1000]);
                    match storage.put(FileKind::Lock, name, data, PutMode::Create) {
                        Ok(()) => {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => assert!(error.is_already_exists(), "a loser: {error}"),
                    }
                });
            }
        });
        assert_eq!(winners.into_inner(), 1, "one creator wins");
        let data = get(storage, FileKind::Lock, &name);
        assert!(
            data.iter().all(|byte| *byte == data[0]),
            "one writer's file"
        );
        delete(storage, FileKind::Lock, &name);
    }
}

fn readers_never_see_a_part(storage: &dyn Storage) {
    const LEN: usize = 300_000;
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..20 {
                put(storage, FileKind::Side, "whole", &vec![round; LEN]);
            }
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            match storage.get(FileKind::Side, "whole") {
                Ok(data) => {
                    assert_eq!(data.len(), LEN, "a whole file");
                    assert!(data.iter().all(|byte| *byte == data[0]), "of one writer");
                }
                Err(error) => assert!(error.is_not_found(), "{error}"),
            }
            for entry in list(storage, FileKind::Side) {
                assert_eq!(entry.name, "whole", "half-written files are hidden");
            }
        }
    });
    delete(storage, FileKind::Side, "whole");
}

/// Runs a test with an empty storage in memory and the runtime that it needs.
#[cfg(test)]
pub(crate) fn with_memory(test: impl FnOnce(std::sync::Arc<dyn Storage>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let memory = super::ObjectStorage::memory(runtime.handle().clone());
    test(std::sync::Arc::new(memory));
}
