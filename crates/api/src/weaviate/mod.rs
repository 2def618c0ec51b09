//! The Weaviate dialect: collections, objects, GraphQL and backups below `/v1`.
//!
//! * [`router`]: the table of routes; `dispatch` finds the handler, looks at media types and renders the answer.
//! * [`request`], [`response`], [`json`]: what a handler gets and gives. [`errors`]: the two shapes of errors.
//!
//! # Adding endpoints
//! An area has a function `pub(super) fn register(table: &mut RouteTable)`, called in [`router`]:
//! ```text
//! pub(super) fn register(table: &mut RouteTable) {
//!     table.post("/backups/{backend}", create);                 // below /v1
//! }
//! async fn create(request: WvRequest) -> WvResult {
//!     let backend = request.captured("backend");                 // decoded
//!     let order = request.query.get("order");                    // the last of several counts
//!     let fields = request.fields("body", "BackupCreateRequest")?; // keys of any case, Go's texts for wrong types
//!     let id = fields.string("id")?.unwrap_or_default();
//!     request.authorise(Need::operate("create_backups"))?;
//!     Err(WvError::unprocessable(format!("…")))                  // {"error":[{"message":…}]}
//! }
//! ```
//! Handlers run on tasks of their own and are not cancelled when the client leaves; blocking calls belong into
//! [`blocking`].

mod access;
pub mod backups;
mod batch;
pub mod class;
mod dispatch;
pub mod errors;
pub mod filter;
mod graphql;
mod grpc;
pub mod json;
mod meta;
pub mod object;
mod objects;
pub mod request;
pub mod response;
mod router;
pub mod routes;
pub mod schema;
mod state;

pub use batch::{BatchDelete, Deleted, ReferenceInput, delete_matching, write_references};
pub use errors::WvError;
pub use request::WvRequest;
pub use response::WvResponse;
pub use router::router;
pub use routes::{RouteTable, WvResult};
pub use state::{WeaviateConfig, WeaviateState, blocking};
