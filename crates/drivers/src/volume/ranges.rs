//! Sets of byte ranges.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Ranges of changes that are kept of one disk: 4 MiB of memory. Beyond that they are coarsened.
pub(super) const MOST_CHANGES: usize = 1 << 18;

/// Byte ranges, sorted, disjoint and with gaps between them: touching ranges are one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct RangeSet {
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `range`; an empty one adds nothing. Ascending insertions take constant time.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // All ranges that overlap or touch the new one: they become one.
        let first = self.ranges.partition_point(|held| held.end < range.start);
        let last = self.ranges.partition_point(|held| held.start <= range.end);
        if first == last {
            self.ranges.insert(first, range);
            return;
        }
        let start = range.start.min(self.ranges[first].start);
        let end = range.end.max(self.ranges[last - 1].end);
        self.ranges[first] = start..end;
        self.ranges.drain(first + 1..last);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many disjoint ranges it has.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether all of `range` is in the set; the empty range always is.
    pub fn contains(&self, range: Range<u64>) -> bool {
        range.is_empty()
            || self
                .first_ending_after(range.start)
                .is_some_and(|held| held.start <= range.start && range.end <= held.end)
    }

    /// Whether any byte of `range` is in the set.
    pub fn intersects(&self, range: Range<u64>) -> bool {
        !range.is_empty()
            && self
                .first_ending_after(range.start)
                .is_some_and(|held| held.start < range.end)
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// How many bytes are in the set.
    pub fn total_bytes(&self) -> u64 {
        self.ranges.iter().map(|held| held.end - held.start).sum()
    }

    /// The set grown to whole units of `unit` bytes (not zero); what lies beyond the last whole unit of a disk is for the caller to cut.
    pub fn aligned_to(&self, unit: u64) -> Self {
        let mut aligned = Self::new();
        for held in &self.ranges {
            let start = held.start / unit * unit;
            let end = held.end.div_ceil(unit).saturating_mul(unit);
            aligned.insert(start..end);
        }
        aligned
    }

    /// The set grown to ever larger units until it has at most `most` (not zero) ranges: a superset of bounded memory.
    #[must_use]
    pub fn coarsened(mut self, most: usize) -> Self {
        let mut unit = 65_536;
        while self.len() > most {
            self = self.aligned_to(unit);
            unit *= 2;
        }
        self
    }

    /// What is in this set, in the other, or in both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        // Merged in ascending order so that no insertion has to move what is there.
        let mut merged = Self::new();
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.start <= b.start => left.next(),
                (_, Some(_)) => right.next(),
                (Some(_), None) => left.next(),
                (None, None) => return merged,
            };
            if let Some(range) = next {
                merged.insert(range);
            }
        }
    }

    /// What of the set lies in `window`.
    #[must_use]
    pub fn within(&self, window: Range<u64>) -> Self {
        let first = self.ranges.partition_point(|held| held.end <= window.start);
        let ranges = self.ranges[first..]
            .iter()
            .take_while(|held| held.start < window.end)
            .map(|held| held.start.max(window.start)..held.end.min(window.end))
            .filter(|held| !held.is_empty())
            .collect();
        Self { ranges }
    }

    fn first_ending_after(&self, offset: u64) -> Option<&Range<u64>> {
        let position = self.ranges.partition_point(|held| held.end <= offset);
        self.ranges.get(position)
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

impl From<Vec<(u64, u64)>> for RangeSet {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        pairs.into_iter().map(|(start, end)| start..end).collect()
    }
}

impl From<RangeSet> for Vec<(u64, u64)> {
    fn from(set: RangeSet) -> Self {
        set.ranges
            .into_iter()
            .map(|held| (held.start, held.end))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SPACE: u64 = 200;

    /// The naive model: a flag a byte.
    fn model(ranges: &[(u64, u64)]) -> Vec<bool> {
        let mut bytes = vec![false; SPACE as usize + 64];
        for &(start, length) in ranges {
            bytes[start as usize..(start + length) as usize].fill(true);
        }
        bytes
    }

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges
            .iter()
            .map(|&(start, length)| start..start + length)
            .collect()
    }

    fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
        vec((0..SPACE, 0..24_u64), 0..24)
    }

    fn members(set: &RangeSet, length: usize) -> Vec<bool> {
        let mut bytes = vec![false; length];
        for range in set.iter() {
            bytes[range.start as usize..range.end as usize].fill(true);
        }
        bytes
    }

    proptest! {
        #[test]
        fn it_holds_what_was_inserted_in_normal_form(list in ranges()) {
            let (set, model) = (set(&list), model(&list));
            prop_assert_eq!(members(&set, model.len()), model.clone());
            prop_assert_eq!(set.total_bytes(), model.iter().filter(|byte| **byte).count() as u64);
            let held: Vec<_> = set.iter().collect();
            prop_assert!(held.iter().all(|range| range.start < range.end));
            prop_assert!(held.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(set.len(), held.len());
        }

        #[test]
        fn questions_are_answered_as_by_the_model(list in ranges(), start in 0..SPACE, length in 0..40_u64) {
            let (set, model) = (set(&list), model(&list));
            let window = &model[start as usize..(start + length) as usize];
            prop_assert_eq!(set.contains(start..start + length), window.iter().all(|byte| *byte));
            prop_assert_eq!(set.intersects(start..start + length), window.iter().any(|byte| *byte));
            let within = set.within(start..start + length);
            for (at, byte) in model.iter().enumerate() {
                let inside = (start..start + length).contains(&(at as u64));
                prop_assert_eq!(within.contains(at as u64..at as u64 + 1), inside && *byte);
            }
        }

        #[test]
        fn a_union_has_the_bytes_of_both(a in ranges(), b in ranges()) {
            let both: Vec<_> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(set(&a).union(&set(&b)), set(&both));
        }

        #[test]
        fn aligning_adds_whole_units_only(list in ranges(), unit in 1..20_u64) {
            let (set, aligned) = (set(&list), set(&list).aligned_to(unit));
            prop_assert!(aligned.iter().all(|range| range.start % unit == 0 && range.end % unit == 0));
            for block in 0..(SPACE + 64) / unit {
                let window = block * unit..(block + 1) * unit;
                prop_assert_eq!(aligned.contains(window.clone()), set.intersects(window));
            }
        }

        #[test]
        fn coarsening_bounds_the_ranges_and_loses_nothing(list in vec((0..1_u64 << 40, 1..1_u64 << 30), 0..40), most in 1..10_usize) {
            let set: RangeSet = list.iter().map(|(start, length)| *start..start + length).collect();
            let coarse = set.clone().coarsened(most);
            prop_assert!(coarse.len() <= most);
            prop_assert!(set.iter().all(|range| coarse.contains(range)));
            if set.len() <= most {
                prop_assert_eq!(coarse, set);
            }
        }

        #[test]
        fn it_survives_serialisation(list in ranges()) {
            let set = set(&list);
            let text = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<RangeSet>(&text).unwrap(), set);
        }
    }
}
