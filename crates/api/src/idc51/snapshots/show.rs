//! A snapshot as lists show it.

use serde_json::{Value, json};
use snapkeep_engine::{PointInfo, PointStatus, PointTransition};

use crate::idc51::times::{megabytes, time};

/// What a full point has for a parent.
const SELF: &str = "self";

/// All fields, in the order of the documentation, and three more at the end: the newest time in its right spelling, what was
/// snapshotted, and how large that is.
pub fn show(point: &PointInfo) -> Value {
    let kind = match point.full {
        true => "IS_FULL",
        false => "IS_INCREMENTAL",
    };
    let transition = match point.transition {
        Some(PointTransition::Creating) => "creating",
        Some(PointTransition::Deleting) => "deleting",
        None => "",
    };
    let parent = point.parent_id.as_deref().unwrap_or(SELF);
    // Of a chain its root tells.
    let (total_size, total_count) = match point.full {
        true => (megabytes(point.total_size_bytes), point.total_count),
        false => (0, 0),
    };
    let latest = time(Some(match point.full {
        true => point.latest_ms,
        false => point.snapshot_ms,
    }));
    json!({
        "snapshot_id": point.id,
        "snapshot_name": point.name,
        "description": point.description,
        "snapshot_type": kind,
        "status": status_word(point.status),
        "transition_status": transition,
        "create_time": time(Some(point.create_ms)),
        "status_time": time(Some(point.status_ms)),
        "snapshot_time": time(Some(point.snapshot_ms)),
        "is_taken": u8::from(point.taken),
        "is_head": u8::from(point.is_head),
        "head_chain": u8::from(point.head_chain),
        "root_id": point.root_id,
        "parent_id": parent,
        "size": megabytes(point.size_bytes),
        "total_size": total_size,
        "total_count": total_count,
        "lastest_snapshot_time": latest,
        "latest_snapshot_time": latest,
        "resource": {
            "resource_id": point.resource.id,
            "resource_name": point.resource.name,
            "resource_type": point.resource.kind.as_str(),
        },
        "virtual_size": point.virtual_size_bytes,
    })
}

/// The dialect's word for a status.
pub fn status_word(status: PointStatus) -> &'static str {
    match status {
        PointStatus::Pending => "pending",
        PointStatus::Available => "available",
        PointStatus::Suspended => "suspended",
        PointStatus::Deleted => "deleted",
        PointStatus::Ceased => "ceased",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use snapkeep_engine::{PointKind, PointResource};

    use super::*;

    /// The increment of the documentation's example.
    pub fn example() -> PointInfo {
        let at_ms = 1_468_599_605_123;
        PointInfo {
            id: "ss-X0J5V8Q".to_owned(),
            repository: "volumes".to_owned(),
            snapshot_uuid: "uuid".to_owned(),
            name: "son".to_owned(),
            description: String::new(),
            resource: PointResource {
                id: "vol-SACNVJNS".to_owned(),
                name: "data".to_owned(),
                kind: PointKind::Volume,
            },
            disks: Vec::new(),
            full: false,
            root_id: "ss-5FVM6A0".to_owned(),
            parent_id: Some("ss-KM1U2QX".to_owned()),
            is_head: false,
            head_chain: false,
            status: PointStatus::Available,
            transition: None,
            taken: true,
            create_ms: at_ms,
            status_ms: at_ms,
            snapshot_ms: at_ms,
            size_bytes: 10,
            virtual_size_bytes: 64 << 20,
            total_size_bytes: 0,
            total_count: 0,
            latest_ms: at_ms,
            locked_until_ms: None,
            reason: None,
            job_id: None,
        }
    }

    #[test]
    fn an_increment_is_shown_as_the_documentation_has_it() {
        let shown = show(&example());
        let keys: Vec<&str> = shown
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys[..18],
            [
                "snapshot_id",
                "snapshot_name",
                "description",
                "snapshot_type",
                "status",
                "transition_status",
                "create_time",
                "status_time",
                "snapshot_time",
                "is_taken",
                "is_head",
                "head_chain",
                "root_id",
                "parent_id",
                "size",
                "total_size",
                "total_count",
                "lastest_snapshot_time",
            ]
        );
        for (key, expected) in [
            ("snapshot_type", json!("IS_INCREMENTAL")),
            ("transition_status", json!("")),
            ("create_time", json!("2016-07-15T16:20:05Z")),
            ("is_taken", json!(1)),
            ("is_head", json!(0)),
            ("parent_id", json!("ss-KM1U2QX")),
            ("size", json!(1)),
            ("total_size", json!(0)),
            ("total_count", json!(0)),
            ("lastest_snapshot_time", json!("2016-07-15T16:20:05Z")),
            ("latest_snapshot_time", json!("2016-07-15T16:20:05Z")),
            ("virtual_size", json!(64 << 20)),
        ] {
            assert_eq!(shown[key], expected, "{key}");
        }
        assert_eq!(
            shown["resource"],
            json!({"resource_id": "vol-SACNVJNS", "resource_name": "data", "resource_type": "volume"})
        );
    }

    #[test]
    fn a_full_point_tells_of_its_chain() {
        let full = PointInfo {
            full: true,
            root_id: "ss-X0J5V8Q".to_owned(),
            parent_id: None,
            is_head: true,
            head_chain: true,
            size_bytes: (5 << 20) + 1,
            total_size_bytes: 7 << 20,
            total_count: 3,
            latest_ms: 1_468_599_700_000,
            ..example()
        };
        let shown = show(&full);
        for (key, expected) in [
            ("snapshot_type", json!("IS_FULL")),
            ("parent_id", json!("self")),
            ("root_id", json!("ss-X0J5V8Q")),
            ("is_head", json!(1)),
            ("head_chain", json!(1)),
            ("size", json!(6)),
            ("total_size", json!(7)),
            ("total_count", json!(3)),
            ("lastest_snapshot_time", json!("2016-07-15T16:21:40Z")),
            ("snapshot_time", json!("2016-07-15T16:20:05Z")),
        ] {
            assert_eq!(shown[key], expected, "{key}");
        }
    }

    #[test]
    fn what_is_being_made_or_deleted_says_so() {
        let making = PointInfo {
            status: PointStatus::Pending,
            transition: Some(PointTransition::Creating),
            taken: false,
            ..example()
        };
        let shown = show(&making);
        assert_eq!(
            (&shown["status"], &shown["transition_status"]),
            (&json!("pending"), &json!("creating"))
        );
        assert_eq!(shown["is_taken"], 0);
        let going = PointInfo {
            transition: Some(PointTransition::Deleting),
            ..example()
        };
        assert_eq!(show(&going)["transition_status"], "deleting");
    }
}
