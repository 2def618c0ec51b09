//! Scrolls and points in time.

use std::time::Duration;

use super::{SearchError, SearchRequest, SearchResult};
use crate::View;

/// How many contexts are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchContextStats {
    /// Open scrolls.
    pub scrolls: usize,
    /// Open points in time.
    pub points_in_time: usize,
}

/// Open scrolls and points in time, each holding a [`View`] until it expires or is closed.
#[derive(Debug, Default)]
pub struct Contexts {}

#[allow(clippy::todo, unused_variables)]
impl Contexts {
    /// First page of a scroll and its id.
    pub fn open_scroll(
        &self,
        view: View,
        indices: Vec<String>,
        request: SearchRequest,
        keep_alive: Duration,
    ) -> Result<(String, SearchResult), SearchError> {
        todo!()
    }

    /// Next page; `keep_alive` extends the life.
    pub fn scroll(
        &self,
        id: &str,
        keep_alive: Option<Duration>,
    ) -> Result<SearchResult, SearchError> {
        todo!()
    }

    /// Closes a scroll; whether it was open.
    pub fn close_scroll(&self, id: &str) -> bool {
        todo!()
    }

    /// Closes all scrolls and tells how many.
    pub fn close_all_scrolls(&self) -> usize {
        todo!()
    }

    /// Opens a point in time.
    pub fn open_pit(
        &self,
        view: View,
        indices: Vec<String>,
        keep_alive: Duration,
    ) -> Result<String, SearchError> {
        todo!()
    }

    /// Searches in a point in time.
    pub fn search_pit(
        &self,
        id: &str,
        request: &SearchRequest,
        keep_alive: Option<Duration>,
    ) -> Result<SearchResult, SearchError> {
        todo!()
    }

    /// Closes a point in time; whether it was open.
    pub fn close_pit(&self, id: &str) -> bool {
        todo!()
    }

    /// Closes all points in time and tells their ids.
    pub fn close_all_pits(&self) -> Vec<String> {
        todo!()
    }

    /// What is open now.
    pub fn stats(&self) -> SearchContextStats {
        todo!()
    }
}
