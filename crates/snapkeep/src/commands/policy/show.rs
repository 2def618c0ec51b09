//! Policies in words.

use snapkeep_api::native::policies::types::{
    LastRun, Policies, Policy, PolicyRun, PolicyRuns, Retention, RetentionPreview, RunKind,
    RunState, Schedule, Undeleted, Verified,
};

use crate::commands::snapshot;
use crate::output::{duration_ms, table, time};

/// After a policy was made.
pub fn added(policy: &Policy) -> String {
    let hint = if policy.retention == Retention::default() {
        "its snapshots are kept for good; --max-age, --max-count and --keep-… remove old ones"
            .to_owned()
    } else {
        format!(
            "see what retention removes: snapkeep policy preview {}",
            policy.id
        )
    };
    format!(
        "policy {} (version {}): {}, into repository {}\n{}\n{hint}",
        policy.id,
        policy.version,
        policy.schedule_text,
        policy.repository,
        next(policy)
    )
}

/// When it runs next, as a sentence.
pub fn next(policy: &Policy) -> String {
    match policy.state.next_run_ms {
        Some(next) => format!("next run {}", time(next)),
        None => format!("next run: {}", next_time(policy)),
    }
}

fn next_time(policy: &Policy) -> String {
    match policy.state.next_run_ms {
        Some(next) => time(next),
        None if !policy.enabled => "none, it is disabled".to_owned(),
        None => "none, it does not run by itself".to_owned(),
    }
}

/// All policies.
pub fn list(found: &Policies) -> String {
    if found.policies.is_empty() {
        return "no policies\nmake one: snapkeep policy add NAME --repository REPOSITORY --daily 01:30 --max-age 30d".to_owned();
    }
    let rows = found.policies.iter().map(|policy| {
        let state = &policy.state;
        let last = match (&state.in_progress, &state.last_success, &state.last_failure) {
            (Some(_), _, _) => "running".to_owned(),
            (None, good, bad) => last_word(good.as_ref(), bad.as_ref()),
        };
        let next = match state.next_run_ms {
            _ if !policy.enabled => "disabled".to_owned(),
            Some(next) => time(next),
            None if found.stopped.contains(&policy.origin) => "stopped".to_owned(),
            None => "-".to_owned(),
        };
        [
            policy.id.clone(),
            policy.repository.clone(),
            policy.schedule_text.clone(),
            next,
            last,
            state.snapshots_taken.to_string(),
            state.snapshots_failed.to_string(),
        ]
    });
    let header = [
        "POLICY",
        "REPOSITORY",
        "SCHEDULE",
        "NEXT RUN",
        "LAST RUN",
        "TAKEN",
        "FAILED",
    ];
    table(header, rows)
}

fn last_word(good: Option<&LastRun>, bad: Option<&LastRun>) -> String {
    match (good, bad) {
        (None, None) => "never".to_owned(),
        (Some(good), None) => format!("ok {}", time(good.ended_ms)),
        (None, Some(bad)) => format!("failed {}", time(bad.ended_ms)),
        (Some(good), Some(bad)) if good.ended_ms >= bad.ended_ms => {
            format!("ok {}", time(good.ended_ms))
        }
        (Some(_), Some(bad)) => format!("failed {}", time(bad.ended_ms)),
    }
}

/// Everything about a policy.
pub fn details(policy: &Policy) -> String {
    let state = &policy.state;
    let mut lines = vec![
        format!("policy        {}", policy.id),
        format!("repository    {}", policy.repository),
        format!("schedule      {}", policy.schedule_text),
        format!("next run      {}", next_time(policy)),
        format!("indices       {}", names(&policy.indices)),
    ];
    if !policy.collections.is_empty() {
        lines.push(format!("collections   {}", names(&policy.collections)));
    }
    lines.push(format!("names         {}", policy.snapshot_name));
    lines.push(format!("retention     {}", retention(&policy.retention)));
    if let Some(lock) = &policy.lock {
        lines.push(format!("lock          {lock}"));
    }
    let verification = &policy.verification;
    if let Some(share) = verification.sample_after_run {
        lines.push(format!("verification  {}% after every run", share * 100.0));
    }
    if let Some(full) = &verification.full {
        lines.push(format!("verification  everything, {}", schedule(full)));
    }
    if let Some(limit) = &policy.time_limit {
        lines.push(format!("time limit    {limit}"));
    }
    lines.push(format!(
        "version       {}, changed {}",
        policy.version,
        time(policy.modified_ms)
    ));
    lines.push(String::new());
    lines.push(format!(
        "taken {}, failed {}, skipped {}, removed {}, not removed {}",
        state.snapshots_taken,
        state.snapshots_failed,
        state.runs_skipped,
        state.snapshots_deleted,
        state.deletions_failed
    ));
    if let Some(run) = &state.in_progress {
        let snapshot = run.snapshot.as_deref().unwrap_or("a snapshot");
        lines.push(format!(
            "running       {snapshot}, since {}",
            time(run.started_ms)
        ));
    }
    if let Some(last) = &state.last_success {
        lines.push(format!(
            "last success  {}, {}",
            last.snapshot,
            time(last.ended_ms)
        ));
    }
    if let Some(last) = &state.last_failure {
        let details = last.details.as_deref().unwrap_or("no reason was recorded");
        lines.push(format!(
            "last failure  {} {}: {details}",
            last.snapshot,
            time(last.ended_ms)
        ));
    }
    if let Some(verified) = &state.last_verification {
        lines.push(format!("last read     {}", checked(verified)));
    }
    lines.extend(state.undeleted.iter().map(undeleted));
    lines.join("\n")
}

