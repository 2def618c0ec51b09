//! Which dialect a request speaks, as far as refusing it goes, and what is open to everybody.

use http::{HeaderMap, Method, header};

/// Whose words a refusal is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Everything that nobody else takes.
    Elasticsearch,
    /// `/v1`.
    Weaviate,
    /// Weaviate's gRPC services.
    Grpc,
    /// `/v1.0`, `/v2.0`, `/v3`.
    Huawei,
    /// `/openapi`.
    Alibaba,
    /// `/v2`.
    Idc51,
    /// `/api/v1`, and the server's own paths.
    Native,
}

impl Dialect {
    /// By path, and for gRPC by type.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        let first = path.split('/').nth(1).unwrap_or_default();
        let is_grpc = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        match first {
            _ if is_grpc => Self::Grpc,
            "v1" => Self::Weaviate,
            "v1.0" | "v2.0" | "v3" => Self::Huawei,
            "openapi" => Self::Alibaba,
            "v2" => Self::Idc51,
            "api" if path == "/api/v1" || path.starts_with("/api/v1/") => Self::Native,
            "health" | "metrics" if path.len() == 1 + first.len() => Self::Native,
            _ => Self::Elasticsearch,
        }
    }
}

/// What needs no credentials: signs of life, and where credentials are exchanged for a token.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    let is_look = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/health"
        | "/v1/.well-known/live"
        | "/v1/.well-known/ready"
        | "/v1/.well-known/openid-configuration" => is_look,
        "/v3/auth/tokens" | "/grpc.health.v1.Health/Check" => *method == Method::POST,
        _ => is_exchange(method, path),
    }
}

/// Where the credentials of a client stand in the header that otherwise says who calls. They may be of a kind that no other path
/// takes there, so only the handler looks at them: looking twice would count as a failed attempt.
pub(super) fn is_exchange(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.trim_end_matches('/') == "/v2/oauth2/token"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_dialect() {
        for (path, expected) in [
            ("/", Dialect::Elasticsearch),
            ("/_snapshot/r", Dialect::Elasticsearch),
            ("/v1/backups/s3", Dialect::Weaviate),
            ("/v1.0/p/clusters", Dialect::Huawei),
            ("/v3/projects", Dialect::Huawei),
            ("/openapi/instances/i/snapshots", Dialect::Alibaba),
            ("/v2/zone/ac1/volume_snapshots", Dialect::Idc51),
            ("/v2.0/p/clusters", Dialect::Huawei),
            ("/api/v1", Dialect::Native),
            ("/api/v1/jobs", Dialect::Native),
            ("/api/_doc/1", Dialect::Elasticsearch),
            ("/health", Dialect::Native),
            ("/health/_search", Dialect::Elasticsearch),
        ] {
            assert_eq!(Dialect::of(path, &HeaderMap::new()), expected, "{path}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/grpc+proto".parse().unwrap());
        assert_eq!(
            Dialect::of("/weaviate.v1.Weaviate/Search", &headers),
            Dialect::Grpc
        );
    }

    #[test]
    fn only_looking_is_open() {
        assert!(is_open(&Method::GET, "/health"));
        assert!(!is_open(&Method::PUT, "/health"));
        assert!(!is_open(&Method::GET, "/health/_search"));
        assert!(!is_open(&Method::GET, "/metrics"));
        assert!(!is_open(&Method::GET, "/v1/meta"));
        assert!(is_open(&Method::POST, "/v3/auth/tokens"));
        assert!(!is_open(&Method::GET, "/v3/auth/tokens"));
        assert!(is_open(&Method::POST, "/v2/oauth2/token"));
        assert!(!is_open(&Method::GET, "/v2/oauth2/token"));
        assert!(!is_open(&Method::POST, "/v2/oauth2/tokens"));
    }
}
