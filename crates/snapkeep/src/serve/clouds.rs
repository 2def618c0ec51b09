//! The dialects of clouds, as configured.

use axum::Router;
use snapkeep_api::alibaba::{self, AlibabaConfig, AlibabaState};
use snapkeep_api::elasticsearch::{ElasticsearchConfig, Shape};
use snapkeep_api::huawei_css::{self, Datastore, HuaweiConfig, HuaweiState};
use snapkeep_api::idc51::{self, Idc51Config, Idc51State};
use snapkeep_engine::Engine;
use snapkeep_store::Store;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;

/// `/v1.0`, `/v2.0` and `/v3` of Huawei, `/openapi` of Alibaba, `/v2` of 51idc. What they tell of the engine is what Elasticsearch's dialect tells.
pub fn router(
    engine: &Engine,
    store: &Store,
    settings: &Settings,
    elasticsearch: &ElasticsearchConfig,
    shutdown: &CancellationToken,
) -> Router {
    let kind = match elasticsearch.shape {
        Shape::Es => "elasticsearch",
        Shape::OpenSearch => "opensearch",
    };
    let lower = |ids: &[String]| ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    let huawei = HuaweiConfig {
        clusters: lower(&settings.huawei_css.clusters),
        projects: settings.huawei_css.projects.clone(),
        cluster_name: elasticsearch.cluster_name.clone(),
        bucket: settings.huawei_css.bucket.clone(),
        datastore: Datastore {
            kind: kind.to_owned(),
            version: elasticsearch.version.to_string(),
        },
        address: elasticsearch.address.clone(),
    };
    let alibaba = AlibabaConfig {
        instance_id: settings.alibaba.instance_id.clone(),
        time_zone: settings.alibaba.time_zone.clone(),
    };
    let idc51 = Idc51Config {
        zones: settings.idc51.zones.clone(),
        require_names: settings.idc51.require_names,
        token_life: settings.idc51.token_life.0,
        repository: settings.volumes.repository.clone(),
    };
    let idc51 = Idc51State::new(engine.clone(), idc51, shutdown.clone());
    huawei_css::router(HuaweiState::new(engine.clone(), store.clone(), huawei))
        .merge(alibaba::router(AlibabaState::new(engine.clone(), alibaba)))
        .merge(idc51::router(idc51))
}
