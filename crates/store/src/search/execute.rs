//! Running a search: by ids, in document order until the page is full, or over everything in parallel.

use std::ops::{ControlFlow, Range};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::SearchError;
use super::document::Wanted;
use super::hits::{damaged, hit};
use super::matcher::Matcher;
use super::query::Query;
use super::request::{DEFAULT_WINDOW, SearchRequest, SearchResult, TotalHits};
use super::sort::{Key, SortBy, SortKey, Sorter, compare};
use super::window::{Candidate, Window};
use crate::parallel::{RANGE_BYTES, in_parallel};
use crate::store::now_ms;
use crate::{DocumentRef, IndexState, ShardView, StoreError, View};

/// A place is the shard's position in the search, then the sequence number in so many bits: together
/// below 2^53 for 2,048 shards, so that JavaScript clients read it exactly.
const SEQ_NO_BITS: u32 = 42;

/// Searches concrete, open indices of a view.
pub fn search(
    view: &View,
    indices: &[String],
    request: &SearchRequest,
) -> Result<SearchResult, SearchError> {
    let window = request.from.saturating_add(request.size);
    let limit = result_window(view, indices);
    if window > limit {
        return Err(SearchError::illegal(format!(
            "Result window is too large, from + size must be less than or equal to: [{limit}] but was [{window}]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting."
        )));
    }
    Ok(page(view, indices, request, None)?.0)
}

/// Counts the documents matching `query` (all, when `None`).
pub fn count(view: &View, indices: &[String], query: Option<&Value>) -> Result<u64, SearchError> {
    let query = query.map_or_else(|| Ok(Query::all()), Query::parse)?;
    let request = SearchRequest {
        query,
        size: 0,
        total_limit: Some(u64::MAX),
        ..SearchRequest::default()
    };
    let result = search(view, indices, &request)?;
    Ok(result.total.map_or(0, |total| total.value))
}

/// Largest `from + size`: the least of the indices' settings.
pub(super) fn result_window(view: &View, indices: &[String]) -> u64 {
    let setting = |name: &String| -> u64 {
        view.index(name)
            .and_then(|index| index.setting("index.max_result_window")?.parse().ok())
            .unwrap_or(DEFAULT_WINDOW)
    };
    indices.iter().map(setting).min().unwrap_or(DEFAULT_WINDOW)
}

/// One page and its last candidate. `after`: only what comes after it, also among equal keys.
pub(super) fn page(
    view: &View,
    indices: &[String],
    request: &SearchRequest,
    after: Option<&Candidate>,
) -> Result<(SearchResult, Option<Candidate>), SearchError> {
    let has_sort = !request.sort.is_empty();
    let by_score = [SortKey::score()];
    let sort = if has_sort {
        request.sort.as_slice()
    } else {
        &by_score
    };
    let plan = Plan::new(view, indices, request, sort, after)?;
    let found = if plan.is_by_ids() {
        plan.by_ids()?
    } else if plan.can_stop_early() {
        plan.in_order()?
    } else {
        plan.everything()?
    };
    let (count, candidates) = (found.count, found.window.into_sorted());
    let skipped = if after.is_some() {
        0
    } else {
        usize::try_from(request.from).unwrap_or(usize::MAX)
    };
    let mut hits = Vec::with_capacity(candidates.len().saturating_sub(skipped));
    for candidate in candidates.iter().skip(skipped) {
        let (target, seq_no) = plan.locate(candidate.place)?;
        let document = target
            .shard
            .by_seq_no(seq_no)?
            .ok_or_else(|| lost(candidate.place))?;
        let index = &plan.units[target.unit].name;
        hits.push(hit(
            request,
            index,
            &document.as_ref(),
            candidate,
            has_sort,
        )?);
    }
    let best = candidates.first().map(|first| first.score);
    let max_score = best.filter(|_| !has_sort);
    let shards = plan.targets.len() as u32;
    let last = candidates.into_iter().next_back();
    let total = request
        .total_limit
        .map(|limit| TotalHits::limited(count, limit));
    let result = SearchResult {
        total,
        max_score,
        hits,
        shards,
    };
    Ok((result, last))
}

/// What is the same for all shards of an index.
struct Unit {
    name: String,
    matcher: Matcher,
    sorter: Sorter,
    wanted: Wanted,
    search_after: Option<Vec<Key>>,
}

