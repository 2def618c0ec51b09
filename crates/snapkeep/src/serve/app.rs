//! Everything a process works with: store, engine and the router over them. The server puts listeners in front;
//! offline commands call the router directly.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use snapkeep_api::auth::{Gate, without_credentials};
use snapkeep_api::elasticsearch::{ApiState, ElasticsearchConfig, Shape};
use snapkeep_api::native::{self, NativeState};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig, VolumesConfig};
use snapkeep_store::{Store, StoreOptions};
use tokio_util::sync::CancellationToken;

use super::data_dir::DataDir;
use super::{clouds, health, metrics, weaviate};
use crate::config::{Settings, ShapeName};
use crate::exit::{Exit, Failure};

/// An open data folder.
#[derive(Debug)]
pub struct App {
    engine: Engine,
    store: Store,
    shutdown: CancellationToken,
    dir: DataDir,
}

/// Identity of the Elasticsearch dialect as configured; `uuid` is that of the data.
fn dialect(settings: &Settings, uuid: &str) -> ElasticsearchConfig {
    let shape = match settings.elasticsearch.shape {
        ShapeName::Es => Shape::Es,
        ShapeName::OpenSearch => Shape::OpenSearch,
    };
    let mut config = ElasticsearchConfig::new(shape, uuid);
    if let Some(Ok(version)) = settings.elasticsearch.version.as_deref().map(str::parse) {
        config.version = version;
    }
    config.cluster_name = settings.elasticsearch.cluster_name.clone();
    config.node_name = settings.elasticsearch.node_name.clone();
    config
}

impl App {
    /// Takes the data folder and opens what is in it.
    pub async fn open(settings: &Settings) -> Result<Self, Failure> {
        let dir = DataDir::take(&settings.server.data_dir)?;
        let config = engine_config(&dir, settings);
        Self::start(dir, settings, config).await
    }

    /// Opens what is in a folder that this process already has, for one command: policies do not run by themselves meanwhile.
    pub async fn open_in(dir: DataDir, settings: &Settings) -> Result<Self, Failure> {
        let config = EngineConfig {
            run_policies: false,
            ..engine_config(&dir, settings)
        };
        Self::start(dir, settings, config).await
    }

    async fn start(
        dir: DataDir,
        settings: &Settings,
        config: EngineConfig,
    ) -> Result<Self, Failure> {
        let store_dir = dir.path().join("store");
        let identity = dialect(settings, "");
        let options = StoreOptions {
            version_created: identity.version.id(identity.shape).to_string(),
            ..StoreOptions::default()
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(&store_dir, &options)).await;
        let store = opened
            .map_err(|cause| {
                Failure::failed(format!("opening the document store panicked: {cause}"))
            })?
            .map_err(|cause| Failure::failed(format!("cannot open the document store: {cause}")))?;
        for lost in store.lost_writes() {
            tracing::error!(
                index = lost.index,
                shard = lost.shard,
                acknowledged = lost.acknowledged_seq_no,
                found = lost.found_seq_no,
                "acknowledged writes are missing; restore the index from a snapshot"
            );
        }
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let engine = Engine::start(config, driver).await.map_err(start_failure)?;
        Ok(Self {
            engine,
            store,
            shutdown: CancellationToken::new(),
            dir,
        })
    }

    /// All dialects, `/health` and `/metrics`. `address` is where clients are told this node is.
    pub fn router(&self, settings: &Settings, address: &str) -> Router {
        let mut config = dialect(settings, self.store.uuid());
        config.address = address.to_owned();
        config.max_body_bytes = usize::try_from(settings.server.max_body.0).unwrap_or(usize::MAX);
        let clouds = clouds::router(&self.engine, &self.store, settings, &config, &self.shutdown);
        let elasticsearch = snapkeep_api::elasticsearch::router(ApiState::new(
            self.engine.clone(),
            self.store.clone(),
            config,
        ));
        // Only reading is taken from an index that has the name of one of these paths.
        let health = get(health::health).fallback_service(elasticsearch.clone());
        let metrics = get(metrics::render).fallback_service(elasticsearch.clone());
        let own = Router::new()
            .route("/health", health)
            .with_state(health::HealthState::new(
                self.engine.clone(),
                self.shutdown.clone(),
            ))
            .route("/metrics", metrics);
        let all = own
            .merge(self.native_router())
            .merge(clouds)
            .merge(weaviate::router(
                &self.engine,
                &self.store,
                settings,
                engine_config(&self.dir, settings).repo_roots,
                address,
            ))
            .fallback_service(elasticsearch);
        self.gate(settings)
            .protect(all)
            .layer(axum::middleware::from_fn(metrics::count))
    }

