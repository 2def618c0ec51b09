//! `GET …/volume_snapshots`: which snapshots there are.

use serde_json::{Value, json};
use snapkeep_engine::{PointQuery, PointStatus};

use super::show::{show, status_word};
use crate::auth::Need;
use crate::idc51::call::{Answer, Call, Idc51Result};
use crate::idc51::errors::{Fault, Idc51Error};
use crate::idc51::ids::point_id;
use crate::idc51::query::Query;
use crate::shared::points;

/// Snapshots of a page when nothing is said.
const DEFAULT_LIMIT: u64 = 20;
/// Most snapshots of a page; more are not refused, only not given.
const MAX_LIMIT: u64 = 100;

/// Lists snapshots, the youngest first, with the number of all that match.
pub async fn list(call: Call) -> Idc51Result {
    call.check_zone()?;
    call.authorise(Need::read("DescribeSnapshots"))?;
    let query = read(&call.query)?;
    let page = points::page(&call.state.engine, &call.caller, query).await?;
    let shown: Vec<Value> = page.points.iter().map(show).collect();
    Ok(Answer::Json(
        json!({ "snapshots": shown, "total_count": page.total }),
    ))
}

/// What a query asks for. `tags` and `verbose` are passed over, as the documentation says; so is what nobody knows.
fn read(query: &Query) -> Result<PointQuery, Idc51Error> {
    let ids = query.list("snapshots")?;
    let statuses = query.list("status")?;
    let statuses: Result<Vec<PointStatus>, Idc51Error> =
        statuses.iter().map(|word| status(word)).collect();
    let limit = query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    let offset = query.number("offset")?.unwrap_or(0);
    Ok(PointQuery {
        ids: ids.iter().map(|id| point_id(id)).collect(),
        resource: query.one("resource_id").map(str::to_owned),
        full: query.one("snapshot_type").map(is_full).transpose()?,
        statuses: statuses?,
        search: query.one("search_word").map(str::to_owned),
        root: query.one("root_id").map(point_id),
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        limit: usize::try_from(limit.min(MAX_LIMIT)).unwrap_or(usize::MAX),
    })
}

fn status(word: &str) -> Result<PointStatus, Idc51Error> {
    const ALL: [PointStatus; 5] = [
        PointStatus::Pending,
        PointStatus::Available,
        PointStatus::Suspended,
        PointStatus::Deleted,
        PointStatus::Ceased,
    ];
    let lower = word.to_ascii_lowercase();
    let found = ALL.into_iter().find(|it| status_word(*it) == lower);
    found.ok_or_else(|| {
        Fault::Format.because(format!(
            "status [{word}] is none of pending, available, suspended, deleted, ceased"
        ))
    })
}

/// The filter is a word today and was a number in earlier versions.
fn is_full(word: &str) -> Result<bool, Idc51Error> {
    match word.to_ascii_uppercase().as_str() {
        "IS_FULL" | "1" => Ok(true),
        "IS_INCREMENTAL" | "0" => Ok(false),
        _ => Err(Fault::Format.because(format!(
            "snapshot_type [{word}] is neither IS_FULL nor IS_INCREMENTAL"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> PointQuery {
        read(&Query::parse(query)).unwrap()
    }

    #[test]
    fn nothing_said_is_the_first_twenty() {
        let query = of("");
        assert_eq!((query.offset, query.limit), (0, 20));
        assert_eq!(
            query,
            PointQuery {
                limit: 20,
                ..PointQuery::default()
            }
        );
        assert_eq!(query, of("verbose=1&tags=a&tags.1=b&unknown=x&status="));
        assert_eq!(query, of("verbose=nonsense"));
    }

    #[test]
    fn every_filter_is_read() {
        let query = of(
            "snapshots=ss-ABCDEFG,s-ABCDEFH&resource_id=vol-1&snapshot_type=is_incremental&status=pending,AVAILABLE&search_word=so+n&root_id=ss-ROOT123&offset=3&limit=5",
        );
        let expected = PointQuery {
            ids: vec!["ss-ABCDEFG".to_owned(), "ss-ABCDEFH".to_owned()],
            resource: Some("vol-1".to_owned()),
            full: Some(false),
            statuses: vec![PointStatus::Pending, PointStatus::Available],
            search: Some("so n".to_owned()),
            root: Some("ss-ROOT123".to_owned()),
            offset: 3,
            limit: 5,
        };
        assert_eq!(query, expected);
        for (word, expected) in [("IS_FULL", true), ("1", true), ("0", false)] {
            assert_eq!(of(&format!("snapshot_type={word}")).full, Some(expected));
        }
    }

    #[test]
    fn a_page_has_at_most_a_hundred() {
        assert_eq!(of("limit=100").limit, 100);
        assert_eq!(of("limit=101").limit, 100);
        assert_eq!(of("limit=18446744073709551615").limit, 100);
        assert_eq!(of("limit=0").limit, 0);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        for wrong in [
            "limit=-1",
            "limit=ten",
            "offset=-3",
            "offset=1.5",
            "status=available,running",
            "snapshot_type=2",
            "snapshot_type=FULL",
        ] {
            let error = read(&Query::parse(wrong)).unwrap_err();
            assert_eq!(error.fault, Fault::Format, "{wrong}");
        }
    }
}
