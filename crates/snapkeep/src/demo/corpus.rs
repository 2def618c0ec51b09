//! The documents of the demo: the same at every run, so that two runs can be compared.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const SEED: u64 = 9250;
const COLOURS: &[&str] = &[
    "amber", "azure", "crimson", "indigo", "olive", "scarlet", "teal", "violet",
];
const THINGS: &[&str] = &[
    "anchor", "barrel", "compass", "drum", "easel", "flask", "globe", "harp", "inkwell", "kettle",
    "lantern", "mirror", "net", "oar", "prism",
];
const TOWNS: &[&str] = &[
    "Bern", "Cadiz", "Delft", "Évora", "Faro", "Ghent", "Hobart", "Izmir", "Jaén", "Kyōto",
];

/// One change to the index.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Write this document under this id.
    Put(String, Value),
    /// Delete this id.
    Delete(String),
}

/// Documents by id, as they should be in the index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corpus {
    /// What is there.
    pub documents: BTreeMap<String, Value>,
}

impl Corpus {
    /// `count` orders.
    pub fn new(count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(SEED);
        let document = |number: usize| (format!("order-{number:06}"), order(number, &mut random));
        Self {
            documents: (0..count).map(document).collect(),
        }
    }

    /// The changes that make `count` of the documents different: mostly edits, some deletions, some new ones.
    pub fn changes(&self, count: usize) -> Vec<Change> {
        let mut random = StdRng::seed_from_u64(SEED + 1);
        let ids: Vec<&String> = self.documents.keys().collect();
        let chosen: Vec<&String> = ids.choose_multiple(&mut random, count).copied().collect();
        let mut changes = Vec::with_capacity(count);
        for (position, id) in chosen.into_iter().enumerate() {
            changes.push(match position % 10 {
                8 => Change::Delete(id.clone()),
                9 => Change::Put(format!("new-{position:06}"), order(position, &mut random)),
                _ => Change::Put(id.clone(), order(position, &mut random)),
            });
        }
        changes
    }

    /// The documents after `changes`.
    pub fn after(&self, changes: &[Change]) -> Self {
        let mut documents = self.documents.clone();
        for change in changes {
            match change {
                Change::Put(id, document) => documents.insert(id.clone(), document.clone()),
                Change::Delete(id) => documents.remove(id),
            };
        }
        Self { documents }
    }
}

fn order(number: usize, random: &mut StdRng) -> Value {
    let words: Vec<&str> = (0..random.random_range(8..40))
        .filter_map(|_| THINGS.choose(random).copied())
        .collect();
    json!({
        "number": number,
        "customer": format!("customer-{:03}", random.random_range(0..400)),
        "town": TOWNS.choose(random),
        "item": format!("{} {}", COLOURS.choose(random).unwrap_or(&"plain"), THINGS.choose(random).unwrap_or(&"thing")),
        "quantity": random.random_range(1..100),
        "price": f64::from(random.random_range(100..100_000)) / 100.0,
        "ordered_at": format!("2026-{:02}-{:02}T{:02}:{:02}:00Z", random.random_range(1..13), random.random_range(1..29), random.random_range(0..24), random.random_range(0..60)),
        "note": words.join(" "),
    })
}

/// The body of a `_bulk` request that makes `changes`.
pub fn bulk_body<'a>(index: &str, changes: impl IntoIterator<Item = &'a Change>) -> String {
    let mut body = String::new();
    for change in changes {
        match change {
            Change::Put(id, document) => body.push_str(&format!(
                "{}\n{document}\n",
                json!({"index": {"_index": index, "_id": id}})
            )),
            Change::Delete(id) => body.push_str(&format!(
                "{}\n",
                json!({"delete": {"_index": index, "_id": id}})
            )),
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_the_same_documents_and_changes() {
        let (first, second) = (Corpus::new(500), Corpus::new(500));
        assert_eq!(first, second);
        assert_eq!(first.changes(50), second.changes(50));
    }

    #[test]
    fn changes_edit_delete_and_add() {
        let corpus = Corpus::new(500);
        let changes = corpus.changes(50);
        let after = corpus.after(&changes);
        assert_eq!(changes.len(), 50);
        assert_eq!(after.documents.len(), 500);
        assert_eq!(
            corpus
                .documents
                .keys()
                .filter(|id| !after.documents.contains_key(*id))
                .count(),
            5
        );
    }
}
