//! Indices, templates, reopening and damage as specifications.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    Alias, AliasAction, IndexSpec, IndexState, Store, StoreError, StoreOptions, TemplateKind,
    WriteOp, WriteOptions,
};

fn open(dir: &Path) -> Store {
    Store::open(dir, &StoreOptions::default()).unwrap()
}

fn put(store: &Store, index: &str, id: &str) -> Result<(), StoreError> {
    let op = WriteOp::index(index, Some(id.to_owned()), r#"{"a":1}"#);
    let outcome = store.write(vec![op], &WriteOptions::default()).pop();
    outcome.unwrap().map(|_| ())
}

fn add(index: &str, alias: &str, is_write_index: Option<bool>) -> AliasAction {
    AliasAction::Add {
        index: index.to_owned(),
        alias: alias.to_owned(),
        spec: Alias {
            is_write_index,
            ..Alias::default()
        },
    }
}

#[test]
fn everything_about_an_index_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let spec = IndexSpec {
        settings: json!({"index": {"number_of_shards": 2, "refresh_interval": "5s"}}),
        mappings: json!({"properties": {"t": {"type": "keyword"}}}),
        aliases: json!({"x": {"filter": {"term": {"t": "v"}}, "routing": "r"}}),
    };
    let meta = store.create_index("i", spec).unwrap();
    assert_eq!((meta.uuid.len(), meta.shards, meta.replicas), (22, 2, 1));
    assert_eq!(meta.setting("index.uuid"), Some(meta.uuid.as_str()));
    put(&store, "i", "1").unwrap();
    store
        .put_mapping("i", &json!({"properties": {"n": {"type": "long"}}}))
        .unwrap();
    store
        .put_settings(
            "i",
            &json!({"number_of_replicas": 0, "refresh_interval": null}),
            false,
        )
        .unwrap();
    store.close_index("i").unwrap();
    let before = store.index("i").unwrap();
    assert_eq!((before.state, before.replicas), (IndexState::Closed, 0));
    assert_eq!(before.aliases["x"].search_routing.as_deref(), Some("r"));
    assert_eq!(before.nested_settings()["index"]["number_of_shards"], "2");
    let uuid = store.uuid().to_owned();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.index("i").unwrap(), before);
    assert_eq!(store.uuid(), uuid);
    assert!(matches!(
        store.get("i", "1", None),
        Err(StoreError::IndexClosed { .. })
    ));
    store.open_index("i").unwrap();
    assert!(store.get("i", "1", None).unwrap().is_some());
}

#[test]
fn names_are_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.create_index("i", IndexSpec::default()).unwrap();
    let twice = store
        .create_index("i", IndexSpec::default())
        .unwrap_err()
        .to_string();
    assert!(
        twice.starts_with("index [i/") && twice.ends_with("] already exists"),
        "{twice}"
    );
    store.update_aliases(&[add("i", "x", None)]).unwrap();
    assert!(matches!(
        store.create_index("x", IndexSpec::default()),
        Err(StoreError::InvalidIndexName { .. })
    ));
    assert!(matches!(
        store.update_aliases(&[add("i", "i", None)]),
        Err(StoreError::InvalidAliasName { .. })
    ));
    assert!(matches!(
        store.create_index("Up", IndexSpec::default()),
        Err(StoreError::InvalidIndexName { .. })
    ));
}

#[test]
fn alias_actions_are_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["a", "b"] {
        store.create_index(name, IndexSpec::default()).unwrap();
    }
    let missing = AliasAction::Remove {
        index: "a".to_owned(),
        alias: "nope".to_owned(),
        must_exist: None,
    };
    assert!(
        store
            .update_aliases(&[add("a", "x", None), missing])
            .is_err()
    );
    assert!(store.index("a").unwrap().aliases.is_empty());
    store
        .update_aliases(&[add("a", "x", None), add("b", "x", Some(true))])
        .unwrap();
    put(&store, "x", "1").unwrap();
    assert!(
        store.get("b", "1", None).unwrap().is_some(),
        "the write index takes writes"
    );
    assert!(
        store.update_aliases(&[add("a", "x", Some(true))]).is_err(),
        "one write index only"
    );
    store.update_aliases(&[add("b", "x", None)]).unwrap();
    let refused = put(&store, "x", "2").unwrap_err().to_string();
    assert!(
        refused.starts_with("no write index is defined for alias [x]"),
        "{refused}"
    );
    let swap = [
        AliasAction::RemoveIndex {
            index: "a".to_owned(),
        },
        add("b", "a", None),
    ];
    store.update_aliases(&swap).unwrap();
    assert!(store.index("a").is_none());
    assert!(store.index("b").unwrap().aliases.contains_key("a"));
}

