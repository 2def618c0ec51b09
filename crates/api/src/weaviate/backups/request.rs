//! Bodies of backups and restores, checked value by value.

use std::collections::BTreeMap;

use snapkeep_engine::OnConflict;

use super::super::errors::{Code, WvError};
use super::super::json::Fields;
use super::super::request::WvRequest;

const LEVELS: [&str; 7] = [
    "DefaultCompression",
    "BestSpeed",
    "BestCompression",
    "ZstdDefaultCompression",
    "ZstdBestSpeed",
    "ZstdBestCompression",
    "NoCompression",
];
const ACCESS: [&str; 2] = ["noRestore", "all"];
const CONFLICTS: [&str; 3] = ["fail", "skip", "overwrite"];
const MAX_CPU_PERCENT: i64 = 80;

/// Which classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

/// Where a client wants a backup to lie, beside the backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Folder; none: the backend's own.
    pub path: Option<String>,
    /// Echoed, without effect: a backend has one repository.
    pub bucket: Option<String>,
}

/// The body of a create.
#[derive(Debug, Default)]
pub(super) struct CreateRequest {
    pub id: String,
    pub lists: Lists,
    pub place: Place,
    pub base: Option<String>,
    /// What a base must have been asked for with too: `gzip`, `zstd` or `none`. The repository has its own compression.
    pub compression: &'static str,
    pub users: Vec<String>,
    pub roles: Vec<String>,
}

/// The body of a restore.
#[derive(Debug, Default)]
pub(super) struct RestoreBody {
    pub lists: Lists,
    pub place: Place,
    pub node_mapping: Vec<(String, String)>,
    pub overwrite_alias: bool,
    pub with_roles: bool,
    pub with_users: bool,
    pub rename: BTreeMap<String, String>,
    pub on_conflict: OnConflict,
    pub tenants: Option<Vec<String>>,
}

impl Lists {
    fn of(body: &Fields) -> Result<Self, WvError> {
        Ok(Self {
            include: body.strings("include")?,
            exclude: body.strings("exclude")?,
        })
    }
}

impl Place {
    fn of(config: &Fields) -> Result<Self, WvError> {
        let text = |name: &str| Ok::<_, WvError>(config.string(name)?.filter(|it| !it.is_empty()));
        text("Endpoint")?;
        Ok(Self {
            path: text("Path")?,
            bucket: text("Bucket")?,
        })
    }

    /// From `?path=&bucket=`.
    pub fn of_query(request: &WvRequest) -> Self {
        Self {
            path: request.query.get("path").map(str::to_owned),
            bucket: request.query.get("bucket").map(str::to_owned),
        }
    }
}

impl CreateRequest {
    pub fn parse(request: &WvRequest) -> Result<Self, WvError> {
        let body = request.fields("body", "BackupCreateRequest")?;
        let config = body
            .object("config", "models.BackupConfig")?
            .map(|config| Fields::new(config.into_map(), "body", "BackupConfig.config"))
            .unwrap_or_else(|| Fields::new(serde_json::Map::new(), "body", "BackupConfig.config"));
        let parsed = Self {
            id: body.string("id")?.unwrap_or_default(),
            lists: Lists::of(&body)?,
            place: Place::of(&config)?,
            base: body
                .string("incremental_base_backup_id")?
                .filter(|base| !base.is_empty()),
            compression: "gzip",
            users: body.strings("includeUsers")?,
            roles: body.strings("includeRoles")?,
        };
        check_cpu(&config)?;
        config.int("ChunkSize")?;
        let level = one_of(&config, "CompressionLevel", &LEVELS)?;
        let compression = match level.as_deref() {
            Some("NoCompression") => "none",
            Some(level) if level.starts_with("Zstd") => "zstd",
            _ => "gzip",
        };
        Ok(Self {
            compression,
            ..parsed
        })
    }
}

impl RestoreBody {
    pub fn parse(request: &WvRequest) -> Result<Self, WvError> {
        let body = request.fields("body", "BackupRestoreRequest")?;
        let config = body
            .object("config", "models.RestoreConfig")?
            .map(|config| Fields::new(config.into_map(), "body", "RestoreConfig.config"))
            .unwrap_or_else(|| Fields::new(serde_json::Map::new(), "body", "RestoreConfig.config"));
        let place = Place::of(&config)?;
        let lists = Lists::of(&body)?;
        let node_mapping = body.string_map("node_mapping")?;
        check_cpu(&config)?;
        let roles = one_of(&config, "rolesOptions", &ACCESS)?;
        let users = one_of(&config, "usersOptions", &ACCESS)?;
        let conflict = one_of(&config, "onConflict", &CONFLICTS)?;
        let tenants = config.strings("tenants")?;
        Ok(Self {
            lists,
            place,
            node_mapping,
            overwrite_alias: body.bool("overwriteAlias")?.unwrap_or_default(),
            with_roles: roles.as_deref() == Some("all"),
            with_users: users.as_deref() == Some("all"),
            rename: config.string_map("rename")?.into_iter().collect(),
            on_conflict: match conflict.as_deref() {
                Some("skip") => OnConflict::Skip,
                Some("overwrite") => OnConflict::Overwrite,
                _ => OnConflict::Fail,
            },
            tenants: (!tenants.is_empty()).then_some(tenants),
        })
    }
}

fn check_cpu(config: &Fields) -> Result<(), WvError> {
    match config.int("CPUPercentage")? {
        Some(percent) if percent > MAX_CPU_PERCENT => Err(WvError::invalid(
            Code::Maximum,
            "config.CPUPercentage in body should be less than or equal to 80",
        )),
        Some(percent) if percent < 0 => Err(WvError::invalid(
            Code::Minimum,
            "config.CPUPercentage in body should be greater than or equal to 1",
        )),
        _ => Ok(()),
    }
}

/// A word out of a list; empty counts as absent.
fn one_of(config: &Fields, name: &str, allowed: &[&str]) -> Result<Option<String>, WvError> {
    let word = config.string(name)?.filter(|word| !word.is_empty());
    match word {
        Some(word) if !allowed.contains(&word.as_str()) => Err(WvError::not_among(
            &format!("config.{name}"),
            "body",
            allowed,
        )),
        word => Ok(word),
    }
}
