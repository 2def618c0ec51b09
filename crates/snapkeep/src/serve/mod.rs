//! The server: everything opened ([`App`]), listening ([`Server`]), and the `serve` command.

mod app;
mod clouds;
mod command;
pub mod data_dir;
mod exposure;
mod health;
mod listener;
pub mod logging;
mod metrics;
mod server;
pub mod tls;
mod weaviate;

pub use app::App;
pub use command::{ServeArgs, SettingsArgs, serve};
pub use logging::install as install_logging;
pub use server::{Server, url_of};
