//! How commands reach a server: over HTTP where one runs, or by opening the data folder in this process.
//! Both speak the native API, so a command works the same either way.

mod backend;
mod connect;
mod credential;
mod trust;
mod wait;

pub use backend::Client;
pub use connect::ConnectArgs;
pub use wait::succeeded;
