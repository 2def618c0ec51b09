//! Policies over simulated time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use snapkeep_engine::{
    Clock, Expected, NameTemplate, PolicyKey, PolicyRun, PolicySpec, Schedule, ScheduleKind,
    SimulatedTime,
};

use super::{World, open_at, some_documents};

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-01-01T00:30:00Z.
pub const START_MS: i64 = 1_767_227_400_000;

/// An engine whose clock stands at [`START_MS`], with a repository and an index.
pub async fn policy_world() -> (World, Clock, SimulatedTime) {
    let (clock, time) = Clock::simulated(START_MS);
    let world = open_at(Arc::new(tempfile::tempdir().unwrap()), clock.clone()).await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 20));
    (world, clock, time)
}

pub fn schedule(kind: ScheduleKind) -> Option<Schedule> {
    Some(Schedule {
        kind,
        time_zone: "UTC".into(),
    })
}

pub fn hourly() -> PolicySpec {
    let template = NameTemplate::Dated {
        prefix: "s-".into(),
        date_format: "yyyyMMdd-HHmmss".into(),
        time_zone: "UTC".into(),
        random: 0,
    };
    PolicySpec {
        schedule: schedule(ScheduleKind::Hourly { minute: 0 }),
        ..PolicySpec::new("backup", template)
    }
}

impl World {
    /// Time goes on, and all that is due in it is done.
    pub async fn live(&self, time: &SimulatedTime, ms: i64) {
        time.advance(ms);
        self.engine.run_due_policies().await.unwrap();
    }

    pub async fn put_policy(&self, key: &PolicyKey, spec: PolicySpec) {
        self.engine
            .put_policy(key, spec, Expected::Anything)
            .await
            .unwrap();
    }

    pub async fn names(&self) -> Vec<String> {
        let snapshots = self.engine.snapshots("backup").await.unwrap();
        snapshots.into_iter().map(|info| info.name).collect()
    }

    pub async fn runs(&self, key: &PolicyKey) -> Vec<PolicyRun> {
        self.engine.policy_runs(key, 1000).await.unwrap()
    }

    /// Waits for a run that is as wanted.
    pub async fn run_that(
        &self,
        key: &PolicyKey,
        wanted: impl Fn(&PolicyRun) -> bool,
    ) -> PolicyRun {
        for _ in 0..600 {
            if let Some(run) = self.runs(key).await.into_iter().find(&wanted) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no such run: {:#?}", self.runs(key).await);
    }

    /// Snapshots take their time from now on.
    pub async fn slow_down(&self) {
        let slow = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "20kb" });
        self.register_with("backup", slow).await.unwrap();
        self.put("a", some_documents(20, 20_000));
    }
}
