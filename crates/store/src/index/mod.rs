//! Indices as metadata: names, settings, mappings, aliases.

mod meta;

pub use meta::{Alias, AliasAction, IndexMeta, IndexSpec, IndexState, Settings};
