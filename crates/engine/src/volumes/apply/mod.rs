//! Rolling volumes back to points.

mod api;
