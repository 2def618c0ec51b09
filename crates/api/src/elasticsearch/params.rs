//! Query parameters, read strictly: a bad value is an error with Elasticsearch's own text.

use std::collections::BTreeMap;
use std::time::Duration;

use snapkeep_engine::bytesize::{self, ByteSizeError};

use super::errors::{ErrorKind, EsError};
use super::units::{self, UnitError};

/// Accepted by every endpoint: they concern the form of the answer only.
pub const COMMON: &[&str] = &["pretty", "human", "error_trace", "filter_path", "format"];

/// Accepted by every `_cat` endpoint besides [`COMMON`].
pub const CAT: &[&str] = &[
    "v",
    "h",
    "s",
    "help",
    "bytes",
    "time",
    "ts",
    "size",
    "pri",
    "local",
    "master_timeout",
    "cluster_manager_timeout",
];

/// The parameters of one request; of a name given twice the last value counts.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// Takes decoded pairs.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self {
            values: pairs.into_iter().collect(),
        }
    }

    /// The value as it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether the parameter was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// `true`, `false` or nothing (= true).
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn bool(&self, name: &str, default: bool) -> Result<bool, EsError> {
        self.get(name).map_or(Ok(default), parse_bool)
    }

    /// Like [`Self::bool`], telling an absent parameter from a given one.
    ///
    /// # Errors
    /// 400 for anything but `true`, `false` or nothing.
    pub fn optional_bool(&self, name: &str) -> Result<Option<bool>, EsError> {
        self.get(name).map(parse_bool).transpose()
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, EsError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        text.parse().map_err(|_| {
            EsError::illegal_argument(format!(
                "Failed to parse int parameter [{name}] with value [{text}]"
            ))
            .caused_by(ErrorKind::NumberFormat.error(format!("For input string: \"{text}\"")))
        })
    }

    /// A time such as `30s`; `None` when absent or `-1`.
    ///
    /// # Errors
    /// 400 when the unit is missing or unknown.
    pub fn time(&self, name: &str) -> Result<Option<Duration>, EsError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        units::parse_time(text).map_err(|error| time_error(name, text, &error))
    }

    /// A size such as `20mb`; `None` when absent or `-1`.
    ///
    /// # Errors
    /// 400 when the unit is missing or unknown.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>, EsError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let size = bytesize::parse(text).map_err(|error| bytes_error(name, text, error))?;
        Ok(u64::try_from(size).ok())
    }

    /// A comma list; empty when absent.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name).map(split_list).unwrap_or_default()
    }

    /// Reads and drops the timeouts that nearly every endpoint takes: they are checked, a single node needs no waiting.
    ///
    /// # Errors
    /// 400 for a bad time, and when both names of the same timeout are given.
    pub fn check_timeouts(&self) -> Result<(), EsError> {
        for name in ["master_timeout", "cluster_manager_timeout", "timeout"] {
            self.time(name)?;
        }
        if self.has("master_timeout") && self.has("cluster_manager_timeout") {
            return Err(ErrorKind::Parse.error("Please only use one of the request parameters [master_timeout, cluster_manager_timeout]."));
        }
        Ok(())
    }

    /// Checks that every parameter is known; `path` is printed in the text.
    ///
    /// # Errors
    /// 400 naming the unknown ones, sorted, with what they may have meant.
    pub fn check_known(&self, path: &str, known: &[&str]) -> Result<(), EsError> {
        let unknown: Vec<&str> = self
            .values
            .keys()
            .map(String::as_str)
            .filter(|name| !known.contains(name) && !COMMON.contains(name))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(EsError::illegal_argument(unrecognized(
            path,
            "parameter",
            &unknown,
            known,
        )))
    }
}

/// Splits a comma list, dropping blanks around the items and empty items.
pub fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `true`, `false` or empty.
///
/// # Errors
/// 400 with the text of a parameter that is no boolean.
pub fn parse_bool(text: &str) -> Result<bool, EsError> {
    match text {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => Err(not_a_boolean(other)),
    }
}

/// 400 for a value that is neither `true` nor `false`.
pub fn not_a_boolean(text: &str) -> EsError {
    EsError::illegal_argument(format!(
        "Failed to parse value [{text}] as only [true] or [false] are allowed."
    ))
}

