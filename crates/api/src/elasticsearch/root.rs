//! `GET /` and `HEAD /`: who answers here.

use http::Method;
use serde_json::{Value, json};

use super::config::{ElasticsearchConfig, Shape};
use super::request::EsRequest;
use super::response::EsResponse;
use super::routes::{EsResult, RouteTable};

/// Clients require these keys and compare none of them.
const BUILD_TYPE: &str = "tar";
const BUILD_HASH: &str = "unknown";
const BUILD_DATE: &str = "2026-01-01T00:00:00.000000000Z";

/// Adds the routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    table.each(&[Method::GET, Method::HEAD], &["/"], &[], root);
}

async fn root(request: EsRequest) -> EsResult {
    Ok(EsResponse::value(identity(&request.state.config)))
}

fn identity(config: &ElasticsearchConfig) -> Value {
    let version = match config.shape {
        Shape::Es => json!({
            "number": config.version.to_string(),
            "build_flavor": "default",
            "build_type": BUILD_TYPE,
            "build_hash": BUILD_HASH,
            "build_date": BUILD_DATE,
            "build_snapshot": false,
            "lucene_version": "9.12.2",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        }),
        Shape::OpenSearch => json!({
            "distribution": "opensearch",
            "number": config.version.to_string(),
            "build_type": BUILD_TYPE,
            "build_hash": BUILD_HASH,
            "build_date": BUILD_DATE,
            "build_snapshot": false,
            "lucene_version": "9.12.3",
            "minimum_wire_compatibility_version": "7.10.0",
            "minimum_index_compatibility_version": "7.0.0",
        }),
    };
    let tagline = match config.shape {
        Shape::Es => "You Know, for Search",
        Shape::OpenSearch => "The OpenSearch Project: https://opensearch.org/",
    };
    json!({
        "name": config.node_name,
        "cluster_name": config.cluster_name,
        "cluster_uuid": config.cluster_uuid,
        "version": version,
        "tagline": tagline,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_what_they_check() {
        let es = identity(&ElasticsearchConfig::new(Shape::Es, "u"));
        assert_eq!(es["tagline"], "You Know, for Search");
        assert_eq!(es["version"]["build_flavor"], "default");
        let number = es["version"]["number"].as_str().unwrap();
        assert!(
            number.starts_with("8."),
            "curator 8 takes 8.x only, got {number}"
        );
        let opensearch = identity(&ElasticsearchConfig::new(Shape::OpenSearch, "u"));
        assert_eq!(opensearch["version"]["distribution"], "opensearch");
    }
}
