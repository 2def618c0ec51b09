//! Indices as metadata: names, settings, mappings, aliases.

mod dynamic;
mod fields;
mod mappings;
mod meta;
mod names;
mod settings;
mod templates;

pub use meta::{Alias, AliasAction, IndexMeta, IndexSpec, IndexState, Settings};

pub(crate) use dynamic::{DEFAULT_FIELD_LIMIT, learn};
pub(crate) use fields::{KnownFields, check_source};
pub(crate) use mappings::{
    field, merge as merge_mappings, merge_template as merge_template_mappings,
    normalise as normalise_mappings,
};
pub(crate) use meta::parse_aliases;
pub(crate) use names::{
    MAX_ID_BYTES, check_alias_name, check_index_name, new_document_id, new_uuid, uuid_text,
};
pub(crate) use settings::{flatten, is_fixed, nest, replicas, shards};
pub(crate) use templates::{Templates, matches_pattern};
