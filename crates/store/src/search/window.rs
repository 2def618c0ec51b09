//! The best so many of a stream of candidates, in bounded memory.

use std::cmp::Ordering;

use super::sort::{Key, SortKey, compare};

/// A document that may be a hit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) keys: Vec<Key>,
    /// Shard and sequence number in one, see [`super::execute`]; breaks ties.
    pub(super) place: u64,
    pub(super) score: f32,
}

impl Candidate {
    /// Order in the answer: the one that comes first is less.
    pub(super) fn order(&self, other: &Candidate, sort: &[SortKey]) -> Ordering {
        compare(sort, &self.keys, &other.keys).then(self.place.cmp(&other.place))
    }
}

/// Keeps the first `size` candidates by order. Holds at most twice as many for a moment, so that pruning
/// costs constant time per candidate.
pub(super) struct Window<'a> {
    sort: &'a [SortKey],
    size: usize,
    kept: Vec<Candidate>,
    /// The last of a full window: whoever comes after it is refused at once.
    worst: Option<Candidate>,
}

/// Spare room before pruning, for small windows.
const SPARE: usize = 64;

impl<'a> Window<'a> {
    pub(super) fn new(sort: &'a [SortKey], size: usize) -> Self {
        Window {
            sort,
            size,
            kept: Vec::new(),
            worst: None,
        }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        if self.size == 0 {
            return;
        }
        if let Some(worst) = &self.worst
            && candidate.order(worst, self.sort) == Ordering::Greater
        {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= 2 * self.size + SPARE {
            self.prune();
        }
    }

    /// Whether the window holds as many as it keeps. Only of interest when candidates come in order.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= self.size
    }

    fn prune(&mut self) {
        if self.kept.len() > self.size {
            let sort = self.sort;
            self.kept
                .select_nth_unstable_by(self.size - 1, |one, other| one.order(other, sort));
            self.kept.truncate(self.size);
            self.worst = self.kept.last().cloned();
        }
    }

    /// Takes in what another window kept.
    pub(super) fn merge(&mut self, other: Window<'_>) {
        for candidate in other.kept {
            self.push(candidate);
        }
    }

    /// The kept ones in order.
    pub(super) fn into_sorted(mut self) -> Vec<Candidate> {
        let sort = self.sort;
        self.kept
            .sort_unstable_by(|one, other| one.order(other, sort));
        self.kept.truncate(self.size);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn the_window_equals_sorting_everything(numbers in prop::collection::vec(0i64..50, 0..400), size in 0usize..20) {
            let sort = SortKey::parse_all(&json!([{"n": "desc"}])).unwrap();
            let all: Vec<Candidate> = numbers.iter().enumerate().map(|(place, number)| Candidate {
                keys: vec![Key::Integer(*number)],
                place: place as u64,
                score: 0.0,
            }).collect();
            let mut window = Window::new(&sort, size);
            for candidate in &all {
                window.push(candidate.clone());
            }
            let mut sorted = all;
            sorted.sort_by(|one, other| one.order(other, &sort));
            sorted.truncate(size);
            prop_assert_eq!(window.into_sorted(), sorted);
        }
    }
}
