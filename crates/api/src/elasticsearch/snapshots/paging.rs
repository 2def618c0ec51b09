//! Sorting and paging of lists of snapshots.
//!
//! A page ends with a token: URL-safe base64 of `sort value,repository,snapshot` of its last snapshot. The next page
//! begins behind it, whatever was added or deleted meanwhile.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use snapkeep_engine::SnapshotInfo;

use super::info::duration_ms;
use crate::elasticsearch::errors::{ErrorKind, EsError};

/// What snapshots are ordered by; names and then repositories decide between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Start.
    StartTime,
    /// Name.
    Name,
    /// Time it took.
    Duration,
    /// Number of indices.
    IndexCount,
    /// Number of shards.
    ShardCount,
    /// Number of failed shards.
    FailedShardCount,
    /// Repository.
    Repository,
}

/// A value to order by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum SortValue {
    Number(i64),
    Text(String),
}

impl std::fmt::Display for SortValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

impl SortKey {
    /// By the name used in `sort`.
    ///
    /// # Errors
    /// 400 for an unknown one.
    pub fn parse(name: &str) -> Result<Self, EsError> {
        Ok(match name {
            "start_time" => Self::StartTime,
            "name" => Self::Name,
            "duration" => Self::Duration,
            "index_count" => Self::IndexCount,
            "shard_count" => Self::ShardCount,
            "failed_shard_count" => Self::FailedShardCount,
            "repository" => Self::Repository,
            other => {
                return Err(EsError::illegal_argument(format!(
                    "unknown sort key [{other}]"
                )));
            }
        })
    }

    fn of(self, info: &SnapshotInfo) -> SortValue {
        match self {
            Self::StartTime => SortValue::Number(info.start_ms),
            Self::Name => SortValue::Text(info.name.clone()),
            Self::Duration => SortValue::Number(duration_ms(info)),
            Self::IndexCount => {
                SortValue::Number(i64::try_from(info.indices.len()).unwrap_or(i64::MAX))
            }
            Self::ShardCount => SortValue::Number(info.shards_total.into()),
            Self::FailedShardCount => SortValue::Number(info.shards_failed.into()),
            Self::Repository => SortValue::Text(info.repository.clone()),
        }
    }

    /// Whether `text` can be a value of this key.
    ///
    /// # Errors
    /// 400 when a number is needed and it is none.
    pub fn check_value(self, text: &str) -> Result<(), EsError> {
        self.value(text).map(|_| ())
    }

    fn value(self, text: &str) -> Result<SortValue, EsError> {
        match self {
            Self::Name | Self::Repository => Ok(SortValue::Text(text.to_owned())),
            _ => text.parse().map(SortValue::Number).map_err(|_| {
                ErrorKind::NumberFormat.error(format!("For input string: \"{text}\""))
            }),
        }
    }
}

/// The last snapshot of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    value: SortValue,
    name: String,
    repository: String,
}

impl After {
    /// Reads a token.
    ///
    /// # Errors
    /// 400 when it is none, or one of another sort key.
    pub fn decode(token: &str, sort: SortKey) -> Result<Self, EsError> {
        let invalid = || EsError::illegal_argument(format!("invalid ?after parameter [{token}]"));
        let bytes = URL_SAFE
            .decode(token)
            .or_else(|_| URL_SAFE_NO_PAD.decode(token))
            .map_err(|_| invalid())?;
        let text = String::from_utf8(bytes).map_err(|_| invalid())?;
        let mut parts = text.splitn(3, ',');
        let (Some(value), Some(repository), Some(name)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        Ok(Self {
            value: sort.value(value)?,
            name: name.to_owned(),
            repository: repository.to_owned(),
        })
    }

    fn encode(info: &SnapshotInfo, sort: SortKey) -> String {
        URL_SAFE.encode(format!(
            "{},{},{}",
            sort.of(info),
            info.repository,
            info.name
        ))
    }
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// The snapshots on it.
    pub snapshots: Vec<SnapshotInfo>,
    /// All that match, on whatever page.
    pub total: usize,
    /// How many come after it.
    pub remaining: usize,
    /// The token for the next page, if any.
    pub next: Option<String>,
}

/// How to cut a page.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// Order.
    pub sort: SortKey,
    /// From last to first.
    pub is_descending: bool,
    /// Most snapshots on the page.
    pub size: Option<usize>,
    /// Snapshots left out at the beginning.
    pub offset: usize,
    /// The last of the page before.
    pub after: Option<&'a After>,
    /// The first sort value wanted.
    pub from: Option<&'a str>,
}

