//! Objects between JSON and the store: decoding, checks, automatic schema, writing, printing. REST, GraphQL and gRPC share it.

mod auto_schema;
mod beacon;
mod failure;
mod input;
mod merge;
mod output;
mod properties;
mod text;
mod vectors;
mod write;

pub use beacon::Beacon;
pub use failure::StorageContext;
pub use input::{ObjectInput, decode_batch, decode_object, parse_id};
pub use merge::merge_object;
pub(crate) use output::beacons;
pub use output::{ObjectJson, Shown};
pub use properties::check_and_normalise;
pub use text::parse_floats;
pub use vectors::check_vectors;
pub(crate) use write::resolve_reference;
pub use write::{
    ClassCatalogue, ClassContext, Wording, WriteOptions, WrittenObject, check_object, ready_tenant,
    write_objects,
};
