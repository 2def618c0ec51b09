//! Candidates for the hits of a search.

use std::cmp::Ordering;

use super::sort::{Key, SortKey, compare};
use crate::window::{Ranked, Window as AnyWindow};

/// A document that may be a hit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) keys: Vec<Key>,
    /// Shard and sequence number in one, see [`super::execute`]; breaks ties.
    pub(super) place: u64,
    pub(super) score: f32,
}

/// The best candidates.
pub(super) type Window<'a> = AnyWindow<'a, Candidate>;

impl Candidate {
    /// Order in the answer: the one that comes first is less.
    pub(super) fn order(&self, other: &Candidate, sort: &[SortKey]) -> Ordering {
        compare(sort, &self.keys, &other.keys).then(self.place.cmp(&other.place))
    }
}

impl Ranked for Candidate {
    type By = [SortKey];

    fn rank(&self, other: &Self, sort: &[SortKey]) -> Ordering {
        self.order(other, sort)
    }
}
