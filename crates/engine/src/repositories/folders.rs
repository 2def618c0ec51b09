//! Repositories that lie side by side in one folder, registered or not.

use super::location;
use crate::engine::Engine;
use crate::error::{CreationFailure, EngineError};

/// Most folders that are told of.
const MAX_FOLDERS: usize = 10_000;

impl Engine {
    /// Names of the folders below `parent` (a location as in the settings of a repository) that hold a repository, sorted. None at
    /// all when there is no such folder.
    pub async fn repository_folders(&self, parent: &str) -> Result<Vec<String>, EngineError> {
        let parent = parent.to_owned();
        let failed = |cause: CreationFailure| EngineError::RepositoryCreation {
            repository: String::new(),
            cause,
        };
        self.inner
            .blocking(move |inner| {
                let folder =
                    location::resolve(&parent, &inner.config.repo_roots).map_err(failed)?;
                let entries = match std::fs::read_dir(&folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return Ok(Vec::new());
                    }
                    Err(error) => {
                        let text = format!(
                            "cannot read {}: {error}; check its permissions",
                            folder.display()
                        );
                        return Err(failed(CreationFailure::Other(text)));
                    }
                };
                let mut names: Vec<String> = entries
                    .filter_map(Result::ok)
                    .filter(|entry| entry.path().join("config").is_file())
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .take(MAX_FOLDERS)
                    .collect();
                names.sort_unstable();
                Ok(names)
            })
            .await
    }
}
