//! What the dialect is told at the start.

/// The search engine that answers name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datastore {
    /// `elasticsearch` or `opensearch`.
    pub kind: String,
    /// Its version, such as `7.10.2`.
    pub version: String,
}

/// Identity of the cluster and who may name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuaweiConfig {
    /// Ids that name the embedded cluster, in lower case; empty: every well-formed id does.
    pub clusters: Vec<String>,
    /// Projects that it belongs to; empty: every well-formed one.
    pub projects: Vec<String>,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Bucket, that is repository, until a client chooses another.
    pub bucket: String,
    /// What is told of the engine.
    pub datastore: Datastore,
    /// `host:port` at which this server answers.
    pub address: String,
}

impl Default for HuaweiConfig {
    fn default() -> Self {
        Self {
            clusters: Vec::new(),
            projects: Vec::new(),
            cluster_name: "snapkeep".to_owned(),
            bucket: "css-backup".to_owned(),
            datastore: Datastore {
                kind: "elasticsearch".to_owned(),
                version: "7.10.2".to_owned(),
            },
            address: String::new(),
        }
    }
}
