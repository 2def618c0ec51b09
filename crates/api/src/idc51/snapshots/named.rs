//! Which snapshots a request names, and whether the caller may touch them.

use snapkeep_engine::PointInfo;

use crate::auth::Need;
use crate::idc51::call::Call;
use crate::idc51::errors::{Fault, Idc51Error};
use crate::idc51::ids::point_id;

/// The id in a path; none for the documentation's own `:snapshot_id`, which its curl commands send as it stands.
pub fn in_path(id: Option<&str>) -> Option<String> {
    id.map(str::trim)
        .filter(|id| !id.is_empty() && !id.starts_with(':') && !id.starts_with('{'))
        .map(point_id)
}

/// The one snapshot that path and body name together.
///
/// # Errors
/// None is named, or two different ones.
pub fn the_one(in_path: Option<String>, elsewhere: &[String]) -> Result<String, Idc51Error> {
    let named = union(in_path, elsewhere);
    match named.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(no_snapshot_named()),
        several => Err(Fault::Format.because(format!(
            "one snapshot is expected, [{}] are named",
            several.join(", ")
        ))),
    }
}

/// All snapshots that are named, each once.
pub fn union(in_path: Option<String>, elsewhere: &[String]) -> Vec<String> {
    let elsewhere = elsewhere
        .iter()
        .filter_map(|id| self::in_path(Some(id.as_str())));
    let mut named: Vec<String> = Vec::new();
    for id in in_path.into_iter().chain(elsewhere) {
        if !named.contains(&id) {
            named.push(id);
        }
    }
    named
}

/// What is said when a request names no snapshot.
pub fn no_snapshot_named() -> Idc51Error {
    Fault::Format
        .because("no snapshot is named")
        .hint("put the id of a snapshot (ss-…) in the place of :snapshot_id")
}

/// The points of these ids, after asking whether the caller may do this with each. Nothing has been changed when it fails.
///
/// # Errors
/// One does not exist, or is not the caller's.
pub async fn points(
    call: &Call,
    need: Need<'_>,
    ids: &[String],
) -> Result<Vec<PointInfo>, Idc51Error> {
    call.authorise(need)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let point = call.state.engine.point(id).await?;
        let resource = [point.resource.id.clone()];
        call.authorise(need.repository(&point.repository).resources(&resource))?;
        found.push(point);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn the_placeholder_of_the_documentation_names_nothing() {
        assert_eq!(in_path(Some(":snapshot_id")), None);
        assert_eq!(in_path(Some("{snapshot_id}")), None);
        assert_eq!(in_path(Some(" ")), None);
        assert_eq!(in_path(None), None);
        assert_eq!(in_path(Some("s-ABC")).as_deref(), Some("ss-ABC"));
    }

    #[test]
    fn path_and_body_may_say_the_same_but_not_something_else() {
        let path = || in_path(Some("ss-A"));
        assert_eq!(the_one(path(), &[]).unwrap(), "ss-A");
        assert_eq!(the_one(path(), &texts(&["s-A"])).unwrap(), "ss-A");
        assert_eq!(the_one(None, &texts(&["ss-A", "ss-A"])).unwrap(), "ss-A");
        for (path, body) in [(path(), texts(&["ss-B"])), (None, texts(&[]))] {
            assert_eq!(the_one(path, &body).unwrap_err().fault, Fault::Format);
        }
    }

    #[test]
    fn many_are_named_each_once() {
        let path = in_path(Some("ss-A"));
        let named = union(path, &texts(&["ss-B", "s-A", ":snapshot_id"]));
        assert_eq!(named, ["ss-A", "ss-B"]);
    }
}
