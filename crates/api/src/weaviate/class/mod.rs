//! Classes: what the JSON of a class means, its defaults and its rules.
//!
//! A class is kept as JSON, verbatim apart from the case of known keys and the defaults that were filled in.
//! [`ClassSchema`] is what reading and writing objects needs of it.

mod data_type;
mod defaults;
mod names;
mod phone;
mod rules;
mod schema;
mod update;

pub use data_type::DataType;
pub use defaults::{complete, complete_property};
pub use names::{capitalised, check_alias_name, check_class_name, check_tenant_name};
pub use phone::complete_phone;
pub use rules::{Surroundings, check_class, check_properties};
pub use schema::{ClassSchema, PropertySchema, VectorIndex};
pub use update::check_update;