/// One shard to search.
struct Target {
    shard: ShardView,
    /// Number of its [`Unit`].
    unit: usize,
    /// Its position in the search, shifted over the sequence numbers.
    base: u64,
}

struct Plan<'a> {
    request: &'a SearchRequest,
    sort: &'a [SortKey],
    after: Option<&'a Candidate>,
    units: Vec<Unit>,
    targets: Vec<Target>,
}

/// What a run found.
struct Found<'a> {
    window: Window<'a>,
    count: u64,
}

impl<'a> Plan<'a> {
    fn new(
        view: &View,
        indices: &[String],
        request: &'a SearchRequest,
        sort: &'a [SortKey],
        after: Option<&'a Candidate>,
    ) -> Result<Self, SearchError> {
        let now = now_ms() as i64;
        let mut plan = Plan {
            request,
            sort,
            after,
            units: Vec::with_capacity(indices.len()),
            targets: Vec::new(),
        };
        for name in indices {
            let meta = view
                .index(name)
                .ok_or_else(|| StoreError::IndexNotFound { name: name.clone() })?;
            let (name, uuid) = (meta.name.clone(), meta.uuid.clone());
            match meta.state {
                IndexState::Open => {}
                IndexState::Closed => return Err(StoreError::IndexClosed { name, uuid }.into()),
                IndexState::Restoring => {
                    return Err(StoreError::IndexRestoring { name, uuid }.into());
                }
            }
            let matcher = match request.index_filters.get(&name) {
                Some(filter) => {
                    Matcher::new(&request.query.clone().filtered(filter.clone()), &meta, now)?
                }
                None => Matcher::new(&request.query, &meta, now)?,
            };
            let sorter = Sorter::new(sort, &meta)?;
            let mut wanted = matcher.wanted.clone();
            wanted.extend(&sorter.wanted);
            let search_after = match &request.search_after {
                Some(values) => Some(sorter.after(values)?),
                None => None,
            };
            for number in (0..meta.shards).filter(|number| request.wants_shard(&name, *number)) {
                let shard = view
                    .shard(&name, number)
                    .ok_or_else(|| StoreError::Damaged {
                        object: format!("shard [{name}][{number}]"),
                        reason: "its counters are missing".to_owned(),
                    })?;
                plan.targets.push(Target {
                    shard,
                    unit: plan.units.len(),
                    base: (plan.targets.len() as u64) << SEQ_NO_BITS,
                });
            }
            plan.units.push(Unit {
                name,
                matcher,
                sorter,
                wanted,
                search_after,
            });
        }
        Ok(plan)
    }

    fn unit(&self, target: &Target) -> &Unit {
        &self.units[target.unit]
    }

    fn locate(&self, place: u64) -> Result<(&Target, u64), SearchError> {
        let target = self
            .targets
            .get((place >> SEQ_NO_BITS) as usize)
            .ok_or_else(|| lost(place))?;
        Ok((target, place & ((1 << SEQ_NO_BITS) - 1)))
    }

    fn window(&self) -> Window<'a> {
        let from = if self.after.is_some() {
            0
        } else {
            self.request.from
        };
        let size = from.saturating_add(self.request.size);
        Window::new(self.sort, usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// Whether the total is known without looking at documents.
    fn is_unfiltered(&self) -> bool {
        let is_plain = self.request.slice.is_none() && self.request.min_score.is_none();
        is_plain
            && self
                .units
                .iter()
                .all(|unit| unit.matcher.is_all() || unit.matcher.is_nothing())
    }

    fn is_by_ids(&self) -> bool {
        !self.units.is_empty() && self.units.iter().all(|unit| unit.matcher.ids().is_some())
    }

    /// Whether the first matching documents in scan order are the answer.
    fn can_stop_early(&self) -> bool {
        let in_doc_order = match self.sort {
            [key] if key.is_descending => {
                key.by == SortBy::Score && self.units.iter().all(|unit| unit.matcher.is_all())
            }
            [key] => key.by == SortBy::Doc,
            _ => false,
        };
        in_doc_order && (self.is_unfiltered() || self.request.total_limit.is_none())
    }

    /// A few ids: looked up in every shard, since custom routing may have put them anywhere.
    fn by_ids(&self) -> Result<Found<'a>, SearchError> {
        let mut found = Found {
            window: self.window(),
            count: 0,
        };
        for target in &self.targets {
            let ids = self.unit(target).matcher.ids().into_iter().flatten();
            for id in ids {
                if let Some(document) = target.shard.get(id)? {
                    self.consider(target, &document.as_ref(), &mut found)?;
                }
            }
        }
        Ok(found)
    }

