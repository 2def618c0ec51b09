//! Which snapshots a policy still keeps: a pure function of the rules, the snapshots and the time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::schedule::duration;
use crate::model::{Gfs, Retention, RetentionVerdict, SnapshotState};

/// Age at which failed snapshots go when the policy names none, milliseconds: 30 days.
const FAILED_AGE_MS: i64 = 30 * 86_400_000;
/// Failed snapshots that are kept at most.
const KEPT_FAILURES: usize = 10;

/// A finished snapshot that retention may judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) state: SnapshotState,
    pub(crate) start_ms: i64,
    pub(crate) locked_until_ms: Option<i64>,
}

impl Candidate {
    fn is_good(&self) -> bool {
        matches!(self.state, SnapshotState::Success | SnapshotState::Partial)
    }

    fn is_complete(&self) -> bool {
        self.state == SnapshotState::Success
    }
}

impl Retention {
    /// Whether it ever deletes anything.
    pub(crate) fn has_rules(&self) -> bool {
        self.max_age_ms.is_some() || self.max_count.is_some() || self.gfs.is_some()
    }
}

/// What stays and what goes, oldest first. `zone` is where the hours, days, … of [`Gfs`] begin.
pub(crate) fn judge(
    rules: &Retention,
    zone: &TimeZone,
    mut candidates: Vec<Candidate>,
    now_ms: i64,
) -> Vec<RetentionVerdict> {
    // Newest first: ranks are counted from there.
    candidates.sort_by(|a, b| (b.start_ms, &b.name).cmp(&(a.start_ms, &a.name)));
    let last_good = candidates
        .iter()
        .position(Candidate::is_complete)
        .or_else(|| candidates.iter().position(Candidate::is_good));
    let periods = rules
        .gfs
        .map(|gfs| kept_periods(gfs, zone, &candidates))
        .unwrap_or_default();
    let mut ranks = Ranks::default();
    let mut verdicts: Vec<RetentionVerdict> = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let rank = ranks.next(candidate);
        let verdict = if last_good == Some(at) {
            Err("it is the last good snapshot".to_owned())
        } else if let Some(until_ms) = lock_of(candidate, now_ms) {
            Err(format!("it is locked until {}", time(until_ms)))
        } else if !rules.has_rules() {
            Err("the policy deletes nothing".to_owned())
        } else if candidate.is_good() {
            judge_good(rules, candidate, rank, periods.get(&at), now_ms)
        } else if candidate.state == SnapshotState::Failed {
            judge_failed(rules, candidate, rank, now_ms)
        } else {
            Err("this version cannot read it".to_owned())
        };
        let delete = verdict.is_ok();
        let (Ok(reason) | Err(reason)) = verdict;
        verdicts.push(RetentionVerdict {
            snapshot: candidate.name.clone(),
            uuid: candidate.uuid.clone(),
            state: candidate.state,
            start_ms: candidate.start_ms,
            delete,
            reason,
        });
    }
    verdicts.reverse();
    verdicts
}

/// Newer snapshots of the same kind, counted while going from the newest to the oldest.
#[derive(Debug, Default)]
struct Ranks {
    complete: usize,
    partial: usize,
    failed: usize,
}

/// Where a snapshot stands: how many newer ones are complete, and how many are of its own kind.
#[derive(Debug, Clone, Copy)]
struct Rank {
    newer_complete: usize,
    newer_alike: usize,
}

impl Ranks {
    fn next(&mut self, candidate: &Candidate) -> Rank {
        let newer_complete = self.complete;
        let alike = match candidate.state {
            SnapshotState::Success => &mut self.complete,
            SnapshotState::Partial => &mut self.partial,
            _ => &mut self.failed,
        };
        let newer_alike = *alike;
        *alike += 1;
        Rank {
            newer_complete,
            newer_alike,
        }
    }
}

fn lock_of(candidate: &Candidate, now_ms: i64) -> Option<i64> {
    candidate.locked_until_ms.filter(|until| *until > now_ms)
}