/// 400 for a bad time; `name` is the parameter or setting.
pub fn time_error(name: &str, text: &str, error: &UnitError) -> EsError {
    EsError::illegal_argument(match error {
        UnitError::Unit => {
            format!(
                "failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or unrecognized"
            )
        }
        UnitError::Fraction => {
            format!("failed to parse [{text}], fractional time values are not supported")
        }
        UnitError::Negative => {
            format!(
                "failed to parse setting [{name}] with value [{text}] as a time value: negative durations are not supported"
            )
        }
        UnitError::Number => format!("failed to parse [{text}]"),
    })
}

/// 400 for a bad size; `name` is the parameter.
fn bytes_error(name: &str, text: &str, error: ByteSizeError) -> EsError {
    EsError::illegal_argument(format!(
        "failed to parse setting [{name}] with value [{text}] as a size in bytes: {error}"
    ))
}

/// The text for names that are not known: sorted, each with the similar known names.
pub fn unrecognized(path: &str, what: &str, unknown: &[&str], known: &[&str]) -> String {
    let mut sorted = unknown.to_vec();
    sorted.sort_unstable();
    let plural = if sorted.len() > 1 { "s" } else { "" };
    let items: Vec<String> = sorted
        .iter()
        .map(|name| format!("[{name}]{}", suggestion(name, known)))
        .collect();
    format!(
        "request [{path}] contains unrecognized {what}{plural}: {}",
        items.join(", ")
    )
}

fn suggestion(name: &str, known: &[&str]) -> String {
    let mut scored: Vec<(f64, &str)> = known
        .iter()
        .map(|candidate| (similarity(name, candidate), *candidate))
        .filter(|(score, _)| *score > 0.5)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    scored.dedup_by(|left, right| left.1 == right.1);
    let names: Vec<&str> = scored.into_iter().map(|(_, candidate)| candidate).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!(" -> did you mean [{only}]?"),
        several => format!(" -> did you mean any of [{}]?", several.join(", ")),
    }
}

/// 1 for equal strings, 0 for nothing in common: one minus the edit distance over the longer length.
fn similarity(left: &str, right: &str) -> f64 {
    // Names beyond this length are no misspelling of ours, and the distance is quadratic.
    const LONGEST: usize = 128;
    let left: Vec<char> = left.chars().take(LONGEST).collect();
    let right: Vec<char> = right.chars().take(LONGEST).collect();
    let longer = left.len().max(right.len());
    if longer == 0 {
        return 1.0;
    }
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let substituted = previous[column] + usize::from(from != to);
            current.push(
                substituted
                    .min(previous[column + 1] + 1)
                    .min(current[column] + 1),
            );
        }
        previous = current;
    }
    1.0 - previous[right.len()] as f64 / longer as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;

    fn params(query: &str) -> Params {
        Params::new(crate::elasticsearch::path::query_pairs(query).unwrap())
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, EsError>) -> String {
        result.unwrap_err().render(Shape::Es, false)["error"]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn booleans_are_strict() {
        assert!(params("verify").bool("verify", false).unwrap());
        assert!(!params("verify=false").bool("verify", true).unwrap());
        assert!(params("").bool("verify", true).unwrap());
        assert_eq!(
            reason(params("verify=maybe").bool("verify", true)),
            "Failed to parse value [maybe] as only [true] or [false] are allowed."
        );
        assert!(params("verify=1").bool("verify", true).is_err());
    }

    #[test]
    fn times_name_the_parameter() {
        assert_eq!(
            reason(params("master_timeout=5x").time("master_timeout")),
            "failed to parse setting [master_timeout] with value [5x] as a time value: unit is missing or unrecognized"
        );
    }

    #[test]
    fn unknown_parameters_are_sorted_and_explained() {
        let known = ["verify", "master_timeout", "timeout"];
        assert_eq!(
            reason(params("verfy=true&pretty").check_known("/_snapshot/r", &known)),
            "request [/_snapshot/r] contains unrecognized parameter: [verfy] -> did you mean [verify]?"
        );
        assert_eq!(
            reason(params("zzz&aaa").check_known("/_snapshot/r", &known)),
            "request [/_snapshot/r] contains unrecognized parameters: [aaa], [zzz]"
        );
        assert!(
            params("human&format=yaml&filter_path=a&error_trace")
                .check_known("/", &known)
                .is_ok()
        );
    }

    #[test]
    fn several_similar_names_are_all_offered() {
        let text = unrecognized("/x", "parameter", &["tmeout"], &["timeout", "tmeoutx"]);
        assert!(
            text.ends_with("[tmeout] -> did you mean any of [timeout, tmeoutx]?"),
            "{text}"
        );
    }
}
