//! Restoring as specifications.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::json;

use super::{RestoreSpec, RestoredDocument, ShardProof};
use crate::store::{copy_folder, keyspaces};
use crate::{
    IndexState, Settings, Store, StoreError, StoreOptions, WriteOp, WriteOptions, document_hash,
};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    (dir, store)
}

fn spec(name: &str) -> RestoreSpec {
    RestoreSpec {
        name: name.to_owned(),
        settings: Settings::new(),
        mappings: json!({"properties": {"n": {"type": "long"}}}),
        aliases: BTreeMap::new(),
        shards: 1,
        replace_closed: true,
    }
}

fn documents(range: std::ops::Range<u64>) -> Vec<RestoredDocument> {
    range
        .map(|n| RestoredDocument {
            id: format!("id-{n}"),
            routing: None,
            version: 3,
            seq_no: n * 2,
            source: format!("{{\"n\":{n}}}").into_bytes(),
            tail: Vec::new(),
        })
        .collect()
}

fn proof(documents: &[RestoredDocument]) -> ShardProof {
    let digest = documents.iter().fold(0u128, |sum, d| {
        sum.wrapping_add(document_hash(
            &d.id,
            d.routing.as_deref(),
            d.version,
            d.seq_no,
            &d.source,
            &d.tail,
        ))
    });
    ShardProof {
        live: documents.len() as u64,
        digest,
    }
}

fn put(store: &Store, index: &str, id: &str) {
    let op = WriteOp::index(index, Some(id.to_owned()), "{}");
    store
        .write(vec![op], &WriteOptions::default())
        .pop()
        .unwrap()
        .unwrap();
}

#[test]
fn a_restored_index_is_complete_writable_and_survives_reopening() {
    let (dir, store) = store();
    let all = documents(0..5_000);
    let target = store.begin_restore(spec("r")).unwrap();
    assert_eq!(store.index("r").unwrap().state, IndexState::Restoring);
    assert!(store.get("r", "id-1", None).is_err());
    assert!(store.view().unwrap().shard("r", 0).is_none());
    std::thread::scope(|scope| {
        // Out of order and from several threads.
        for part in all.chunks(700).rev() {
            let target = &target;
            scope.spawn(move || target.load(0, part.to_vec()).unwrap());
        }
    });
    target.finish(vec![proof(&all)]).unwrap();
    put(&store, "r", "id-7");
    put(&store, "r", "new");
    drop(store);
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    let shard = store.view().unwrap().shard("r", 0).unwrap();
    assert_eq!(shard.live_count(), 5_001);
    assert_eq!(shard.max_seq_no(), Some(2 * 4_999 + 2));
    assert_eq!(store.get("r", "id-7", None).unwrap().unwrap().version, 4);
    let kept = store.get("r", "id-8", None).unwrap().unwrap();
    assert_eq!(
        (kept.version, kept.seq_no, kept.source),
        (3, 16, b"{\"n\":8}".to_vec())
    );
    let mut digest = 0u128;
    shard
        .scan(0..u64::MAX, &mut |document| {
            digest = digest.wrapping_add(document.hash());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(digest, shard.digest());
}

#[test]
fn a_wrong_proof_leaves_nothing_behind() {
    let (_dir, store) = store();
    let all = documents(0..10);
    let mut wrong = proof(&all);
    wrong.digest ^= 1;
    let target = store.begin_restore(spec("r")).unwrap();
    target.load(0, all).unwrap();
    assert!(matches!(
        target.finish(vec![wrong]),
        Err(StoreError::ProofMismatch { .. })
    ));
    assert!(store.index("r").is_none());
    assert_eq!(keyspaces(&store), 1, "only the metadata");
}

#[test]
fn a_document_given_twice_is_an_error() {
    let (_dir, store) = store();
    let target = store.begin_restore(spec("r")).unwrap();
    target.load(0, documents(0..3)).unwrap();
    target.load(0, documents(2..3)).unwrap();
    assert!(target.finish(vec![proof(&documents(0..3))]).is_err());
}

#[test]
fn a_closed_index_is_replaced_only_when_the_restore_succeeds() {
    let (dir, store) = store();
    put(&store, "r", "old");
    assert!(matches!(
        store.begin_restore(spec("r")),
        Err(StoreError::IndexOpen { .. })
    ));
    store.close_index("r").unwrap();
    let uuid = store.index("r").unwrap().uuid.clone();
    let target = store.begin_restore(spec("r")).unwrap();
    assert_eq!(target.uuid(), uuid);
    assert!(matches!(
        store.begin_restore(spec("r")),
        Err(StoreError::IndexRestoring { .. })
    ));
    target.load(0, documents(0..3)).unwrap();
    drop(target);
    assert_eq!(store.index("r").unwrap().state, IndexState::Closed);

    let history = |store: &Store| store.view().unwrap().shard("r", 0).unwrap().history();
    let before = history(&store);
    let target = store.begin_restore(spec("r")).unwrap();
    target.load(0, documents(0..3)).unwrap();
    target.finish(vec![proof(&documents(0..3))]).unwrap();
    let after = history(&store);
    assert_eq!(before.index_uuid, after.index_uuid);
    assert_ne!(before.history_uuid, after.history_uuid);
    assert!(store.get("r", "old", None).unwrap().is_none());
    assert!(store.get("r", "id-2", None).unwrap().is_some());
    drop(store);
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    assert_eq!(store.view().unwrap().shard("r", 0).unwrap().live_count(), 3);
    assert_eq!(keyspaces(&store), 3);
}

#[test]
fn a_restore_that_was_cut_off_is_gone_after_reopening() {
    let (dir, store) = store();
    let target = store.begin_restore(spec("r")).unwrap();
    target.load(0, documents(0..3)).unwrap();
    // As after a kill: nothing cleans up.
    std::mem::forget(target);
    std::mem::forget(store.clone());
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let store = Store::open(copy.path(), &StoreOptions::default()).unwrap();
    assert!(store.indices().is_empty());
    assert_eq!(keyspaces(&store), 1);
}
