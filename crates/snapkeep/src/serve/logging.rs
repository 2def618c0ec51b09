//! Structured logs on standard error.

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::exit::Failure;

const QUIET: &str = "fjall=warn,lsm_tree=warn,sqlx=warn,hyper=warn,hyper_util=warn,h2=warn";

/// Installs the log writer. May be called once in a process; later calls leave the first in place.
pub fn install(format: LogFormat, level: &str) -> Result<(), Failure> {
    // Of the libraries only warnings, unless a filter asks for more.
    let filter = match level.parse::<Level>() {
        Ok(Level::ERROR) => level.to_owned(),
        Ok(_) => format!("{level},{QUIET}"),
        Err(_) => level.to_owned(),
    };
    let filter = EnvFilter::try_new(filter).map_err(|cause| {
        Failure::usage(format!("`{level}` is no log level: {cause}"))
            .hint("write error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
    if installed.is_err() {
        tracing::debug!("the log writer is already installed");
    }
    Ok(())
}
