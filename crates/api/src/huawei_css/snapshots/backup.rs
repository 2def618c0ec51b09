//! A snapshot as `backup` (create) and in `backups` (list).

use serde_json::{Value, json};
use snapkeep_engine::{RestoreRun, RestoreState, SnapshotInfo, SnapshotState};

use super::origin::Origin;
use crate::huawei_css::config::HuaweiConfig;
use crate::huawei_css::ids;

/// What else is needed to show a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub config: &'a HuaweiConfig,
    /// The id under which the client knows the cluster.
    pub cluster: &'a str,
    /// The latest restore of the snapshot.
    pub restore: Option<&'a RestoreRun>,
}

/// `created` and `updated`: UTC, no zone, no fraction.
fn time(ms: i64) -> Value {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S").to_string().into(),
        Err(_) => Value::Null,
    }
}

fn status(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::InProgress => "BUILDING",
        SnapshotState::Success => "COMPLETED",
        SnapshotState::Partial => "PART_FAILED",
        SnapshotState::Failed | SnapshotState::Incompatible => "FAILED",
    }
}

fn restore_status(run: Option<&RestoreRun>) -> &'static str {
    match run.map(|run| run.state) {
        None => "none",
        Some(RestoreState::Running { .. }) => "restoring",
        Some(RestoreState::Success) => "success",
        Some(RestoreState::Failed | RestoreState::Cancelled) => "failed",
    }
}

/// When an automatic snapshot was due: the milliseconds at the end of its name.
fn expected_start(info: &SnapshotInfo) -> Value {
    let due = info.name.rsplit('-').next().and_then(|ms| ms.parse().ok());
    due.map_or(Value::Null, time)
}