/// `Ok` = it goes, `Err` = it stays; with the reason.
fn judge_good(
    rules: &Retention,
    candidate: &Candidate,
    rank: Rank,
    periods: Option<&Vec<&'static str>>,
    now_ms: i64,
) -> Result<String, String> {
    if let Some(periods) = periods {
        return Err(format!("it is the {} one", periods.join(", ")));
    }
    let age_ms = now_ms.saturating_sub(candidate.start_ms);
    let minimum = rules.min_count.unwrap_or(0) as usize;
    // Only complete ones count: a row of partial ones must not push out what can be restored in full.
    let in_minimum = candidate.is_complete() && rank.newer_complete < minimum;
    if let Some(most) = rules.max_count {
        let most = most as usize;
        if rank.newer_complete >= most || rank.newer_alike >= most {
            return Ok(format!("there are {most} newer ones"));
        }
    }
    if in_minimum {
        return Err(format!("it is one of the {minimum} that are always kept"));
    }
    match rules.max_age_ms {
        Some(limit) if age_ms > limit => Ok(format!("it is older than {}", duration(limit))),
        Some(limit) => Err(format!("it is not older than {}", duration(limit))),
        None if rules.gfs.is_some() => Ok("no hour, day, week, month or year keeps it".to_owned()),
        None => Err("there are not too many".to_owned()),
    }
}

fn judge_failed(
    rules: &Retention,
    candidate: &Candidate,
    rank: Rank,
    now_ms: i64,
) -> Result<String, String> {
    let limit = rules.max_age_ms.unwrap_or(FAILED_AGE_MS);
    if now_ms.saturating_sub(candidate.start_ms) > limit {
        return Ok(format!("it failed and is older than {}", duration(limit)));
    }
    if rank.newer_alike >= KEPT_FAILURES {
        return Ok(format!("it failed, and so did {KEPT_FAILURES} newer ones"));
    }
    Err("it failed not long ago".to_owned())
}

/// Numbers that are the same for all moments of one period and for no others.
type PeriodOf = fn(&jiff::Zoned) -> [i64; 3];

/// Which snapshots (by position) are kept for which periods. A period keeps its newest complete snapshot, a partial one only when it has
/// no other; periods without snapshots do not count.
fn kept_periods(
    gfs: Gfs,
    zone: &TimeZone,
    newest_first: &[Candidate],
) -> BTreeMap<usize, Vec<&'static str>> {
    let mut kept: BTreeMap<usize, Vec<&'static str>> = BTreeMap::new();
    let rules: [(&'static str, u32, PeriodOf); 5] = [
        // With its offset: an hour that the clocks repeat is two hours.
        ("hourly", gfs.hourly, |at| {
            let day = day_number(at);
            [day, i64::from(at.hour()), i64::from(at.offset().seconds())]
        }),
        ("daily", gfs.daily, |at| [day_number(at), 0, 0]),
        ("weekly", gfs.weekly, |at| {
            let week = at.date().iso_week_date();
            [i64::from(week.year()), i64::from(week.week()), 0]
        }),
        ("monthly", gfs.monthly, |at| {
            [i64::from(at.year()), i64::from(at.month()), 0]
        }),
        ("yearly", gfs.yearly, |at| [i64::from(at.year()), 0, 0]),
    ];
    for (name, count, period_of) in rules {
        // Periods from the newest on, each with the one it keeps so far.
        let mut periods: Vec<([i64; 3], usize)> = Vec::new();
        for (at, candidate) in newest_first.iter().enumerate() {
            let Some(start) = zoned(candidate, zone).filter(|_| candidate.is_good()) else {
                continue;
            };
            let period = period_of(&start);
            if let Some((known, keeper)) = periods.last_mut()
                && *known == period
            {
                if candidate.is_complete() && !newest_first[*keeper].is_complete() {
                    *keeper = at;
                }
                continue;
            }
            if periods.len() >= count as usize {
                break;
            }
            periods.push((period, at));
        }
        for (_, keeper) in periods {
            kept.entry(keeper).or_default().push(name);
        }
    }
    kept
}

fn day_number(at: &jiff::Zoned) -> i64 {
    i64::from(at.year()) * 1000 + i64::from(at.day_of_year())
}

fn zoned(candidate: &Candidate, zone: &TimeZone) -> Option<jiff::Zoned> {
    let start = Timestamp::from_millisecond(candidate.start_ms).ok()?;
    Some(start.to_zoned(zone.clone()))
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests;
