//! Every configuration key, with its default, its environment variable and its documentation.

use std::net::SocketAddr;
use std::path::PathBuf;

use confique::Config;
use snapkeep_engine::MAX_CHAIN;

use super::values::{
    ByteRate, ByteSize, LogFormat, Seconds, ShapeName, are_uuids, are_zones, is_bucket, is_filter,
    is_instance, is_time_zone, is_version, not_empty, parse_list, parse_paths, parse_words,
};
use super::volumes::{InstanceList, VolumeList};

/// All settings of a Snapkeep server.
///
/// Every key may stand in a TOML file (`--config FILE`), in the environment variable named beside it, or be given as `--set SECTION.KEY=VALUE`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct Settings {
    /// Where the server keeps its state and how it listens.
    #[config(nested)]
    pub server: ServerSettings,

    /// Where repositories may lie, and what holds for those that do not say otherwise.
    #[config(nested)]
    pub repositories: RepositorySettings,

    /// Memory and processors for snapshots and restores.
    #[config(nested)]
    pub engine: EngineSettings,

    /// How the Elasticsearch dialect presents itself.
    #[config(nested)]
    pub elasticsearch: ElasticsearchSettings,

    /// Who may be named in calls of the Huawei CSS dialect, and where its snapshots go.
    #[config(nested)]
    pub huawei_css: HuaweiCssSettings,

    /// Which instance this is in calls of the Alibaba dialect, and its region.
    #[config(nested)]
    pub alibaba: AlibabaSettings,

    /// Zones and tokens of the 51idc dialect.
    #[config(nested)]
    pub idc51: Idc51Settings,

    /// Who may reach the server, and what is noted of it.
    #[config(nested)]
    pub security: SecuritySettings,

    /// Encrypted connections.
    #[config(nested)]
    pub tls: TlsSettings,

    /// How the Weaviate dialect presents itself, and where its backups go.
    #[config(nested)]
    pub weaviate: WeaviateSettings,

    /// Disks: where they are found, where their snapshots, new volumes and images go.
    #[config(nested)]
    pub volumes: VolumesSettings,

    /// A disk, once for each. Files in `volumes.folder` and disks added with `snapkeep volume add` need no such entry.
    /// Keys: `path` (an absolute path of a raw or qcow2 file or a block device, or an NBD URI), and optionally `id` (`vol-` and letters
    /// and digits), `name`, `format` (`raw`, `block`, `qcow2`, `nbd`; otherwise found out), `allow_inconsistent` (snapshot it even while it is
    /// written to and no consistent view can be had; default false), `rollback` (`swap` for regular files, `in_place` for all; default
    /// what suits the disk).
    #[config(default = [])]
    pub volume: VolumeList,

    /// An instance, once for each: disks that belong together and the host that uses them. Keys: `name`, `volumes` (ids or names, the boot
    /// disk first), and optionally `id` (`i-` and letters and digits), `description`, `driver` (`none`, `hooks`, `qmp`, `libvirt`) with its
    /// settings beside: see docs/volumes.md.
    #[config(default = [])]
    pub instance: InstanceList,

    /// What is written to standard error.
    #[config(nested)]
    pub log: LogSettings,
}

