//! Scrolls and points in time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::execute::{page, result_window, search};
use super::request::TotalHits;
use super::sort::SortKey;
use super::window::Candidate;
use super::{SearchError, SearchRequest, SearchResult};
use crate::View;
use crate::index::new_uuid;

/// Most open scrolls, as in Elasticsearch.
const MAX_SCROLLS: usize = 500;
/// Most open points in time, as in OpenSearch.
const MAX_POINTS_IN_TIME: usize = 300;
/// Longest life between two requests.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(24 * 3600);

/// How many contexts are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchContextStats {
    /// Open scrolls.
    pub scrolls: usize,
    /// Open points in time.
    pub points_in_time: usize,
}

/// Open scrolls and points in time, each holding a [`View`] until it expires or is closed. Expired ones are
/// dropped at every call and once a second.
#[derive(Default)]
pub struct Contexts {
    scrolls: Mutex<Shelf<Arc<Mutex<Scroll>>>>,
    points_in_time: Mutex<Shelf<Arc<PointInTime>>>,
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Contexts").field(&self.stats()).finish()
    }
}

struct Scroll {
    view: View,
    indices: Vec<String>,
    request: SearchRequest,
    last: Option<Candidate>,
    total: Option<TotalHits>,
    shards: u32,
    is_exhausted: bool,
}

struct PointInTime {
    view: View,
    indices: Vec<String>,
}

impl Contexts {
    /// First page of a scroll and its id.
    pub fn open_scroll(
        &self,
        view: View,
        indices: Vec<String>,
        mut request: SearchRequest,
        keep_alive: Duration,
    ) -> Result<(String, SearchResult), SearchError> {
        check_keep_alive(keep_alive)?;
        if request.from > 0 {
            return Err(SearchError::illegal(
                "`from` parameter must be set to 0 in a scroll context",
            ));
        }
        if request.search_after.is_some() {
            return Err(SearchError::illegal(
                "`search_after` cannot be used in a scroll context.",
            ));
        }
        if request.size == 0 {
            return Err(SearchError::illegal(
                "[size] cannot be [0] in a scroll context",
            ));
        }
        let limit = result_window(&view, &indices);
        if request.size > limit {
            return Err(SearchError::illegal(format!(
                "Batch size is too large, size must be less than or equal to: [{limit}] but was [{}]. Scroll batch sizes cost as much memory as result windows so they are controlled by the [index.max_result_window] index level setting.",
                request.size
            )));
        }
        if self.stats().scrolls >= MAX_SCROLLS {
            return Err(SearchError::TooManyContexts {
                reason: format!(
                    "Trying to create too many scroll contexts. Must be less than or equal to: [{MAX_SCROLLS}]. This limit can be set by changing the [search.max_open_scroll_context] setting."
                ),
            });
        }
        // A scroll always tells an exact total, and only on its first page is it counted.
        request.total_limit = Some(u64::MAX);
        let (result, last) = page(&view, &indices, &request, None)?;
        request.total_limit = None;
        let scroll = Scroll {
            view,
            indices,
            last,
            total: result.total,
            shards: result.shards,
            is_exhausted: (result.hits.len() as u64) < request.size,
            request,
        };
        let id = lock(&self.scrolls).put(Arc::new(Mutex::new(scroll)), keep_alive);
        Ok((id, result))
    }

    /// Next page; `keep_alive` extends the life.
    pub fn scroll(
        &self,
        id: &str,
        keep_alive: Option<Duration>,
    ) -> Result<SearchResult, SearchError> {
        keep_alive.map_or(Ok(()), check_keep_alive)?;
        let scroll = lock(&self.scrolls)
            .get(id, keep_alive)
            .ok_or_else(|| missing(id))?;
        let mut scroll = scroll.lock().unwrap_or_else(PoisonError::into_inner);
        let mut result = SearchResult {
            total: scroll.total,
            max_score: None,
            hits: Vec::new(),
            shards: scroll.shards,
        };
        if scroll.is_exhausted {
            return Ok(result);
        }
        let (next, last) = page(
            &scroll.view,
            &scroll.indices,
            &scroll.request,
            scroll.last.as_ref(),
        )?;
        scroll.is_exhausted = (next.hits.len() as u64) < scroll.request.size;
        if last.is_some() {
            scroll.last = last;
        }
        result.max_score = next.max_score;
        result.hits = next.hits;
        Ok(result)
    }

    /// Closes a scroll; whether it was open.
    pub fn close_scroll(&self, id: &str) -> bool {
        lock(&self.scrolls).remove(id)
    }