#[test]
fn templates_shape_new_indices_and_settings_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let body =
        json!({"index_patterns": ["log-*"], "template": {"settings": {"number_of_shards": 3}}});
    store
        .put_template(TemplateKind::Composable, "logs", body.clone())
        .unwrap();
    store
        .put_cluster_settings(&json!({"a": {"b": 1}}), &json!({"c": "x"}))
        .unwrap();
    drop(store);
    let store = open(dir.path());
    put(&store, "log-1", "1").unwrap();
    assert_eq!(store.index("log-1").unwrap().shards, 3);
    assert_eq!(
        store.templates(TemplateKind::Composable),
        [("logs".to_owned(), body)]
    );
    let settings = store.cluster_settings();
    assert_eq!(settings.persistent["a.b"], Value::from("1"));
    assert!(settings.transient.is_empty());
    store
        .delete_template(TemplateKind::Composable, "logs")
        .unwrap();
    assert!(
        store
            .delete_template(TemplateKind::Composable, "logs")
            .is_err()
    );
    let component = json!({"index_patterns": ["x"], "composed_of": ["nope"]});
    assert!(
        store
            .put_template(TemplateKind::Composable, "t", component)
            .is_err()
    );
}

#[test]
fn a_view_outlives_the_deletion_of_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "i", "1").unwrap();
    let view = store.view().unwrap();
    store.delete_index("i").unwrap();
    assert!(matches!(
        store.get("i", "1", None),
        Err(StoreError::IndexNotFound { .. })
    ));
    let shard = view.shard("i", 0).unwrap();
    assert!(shard.get("1").unwrap().is_some());
    put(&store, "i", "2").unwrap();
    assert_ne!(
        store.view().unwrap().shard("i", 0).unwrap().history(),
        shard.history()
    );
    drop((view, shard));
    assert_eq!(
        keyspaces(&store),
        3,
        "metadata, operations and ids of one index"
    );
}

#[test]
fn old_tombstones_are_trimmed_and_the_floor_tells() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        remembered_copies: 5,
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), &options).unwrap();
    for _ in 0..20 {
        put(&store, "i", "1").unwrap();
    }
    let shard = store.view().unwrap().shard("i", 0).unwrap();
    let mut died = Vec::new();
    shard
        .gone_since(0, &mut |gone| died.push(gone.seq_no))
        .unwrap();
    assert_eq!(died, [15, 16, 17, 18, 19]);
    assert_eq!(shard.gone_floor(), 15);
    assert_eq!(store.stats("i").unwrap().deleted, 5);
}

#[test]
fn lost_acknowledged_writes_are_told_and_change_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "i", "1").unwrap();
    store.flush().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let history = store.view().unwrap().shard("i", 0).unwrap().history();
    put(&store, "i", "2").unwrap();
    drop(store);
    // The journal as it was before the second write, the list of acknowledged writes as after it.
    std::fs::copy(
        dir.path().join("acknowledged"),
        copy.path().join("acknowledged"),
    )
    .unwrap();
    let store = open(copy.path());
    let lost = store.lost_writes();
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (lost[0].acknowledged_seq_no, lost[0].found_seq_no),
        (1, Some(0))
    );
    assert_ne!(
        store.view().unwrap().shard("i", 0).unwrap().history(),
        history
    );
    drop(store);
    assert!(open(copy.path()).lost_writes().is_empty(), "told once");
}

#[test]
fn damage_in_the_journal_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..30 {
        put(&store, "i", &format!("id-{n}")).unwrap();
    }
    // As after a kill: the tables are not flushed, all is in the journal.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    drop(store);
    let journal = std::fs::read_dir(copy.path().join("documents"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "jnl"))
        .unwrap();
    let mut bytes = std::fs::read(&journal).unwrap();
    let needle = b"id-15";
    let at = bytes
        .windows(needle.len())
        .position(|part| part == needle)
        .unwrap();
    bytes[at] ^= 0xff;
    std::fs::write(&journal, bytes).unwrap();
    match Store::open(copy.path(), &StoreOptions::default()) {
        Ok(store) => assert!(!store.lost_writes().is_empty()),
        Err(error) => assert!(!error.is_callers_fault(), "{error}"),
    }
}

#[test]
fn two_stores_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(Store::open(dir.path(), &StoreOptions::default()).is_err());
    drop(store);
    open(dir.path());
}

/// Keyspaces there are, after removal of those that nobody reads any more.
pub(crate) fn keyspaces(store: &Store) -> usize {
    store.core.doomed.remove(&store.core.db);
    store.core.db.keyspace_count()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