/// `[volumes]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct VolumesSettings {
    /// Folder whose raw and qcow2 files are volumes, without being declared: `vol-abc1234.raw` keeps that id, any other name becomes the
    /// name of the volume. New volumes are made there. Looked through at the start and whenever something is asked for that is not known.
    /// Unset: `volumes` below the data folder.
    #[config(env = "SNAPKEEP_VOLUMES_FOLDER")]
    pub folder: Option<PathBuf>,

    /// Folder whose files `i-….toml` are instances: the keys of `[[instance]]`, without `id`. Unset: `instances` below the data folder;
    /// `instances` in `volumes.folder` is looked through too.
    #[config(env = "SNAPKEEP_VOLUMES_INSTANCES")]
    pub instances: Option<PathBuf>,

    /// Folder that images are made in. Unset: `images` below the data folder.
    #[config(env = "SNAPKEEP_VOLUMES_IMAGES")]
    pub images: Option<PathBuf>,

    /// The repository that snapshots of volumes go to for which none is named; made below the first repository root when it is first
    /// needed, or registered beforehand.
    #[config(default = "volumes", env = "SNAPKEEP_VOLUMES_REPOSITORY", validate = not_empty)]
    pub repository: String,

    /// Longest chain of a full snapshot and its increments, which is what lists show and what `cascade` deletes. The next snapshot begins
    /// a new one. Every snapshot can be restored by itself all the same. 1: all are full.
    #[config(default = 30, env = "SNAPKEEP_VOLUMES_MAX_CHAIN", validate((1..=MAX_CHAIN).contains(max_chain), "must be 1 to 1000"))]
    pub max_chain: usize,
}

/// `[server]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct ServerSettings {
    /// Folder of everything Snapkeep keeps: documents, catalogue, repository password, caches. Created if missing, used by one process at a time.
    /// Flag: `--data-dir`.
    #[config(default = "./snapkeep-data", env = "SNAPKEEP_SERVER_DATA_DIR")]
    pub data_dir: PathBuf,

    /// Addresses to listen on; every listener serves everything. Port 0 takes a free port. In the environment: separated by commas.
    /// Addresses beyond loopback are refused while there are no credentials (`snapkeep credential add`).
    /// Flag: `--listen`, repeatable.
    #[config(default = ["127.0.0.1:9250"], env = "SNAPKEEP_SERVER_LISTEN", parse_env = parse_list)]
    pub listen: Vec<SocketAddr>,

    /// Connections served at the same time, over all listeners; more wait in the operating system's queue.
    #[config(default = 1024, env = "SNAPKEEP_SERVER_MAX_CONNECTIONS", validate(*max_connections > 0, "must be at least 1"))]
    pub max_connections: usize,

    /// Longest time a client may take to send the headers of a request, and longest time that a connection may stay idle between two requests.
    #[config(default = "75s", env = "SNAPKEEP_SERVER_HEADER_TIMEOUT")]
    pub header_timeout: Seconds,

    /// Largest request body, as `http.max_content_length` of Elasticsearch. Larger ones are refused with status 413.
    #[config(default = "100mb", env = "SNAPKEEP_SERVER_MAX_BODY")]
    pub max_body: ByteSize,

    /// How long a shutdown waits for running requests, snapshots and restores to end. What still runs then is cancelled and recorded as failed
    /// with that reason; nothing half-written is ever referenced.
    #[config(default = "30s", env = "SNAPKEEP_SERVER_SHUTDOWN_GRACE")]
    pub shutdown_grace: Seconds,
}

/// `[repositories]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct RepositorySettings {
    /// Folders in which repositories of type `fs` may lie, as `path.repo` of Elasticsearch. A relative `location` is resolved against the
    /// first. Empty: `repositories` below the data folder. In the environment: separated by colons, as in PATH.
    /// Flag: `--repo-root`, repeatable.
    #[config(default = [], env = "SNAPKEEP_REPOSITORIES_ROOTS", parse_env = parse_paths)]
    pub roots: Vec<PathBuf>,

    /// Bytes a second that snapshots may write into a repository that has no `max_snapshot_bytes_per_sec` of its own; `0` or `unlimited`: no limit.
    #[config(
        default = "20mb",
        env = "SNAPKEEP_REPOSITORIES_MAX_SNAPSHOT_BYTES_PER_SEC"
    )]
    pub max_snapshot_bytes_per_sec: ByteRate,

    /// Bytes a second that restores may read from a repository that has no `max_restore_bytes_per_sec` of its own; `0` or `unlimited`: no limit.
    #[config(
        default = "20mb",
        env = "SNAPKEEP_REPOSITORIES_MAX_RESTORE_BYTES_PER_SEC"
    )]
    pub max_restore_bytes_per_sec: ByteRate,
}

