//! The scheduler: asks each policy's timetable what is to be done now, and sleeps until the next due time.

use std::sync::Arc;
use std::time::Duration;

use super::run::new_run;
use super::timetable::{Action, Situation, step};
use crate::catalogue::PolicyRow;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::model::{Policy, PolicyKey, PolicyRun, RunKind, RunState};
use crate::workers::{Step, Worker};

/// Name by which it is woken.
pub(super) const NAME: &str = "policy-scheduler";
/// Longest sleep: the clock of the machine may be set.
const LONGEST_SLEEP_MS: i64 = 30_000;
/// Longest sleep while something runs that has a limit of time.
const LIMIT_POLL_MS: i64 = 1000;

/// Does what is due, as a background worker.
#[derive(Debug, Default)]
pub(crate) struct PolicyWorker {
    listens: bool,
}

impl Worker for PolicyWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn step(&mut self, inner: &Arc<Inner>) -> Result<Step, EngineError> {
        if !self.listens {
            self.listens = true;
            // Weak: the clock may outlive the engine.
            let weak = Arc::downgrade(inner);
            inner.config.clock.on_change(move || {
                if let Some(inner) = weak.upgrade() {
                    inner.workers.wake(NAME);
                }
            });
        }
        let engine = Engine {
            inner: Arc::clone(inner),
        };
        // What is begun goes on by itself.
        let Round {
            next_wake_ms,
            count,
        } = engine.tick().await?;
        let now_ms = inner.config.clock.now_ms();
        let wait_ms = next_wake_ms.map_or(LONGEST_SLEEP_MS, |next| {
            (next - now_ms).clamp(1, LONGEST_SLEEP_MS)
        });
        Ok(Step::Idle(
            Duration::from_millis(wait_ms.unsigned_abs()),
            format!("{count} policies"),
        ))
    }
}

/// What one look at all policies led to.
#[derive(Debug, Default)]
struct Round {
    next_wake_ms: Option<i64>,
    count: usize,
}

impl Engine {
    /// Does what is due now and returns when all of it is done, verification and retention after runs included. The scheduler does
    /// this by itself; this is for those who set the clock and want to see what came of it.
    pub async fn run_due_policies(&self) -> Result<(), EngineError> {
        self.tick().await?;
        self.inner.policies.idle().await;
        Ok(())
    }

    /// Looks at all policies and begins what is due.
    async fn tick(&self) -> Result<Round, EngineError> {
        let inner = &self.inner;
        let _tick = inner.policies.tick.lock().await;
        if inner.activity().closed {
            // What is due now is caught up after the next start.
            return Ok(Round::default());
        }
        let rows = inner.catalogue.policies(None).await?;
        let paused = inner.catalogue.paused_origins().await?;
        let mut round = Round {
            next_wake_ms: None,
            count: rows.len(),
        };
        for row in rows {
            let key = row.policy.key.clone();
            let is_paused = paused.iter().any(|of| of == key.origin.kind().as_str());
            match self.look_at(row, is_paused).await {
                Ok(next) => {
                    round.next_wake_ms = [round.next_wake_ms, next].into_iter().flatten().min();
                }
                Err(error) => {
                    tracing::error!(policy = %key, %error, "a policy could not be looked at; it is tried again");
                }
            }
        }
        Ok(round)
    }