/// The object with all fields. While the snapshot is being built what is not known yet is `null`, and the end is 0.
pub fn show(info: &SnapshotInfo, around: Surroundings<'_>) -> Value {
    let origin = Origin::of(info);
    let building = info.state == SnapshotState::InProgress;
    let once_done = |value: Value| if building { Value::Null } else { value };
    let indices = match &origin.indices {
        Some(asked) if building => asked.clone(),
        _ => info.index_names().join(","),
    };
    let mut backup = json!({
        "created": time(info.start_ms),
        "datastore": {
            "type": around.config.datastore.kind,
            "version": around.config.datastore.version,
        },
        "description": origin.description,
        "id": ids::uuid_of(&info.uuid),
        "clusterId": around.cluster,
        "clusterName": around.config.cluster_name,
        "name": info.name,
        "status": status(info.state),
        "updated": once_done(info.end_ms.map_or(Value::Null, time)),
        "backupType": if origin.automatic { "0" } else { "1" },
        "backupMethod": if origin.automatic { "auto" } else { "manual" },
        "backupExpectedStartTime": if origin.automatic { expected_start(info) } else { Value::Null },
        "backupKeepDay": origin.keep_day,
        "backupPeriod": origin.period,
        "indices": indices,
        "totalShards": once_done(info.shards_total.into()),
        "failedShards": once_done(info.shards_failed.into()),
        "version": once_done(around.config.datastore.version.clone().into()),
        "restoreStatus": restore_status(around.restore),
        "startTime": info.start_ms,
        "endTime": if building { 0 } else { info.end_ms.unwrap_or(0) },
        "bucketName": info.repository,
    });
    if let Some(frequency) = origin.frequency {
        backup["backupFrequency"] = frequency.into();
    }
    backup
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_engine::{RestoreStage, SnapshotIndex};

    fn info(state: SnapshotState) -> SnapshotInfo {
        let origin = Origin {
            description: "索引备份".into(),
            indices: Some("myindex*".into()),
            ..Origin::default()
        };
        SnapshotInfo {
            repository: "obs-es-backup".into(),
            name: "snapshot_101".into(),
            uuid: "AAECAwQFBgcICQoLDA0ODw".into(),
            state,
            indices: vec![SnapshotIndex {
                name: "myindex1".into(),
                uuid: String::new(),
                shard_count: 1,
                documents: 0,
                size_bytes: 1,
                max_segments_per_shard: 1,
            }],
            metadata: Some(origin.metadata()),
            start_ms: 1_533_009_767_542,
            end_ms: Some(1_533_009_770_999),
            shards_total: 1,
            shards_successful: 1,
            ..SnapshotInfo::default()
        }
    }

    fn shown(info: &SnapshotInfo, restore: Option<&RestoreRun>) -> Value {
        let config = HuaweiConfig::default();
        let around = Surroundings {
            config: &config,
            cluster: "e0164652-421b-40ad-8b0b-650c18c83df5",
            restore,
        };
        show(info, around)
    }

    #[test]
    fn one_that_is_being_built_looks_as_in_the_source_document() {
        let backup = shown(&info(SnapshotState::InProgress), None);
        let expected = json!({
            "created": "2018-07-31T04:02:47", "datastore": {"type": "elasticsearch", "version": "7.10.2"},
            "description": "索引备份", "id": "00010203-0405-4607-8809-0a0b0c0d0e0f",
            "clusterId": "e0164652-421b-40ad-8b0b-650c18c83df5", "clusterName": "snapkeep", "name": "snapshot_101",
            "status": "BUILDING", "updated": null, "backupType": "1", "backupMethod": "manual",
            "backupExpectedStartTime": null, "backupKeepDay": null, "backupPeriod": null, "indices": "myindex*",
            "totalShards": null, "failedShards": null, "version": null, "restoreStatus": "none",
            "startTime": 1_533_009_767_542_i64, "endTime": 0, "bucketName": "obs-es-backup",
        });
        assert_eq!(backup, expected);
    }

    #[test]
    fn a_finished_one_has_numbers_and_the_names_that_were_found() {
        let backup = shown(&info(SnapshotState::Success), None);
        assert_eq!(backup["status"], "COMPLETED");
        assert_eq!(backup["updated"], "2018-07-31T04:02:50");
        assert_eq!(backup["endTime"], 1_533_009_770_999_i64);
        assert_eq!(
            (&backup["totalShards"], &backup["failedShards"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(backup["indices"], "myindex1");
        assert_eq!(backup["version"], "7.10.2");
    }

    #[test]
    fn states_have_their_words() {
        let word = |state| shown(&info(state), None)["status"].clone();
        assert_eq!(word(SnapshotState::Partial), "PART_FAILED");
        assert_eq!(word(SnapshotState::Failed), "FAILED");
        assert_eq!(word(SnapshotState::Incompatible), "FAILED");
        let mut run = RestoreRun {
            uuid: String::new(),
            job_id: String::new(),
            repository: String::new(),
            snapshot: String::new(),
            state: RestoreState::Running {
                stage: RestoreStage::Queued,
            },
            error: None,
            start_ms: 0,
            end_ms: None,
            resources: Vec::new(),
            conflicts: Vec::new(),
            bytes_done: 0,
            bytes_total: 0,
        };
        let done = info(SnapshotState::Success);
        assert_eq!(shown(&done, Some(&run))["restoreStatus"], "restoring");
        run.state = RestoreState::Success;
        assert_eq!(shown(&done, Some(&run))["restoreStatus"], "success");
        run.state = RestoreState::Failed;
        assert_eq!(shown(&done, Some(&run))["restoreStatus"], "failed");
    }

    #[test]
    fn automatic_ones_tell_of_their_policy() {
        let origin = Origin {
            automatic: true,
            frequency: Some("DAY".into()),
            keep_day: Some(7),
            period: Some("16:00 GMT+08:00".into()),
            ..Origin::default()
        };
        let info = SnapshotInfo {
            name: "snapshot-1566921603720".into(),
            metadata: Some(origin.metadata()),
            ..info(SnapshotState::Success)
        };
        let backup = shown(&info, None);
        assert_eq!(
            (&backup["backupType"], &backup["backupMethod"]),
            (&json!("0"), &json!("auto"))
        );
        assert_eq!(backup["backupFrequency"], "DAY");
        assert_eq!(backup["backupKeepDay"], 7);
        assert_eq!(backup["backupExpectedStartTime"], "2019-08-27T16:00:03");
    }
}
