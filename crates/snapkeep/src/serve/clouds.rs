//! The dialects of clouds, as configured.

use axum::Router;
use snapkeep_api::alibaba::{self, AlibabaConfig, AlibabaState};
use snapkeep_api::elasticsearch::{ElasticsearchConfig, Shape};
use snapkeep_api::huawei_css::{self, Datastore, HuaweiConfig, HuaweiState};
use snapkeep_engine::Engine;
use snapkeep_store::Store;

use crate::config::Settings;

/// `/v1.0`, `/v2.0` and `/v3` of Huawei, `/openapi` of Alibaba. What they tell of the engine is what Elasticsearch's dialect tells.
pub fn router(
    engine: &Engine,
    store: &Store,
    settings: &Settings,
    elasticsearch: &ElasticsearchConfig,
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
    huawei_css::router(HuaweiState::new(engine.clone(), store.clone(), huawei))
        .merge(alibaba::router(AlibabaState::new(engine.clone(), alibaba)))
}
