//! Configuration: one TOML file, environment variables and flags, merged in this order of precedence:
//! flags, `--set`, environment, file, built-in defaults.
//!
//! Every key is declared once, in [`settings`]; the reference (`snapkeep config reference`,
//! `docs/configuration.md`) is generated from there.

mod load;
mod reference;
mod settings;
mod values;
mod volumes;

pub use load::{ConfigError, Overrides, load};
pub use reference::{markdown_reference, toml_template};
pub use settings::Settings;
pub use values::{LogFormat, ShapeName, is_filter};
