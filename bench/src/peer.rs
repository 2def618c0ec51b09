//! A real server that somebody has started, to be measured beside ours.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Where a peer answers and where it keeps its repositories or backups.
pub struct Peer {
    /// Address such as `http://127.0.0.1:9200`.
    pub url: String,
    /// The folder that it writes to.
    pub repository_root: PathBuf,
}

/// Both halves of a peer's description, or none; `name` is the option that gives the address.
pub fn peer(
    name: &str,
    url: Option<String>,
    repository_root: Option<PathBuf>,
) -> Result<Option<Peer>> {
    match (url, repository_root) {
        (Some(url), Some(repository_root)) => Ok(Some(Peer {
            url: url.trim_end_matches('/').to_owned(),
            repository_root,
        })),
        (None, None) => Ok(None),
        _ => bail!("--{name} and --{name}-repo go together"),
    }
}
