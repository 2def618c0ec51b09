//! Settings of a repository of type `fs`, checked in the order in which a server answers about them.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::location;
use crate::bytesize;
use crate::config::EngineConfig;
use crate::error::CreationFailure;

/// Smallest `chunk_size`, bytes.
const MIN_CHUNK_BYTES: i64 = 5;

/// What the settings mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FsSettings {
    /// Inside an allowed root.
    pub(crate) location: PathBuf,
    pub(crate) readonly: bool,
    /// Bytes per second; none = unlimited.
    pub(crate) snapshot_rate: Option<u64>,
    /// Bytes per second; none = unlimited.
    pub(crate) restore_rate: Option<u64>,
}

impl FsSettings {
    /// Reads the settings. `compress`, `chunk_size` and `max_number_of_snapshots` are checked and have no effect: the format
    /// always compresses and has chunks of its own.
    pub(crate) fn parse(
        settings: &Map<String, Value>,
        config: &EngineConfig,
    ) -> Result<Self, CreationFailure> {
        let location = match text(settings, "location") {
            Some(location) if !location.is_empty() => {
                location::resolve(&location, &config.repo_roots)?
            }
            _ => return Err(CreationFailure::MissingLocation),
        };
        check_chunk_size(settings)?;
        boolean(settings, "compress")?;
        check_max_snapshots(settings)?;
        Ok(Self {
            location,
            readonly: boolean(settings, "readonly")?.unwrap_or(false),
            snapshot_rate: rate(
                settings,
                "max_snapshot_bytes_per_sec",
                config.snapshot_bytes_per_sec,
            )?,
            restore_rate: rate(
                settings,
                "max_restore_bytes_per_sec",
                config.restore_bytes_per_sec,
            )?,
        })
    }
}

/// A value as text; none when it is not there or null.
fn text(settings: &Map<String, Value>, name: &str) -> Option<String> {
    match settings.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn boolean(settings: &Map<String, Value>, name: &str) -> Result<Option<bool>, CreationFailure> {
    match text(settings, name).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(value) => Err(CreationFailure::Boolean {
            setting: name.to_owned(),
            value: value.to_owned(),
        }),
    }
}

fn size(settings: &Map<String, Value>, name: &str) -> Result<Option<i64>, CreationFailure> {
    text(settings, name)
        .map(|value| {
            bytesize::parse(&value).map_err(|problem| CreationFailure::ByteSize {
                setting: name.to_owned(),
                value: value.clone(),
                problem,
            })
        })
        .transpose()
}

fn rate(
    settings: &Map<String, Value>,
    name: &str,
    default: Option<u64>,
) -> Result<Option<u64>, CreationFailure> {
    Ok(match size(settings, name)? {
        None => default,
        Some(bytes) => u64::try_from(bytes).ok().filter(|rate| *rate > 0),
    })
}

fn check_chunk_size(settings: &Map<String, Value>) -> Result<(), CreationFailure> {
    match size(settings, "chunk_size")? {
        Some(bytes) if bytes < MIN_CHUNK_BYTES => Err(CreationFailure::SizeTooSmall {
            setting: "chunk_size".to_owned(),
            value: text(settings, "chunk_size").unwrap_or_default(),
        }),
        _ => Ok(()),
    }
}

fn check_max_snapshots(settings: &Map<String, Value>) -> Result<(), CreationFailure> {
    let name = "max_number_of_snapshots";
    let Some(value) = text(settings, name) else {
        return Ok(());
    };
    let failure = |reason: &str| {
        Err(CreationFailure::Number {
            setting: name.to_owned(),
            value: value.clone(),
            reason: reason.to_owned(),
        })
    };
    match value.parse::<i64>() {
        Ok(number) if number < 1 => failure("must be >= 1"),
        Ok(_) => Ok(()),
        Err(_) => failure("is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(settings: Value) -> Result<FsSettings, CreationFailure> {
        let folder = tempfile::tempdir().unwrap();
        let Value::Object(settings) = settings else {
            panic!("not an object")
        };
        FsSettings::parse(&settings, &EngineConfig::new(folder.path()))
    }

    #[test]
    fn rates_default_to_20_mb_and_may_be_lifted() {
        let settings = parse(json!({"location": "a"})).unwrap();
        assert_eq!(settings.snapshot_rate, Some(20 << 20));
        assert!(!settings.readonly);
        let settings = parse(json!({
            "location": "a", "max_snapshot_bytes_per_sec": "50mb", "max_restore_bytes_per_sec": "0",
            "readonly": true, "compress": "false", "chunk_size": null, "max_number_of_snapshots": 2147483647,
            "foo": {"bar": "1"}
        }))
        .unwrap();
        assert_eq!(settings.snapshot_rate, Some(50 << 20));
        assert_eq!(settings.restore_rate, None);
        assert!(settings.readonly);
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_the_contract() {
        let text = |settings| parse(settings).unwrap_err().to_string();
        assert_eq!(text(json!({})), "missing location");
        assert_eq!(
            text(json!({"location": "a", "max_snapshot_bytes_per_sec": "50"})),
            "failed to parse setting [max_snapshot_bytes_per_sec] with value [50] as a size in bytes: \
             unit is missing or unrecognized"
        );
        assert!(text(json!({"location": "a", "chunk_size": "1b"})).contains("must be >= [5b]"));
        assert!(
            text(json!({"location": "a", "readonly": "maybe"})).contains("only [true] or [false]")
        );
    }
}