/// Sorts snapshots and cuts a page out of them.
///
/// # Errors
/// 400 when `from` is no value of the sort key.
pub fn page(mut snapshots: Vec<SnapshotInfo>, cut: Cut<'_>) -> Result<Page, EsError> {
    let directed = |order: Ordering| {
        if cut.is_descending {
            order.reverse()
        } else {
            order
        }
    };
    let place = |info: &SnapshotInfo| {
        (
            cut.sort.of(info),
            info.name.clone(),
            info.repository.clone(),
        )
    };
    snapshots.sort_by_cached_key(place);
    if cut.is_descending {
        snapshots.reverse();
    }
    if let Some(from) = cut.from {
        let from = cut.sort.value(from)?;
        snapshots.retain(|info| directed(cut.sort.of(info).cmp(&from)).is_ge());
    }
    let total = snapshots.len();
    if let Some(after) = cut.after {
        let last = (
            after.value.clone(),
            after.name.clone(),
            after.repository.clone(),
        );
        snapshots.retain(|info| directed(place(info).cmp(&last)).is_gt());
    }
    let mut rest = snapshots.split_off(cut.offset.min(snapshots.len()));
    let kept = cut.size.unwrap_or(usize::MAX).min(rest.len());
    let remaining = rest.len() - kept;
    rest.truncate(kept);
    let next = rest
        .last()
        .filter(|_| remaining > 0)
        .map(|last| After::encode(last, cut.sort));
    Ok(Page {
        snapshots: rest,
        total,
        remaining,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::sample;
    use super::*;

    const WHOLE: Cut<'static> = Cut {
        sort: SortKey::StartTime,
        is_descending: false,
        size: None,
        offset: 0,
        after: None,
        from: None,
    };

    fn all() -> Vec<SnapshotInfo> {
        vec![
            sample("r", "b", 2),
            sample("r", "a", 2),
            sample("q", "a", 2),
            sample("r", "c", 1),
        ]
    }

    fn names(page: &Page) -> Vec<String> {
        page.snapshots
            .iter()
            .map(|info| format!("{}:{}", info.repository, info.name))
            .collect()
    }

    #[test]
    fn equals_are_ordered_by_name_and_repository() {
        assert_eq!(
            names(&page(all(), WHOLE).unwrap()),
            ["r:c", "q:a", "r:a", "r:b"]
        );
        let backwards = Cut {
            is_descending: true,
            ..WHOLE
        };
        assert_eq!(
            names(&page(all(), backwards).unwrap()),
            ["r:b", "r:a", "q:a", "r:c"]
        );
    }

    #[test]
    fn pages_join_without_gap_or_overlap() {
        for sort in [
            "start_time",
            "name",
            "duration",
            "index_count",
            "shard_count",
            "failed_shard_count",
            "repository",
        ] {
            for is_descending in [false, true] {
                let sort = SortKey::parse(sort).unwrap();
                let cut = Cut {
                    sort,
                    is_descending,
                    ..WHOLE
                };
                let expected = names(&page(all(), cut).unwrap());
                let mut seen = Vec::new();
                let mut token: Option<String> = None;
                loop {
                    let after = token
                        .as_deref()
                        .map(|token| After::decode(token, sort).unwrap());
                    let one = page(
                        all(),
                        Cut {
                            size: Some(1),
                            after: after.as_ref(),
                            ..cut
                        },
                    )
                    .unwrap();
                    assert_eq!(one.total, 4);
                    seen.extend(names(&one));
                    assert_eq!(one.remaining, 4 - seen.len());
                    token = one.next;
                    if token.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, expected);
            }
        }
    }

    #[test]
    fn offsets_beyond_the_end_leave_nothing() {
        let found = page(
            all(),
            Cut {
                offset: 999,
                ..WHOLE
            },
        )
        .unwrap();
        assert_eq!(
            (found.snapshots.len(), found.total, found.remaining),
            (0, 4, 0)
        );
    }

    #[test]
    fn a_first_value_starts_the_list() {
        let cut = Cut {
            sort: SortKey::Name,
            from: Some("b"),
            ..WHOLE
        };
        assert_eq!(names(&page(all(), cut).unwrap()), ["r:b", "r:c"]);
        assert_eq!(
            names(
                &page(
                    all(),
                    Cut {
                        is_descending: true,
                        ..cut
                    }
                )
                .unwrap()
            ),
            ["r:b", "r:a", "q:a"]
        );
    }

    #[test]
    fn tokens_of_others_are_refused() {
        assert!(
            After::decode("garbage!", SortKey::Name)
                .unwrap_err()
                .to_string()
                .contains("invalid ?after parameter")
        );
        let error = After::decode("czEzLHIxLHMxMw==", SortKey::StartTime)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "number_format_exception: For input string: \"s13\"");
    }
}