/// `[engine]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct EngineSettings {
    /// Memory that one snapshot may use for its buffers, beside the index of blobs. It does not grow with the data.
    #[config(default = "256mb", env = "SNAPKEEP_ENGINE_MEMORY_LIMIT", validate(memory_limit.0 >= 64 << 20, "must be at least 64mb"))]
    pub memory_limit: ByteSize,

    /// Threads that compress and encrypt; 0: one for every processor.
    #[config(default = 0, env = "SNAPKEEP_ENGINE_WORKERS", validate(*workers <= 1024, "must be at most 1024"))]
    pub workers: usize,
}

/// `[elasticsearch]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct ElasticsearchSettings {
    /// Which server's answers to give: `es` (the superset that clients of Elasticsearch 5 to 8 understand) or `opensearch` (strictly as OpenSearch 2).
    #[config(default = "es", env = "SNAPKEEP_ELASTICSEARCH_SHAPE")]
    pub shape: ShapeName,

    /// The version to present to clients, such as `7.17.29`; unset: 8.19.21 for `es`, 2.19.6 for `opensearch`.
    #[config(env = "SNAPKEEP_ELASTICSEARCH_VERSION", validate = is_version)]
    pub version: Option<String>,

    /// The name of the cluster in answers.
    #[config(default = "snapkeep", env = "SNAPKEEP_ELASTICSEARCH_CLUSTER_NAME", validate = not_empty)]
    pub cluster_name: String,

    /// The name of this node in answers.
    #[config(default = "snapkeep-1", env = "SNAPKEEP_ELASTICSEARCH_NODE_NAME", validate = not_empty)]
    pub node_name: String,
}

/// `[huawei_css]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct HuaweiCssSettings {
    /// Ids of clusters (UUIDs) that name this server; calls that name another answer 403. Empty: every well-formed id names it.
    /// In the environment: separated by commas.
    #[config(default = [], env = "SNAPKEEP_HUAWEI_CSS_CLUSTERS", parse_env = parse_words, validate = are_uuids)]
    pub clusters: Vec<String>,

    /// Ids of projects in whose name calls may be made; others answer 403. Empty: every well-formed one. Limits of credentials to projects
    /// hold beside this. In the environment: separated by commas.
    #[config(default = [], env = "SNAPKEEP_HUAWEI_CSS_PROJECTS", parse_env = parse_words)]
    pub projects: Vec<String>,

    /// The bucket that snapshots go to until a client sets another: the name of a repository, which is made below the first repository
    /// root when it is first needed, or registered beforehand. 3 to 63 lower-case letters, digits, `-` and `.`.
    #[config(default = "css-backup", env = "SNAPKEEP_HUAWEI_CSS_BUCKET", validate = is_bucket)]
    pub bucket: String,
}

/// `[alibaba]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct AlibabaSettings {
    /// Id of the instance that this server is, such as `es-cn-abcdefghijklmn`; calls that name another answer `InstanceNotFound`.
    /// Unset: every well-formed id names it.
    #[config(env = "SNAPKEEP_ALIBABA_INSTANCE_ID", validate = is_instance)]
    pub instance_id: Option<String>,

    /// Zone of the region, in which schedules are meant and snapshots are named: an offset such as `+08:00`, or an IANA name.
    #[config(default = "+08:00", env = "SNAPKEEP_ALIBABA_TIME_ZONE", validate = is_time_zone)]
    pub time_zone: String,
}

