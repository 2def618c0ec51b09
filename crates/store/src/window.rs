//! The best so many of a stream of candidates, in bounded memory.

use std::cmp::Ordering;

/// What can be a candidate.
pub(crate) trait Ranked: Clone {
    /// What the order depends on.
    type By: ?Sized;

    /// Order in the answer: the one that comes first is less.
    fn rank(&self, other: &Self, by: &Self::By) -> Ordering;
}

/// Keeps the first `size` candidates by order. Holds at most twice as many for a moment, so that pruning
/// costs constant time per candidate.
pub(crate) struct Window<'a, T: Ranked> {
    by: &'a T::By,
    size: usize,
    kept: Vec<T>,
    /// The last of a full window: whoever comes after it is refused at once.
    worst: Option<T>,
}

/// Spare room before pruning, for small windows.
const SPARE: usize = 64;

impl<'a, T: Ranked> Window<'a, T> {
    pub(crate) fn new(by: &'a T::By, size: usize) -> Self {
        Window {
            by,
            size,
            kept: Vec::new(),
            worst: None,
        }
    }

    pub(crate) fn push(&mut self, candidate: T) {
        if self.size == 0 {
            return;
        }
        if let Some(worst) = &self.worst
            && candidate.rank(worst, self.by) == Ordering::Greater
        {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= 2 * self.size + SPARE {
            self.prune();
        }
    }

    /// Whether the window holds as many as it keeps. Only of interest when candidates come in order.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= self.size
    }

    fn prune(&mut self) {
        if self.kept.len() > self.size {
            let by = self.by;
            self.kept
                .select_nth_unstable_by(self.size - 1, |one, other| one.rank(other, by));
            self.kept.truncate(self.size);
            self.worst = self.kept.last().cloned();
        }
    }

    /// Takes in what another window kept.
    pub(crate) fn merge(&mut self, other: Window<'_, T>) {
        for candidate in other.kept {
            self.push(candidate);
        }
    }

    /// The kept ones in order.
    pub(crate) fn into_sorted(mut self) -> Vec<T> {
        let by = self.by;
        self.kept.sort_unstable_by(|one, other| one.rank(other, by));
        self.kept.truncate(self.size);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Numbered(i64, usize);

    impl Ranked for Numbered {
        type By = ();

        fn rank(&self, other: &Self, (): &()) -> Ordering {
            other.0.cmp(&self.0).then(self.1.cmp(&other.1))
        }
    }

    proptest! {
        #[test]
        fn the_window_equals_sorting_everything(numbers in prop::collection::vec(0i64..50, 0..400), size in 0usize..20) {
            let all: Vec<Numbered> = numbers.iter().enumerate().map(|(place, number)| Numbered(*number, place)).collect();
            let mut window = Window::new(&(), size);
            for candidate in &all {
                window.push(candidate.clone());
            }
            let mut sorted = all;
            sorted.sort_by(|one, other| one.rank(other, &()));
            sorted.truncate(size);
            prop_assert_eq!(window.into_sorted(), sorted);
        }
    }
}
