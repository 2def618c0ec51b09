//! What this dialect keeps with a snapshot, as metadata under one key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapkeep_engine::SnapshotInfo;

const KEY: &str = "huawei_css";

/// How a snapshot came about. Snapshots that other dialects took into the same repository have none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Origin {
    /// As given at create.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The expression for indices, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indices: Option<String>,
    /// True for automatic ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// `HOUR`, `DAY` or a day of the week, for automatic ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
    /// Days or number of snapshots that automatic ones are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_day: Option<i64>,
    /// Time of day of automatic ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
}

impl Origin {
    /// What was kept with a snapshot.
    pub fn of(info: &SnapshotInfo) -> Self {
        let kept = info
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get(KEY));
        // Metadata can be written by other dialects too: what cannot be read is as if it were not there.
        kept.and_then(|kept| serde_json::from_value(kept.clone()).ok())
            .unwrap_or_default()
    }

    /// As metadata.
    pub fn metadata(&self) -> Map<String, Value> {
        let value = serde_json::to_value(self).unwrap_or_default();
        Map::from_iter([(KEY.to_owned(), value)])
    }
}