/// `[idc51]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct Idc51Settings {
    /// Zones that paths may name (`/v2/zone/ac1/…`); calls that name another answer 404. Empty: every well-formed one. A credential that is limited
    /// to projects is limited to the zones of these names. In the environment: separated by commas.
    #[config(default = [], env = "SNAPKEEP_IDC51_ZONES", parse_env = parse_words, validate = are_zones)]
    pub zones: Vec<String>,

    /// Refuse calls that leave out `snapshot_name`, `image_name` or `volume_name`, which the documentation calls required. Otherwise a name is made
    /// of the time.
    #[config(default = false, env = "SNAPKEEP_IDC51_REQUIRE_NAMES")]
    pub require_names: bool,

    /// How long a token of `POST /v2/oauth2/token` is good.
    #[config(default = "2h", env = "SNAPKEEP_IDC51_TOKEN_LIFE")]
    pub token_life: Seconds,
}

/// `[security]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct SecuritySettings {
    /// Let everybody who can reach the server do everything, even beyond loopback and even if there are credentials. For networks that are
    /// trusted as a whole. Flag: `--insecure-no-credentials`.
    #[config(default = false, env = "SNAPKEEP_SECURITY_INSECURE_NO_CREDENTIALS")]
    pub insecure_no_credentials: bool,

    /// Note every change and every refusal in `audit.jsonl` in the data folder (16 MiB, eight older files are kept) and in a table of
    /// 100,000 rows for `snapkeep audit`. Writing of documents is not noted.
    #[config(default = true, env = "SNAPKEEP_SECURITY_AUDIT")]
    pub audit: bool,
}

/// `[tls]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct TlsSettings {
    /// File with the certificate chain in PEM form, the server's own certificate first. With it all listeners speak TLS 1.2 and 1.3 only.
    /// Looked at every two seconds: a renewed certificate is in use without a restart. Flag: `--tls-certificate`.
    #[config(env = "SNAPKEEP_TLS_CERTIFICATE")]
    pub certificate: Option<PathBuf>,

    /// File with the unencrypted private key of the certificate, in PEM form. Flag: `--tls-key`.
    #[config(env = "SNAPKEEP_TLS_KEY")]
    pub key: Option<PathBuf>,
}

/// `[weaviate]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct WeaviateSettings {
    /// The name of this node in answers, and in `node_mapping` of restores.
    #[config(default = "snapkeep-1", env = "SNAPKEEP_WEAVIATE_NODE_NAME", validate = not_empty)]
    pub node_name: String,

    /// The repository that the backend `filesystem` stands for. Unset: one of its own, `weaviate-filesystem`, in the folder `weaviate` below
    /// the first repository root, made when it is first needed.
    #[config(env = "SNAPKEEP_WEAVIATE_BACKEND_FILESYSTEM")]
    pub backend_filesystem: Option<String>,

    /// The registered repository that the backend `s3` stands for. Unset: there is no such backend.
    #[config(env = "SNAPKEEP_WEAVIATE_BACKEND_S3")]
    pub backend_s3: Option<String>,

    /// The registered repository that the backend `gcs` stands for. Unset: there is no such backend.
    #[config(env = "SNAPKEEP_WEAVIATE_BACKEND_GCS")]
    pub backend_gcs: Option<String>,

    /// The registered repository that the backend `azure` stands for. Unset: there is no such backend.
    #[config(env = "SNAPKEEP_WEAVIATE_BACKEND_AZURE")]
    pub backend_azure: Option<String>,
}

/// `[log]`.
#[derive(Debug, Clone, Config)]
#[config(
    layer_attr(derive(Debug, Clone)),
    layer_attr(serde(deny_unknown_fields))
)]
pub struct LogSettings {
    /// `text` for people, `json` for machines (one object a line).
    /// Flag: `--log-format`.
    #[config(default = "text", env = "SNAPKEEP_LOG_FORMAT")]
    pub format: LogFormat,

    /// `error`, `warn`, `info`, `debug` or `trace`; or a filter such as `info,snapkeep_engine=debug`.
    /// Flag: `--log-level`.
    #[config(default = "info", env = "SNAPKEEP_LOG_LEVEL", validate = is_filter)]
    pub level: String,
}
