//! A real OpenSearch that somebody has started, as a peer of the API benchmark.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Where the peer answers and where it keeps its repositories.
pub struct Peer {
    /// Address such as `http://127.0.0.1:9200`.
    pub url: String,
    /// A folder inside its `path.repo`.
    pub repository_root: PathBuf,
}

/// Both halves of a peer's description, or none.
pub fn peer(url: Option<String>, repository_root: Option<PathBuf>) -> Result<Option<Peer>> {
    match (url, repository_root) {
        (Some(url), Some(repository_root)) => Ok(Some(Peer {
            url: url.trim_end_matches('/').to_owned(),
            repository_root,
        })),
        (None, None) => Ok(None),
        _ => bail!("--opensearch and --opensearch-repo go together"),
    }
}
