//! The rules of chains, without any storage: pure functions of what is known of points.
//!
//! A point records all points it hangs on. One of those that is gone is passed over, so that points can be deleted in any order and
//! nothing has to be rewritten: the parent is the nearest ancestor that is left, and a point without any begins a chain of its own.

use std::collections::{BTreeSet, HashMap};

/// What of a point matters for its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: String,
    /// As recorded, oldest first.
    pub(crate) ancestors: Vec<String>,
    /// When it was asked for, milliseconds since 1970.
    pub(crate) create_ms: i64,
    /// The moment it shows.
    pub(crate) snapshot_ms: i64,
    /// Bytes it added.
    pub(crate) size_bytes: u64,
    /// Complete, so that others can hang on it; those that are being made or cannot be read are not.
    pub(crate) is_usable: bool,
}

/// The point that was made the head at a moment: by a rollback, or because the head was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadMark {
    pub(crate) id: String,
    pub(crate) set_ms: i64,
}

/// Sums over a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChainTotals {
    pub(crate) size_bytes: u64,
    pub(crate) count: u64,
    pub(crate) latest_ms: i64,
}

/// The living points of one resource in one repository.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    links: HashMap<String, Link>,
    head: Option<String>,
}

impl Chains {
    /// From the living points (those that are gone are left out by the caller).
    pub(crate) fn new(links: impl IntoIterator<Item = Link>, mark: Option<&HeadMark>) -> Self {
        let links: HashMap<String, Link> = links
            .into_iter()
            .map(|link| (link.id.clone(), link))
            .collect();
        let mut chains = Self { links, head: None };
        chains.head = chains.find_head(mark, &BTreeSet::new());
        chains
    }

    /// The point that the next increment hangs on.
    pub(crate) fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// The point before this one.
    pub(crate) fn parent(&self, id: &str) -> Option<&str> {
        let link = self.links.get(id)?;
        let mut nearest_first = link.ancestors.iter().rev();
        nearest_first
            .find(|ancestor| self.links.contains_key(*ancestor))
            .map(String::as_str)
    }

    /// The full point of the chain of this one.
    pub(crate) fn root<'a>(&'a self, id: &'a str) -> &'a str {
        let link = self.links.get(id);
        let mut oldest_first = link.iter().flat_map(|link| &link.ancestors);
        oldest_first
            .find(|ancestor| self.links.contains_key(*ancestor))
            .map_or(id, String::as_str)
    }

    /// Whether the chain of this point is the one in use.
    pub(crate) fn is_in_head_chain(&self, id: &str) -> bool {
        self.head()
            .is_some_and(|head| self.root(head) == self.root(id))
    }

    /// Sums over each chain, by its full point.
    pub(crate) fn totals(&self) -> HashMap<&str, ChainTotals> {
        let mut totals: HashMap<&str, ChainTotals> = HashMap::new();
        for link in self.links.values() {
            let total = totals.entry(self.root(&link.id)).or_default();
            total.size_bytes += link.size_bytes;
            total.count += 1;
            total.latest_ms = total.latest_ms.max(link.snapshot_ms);
        }
        totals
    }

    /// All points that hang on this one, directly or not, sorted.
    pub(crate) fn descendants(&self, id: &str) -> BTreeSet<String> {
        self.links
            .values()
            .filter(|link| link.ancestors.iter().any(|ancestor| ancestor == id))
            .map(|link| link.id.clone())
            .collect()
    }

    /// What the next point hangs on, oldest first; empty for a full one: when it is asked for, when there is no head, and when the
    /// chain down to the head has `max_chain` points already.
    pub(crate) fn next_ancestors(&self, full: bool, max_chain: usize) -> Vec<String> {
        let Some(head) = self.head.as_ref().and_then(|head| self.links.get(head)) else {
            return Vec::new();
        };
        let living = head
            .ancestors
            .iter()
            .filter(|ancestor| self.links.contains_key(*ancestor));
        let ancestors: Vec<String> = living.chain([&head.id]).cloned().collect();
        if full || ancestors.len() >= max_chain {
            return Vec::new();
        }
        ancestors
    }

    /// The head when these points are gone: the nearest ancestor of the present one that stays, otherwise the youngest point.
    pub(crate) fn head_without(&self, gone: &BTreeSet<String>) -> Option<String> {
        let head = self.head.as_ref()?;
        if !gone.contains(head) {
            return Some(head.clone());
        }
        let ancestors = self.links.get(head).map(|link| link.ancestors.as_slice());
        let stays = |id: &&String| {
            !gone.contains(*id) && self.links.get(*id).is_some_and(|link| link.is_usable)
        };
        let nearest = ancestors.unwrap_or_default().iter().rev().find(stays);
        nearest.cloned().or_else(|| self.find_head(None, gone))
    }

    /// The youngest usable point; the marked one unless others were made since.
    fn find_head(&self, mark: Option<&HeadMark>, gone: &BTreeSet<String>) -> Option<String> {
        let usable = self
            .links
            .values()
            .filter(|link| link.is_usable && !gone.contains(&link.id));
        let youngest = usable.max_by(|a, b| (a.snapshot_ms, &a.id).cmp(&(b.snapshot_ms, &b.id)))?;
        let marked = mark.filter(|mark| {
            mark.set_ms >= youngest.create_ms
                && self.links.get(&mark.id).is_some_and(|link| link.is_usable)
        });
        Some(marked.map_or_else(|| youngest.id.clone(), |mark| mark.id.clone()))
    }
}

#[cfg(test)]
mod tests;