    /// Closes all scrolls and tells how many.
    pub fn close_all_scrolls(&self) -> usize {
        lock(&self.scrolls).clear().len()
    }

    /// Opens a point in time.
    pub fn open_pit(
        &self,
        view: View,
        indices: Vec<String>,
        keep_alive: Duration,
    ) -> Result<String, SearchError> {
        check_keep_alive(keep_alive)?;
        if self.stats().points_in_time >= MAX_POINTS_IN_TIME {
            return Err(SearchError::TooManyContexts {
                reason: format!(
                    "Trying to create too many Point In Time contexts. Must be less than or equal to: [{MAX_POINTS_IN_TIME}]. This limit can be set by changing the [search.max_open_pit_context] setting."
                ),
            });
        }
        let pit = Arc::new(PointInTime { view, indices });
        Ok(lock(&self.points_in_time).put(pit, keep_alive))
    }

    /// Searches in a point in time. A sort gets the place of the document as its last key, so that pages by
    /// `search_after` neither repeat nor skip anything.
    pub fn search_pit(
        &self,
        id: &str,
        request: &SearchRequest,
        keep_alive: Option<Duration>,
    ) -> Result<SearchResult, SearchError> {
        keep_alive.map_or(Ok(()), check_keep_alive)?;
        let pit = lock(&self.points_in_time)
            .get(id, keep_alive)
            .ok_or_else(|| missing(id))?;
        let mut request = request.clone();
        let has_place = request.sort.iter().any(SortKey::is_doc);
        let given = request.search_after.as_ref().map(Vec::len);
        // Who passes the values of a page of their own making leaves the last one out.
        if !request.sort.is_empty() && !has_place && given != Some(request.sort.len()) {
            request.sort.push(SortKey::doc());
        }
        search(&pit.view, &pit.indices, &request)
    }

    /// Closes a point in time; whether it was open.
    pub fn close_pit(&self, id: &str) -> bool {
        lock(&self.points_in_time).remove(id)
    }

    /// Closes all points in time and tells their ids.
    pub fn close_all_pits(&self) -> Vec<String> {
        lock(&self.points_in_time).clear()
    }

    /// Drops what has expired.
    pub(crate) fn expire(&self) {
        // Each lock drops what has expired.
        drop(lock(&self.scrolls));
        drop(lock(&self.points_in_time));
    }

    /// What is open now.
    pub fn stats(&self) -> SearchContextStats {
        SearchContextStats {
            scrolls: lock(&self.scrolls).len(),
            points_in_time: lock(&self.points_in_time).len(),
        }
    }
}

fn missing(id: &str) -> SearchError {
    SearchError::ContextMissing { id: id.to_owned() }
}

fn check_keep_alive(keep_alive: Duration) -> Result<(), SearchError> {
    if keep_alive > MAX_KEEP_ALIVE {
        return Err(SearchError::illegal(format!(
            "Keep alive for request ({}s) is too large. It must be less than (1d). This limit can be set by changing the [search.max_keep_alive] cluster level setting.",
            keep_alive.as_secs()
        )));
    }
    Ok(())
}

fn lock<T>(shelf: &Mutex<Shelf<T>>) -> MutexGuard<'_, Shelf<T>> {
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    shelf.expire();
    shelf
}

/// Things with a time to live.
struct Shelf<T> {
    items: HashMap<String, Item<T>>,
}

struct Item<T> {
    value: T,
    keep_alive: Duration,
    expires: Instant,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf {
            items: HashMap::new(),
        }
    }
}

impl<T> Shelf<T> {
    fn expire(&mut self) {
        let now = Instant::now();
        self.items.retain(|_, item| item.expires > now);
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn put(&mut self, value: T, keep_alive: Duration) -> String {
        let id = new_uuid();
        self.items.insert(
            id.clone(),
            Item {
                value,
                keep_alive,
                expires: Instant::now() + keep_alive,
            },
        );
        id
    }

    /// The value, kept alive for another while.
    fn get(&mut self, id: &str, keep_alive: Option<Duration>) -> Option<T>
    where
        T: Clone,
    {
        let item = self.items.get_mut(id)?;
        if let Some(keep_alive) = keep_alive {
            item.keep_alive = keep_alive;
        }
        item.expires = Instant::now() + item.keep_alive;
        Some(item.value.clone())
    }

    fn remove(&mut self, id: &str) -> bool {
        self.items.remove(id).is_some()
    }

    fn clear(&mut self) -> Vec<String> {
        self.items.drain().map(|(id, _)| id).collect()
    }
}