    /// Shard after shard until the page is full.
    fn in_order(&self) -> Result<Found<'a>, SearchError> {
        let mut found = Found {
            window: self.window(),
            count: 0,
        };
        let first = self.first_place();
        for target in &self.targets {
            if found.window.is_full() {
                break;
            }
            if target.base + (1 << SEQ_NO_BITS) <= first || self.unit(target).matcher.is_nothing() {
                continue;
            }
            let range = first.saturating_sub(target.base)..u64::MAX;
            self.scan(target, range, &mut found, true)?;
        }
        if self.is_unfiltered() {
            found.count = self
                .targets
                .iter()
                .filter(|target| self.unit(target).matcher.is_all())
                .map(|target| target.shard.live_count())
                .sum();
        }
        Ok(found)
    }

    /// Where an ordered scan begins.
    fn first_place(&self) -> u64 {
        let after = self.after.map(|after| after.place + 1);
        let is_doc = matches!(self.sort, [key] if key.by == SortBy::Doc);
        let search_after = self
            .units
            .first()
            .and_then(|unit| match unit.search_after.as_deref() {
                Some([Key::Integer(place)]) if is_doc => u64::try_from(place + 1).ok(),
                _ => None,
            });
        after.unwrap_or(0).max(search_after.unwrap_or(0))
    }

    /// All documents, in parallel ranges.
    fn everything(&self) -> Result<Found<'a>, SearchError> {
        let tasks: Vec<(&Target, Range<u64>)> = self
            .targets
            .iter()
            .filter(|target| !self.unit(target).matcher.is_nothing())
            .flat_map(|target| {
                let ranges = target.shard.split(RANGE_BYTES);
                ranges.into_iter().map(move |range| (target, range))
            })
            .collect();
        let new = || Found {
            window: self.window(),
            count: 0,
        };
        let parts = in_parallel(&tasks, new, |found, (target, range)| {
            self.scan(target, range.clone(), found, false)
        })?;
        let mut all = Found {
            window: self.window(),
            count: 0,
        };
        for part in parts {
            all.count += part.count;
            all.window.merge(part.window);
        }
        Ok(all)
    }

    fn scan(
        &self,
        target: &Target,
        range: Range<u64>,
        found: &mut Found<'_>,
        stops_when_full: bool,
    ) -> Result<(), SearchError> {
        let mut failure = None;
        target.shard.scan(range, &mut |document| {
            if let Err(error) = self.consider(target, &document, found) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            if stops_when_full && found.window.is_full() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        failure.map_or(Ok(()), Err)
    }

    fn consider(
        &self,
        target: &Target,
        document: &DocumentRef<'_>,
        found: &mut Found<'_>,
    ) -> Result<(), SearchError> {
        if let Some((slice, slices)) = self.request.slice
            && xxh3_64(document.id.as_bytes()) % slices != slice
        {
            return Ok(());
        }
        let unit = self.unit(target);
        let fields = unit
            .wanted
            .parse(document.source)
            .map_err(|cause| damaged(document.id, &cause))?;
        let Some(score) = unit.matcher.score(document, &fields) else {
            return Ok(());
        };
        if self.request.min_score.is_some_and(|least| score < least) {
            return Ok(());
        }
        found.count += 1;
        let place = target.base | document.seq_no;
        let candidate = Candidate {
            keys: unit
                .sorter
                .keys(document, &fields, &unit.name, place, score),
            place,
            score,
        };
        let is_past = |after: &Vec<Key>| compare(self.sort, &candidate.keys, after).is_gt();
        let is_wanted = unit.search_after.as_ref().is_none_or(is_past)
            && self
                .after
                .is_none_or(|after| candidate.order(after, self.sort).is_gt());
        if is_wanted {
            found.window.push(candidate);
        }
        Ok(())
    }
}

fn lost(place: u64) -> SearchError {
    SearchError::Store(StoreError::Damaged {
        object: format!("document at place {place}"),
        reason: "it was found by the scan but not by its number".to_owned(),
    })
}