    /// Stands before everything that is reached over a socket.
    fn gate(&self, settings: &Settings) -> Gate {
        Gate::new(
            self.engine.clone(),
            dialect(settings, "").shape,
            settings.security.insecure_no_credentials,
            settings.security.audit,
        )
    }

    /// Whether there are credentials, so that requests need them.
    pub fn has_credentials(&self) -> bool {
        self.engine.credentials().exist()
    }

    /// The native API for commands of whoever holds the data folder: nobody asks for credentials.
    pub fn offline_router(&self) -> Router {
        without_credentials(self.native_router())
    }

    /// The native API alone.
    fn native_router(&self) -> Router {
        native::router(NativeState {
            engine: self.engine.clone(),
            store: self.store.clone(),
            shutdown: self.shutdown.clone(),
        })
    }

    /// The data folder.
    pub fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Is cancelled when the shutdown begins.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Ends: no new work, running jobs end or are cancelled at the deadline, the store is flushed.
    pub async fn close(self, deadline: Duration) {
        self.shutdown.cancel();
        self.engine.shutdown(deadline).await;
        let store = self.store.clone();
        if let Ok(Err(cause)) = tokio::task::spawn_blocking(move || store.flush()).await {
            tracing::error!(%cause, "cannot flush the document store");
        }
        self.dir.withdraw();
    }
}

fn engine_config(dir: &DataDir, settings: &Settings) -> EngineConfig {
    let mut config = EngineConfig::new(dir.path());
    if !settings.repositories.roots.is_empty() {
        config.repo_roots = settings.repositories.roots.clone();
    }
    // Restic and the catalogue are told absolute paths, so that neither depends on where a command was started.
    config.repo_roots = config.repo_roots.into_iter().map(absolute).collect();
    config.data_dir = absolute(config.data_dir);
    config.snapshot_bytes_per_sec = settings.repositories.max_snapshot_bytes_per_sec.0;
    config.restore_bytes_per_sec = settings.repositories.max_restore_bytes_per_sec.0;
    config.memory_limit_bytes = settings.engine.memory_limit.0;
    config.workers = settings.engine.workers;
    config.volumes = volumes_config(&config.data_dir, settings);
    config
}

fn volumes_config(data_dir: &Path, settings: &Settings) -> VolumesConfig {
    let given = &settings.volumes;
    let mut config = VolumesConfig::new(data_dir);
    let folders = [
        (&mut config.folder, &given.folder),
        (&mut config.instances_folder, &given.instances),
        (&mut config.images_folder, &given.images),
    ];
    for (folder, given) in folders {
        if let Some(given) = given {
            *folder = absolute(given.clone());
        }
    }
    config.repository = given.repository.clone();
    config.max_chain = given.max_chain;
    config.volumes = settings.volume.0.clone();
    config.instances = settings.instance.0.clone();
    config
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn start_failure(cause: snapkeep_engine::EngineError) -> Failure {
    match cause {
        snapkeep_engine::EngineError::DataDirectoryInUse { .. } => {
            Failure::new(Exit::Unreachable, "data_dir_in_use", cause)
        }
        snapkeep_engine::EngineError::Configuration(_) => {
            Failure::new(Exit::Usage, "configuration", cause)
        }
        other => Failure::failed(format!("cannot start: {other}")),
    }
}
