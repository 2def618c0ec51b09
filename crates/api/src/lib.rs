//! HTTP dialects: thin translations between clients' APIs and the engine.
//!
//! A dialect parses a request into the engine's terms, calls the engine or the embedded store, and renders the
//! answer in its own words. It holds no rules of its own and never touches the vault or a driver.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alibaba;
pub mod auth;
pub mod elasticsearch;
pub mod huawei_css;
pub mod idc51;
pub mod native;
mod shared;
pub mod weaviate;
