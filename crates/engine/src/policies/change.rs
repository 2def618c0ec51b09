//! Making, changing and removing policies, and stopping a dialect's scheduler.

use super::scheduler::NAME as WORKER;
use super::timetable::Timetable;
use super::validate;
use crate::catalogue::{PolicyRecord, PolicyRow};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{Expected, OriginKind, Policy, PolicyKey, PolicySpec, Schedule, ScheduleKind};

/// Policies that there may be.
const MOST_POLICIES: i64 = 10_000;

/// What became of [`Engine::put_policy`].
#[derive(Debug, Clone, PartialEq)]
pub struct PutPolicy {
    /// The policy as it is now.
    pub policy: Policy,
    /// True when there was none of this name.
    pub created: bool,
    /// False when it was put as it already was: version and date stay.
    pub changed: bool,
}

impl Engine {
    /// Makes or replaces a policy. Its repository must be registered ([`EngineError::RepositoryMissing`]); what cannot be used is
    /// [`EngineError::PolicyInvalid`], what `expected` does not accept [`EngineError::PolicyConflict`], [`EngineError::PolicyExists`]
    /// or [`EngineError::PolicyMissing`]. The next run is computed from now.
    pub async fn put_policy(
        &self,
        key: &PolicyKey,
        mut spec: PolicySpec,
        expected: Expected,
    ) -> Result<PutPolicy, EngineError> {
        let inner = &self.inner;
        let now_ms = inner.config.clock.now_ms();
        validate::check(key, &spec, now_ms)?;
        inner.registered(&spec.repository).await?;
        let mut write = inner.catalogue.write().await?;
        let known = write.policy(key).await?;
        accept(key, known.as_ref(), expected)?;
        if known.is_none() && write.count_policies().await? >= MOST_POLICIES {
            return Err(EngineError::PolicyInvalid {
                policy: key.clone(),
                field: "name",
                reason: format!("there are {MOST_POLICIES} policies already; remove some first"),
            });
        }
        anchor(&mut spec, known.as_ref().map(|row| &row.policy), now_ms);
        if let Some(row) = &known
            && row.policy.spec == spec
        {
            return Ok(PutPolicy {
                policy: row.policy.clone(),
                created: false,
                changed: false,
            });
        }
        let policy = Policy {
            key: key.clone(),
            spec,
            version: known.as_ref().map_or(1, |row| row.policy.version + 1),
            created_ms: known.as_ref().map_or(now_ms, |row| row.policy.created_ms),
            modified_ms: now_ms,
        };
        let created = known.is_none();
        let queued = known.as_ref().and_then(|row| row.timetable.queued);
        let row = PolicyRow {
            timetable: Timetable {
                queued: queued.filter(|_| policy.spec.enabled),
                ..Timetable::new(&policy, now_ms)
            },
            record: known.map_or_else(PolicyRecord::default, |row| row.record),
            policy,
        };
        write.put_policy(&row).await?;
        write.commit().await?;
        inner.workers.wake(WORKER);
        Ok(PutPolicy {
            policy: row.policy,
            created,
            changed: true,
        })
    }

    /// Forgets a policy with its history; its snapshots stay. A run under way goes on.
    pub async fn remove_policy(&self, key: &PolicyKey) -> Result<(), EngineError> {
        let mut write = self.inner.catalogue.write().await?;
        if !write.remove_policy(key).await? {
            return Err(missing(key));
        }
        write.commit().await
    }

    /// Switches a policy on or off; the version goes up when that changes it. When switched on, nothing is caught up.
    pub async fn set_policy_enabled(
        &self,
        key: &PolicyKey,
        enabled: bool,
    ) -> Result<Policy, EngineError> {
        let policy = self.policy(key).await?;
        let spec = PolicySpec {
            enabled,
            ..policy.spec
        };
        // Changed by somebody else meanwhile: that is told, not undone.
        let put = self
            .put_policy(key, spec, Expected::Version(policy.version))
            .await?;
        Ok(put.policy)
    }

    /// Whether the scheduler of a dialect is stopped.
    pub async fn scheduler_paused(&self, of: OriginKind) -> Result<bool, EngineError> {
        Ok(self.inner.catalogue.policy_origin(of).await?.paused)
    }

    /// Stops the scheduler of a dialect, durably: its policies neither run nor delete by themselves. What runs goes on.
    pub async fn pause_scheduler(&self, of: OriginKind) -> Result<(), EngineError> {
        self.set_paused(of, true).await
    }

    /// Starts it again; nothing is caught up.
    pub async fn resume_scheduler(&self, of: OriginKind) -> Result<(), EngineError> {
        self.set_paused(of, false).await
    }

    async fn set_paused(&self, of: OriginKind, paused: bool) -> Result<(), EngineError> {
        let now_ms = self.inner.config.clock.now_ms();
        let rows = self.inner.catalogue.policies(Some(of)).await?;
        let mut write = self.inner.catalogue.write().await?;
        let mut was_paused = paused;
        write
            .change_policy_origin(of, |origin| {
                was_paused = std::mem::replace(&mut origin.paused, paused);
            })
            .await?;
        if was_paused && !paused {
            // Times that passed while it was stopped are not due, also when nobody looked meanwhile.
            for row in rows {
                if let Some(mut row) = write.policy(&row.policy.key).await? {
                    row.timetable = Timetable::new(&row.policy, now_ms);
                    write.put_policy(&row).await?;
                }
            }
        }
        write.commit().await?;
        self.inner.workers.wake(WORKER);
        Ok(())
    }
}

pub(super) fn missing(key: &PolicyKey) -> EngineError {
    EngineError::PolicyMissing {
        policy: key.clone(),
    }
}

fn accept(
    key: &PolicyKey,
    known: Option<&PolicyRow>,
    expected: Expected,
) -> Result<(), EngineError> {
    match (known, expected) {
        (Some(_), Expected::Absent) => Err(EngineError::PolicyExists {
            policy: key.clone(),
        }),
        (None, Expected::Present | Expected::Version(_)) => Err(missing(key)),
        (Some(row), Expected::Version(version)) if row.policy.version != version => {
            Err(EngineError::PolicyConflict {
                policy: key.clone(),
                expected: version,
                current: row.policy.version,
            })
        }
        _ => Ok(()),
    }
}

/// Intervals without a beginning count from now, or go on as they were when they have not changed.
fn anchor(spec: &mut PolicySpec, known: Option<&Policy>, now_ms: i64) {
    let of_known = |pick: fn(&PolicySpec) -> Option<&Schedule>| known.and_then(|p| pick(&p.spec));
    let before = [
        of_known(|spec| spec.schedule.as_ref()).cloned(),
        of_known(|spec| spec.retention_schedule.as_ref()).cloned(),
        of_known(|spec| spec.verification.full.as_ref()).cloned(),
    ];
    let schedules = [
        &mut spec.schedule,
        &mut spec.retention_schedule,
        &mut spec.verification.full,
    ];
    for (schedule, before) in schedules.into_iter().zip(before) {
        let Some(ScheduleKind::Every {
            interval_ms,
            anchor_ms: anchor_ms @ None,
        }) = schedule.as_mut().map(|schedule| &mut schedule.kind)
        else {
            continue;
        };
        let going_on = match before.map(|before| before.kind) {
            Some(ScheduleKind::Every {
                interval_ms: known,
                anchor_ms,
            }) if known == *interval_ms => anchor_ms,
            _ => None,
        };
        *anchor_ms = Some(going_on.unwrap_or(now_ms));
    }
}
