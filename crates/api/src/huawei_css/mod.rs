//! The dialect of Huawei Cloud Search Service: snapshots of a cluster below `/v1.0/{project}/clusters/{cluster}`.
//!
//! * [`router`]: which request goes where; `call` checks what holds for all of them and renders answers.
//! * [`errors`]: the one table of codes, statuses and sentences.
//! * `rules`, `period`: what values may look like. `fields`: reading bodies in both spellings of keys.
//! * `snapshots`: create, list, restore, delete. `policy`: automatic snapshots. `setting`: bucket, rates, on and off.
//! * `clusters`, `identity`: what clients ask around that.
//!
//! The embedded store is one cluster. Without configuration every well-formed cluster id names it; its snapshots lie in one
//! repository, which stands for the bucket.

mod call;
mod clusters;
mod config;
pub mod errors;
mod fields;
mod identity;
mod ids;
mod period;
mod policy;
mod router;
mod rules;
mod setting;
mod snapshots;
mod state;

pub use crate::shared::uuid::is_uuid;
pub use config::{Datastore, HuaweiConfig};
pub use errors::{CssError, Fault};
pub use router::router;
pub use rules::bucket as check_bucket;
pub use state::HuaweiState;
