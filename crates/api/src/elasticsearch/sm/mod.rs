//! OpenSearch's snapshot management: `/_plugins/_sm`, in the `opensearch` shape only.
//!
//! A policy is one of the engine's; its body is kept beside it as it was sent and given back. Notifications are kept but not sent:
//! there are no channels here.

mod body;
mod explain;
mod handlers;
mod list;
mod render;

pub(super) use handlers::register;