    /// Begins what is due for one policy; says when to look again.
    async fn look_at(&self, row: PolicyRow, paused: bool) -> Result<Option<i64>, EngineError> {
        let inner = &self.inner;
        let policy = row.policy;
        let key = &policy.key;
        let now_ms = inner.config.clock.now_ms();
        let running = inner.policies.run_of(key);
        let situation = Situation {
            now_ms,
            paused,
            running_since_ms: running.as_ref().map(|run| run.started_ms),
            busy: {
                let activity = inner.activity();
                !activity.snapshots.is_empty() || !activity.restores.is_empty()
            },
        };
        let (table, actions) = step(&policy, &row.timetable, situation);
        let next_wake_ms = match (policy.spec.time_limit_ms, &running) {
            (Some(_), Some(_)) => Some(now_ms + LIMIT_POLL_MS),
            _ => table.next_wake_ms(),
        };
        if table == row.timetable && actions.is_empty() {
            return Ok(next_wake_ms);
        }
        // The run is noted in memory first: one that somebody asked for may begin at the same time.
        let mut to_run: Option<PolicyRun> = None;
        let mut skipped: Vec<PolicyRun> = Vec::new();
        for action in &actions {
            match action {
                Action::Run(due) => {
                    let mut run = new_run(&policy, RunKind::Snapshot, Some(*due), now_ms);
                    if inner.policies.begin(key, &run) {
                        to_run = Some(run);
                    } else {
                        skip(&mut run, "the run before it was still under way");
                        skipped.push(run);
                    }
                }
                Action::Skip { due, reason } => {
                    let mut run = new_run(&policy, RunKind::Snapshot, Some(*due), now_ms);
                    skip(&mut run, reason);
                    skipped.push(run);
                }
                Action::Retain | Action::VerifyAll(_) | Action::Cancel { .. } => {}
            }
        }
        // In one step: a run that was due is either still due or noted as begun.
        let noted = async {
            let mut write = inner.catalogue.write().await?;
            let known = write.policy(key).await?;
            let unchanged = |known: &PolicyRow| {
                known.policy.version == policy.version && known.timetable == row.timetable
            };
            let Some(mut known) = known.filter(unchanged) else {
                return Ok(false);
            };
            known.timetable = table;
            write.put_policy(&known).await?;
            if let Some(run) = &to_run {
                write.put_policy_run(key, run).await?;
            }
            write.commit().await?;
            Ok::<_, EngineError>(true)
        };
        let is_noted = noted.await;
        if !matches!(is_noted, Ok(true)) && to_run.is_some() {
            inner.policies.end(key);
        }
        if !is_noted? {
            // Changed meanwhile: it is looked at again as it is now.
            return Ok(Some(now_ms));
        }
        for run in &skipped {
            inner.note_run_end(key, run).await?;
        }
        for action in actions {
            match action {
                Action::Run(_) => {
                    if let Some(run) = to_run.take() {
                        self.begin_task(&policy, |engine, policy| async move {
                            engine.carry_out(&policy, run).await;
                        });
                    }
                }
                Action::Skip { .. } => {}
                Action::Retain => self.begin_task(&policy, |engine, policy| async move {
                    engine.retain_and_tell(&policy.key).await;
                }),
                Action::VerifyAll(due) => {
                    self.begin_task(&policy, |engine, policy| async move {
                        engine.verify_all(&policy, due).await;
                    });
                }
                Action::Cancel { reason } => cancel(self, key, running.as_ref(), &reason),
            }
        }
        Ok(next_wake_ms)
    }

    /// Lets work go on by itself.
    fn begin_task<F: Future<Output = ()> + Send + 'static>(
        &self,
        policy: &Policy,
        work: impl FnOnce(Self, Policy) -> F,
    ) {
        let followed = self.inner.policies.follow();
        let work = work(self.clone(), policy.clone());
        self.inner.runtime.spawn(async move {
            let _followed = followed;
            work.await;
        });
    }
}

fn skip(run: &mut PolicyRun, reason: &str) {
    run.state = RunState::Skipped;
    run.ended_ms = Some(run.started_ms);
    run.reason = Some(reason.to_owned());
}

fn cancel(engine: &Engine, key: &PolicyKey, running: Option<&PolicyRun>, reason: &str) {
    let job_id = running.and_then(|run| run.job_id.as_ref());
    let job = job_id.and_then(|id| engine.inner.activity().jobs.get(id).cloned());
    if let Some(job) = job {
        tracing::warn!(policy = %key, reason, "a run of a policy is cancelled");
        job.cancel(reason);
    }
}
