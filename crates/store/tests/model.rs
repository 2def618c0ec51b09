//! The store against a model: a map of documents. Views, counters, digests, tombstones and reopening
//! must agree with it after any sequence of operations.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::prelude::*;
use snapkeep_store::{
    Document, IndexSpec, ShardView, Store, StoreOptions, View, WriteOp, WriteOptions,
};

const SHARDS: u16 = 2;

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(bool, u8, u16)>),
    View,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let op = (prop::bool::weighted(0.75), 0..12u8, any::<u16>());
    prop_oneof![
        6 => prop::collection::vec(op, 1..12).prop_map(Step::Write),
        2 => Just(Step::View),
        1 => Just(Step::Reopen),
    ]
}

/// What the store should hold: id → (version, seq_no, source); and its view.
type Model = BTreeMap<String, (u64, u64, String)>;

fn read(shard: &ShardView) -> Vec<Document> {
    let mut documents = Vec::new();
    shard
        .scan(0..u64::MAX, &mut |document| {
            documents.push(document.to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    documents
}

fn check(view: &View, model: &Model) {
    let mut found = Model::new();
    for number in 0..SHARDS {
        let shard = view.shard("i", number).unwrap();
        let documents = read(&shard);
        assert!(documents.is_sorted_by_key(|document| document.seq_no));
        assert_eq!(shard.live_count(), documents.len() as u64);
        let digest = documents.iter().fold(0u128, |sum, document| {
            sum.wrapping_add(document.as_ref().hash())
        });
        assert_eq!(shard.digest(), digest);
        let in_parts: usize = shard
            .split(64)
            .into_iter()
            .map(|range| {
                let mut count = 0;
                let mut visit = |_: snapkeep_store::DocumentRef<'_>| {
                    count += 1;
                    ControlFlow::Continue(())
                };
                shard.scan(range, &mut visit).unwrap();
                count
            })
            .sum();
        assert_eq!(
            in_parts,
            documents.len(),
            "split covers every document once"
        );
        for document in documents {
            assert_eq!(shard.get(&document.id).unwrap().as_ref(), Some(&document));
            let source = String::from_utf8(document.source).unwrap();
            found.insert(document.id, (document.version, document.seq_no, source));
        }
    }
    assert_eq!(&found, model);
}

/// From an older view and the tombstones since, the newer view's documents follow: what increments rely on.
fn check_increment(old: &View, new: &View) {
    for number in 0..SHARDS {
        let (old, new) = (
            old.shard("i", number).unwrap(),
            new.shard("i", number).unwrap(),
        );
        if old.history() != new.history() {
            continue;
        }
        let from = old.max_seq_no().map_or(0, |seq_no| seq_no + 1);
        assert!(from >= new.gone_floor());
        let mut digest = old.digest();
        let mut dead = BTreeSet::new();
        new.gone_since(from, &mut |gone| {
            if gone.old_seq_no < from {
                dead.insert(gone.old_seq_no);
                digest = digest.wrapping_sub(gone.hash);
            }
        })
        .unwrap();
        let mut derived: Vec<Document> = read(&old);
        derived.retain(|document| !dead.contains(&document.seq_no));
        let added: Vec<Document> = read(&new)
            .into_iter()
            .filter(|document| document.seq_no >= from)
            .collect();
        for document in &added {
            digest = digest.wrapping_add(document.as_ref().hash());
        }
        derived.extend(added);
        assert_eq!(derived, read(&new));
        assert_eq!(digest, new.digest());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_store_agrees_with_a_map(steps in prop::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::default();
        let mut store = Store::open(dir.path(), &options).unwrap();
        let settings = serde_json::json!({"number_of_shards": SHARDS});
        store.create_index("i", IndexSpec { settings, ..IndexSpec::default() }).unwrap();
        let mut model = Model::new();
        let mut held: Vec<(View, Model)> = Vec::new();
        for step in steps {
            match step {
                Step::Write(ops) => {
                    let batch = ops.iter().map(|(is_put, id, value)| {
                        let id = format!("id{id}");
                        if *is_put {
                            WriteOp::index("i", Some(id), format!("{{\"v\":{value}}}"))
                        } else {
                            WriteOp::delete("i", id)
                        }
                    }).collect();
                    let outcomes = store.write(batch, &WriteOptions::default());
                    for ((is_put, id, value), outcome) in ops.iter().zip(outcomes) {
                        let outcome = outcome.unwrap();
                        let id = format!("id{id}");
                        if *is_put {
                            model.insert(id, (outcome.version, outcome.seq_no, format!("{{\"v\":{value}}}")));
                        } else {
                            model.remove(&id);
                        }
                    }
                }
                Step::View => held.push((store.view().unwrap(), model.clone())),
                Step::Reopen => {
                    // A view keeps the database open.
                    held.clear();
                    drop(store);
                    store = Store::open(dir.path(), &options).unwrap();
                    prop_assert!(store.lost_writes().is_empty());
                }
            }
            check(&store.view().unwrap(), &model);
        }
        let now = store.view().unwrap();
        for (view, model) in &held {
            check(view, model);
            check_increment(view, &now);
        }
    }
}
