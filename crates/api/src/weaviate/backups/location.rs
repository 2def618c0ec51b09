//! Which repository a backend stands for.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, json};
use snapkeep_engine::{CreationFailure, Engine, EngineError, RepositorySpec};

use super::super::errors::WvError;
use super::super::state::WeaviateState;
use super::conditions::{Condition, NO_ACCESS, PATH_NOT_OFFERED, PATH_OUTSIDE};
use super::request::Place;

/// The repository of the `filesystem` backend where none is configured.
pub const DEFAULT_REPOSITORY: &str = "weaviate-filesystem";
/// Its folder, below the first root of repositories.
pub const DEFAULT_FOLDER: &str = "weaviate";
const FILESYSTEM: &str = "filesystem";
/// Clients may say `backup-s3` or `s3`.
const MODULE_PREFIX: &str = "backup-";
/// Of the repositories for `config.Path`; the path follows, percent-encoded, so that two paths never share a name.
const PATH_PREFIX: &str = "weaviate-path-";
const UNTOUCHED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Backends and where their backups go.
#[derive(Debug, Clone, Default)]
pub struct Backends {
    /// Names of repositories by backend (`filesystem`, `s3`, `gcs`, `azure`).
    pub repositories: BTreeMap<String, String>,
    /// Folders that a `Path` may lie in; a relative one is taken from the first.
    pub roots: Vec<PathBuf>,
}

impl Backends {
    /// Whether there is such a backend.
    pub fn knows(&self, backend: &str) -> bool {
        let kind = backend.strip_prefix(MODULE_PREFIX).unwrap_or(backend);
        kind == FILESYSTEM || self.repositories.contains_key(kind)
    }
}

/// Where the backups of a request lie.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The backend as the client named it.
    pub backend: String,
    /// The repository; none where a path was given that holds no backups.
    pub repository: Option<String>,
    /// What paths in answers begin with.
    home: String,
    pub bucket: Option<String>,
}

impl Target {
    /// The repository, or `otherwise` where there is none.
    pub fn repository(&self, otherwise: impl FnOnce() -> WvError) -> Result<&str, WvError> {
        self.repository.as_deref().ok_or_else(otherwise)
    }

    /// Where clients are told that a backup lies.
    pub fn path_of(&self, id: &str) -> String {
        format!("{}/{id}", self.home.trim_end_matches('/'))
    }

    /// Finds the repository of a backend. `unknown` is the answer for one that is not there. A repository for a new `Path` is made
    /// only `for_writing`: looking for a backup leaves no traces.
    pub async fn find(
        state: &WeaviateState,
        backend: &str,
        place: Place,
        unknown: &Condition,
        for_writing: bool,
    ) -> Result<Self, WvError> {
        let kind = backend.strip_prefix(MODULE_PREFIX).unwrap_or(backend);
        let backends = &state.config.backends;
        let configured = backends.repositories.get(kind);
        if !backends.knows(backend) {
            return Err(unknown.error(&[("backend", backend)]));
        }
        if let Some(path) = place.path {
            if kind != FILESYSTEM {
                return Err(PATH_NOT_OFFERED.error(&[("backend", backend)]));
            }
            return Ok(Self {
                backend: backend.to_owned(),
                repository: at_path(&state.engine, backends, backend, &path, for_writing).await?,
                home: path,
                bucket: place.bucket,
            });
        }
        let repository = match configured {
            Some(name) => name.clone(),
            None => {
                ensure(&state.engine, DEFAULT_REPOSITORY, DEFAULT_FOLDER)
                    .await
                    .map_err(|error| no_access(backend, &error))?;
                DEFAULT_REPOSITORY.to_owned()
            }
        };
        let location = state.engine.repository_environment(&repository).await;
        let home = location
            .map_err(|error| no_access(backend, &error))?
            .repository;
        Ok(Self {
            backend: backend.to_owned(),
            repository: Some(repository),
            home,
            bucket: place.bucket,
        })
    }
}

/// The answer when a repository cannot be used.
pub(super) fn no_access(backend: &str, error: &EngineError) -> WvError {
    NO_ACCESS.error(&[("backend", backend), ("reason", &error.to_string())])
}

/// The repository in a folder that a client chose. The engine looks again, following links, before it makes or opens anything there.
async fn at_path(
    engine: &Engine,
    backends: &Backends,
    backend: &str,
    path: &str,
    for_writing: bool,
) -> Result<Option<String>, WvError> {
    let outside = || {
        let roots: Vec<String> = backends
            .roots
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        PATH_OUTSIDE.error(&[("path", path), ("roots", &roots.join(", "))])
    };
    let folder = within_roots(&backends.roots, path).ok_or_else(outside)?;
    let name = format!("{PATH_PREFIX}{}", utf8_percent_encode(path, UNTOUCHED));
    match engine.repository(&name).await {
        Ok(_) => return Ok(Some(name)),
        Err(EngineError::RepositoryMissing { .. }) => {}
        Err(error) => return Err(no_access(backend, &error)),
    }
    // One that a former catalogue knew is found again by its file `config`.
    if !for_writing && !folder.join("config").is_file() {
        return Ok(None);
    }
    match ensure(engine, &name, &folder.to_string_lossy()).await {
        Ok(()) => Ok(Some(name)),
        Err(EngineError::RepositoryCreation {
            cause: CreationFailure::LocationOutsideRoots { .. },
            ..
        }) => Err(outside()),
        Err(error) => Err(no_access(backend, &error)),
    }
}

/// The folder that a path means, if it lies in one of the roots by its words.
fn within_roots(roots: &[PathBuf], path: &str) -> Option<PathBuf> {
    let given = Path::new(path);
    let walks = |part: Component| part == Component::ParentDir;
    if path.contains('\0') || given.components().any(walks) {
        return None;
    }
    let folder = roots.first()?.join(given);
    roots
        .iter()
        .any(|root| folder.starts_with(root))
        .then_some(folder)
}

/// Registers a repository of this dialect's own, without limits of speed, as the server it stands in for has none.
async fn ensure(engine: &Engine, name: &str, location: &str) -> Result<(), EngineError> {
    let settings = json!({
        "location": location,
        "max_snapshot_bytes_per_sec": "0",
        "max_restore_bytes_per_sec": "0",
    });
    let spec = RepositorySpec {
        kind: "fs".to_owned(),
        settings: settings.as_object().cloned().unwrap_or_else(Map::new),
    };
    engine.ensure_repository(name, spec).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_the_roots() {
        let roots = [PathBuf::from("/srv/backups"), PathBuf::from("/mnt")];
        let folder = |path| within_roots(&roots, path);
        assert_eq!(folder("team/a"), Some("/srv/backups/team/a".into()));
        assert_eq!(folder("/mnt/x"), Some("/mnt/x".into()));
        for walking in ["/etc", "../x", "/mnt/../etc", "/mntx", "a/../../..", "a\0b"] {
            assert_eq!(folder(walking), None, "{walking:?}");
        }
        assert_eq!(within_roots(&[], "a"), None);
    }
}
