//! What expressions for indices are resolved against.

use snapkeep_engine::SnapshotInfo;
use snapkeep_engine::selection::Candidate;
use snapkeep_store::{IndexMeta, IndexState, Store};

/// The indices of the store. One that is being restored does not count yet.
pub fn of_store(store: &Store) -> Vec<Candidate> {
    let candidate = |meta: &IndexMeta| Candidate {
        name: meta.name.clone(),
        aliases: meta.aliases.keys().cloned().collect(),
        open: meta.state == IndexState::Open,
        hidden: meta.is_hidden(),
    };
    store
        .indices()
        .iter()
        .filter(|meta| meta.state != IndexState::Restoring)
        .map(|meta| candidate(meta))
        .collect()
}

/// The indices of a snapshot.
pub fn of_snapshot(info: &SnapshotInfo) -> Vec<Candidate> {
    let candidate = |name: String| Candidate {
        name,
        aliases: Vec::new(),
        open: true,
        hidden: false,
    };
    info.index_names().into_iter().map(candidate).collect()
}
