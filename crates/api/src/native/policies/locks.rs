//! Locking snapshots.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::durations;
use super::types::LockSnapshot;
use crate::native::body::Body;
use crate::native::problem::{Answer, Refusal};
use crate::native::router::NativeState;
use crate::native::types::{Problem, Snapshot};

/// Locks a snapshot: until then nobody deletes it, whatever API is used, and retention does not either. A lock can be extended,
/// neither shortened nor taken back.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}/lock", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), request_body = LockSnapshot,
    responses((status = 200, body = Snapshot), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn lock(
    State(state): State<NativeState>,
    Path((repository, snapshot)): Path<(String, String)>,
    Body(wanted): Body<LockSnapshot>,
) -> Answer<Json<Snapshot>> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let until_ms = until(&wanted, now_ms)?;
    let locked = state
        .engine
        .lock_snapshot(&repository, &snapshot, until_ms)
        .await?;
    Ok(Json(locked.into()))
}

fn until(wanted: &LockSnapshot, now_ms: i64) -> Answer<i64> {
    let wrong = |message: String| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_lock", message)
            .hint(r#"write {"for": "30d"} or {"until": "2027-01-31T00:00:00Z"}"#)
    };
    let until_ms = match (&wanted.duration, &wanted.until) {
        (Some(text), None) => now_ms.saturating_add(durations::millis("for", text)?),
        (None, Some(text)) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| wrong(format!("until is [{text}], which is no moment")))?,
        _ => {
            return Err(wrong(
                "exactly one of `for` and `until` is needed".to_owned(),
            ));
        }
    };
    // Beyond the years that can be written down nobody can tell when it ends.
    if until_ms > jiff::Timestamp::MAX.as_millisecond() {
        return Err(wrong("the lock would end too far in the future".to_owned()));
    }
    if until_ms <= now_ms {
        return Err(wrong("the lock would have ended already".to_owned()));
    }
    Ok(until_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(duration: Option<&str>, moment: Option<&str>) -> Result<i64, ()> {
        let wanted = LockSnapshot {
            duration: duration.map(str::to_owned),
            until: moment.map(str::to_owned),
        };
        until(&wanted, 1_000).map_err(|_| ())
    }

    #[test]
    fn a_lock_ends_after_a_time_or_at_a_moment() {
        assert_eq!(ends(Some("2s"), None), Ok(3_000));
        assert_eq!(ends(None, Some("1970-01-01T00:00:05Z")), Ok(5_000));
        for (duration, moment) in [
            (None, None),
            (Some("1s"), Some("2027-01-31T00:00:00Z")),
            (Some("x"), None),
            (Some("99999999999d"), None),
            (None, Some("tomorrow")),
            (None, Some("1970-01-01T00:00:00Z")),
        ] {
            assert!(ends(duration, moment).is_err(), "{duration:?} {moment:?}");
        }
    }
}
