//! Writing as specifications.

use bytes::Bytes;
use serde_json::json;

use crate::{
    IndexSpec, Store, StoreError, StoreOptions, Update, VersionType, WriteKind, WriteOp,
    WriteOptions, WriteOutcome, WriteResult,
};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    (dir, store)
}

fn one(store: &Store, op: WriteOp) -> Result<WriteOutcome, StoreError> {
    store
        .write(vec![op], &WriteOptions::default())
        .pop()
        .unwrap()
}

fn put(id: &str, source: &str) -> WriteOp {
    WriteOp::index("i", Some(id.to_owned()), source.to_owned())
}

fn update(id: &str, doc: &str) -> WriteOp {
    let update = Update {
        doc: Some(Bytes::from(doc.to_owned())),
        detect_noop: true,
        ..Update::default()
    };
    WriteOp::new("i", Some(id.to_owned()), WriteKind::Update(update))
}

#[test]
fn versions_and_sequence_numbers_count_up() {
    let (_dir, store) = store();
    let created = one(&store, put("1", r#"{"a":1}"#)).unwrap();
    assert_eq!(
        (created.result, created.version, created.seq_no),
        (WriteResult::Created, 1, 0)
    );
    let updated = one(&store, put("1", r#"{"a":2}"#)).unwrap();
    assert_eq!(
        (updated.result, updated.version, updated.seq_no),
        (WriteResult::Updated, 2, 1)
    );
    let deleted = one(&store, WriteOp::delete("i", "1")).unwrap();
    assert_eq!(
        (deleted.result, deleted.version, deleted.seq_no),
        (WriteResult::Deleted, 3, 2)
    );
    assert_eq!(store.get("i", "1", None).unwrap(), None);
    let again = one(&store, put("1", "{}")).unwrap();
    assert_eq!(
        (again.result, again.version, again.seq_no),
        (WriteResult::Created, 4, 3)
    );
    let missing = one(&store, WriteOp::delete("i", "2")).unwrap();
    assert_eq!(
        (missing.result, missing.version, missing.seq_no),
        (WriteResult::NotFound, 1, 4)
    );
}

#[test]
fn sources_are_kept_byte_for_byte() {
    let (_dir, store) = store();
    let source = "{ \"a\" : 1.50,\n \"b\":\"\\u00e9\" }";
    one(&store, put("1", source)).unwrap();
    assert_eq!(
        store.get("i", "1", None).unwrap().unwrap().source,
        source.as_bytes()
    );
}

#[test]
fn a_document_without_id_gets_one() {
    let (_dir, store) = store();
    let outcome = one(&store, WriteOp::index("i", None, "{}")).unwrap();
    assert_eq!(outcome.id.len(), 20);
    assert!(store.get("i", &outcome.id, None).unwrap().is_some());
}

#[test]
fn conflicts_speak_elasticsearchs_words() {
    let (_dir, store) = store();
    one(&store, put("1", "{}")).unwrap();
    let mut create = put("1", "{}");
    create.kind = WriteKind::Index {
        source: Bytes::from_static(b"{}"),
        create_only: true,
    };
    assert_eq!(
        one(&store, create).unwrap_err().to_string(),
        "[1]: version conflict, document already exists (current version [1])"
    );
    let mut stale = put("1", "{}");
    (stale.if_seq_no, stale.if_primary_term) = (Some(7), Some(1));
    assert_eq!(
        one(&store, stale).unwrap_err().to_string(),
        "[1]: version conflict, required seqNo [7], primary term [1]. current document has seqNo [0] and primary term [1]"
    );
    let mut fresh = put("1", "{}");
    (fresh.if_seq_no, fresh.if_primary_term) = (Some(0), Some(1));
    assert_eq!(one(&store, fresh).unwrap().version, 2);
    let external = |version, version_type| WriteOp {
        version: Some(version),
        version_type,
        ..put("1", "{}")
    };
    assert_eq!(
        one(&store, external(9, VersionType::External))
            .unwrap()
            .version,
        9
    );
    assert!(one(&store, external(9, VersionType::External)).is_err());
    assert_eq!(
        one(&store, external(9, VersionType::ExternalGte))
            .unwrap()
            .version,
        9
    );
}

#[test]
fn updates_merge_upsert_and_notice_that_nothing_changes() {
    let (_dir, store) = store();
    let missing = one(&store, update("1", r#"{"a":1}"#)).unwrap_err();
    assert_eq!(missing.to_string(), "[1]: document missing");
    let mut upsert = update("1", r#"{"a":1}"#);
    upsert.kind = WriteKind::Update(Update {
        doc: Some(Bytes::from_static(br#"{"a":1}"#)),
        doc_as_upsert: true,
        ..Update::default()
    });
    assert_eq!(one(&store, upsert).unwrap().result, WriteResult::Created);
    assert_eq!(
        one(&store, update("1", r#"{"b":{"c":2}}"#)).unwrap().result,
        WriteResult::Updated
    );
    let noop = one(&store, update("1", r#"{"a":1}"#)).unwrap();
    assert_eq!(
        (noop.result, noop.version, noop.seq_no),
        (WriteResult::Noop, 2, 1)
    );
    let source = store.get("i", "1", None).unwrap().unwrap().source;
    assert_eq!(source, br#"{"a":1,"b":{"c":2}}"#);
}

#[test]
fn operations_of_one_request_see_each_other() {
    let (_dir, store) = store();
    one(&store, put("1", r#"{"n":0}"#)).unwrap();
    let outcomes = store.write(
        vec![
            put("1", r#"{"n":1}"#),
            update("1", r#"{"m":2}"#),
            put("2", "{}"),
            WriteOp::delete("i", "2"),
            put("3", "not json"),
        ],
        &WriteOptions::default(),
    );
    let versions: Vec<_> = outcomes
        .iter()
        .map(|o| o.as_ref().map(|o| o.version).ok())
        .collect();
    assert_eq!(versions, [Some(2), Some(3), Some(1), Some(2), None]);
    assert_eq!(
        store.get("i", "1", None).unwrap().unwrap().source,
        br#"{"n":1,"m":2}"#
    );
    let shard = store.view().unwrap().shard("i", 0).unwrap();
    assert_eq!(shard.live_count(), 1);
    let mut gone = Vec::new();
    shard
        .gone_since(0, &mut |row| {
            gone.push((row.seq_no, row.old_seq_no, row.id.to_owned()))
        })
        .unwrap();
    assert_eq!(
        gone,
        [(1, 0, "1".to_owned())],
        "copies that nobody saw are not remembered"
    );
}

#[test]
fn new_fields_are_added_to_the_mapping() {
    let (_dir, store) = store();
    one(&store, put("1", r#"{"t":"x"}"#)).unwrap();
    one(&store, put("2", r#"{"n":1}"#)).unwrap();
    let mappings = &store.index("i").unwrap().mappings;
    assert_eq!(mappings["properties"]["n"], json!({"type": "long"}));
    assert_eq!(
        mappings["properties"]["t"]["fields"]["keyword"]["type"],
        "keyword"
    );
    let refused = one(&store, put("3", r#"{"n":"abc"}"#)).unwrap_err();
    assert!(
        matches!(refused, StoreError::MapperParsing { .. }),
        "{refused}"
    );
}

#[test]
fn closed_blocked_and_missing_indices_refuse_writes() {
    let (_dir, store) = store();
    let only = WriteOptions { auto_create: false };
    let missing = store.write(vec![put("1", "{}")], &only).pop().unwrap();
    assert_eq!(missing.unwrap_err().to_string(), "no such index [i]");
    store.create_index("i", IndexSpec::default()).unwrap();
    store
        .put_settings("i", &json!({"blocks.write": true}), false)
        .unwrap();
    let blocked = one(&store, put("1", "{}")).unwrap_err().to_string();
    assert_eq!(
        blocked,
        "index [i] blocked by: [FORBIDDEN/8/index write (api)];"
    );
    store
        .put_settings("i", &json!({"blocks.write": null}), false)
        .unwrap();
    store.close_index("i").unwrap();
    assert!(matches!(
        one(&store, put("1", "{}")),
        Err(StoreError::IndexClosed { .. })
    ));
    store.open_index("i").unwrap();
    assert!(one(&store, put("1", "{}")).is_ok());
}

#[test]
fn concurrent_writers_lose_nothing() {
    let (_dir, store) = store();
    let settings = json!({"number_of_shards": 2});
    store
        .create_index(
            "i",
            IndexSpec {
                settings,
                ..IndexSpec::default()
            },
        )
        .unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..20 {
                    let ops = (0..10).map(|n| put(&format!("{writer}-{round}-{n}"), r#"{"x":1}"#));
                    let ops = ops.chain([put("shared", r#"{"x":2}"#)]).collect();
                    for outcome in store.write(ops, &WriteOptions::default()) {
                        outcome.unwrap();
                    }
                }
            });
        }
    });
    let view = store.view().unwrap();
    let shards: Vec<_> = (0..2).map(|n| view.shard("i", n).unwrap()).collect();
    assert_eq!(
        shards.iter().map(|shard| shard.live_count()).sum::<u64>(),
        801
    );
    let shared = store.get("i", "shared", None).unwrap().unwrap();
    assert_eq!(shared.version, 80);
    for shard in shards {
        let mut digest = 0u128;
        shard
            .scan(0..u64::MAX, &mut |document| {
                digest = digest.wrapping_add(document.hash());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(digest, shard.digest());
    }
}
