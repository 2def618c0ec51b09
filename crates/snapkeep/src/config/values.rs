//! Value types of the configuration. Each parses at the edge, so that a mistake is reported with
//! the line it stands on and nothing later needs to look at it again.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// A number of bytes: an integer, or text such as `100mb` (b, kb, mb, gb, tb in powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// A limit in bytes a second; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate(pub Option<u64>);

/// A time span: an integer of seconds, or text such as `500ms`, `30s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

/// Which server's answers the Elasticsearch dialect gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShapeName {
    /// Superset for clients of Elasticsearch.
    Es,
    /// Strictly as OpenSearch.
    OpenSearch,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Parses `20mb`, `512kb`, `100`, `1.5gb`; the units are powers of 1024, as in Elasticsearch.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => {
            return Err(format!(
                "`{text}` has no size unit; write for example 512kb, 20mb or 1gb"
            ));
        }
    };
    let invalid = || format!("`{text}` is not a size; write for example 512kb, 20mb or 1gb");
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor).ok_or_else(invalid)?,
        Err(_) => {
            let exact = number.parse::<f64>().map_err(|_| invalid())? * factor as f64;
            if !(0.0..=9e18).contains(&exact) {
                return Err(invalid());
            }
            exact as u64
        }
    };
    Ok(bytes)
}

fn parse_rate(text: &str) -> Result<Option<u64>, String> {
    if matches!(text.trim(), "unlimited" | "none" | "-1") {
        return Ok(None);
    }
    parse_bytes(text).map(|bytes| (bytes > 0).then_some(bytes))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let invalid = || format!("`{text}` is not a time; write for example 500ms, 30s, 5m or 1h");
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let milliseconds: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(invalid()),
    };
    Ok(Duration::from_millis(
        number.checked_mul(milliseconds).ok_or_else(invalid)?,
    ))
}

/// A visitor for "an integer, or text in this notation".
struct Notation<T> {
    expecting: &'static str,
    from_text: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Notation<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.from_text)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let notation = Notation {
            expecting: "a size such as \"100mb\"",
            from_text: parse_bytes,
        };
        input.deserialize_any(notation).map(ByteSize)
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let notation = Notation {
            expecting: "a rate such as \"20mb\", or \"unlimited\"",
            from_text: parse_rate,
        };
        input.deserialize_any(notation).map(ByteRate)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let notation = Notation {
            expecting: "a time such as \"30s\"",
            from_text: parse_seconds,
        };
        input.deserialize_any(notation).map(Seconds)
    }
}

/// A value of a list in the environment that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{item}`: {reason}")]
pub struct ListError {
    item: String,
    reason: String,
}

/// Reads comma-separated addresses.
pub fn parse_list(text: &str) -> Result<Vec<SocketAddr>, ListError> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            item.parse()
                .map_err(|cause: std::net::AddrParseError| ListError {
                    item: item.to_owned(),
                    reason: cause.to_string(),
                })
        })
        .collect()
}

/// Reads words separated by commas.
pub fn parse_words(text: &str) -> Result<Vec<String>, ListError> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

/// Reads colon-separated folders.
pub fn parse_paths(text: &str) -> Result<Vec<PathBuf>, ListError> {
    Ok(std::env::split_paths(text)
        .filter(|path| !path.as_os_str().is_empty())
        .collect())
}

/// Whether `text` is a log level or filter.
pub fn is_filter(text: &impl AsRef<str>) -> Result<(), String> {
    const ADVICE: &str = "write error, warn, info, debug or trace";
    // A word alone could be the name of a module; here it is a level that was misspelt.
    let is_word = |part: &&str| !part.contains(['=', '[']);
    let mut words = text.as_ref().split(',').map(str::trim).filter(is_word);
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(format!("`{word}` is no log level; {ADVICE}"));
    }
    tracing_subscriber::EnvFilter::try_new(text.as_ref())
        .map(drop)
        .map_err(|cause| format!("not a log filter: {cause}; {ADVICE}"))
}

/// Whether `text` is a version that can be presented to clients.
pub fn is_version(text: &impl AsRef<str>) -> Result<(), String> {
    text.as_ref()
        .parse::<snapkeep_api::elasticsearch::Version>()
        .map(drop)
}

/// Whether all are ids of clusters.
pub fn are_uuids(ids: &impl AsRef<[String]>) -> Result<(), String> {
    match ids
        .as_ref()
        .iter()
        .find(|id| !snapkeep_api::huawei_css::is_uuid(id))
    {
        None => Ok(()),
        Some(id) => Err(format!(
            "`{id}` is no id of a cluster; write it like ea244205-d641-45d9-9dcb-ab2236bcd07e"
        )),
    }
}

/// Whether all of `zones` can be zones of the 51idc dialect.
pub fn are_zones(zones: &impl AsRef<[String]>) -> Result<(), String> {
    let is_wrong = |zone: &&String| !snapkeep_api::idc51::is_zone(zone);
    match zones.as_ref().iter().find(is_wrong) {
        None => Ok(()),
        Some(zone) => Err(format!(
            "`{zone}` is no zone; a zone has up to 64 letters, digits, `-` and `_`, such as ac1"
        )),
    }
}

/// Whether `text` can be the name of a bucket.
pub fn is_bucket(text: &impl AsRef<str>) -> Result<(), String> {
    snapkeep_api::huawei_css::check_bucket(text.as_ref()).map_err(|error| error.detail)
}

/// Whether `text` can be the id of an instance.
pub fn is_instance(text: &impl AsRef<str>) -> Result<(), String> {
    if snapkeep_api::alibaba::is_instance(text.as_ref()) {
        Ok(())
    } else {
        Err(
            "use 2 to 64 lower-case letters, digits, - and _, beginning with a letter or digit"
                .to_owned(),
        )
    }
}

/// Whether `text` is a zone in which schedules can be meant.
pub fn is_time_zone(text: &impl AsRef<str>) -> Result<(), String> {
    let daily = snapkeep_engine::Schedule {
        kind: snapkeep_engine::ScheduleKind::Daily { hour: 0, minute: 0 },
        time_zone: text.as_ref().to_owned(),
    };
    daily.validate().map_err(|error| error.to_string())
}

/// Whether `text` says anything.
pub fn not_empty(text: &impl AsRef<str>) -> Result<(), &'static str> {
    if text.as_ref().trim().is_empty() {
        Err("must not be empty")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_use_powers_of_1024() {
        assert_eq!(parse_bytes("20mb"), Ok(20 << 20));
        assert_eq!(parse_bytes("1.5GB"), Ok(3 << 29));
        assert_eq!(parse_bytes("512"), Ok(512));
        assert!(parse_bytes("20 miles").is_err());
        assert!(parse_bytes("").is_err());
        assert!(parse_bytes("99999999999tb").is_err());
    }

    #[test]
    fn a_misspelt_level_is_no_filter() {
        assert!(is_filter(&"info,snapkeep_engine=debug").is_ok());
        assert!(is_filter(&"off").is_ok());
        assert!(is_filter(&"wanr").unwrap_err().contains("`wanr`"));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        assert_eq!(parse_rate("0"), Ok(None));
        assert_eq!(parse_rate("unlimited"), Ok(None));
        assert_eq!(parse_rate("1kb"), Ok(Some(1024)));
    }

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        assert_eq!(parse_seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_seconds("2"), Ok(Duration::from_secs(2)));
        assert!(parse_seconds("2 parsecs").is_err());
    }
}