fn names(expressions: &[String]) -> String {
    if expressions.is_empty() {
        "none".to_owned()
    } else {
        expressions.join(", ")
    }
}

fn retention(rules: &Retention) -> String {
    let mut words = Vec::new();
    words.extend(rules.max_age.as_ref().map(|age| format!("up to {age}")));
    words.extend(rules.min_count.map(|count| format!("at least {count}")));
    words.extend(rules.max_count.map(|count| format!("at most {count}")));
    if let Some(keep) = &rules.keep {
        let periods = [
            (keep.hourly, "hours"),
            (keep.daily, "days"),
            (keep.weekly, "weeks"),
            (keep.monthly, "months"),
            (keep.yearly, "years"),
        ];
        for (count, word) in periods.iter().filter(|(count, _)| *count > 0) {
            words.push(format!("one for each of {count} {word}"));
        }
    }
    if words.is_empty() {
        return "kept for good".to_owned();
    }
    let when = match &rules.schedule {
        Some(given) => format!("; applied {}", schedule(given)),
        None => "; applied after every run and every hour".to_owned(),
    };
    words.join(", ") + &when
}

/// A schedule other than that of the policy itself, which the server puts in words.
fn schedule(given: &Schedule) -> String {
    let zone = given.time_zone.as_deref().unwrap_or("UTC");
    let times = [
        given.cron.as_ref().map(|cron| format!("at {cron}")),
        given.every.as_ref().map(|every| format!("every {every}")),
        given
            .hourly
            .map(|minute| format!("every hour at minute {minute}")),
        given.daily.as_ref().map(|at| format!("every day at {at}")),
        given
            .weekly
            .as_ref()
            .map(|weekly| format!("every {} at {}", weekly.days.join(", "), weekly.at)),
        given
            .monthly
            .as_ref()
            .map(|monthly| format!("every month on day {} at {}", monthly.day, monthly.at)),
    ];
    let times: Vec<String> = times.into_iter().flatten().collect();
    format!("{} ({zone})", times.join(", "))
}

fn checked(verified: &Verified) -> String {
    let when = verified.ended_ms.map(time).unwrap_or_default();
    match (verified.ok, &verified.problem) {
        (None, _) => "at work".to_owned(),
        (Some(true), _) => format!("no damage, {when}"),
        (Some(false), problem) => {
            let problem = problem.as_deref().unwrap_or("see the job");
            format!("DAMAGE, {when}: {problem}")
        }
    }
}

fn undeleted(failure: &Undeleted) -> String {
    format!(
        "not removed   {}: {} (last tried {})",
        failure.snapshot,
        failure.reason,
        time(failure.at_ms)
    )
}

/// What a policy did.
pub fn runs(found: &PolicyRuns) -> String {
    if found.runs.is_empty() {
        return "no runs yet".to_owned();
    }
    let rows = found.runs.iter().map(|run| {
        let took = run
            .ended_ms
            .map(|ended| duration_ms(ended - run.started_ms))
            .unwrap_or_default();
        [
            time(run.started_ms),
            kind(run.kind).to_owned(),
            cause(run),
            state(run.state).to_owned(),
            took,
            about(run),
        ]
    });
    table(["BEGUN", "WHAT", "WHY", "STATE", "TOOK", ""], rows)
}

fn kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Snapshot => "snapshot",
        RunKind::Retention => "retention",
        RunKind::Verification => "verification",
    }
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Success => "ok",
        RunState::Partial => "partial",
        RunState::Failed => "failed",
        RunState::Skipped => "skipped",
    }
}

fn cause(run: &PolicyRun) -> String {
    match (run.scheduled_ms, run.missed) {
        // Mostly because a snapshot was taken; who asked is not recorded.
        (None, _) if run.kind == RunKind::Retention => "-".to_owned(),
        (None, _) => "asked for".to_owned(),
        (Some(_), 0) => "schedule".to_owned(),
        (Some(_), missed) => format!("schedule, {missed} missed"),
    }
}

fn about(run: &PolicyRun) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(run.snapshot.clone());
    if !run.deleted.is_empty() {
        words.push(format!("removed {}", run.deleted.join(", ")));
    }
    let failures = run.undeleted.iter();
    words.extend(failures.map(|failure| format!("kept {}: {}", failure.snapshot, failure.reason)));
    words.extend(run.reason.clone());
    words.extend(
        run.verification
            .as_ref()
            .map(|found| format!("verified: {}", checked(found))),
    );
    words.join("; ")
}

/// What a round of retention did.
pub fn retained(run: &PolicyRun) -> String {
    let mut lines = vec![match run.deleted.as_slice() {
        [] => "nothing to remove".to_owned(),
        removed => format!(
            "removed {}; reclaim the space: snapkeep prune {}",
            removed.join(", "),
            run.repository
        ),
    }];
    lines.extend(run.undeleted.iter().map(undeleted));
    lines.extend(run.reason.clone());
    lines.join("\n")
}

/// What retention would do.
pub fn preview(found: &RetentionPreview) -> String {
    if found.snapshots.is_empty() {
        return "the policy has no snapshots yet".to_owned();
    }
    let rows = found.snapshots.iter().map(|verdict| {
        let word = if verdict.keep { "keep" } else { "remove" };
        [
            word.to_owned(),
            verdict.snapshot.clone(),
            snapshot::word(verdict.state).to_owned(),
            time(verdict.start_ms),
            verdict.reason.clone(),
        ]
    });
    let verdicts = table(["", "SNAPSHOT", "STATE", "TAKEN", "WHY"], rows);
    format!("retention at {}\n{verdicts}", time(found.at_ms))
}
