//! The control plane of Alibaba Cloud Elasticsearch, as far as snapshots go: `/openapi`, version 2017-06-13.
//!
//! * [`router`]: which request goes where; `call` checks what holds for all of them and renders answers.
//! * [`errors`]: codes and statuses.
//! * `setting`: automatic snapshots of an instance, into the repository `aliyun_auto_snapshot`. `snapshot`: one right now.
//! * `repos`: repositories of other instances, read-only, for restoring here what was taken there.
//!
//! The data plane is Elasticsearch's own: snapshots are read and restored with `_snapshot` requests.

mod call;
mod config;
pub mod errors;
mod repos;
mod router;
mod setting;
mod snapshot;
mod state;

pub use call::is_instance;
pub use config::AlibabaConfig;
pub use errors::{AlibabaError, Fault};
pub use router::router;
pub use state::AlibabaState;
