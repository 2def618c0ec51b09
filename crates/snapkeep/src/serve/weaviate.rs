//! The Weaviate dialect, as configured.

use std::path::PathBuf;

use axum::Router;
use snapkeep_api::weaviate::backups::{Backends, DEFAULT_FOLDER};
use snapkeep_api::weaviate::{self, WeaviateConfig, WeaviateState};
use snapkeep_engine::Engine;
use snapkeep_store::Store;

use crate::config::Settings;

/// `/v1` and the gRPC services. `roots` are the folders in which repositories may lie.
pub fn router(
    engine: &Engine,
    store: &Store,
    settings: &Settings,
    roots: Vec<PathBuf>,
    address: &str,
) -> Router {
    let defaults = WeaviateConfig::default();
    let max_body = usize::try_from(settings.server.max_body.0).unwrap_or(usize::MAX);
    let own = roots.first().map(|root| root.join(DEFAULT_FOLDER));
    let config = WeaviateConfig {
        node_name: settings.weaviate.node_name.clone(),
        hostname: format!("http://{address}"),
        max_body_bytes: max_body.min(defaults.max_body_bytes),
        backups_path: own.unwrap_or_default().display().to_string(),
        backends: backends(settings, roots),
        ..defaults
    };
    weaviate::router(WeaviateState::new(engine.clone(), store.clone(), config))
}

fn backends(settings: &Settings, roots: Vec<PathBuf>) -> Backends {
    let settings = &settings.weaviate;
    let configured = [
        ("filesystem", &settings.backend_filesystem),
        ("s3", &settings.backend_s3),
        ("gcs", &settings.backend_gcs),
        ("azure", &settings.backend_azure),
    ];
    let repositories = configured.into_iter().filter_map(|(backend, repository)| {
        let repository = repository.as_ref().filter(|name| !name.is_empty())?;
        Some((backend.to_owned(), repository.clone()))
    });
    Backends {
        repositories: repositories.collect(),
        roots,
    }
}
