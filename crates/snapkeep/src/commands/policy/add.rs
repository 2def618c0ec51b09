//! `snapkeep policy add`: flags, and the policy they make.

use snapkeep_api::native::policies::types::{
    Keep, Monthly, PutPolicy, Retention, Schedule, Verification, Weekly, WhenRunning,
};

use crate::commands::snapshot::parse_metadata;
use crate::exit::Failure;

/// Shown below the help.
pub const EXAMPLES: &str = r#"Examples:
  snapkeep policy add nightly --repository my_backup --daily 01:30 --max-age 30d --min-count 5
  snapkeep policy add orders --repository my_backup --every 15m --index 'orders-*' \
      --keep-hourly 24 --keep-daily 7 --keep-monthly 12
  snapkeep policy add legal --repository vault --monthly 1@03:00 --time-zone Europe/Berlin \
      --lock 3650d --verify-sample 5%
  snapkeep policy add weekly --repository my_backup --weekly sat,sun@04:00 \
      --verify-full '0 0 5 1 * ?'
  snapkeep policy add manual --repository my_backup     Runs only when asked to

Replacing a policy takes all flags anew: what is not given is not kept.
`snapkeep policy preview NAME` tells what retention would remove."#;

/// Flags of `snapkeep policy add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Name of the policy.
    name: String,
    /// Repository that the snapshots go to.
    #[arg(long, value_name = "NAME")]
    repository: String,
    /// Index to take: name, alias, wildcard or `-` exclusion. Repeatable [default: all open indices].
    #[arg(long = "index", short, value_name = "NAME", allow_hyphen_values = true)]
    indices: Vec<String>,
    /// Collection to take: name, wildcard or `-` exclusion. Repeatable [default: none].
    #[arg(long = "collection", value_name = "NAME", allow_hyphen_values = true)]
    collections: Vec<String>,
    /// Take no indices, only collections.
    #[arg(long, conflicts_with = "indices", requires = "collections")]
    no_indices: bool,
    /// Pass over names that do not exist.
    #[arg(long)]
    ignore_unavailable: bool,
    /// Make snapshots PARTIAL instead of FAILED when shards cannot be read.
    #[arg(long)]
    partial: bool,
    /// Leave templates and cluster settings out.
    #[arg(long)]
    no_global_state: bool,
    /// Name of the snapshots; date math is resolved and something random added [default: '<NAME-{now/d}>'].
    #[arg(long, value_name = "TEMPLATE")]
    snapshot_name: Option<String>,
    /// A JSON object to keep with every snapshot.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Make it, but do not let it run by itself yet.
    #[arg(long)]
    disabled: bool,
    /// What happens to a run that is due while one is at work: skip, queue, or skip-when-busy (with anything).
    #[arg(long, value_name = "WHAT", default_value = "skip")]
    when_running: Overlap,
    /// Cancel a run that takes longer, such as 2h.
    #[arg(long, value_name = "DURATION")]
    time_limit: Option<String>,
    #[command(flatten)]
    schedule: ScheduleArgs,
    #[command(flatten)]
    retention: RetentionArgs,
    #[command(flatten)]
    verification: VerificationArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Overlap {
    Skip,
    Queue,
    SkipWhenBusy,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Schedule")]
#[group(id = "schedule_kind", multiple = true)]
struct ScheduleArgs {
    /// Cron expression: 5 fields (minute first), 6 (second first) or 7 (year last).
    #[arg(long, value_name = "EXPRESSION", group = "when")]
    cron: Option<String>,
    /// At a fixed distance, such as 6h or 30m.
    #[arg(long, value_name = "DURATION", group = "when")]
    every: Option<String>,
    /// Every hour at this minute.
    #[arg(long, value_name = "MINUTE", group = "when")]
    hourly: Option<u8>,
    /// Every day at this time.
    #[arg(long, value_name = "HH:MM", group = "when")]
    daily: Option<String>,
    /// On days of the week at a time, such as sun@04:00 or mon,thu@22:30.
    #[arg(long, value_name = "DAYS@HH:MM", group = "when")]
    weekly: Option<String>,
    /// On a day of the month at a time, such as 1@03:00; 31 is the last one of every month.
    #[arg(long, value_name = "DAY@HH:MM", group = "when")]
    monthly: Option<String>,
    /// Time zone of all schedules: an IANA name such as Europe/Berlin, or an offset such as +08:00 [default: UTC].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Retention (nothing is removed unless a rule is given; the last good snapshot never is)"
)]
struct RetentionArgs {
    /// Remove snapshots older than this, such as 30d.
    #[arg(long, value_name = "DURATION")]
    max_age: Option<String>,
    /// Keep so many good ones whatever their age.
    #[arg(long, value_name = "COUNT")]
    min_count: Option<u32>,
    /// Of more good ones remove the oldest.
    #[arg(long, value_name = "COUNT")]
    max_count: Option<u32>,
    /// Keep the last one of so many hours.
    #[arg(long, value_name = "COUNT")]
    keep_hourly: Option<u32>,
    /// Keep the last one of so many days.
    #[arg(long, value_name = "COUNT")]
    keep_daily: Option<u32>,
    /// Keep the last one of so many weeks.
    #[arg(long, value_name = "COUNT")]
    keep_weekly: Option<u32>,
    /// Keep the last one of so many months.
    #[arg(long, value_name = "COUNT")]
    keep_monthly: Option<u32>,
    /// Keep the last one of so many years.
    #[arg(long, value_name = "COUNT")]
    keep_yearly: Option<u32>,
    /// When to apply it, a cron expression [default: after every run and every hour].
    #[arg(long, value_name = "EXPRESSION")]
    retention_cron: Option<String>,
    /// For so long after it was taken nobody can delete a snapshot, whatever API is used, such as 7d.
    #[arg(long, value_name = "DURATION")]
    lock: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verification")]
struct VerificationArgs {
    /// After every run check the repository and read this share of its data, such as 5%.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    verify_sample: Option<f64>,
    /// Read everything at these times, a cron expression such as '0 0 5 1 * ?' (every month).
    #[arg(long, value_name = "EXPRESSION")]
    verify_full: Option<String>,
}

/// `5%` or `0.05`.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "write a share as 5% or 0.05".to_owned())
}

impl AddArgs {
    /// The name of the policy, and what it is to do.
    pub fn policy(self) -> Result<(String, PutPolicy), Failure> {
        let zone = self.schedule.time_zone.clone();
        let cron = |expression: String| Schedule {
            cron: Some(expression),
            time_zone: zone.clone(),
            ..Schedule::default()
        };
        let indices = if self.no_indices {
            Some(Vec::new())
        } else {
            Some(self.indices).filter(|indices| !indices.is_empty())
        };
        let metadata = self.metadata.as_deref().map(parse_metadata).transpose()?;
        let wanted = PutPolicy {
            repository: self.repository,
            schedule: self.schedule.schedule()?,
            name: self.snapshot_name,
            indices,
            collections: self.collections,
            ignore_unavailable: self.ignore_unavailable,
            partial: self.partial,
            include_global_state: !self.no_global_state,
            metadata,
            retention: Retention {
                keep: self.retention.keep(),
                max_age: self.retention.max_age,
                min_count: self.retention.min_count,
                max_count: self.retention.max_count,
                schedule: self.retention.retention_cron.map(&cron),
            },
            lock: self.retention.lock,
            verification: Verification {
                sample_after_run: self.verification.verify_sample,
                full: self.verification.verify_full.map(&cron),
            },
            when_running: match self.when_running {
                Overlap::Skip => WhenRunning::Skip,
                Overlap::Queue => WhenRunning::Queue,
                Overlap::SkipWhenBusy => WhenRunning::SkipWhenBusy,
            },
            time_limit: self.time_limit,
            enabled: !self.disabled,
            expected_version: None,
        };
        Ok((self.name, wanted))
    }
}

impl ScheduleArgs {
    /// None when only a time zone, or nothing, was given.
    fn schedule(self) -> Result<Option<Schedule>, Failure> {
        let schedule = Schedule {
            weekly: self.weekly.as_deref().map(weekly).transpose()?,
            monthly: self.monthly.as_deref().map(monthly).transpose()?,
            cron: self.cron,
            every: self.every,
            hourly: self.hourly,
            daily: self.daily,
            time_zone: None,
        };
        let is_given = schedule != Schedule::default();
        Ok(is_given.then_some(Schedule {
            time_zone: self.time_zone,
            ..schedule
        }))
    }
}

fn weekly(text: &str) -> Result<Weekly, Failure> {
    let (days, at) = text.split_once('@').ok_or_else(|| {
        Failure::usage(format!("--weekly {text} has no time"))
            .hint("write days and a time: --weekly sun@04:00, --weekly mon,thu@22:30")
    })?;
    let days = days.split(',').map(|day| day.trim().to_owned());
    Ok(Weekly {
        days: days.collect(),
        at: at.to_owned(),
    })
}

fn monthly(text: &str) -> Result<Monthly, Failure> {
    let read = text
        .split_once('@')
        .and_then(|(day, at)| Some((day.parse().ok()?, at)));
    let (day, at) = read.ok_or_else(|| {
        Failure::usage(format!("--monthly {text} is no day and time"))
            .hint("write a day and a time: --monthly 1@03:00")
    })?;
    Ok(Monthly {
        day,
        at: at.to_owned(),
    })
}

impl RetentionArgs {
    fn keep(&self) -> Option<Keep> {
        let given = [
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        let keep = Keep {
            hourly: self.keep_hourly.unwrap_or_default(),
            daily: self.keep_daily.unwrap_or_default(),
            weekly: self.keep_weekly.unwrap_or_default(),
            monthly: self.keep_monthly.unwrap_or_default(),
            yearly: self.keep_yearly.unwrap_or_default(),
        };
        given.iter().any(Option::is_some).then_some(keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::{Value, json};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        add: AddArgs,
    }

    fn wanted(flags: &[&str]) -> Result<Value, String> {
        let line = ["add", "nightly", "--repository", "r"].iter().chain(flags);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let (_, wanted) = line.add.policy().map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(wanted).unwrap())
    }

    #[test]
    fn flags_make_a_policy() {
        let policy = wanted(&[
            "--weekly",
            "mon,thu@22:30",
            "--time-zone",
            "Europe/Berlin",
            "--index",
            "logs-*",
            "--index",
            "-logs-debug",
            "--max-age",
            "30d",
            "--keep-daily",
            "7",
            "--lock",
            "7d",
            "--verify-sample",
            "5%",
            "--verify-full",
            "0 0 5 1 * ?",
            "--when-running",
            "queue",
        ])
        .unwrap();
        assert_eq!(
            policy["schedule"],
            json!({"weekly": {"days": ["mon", "thu"], "at": "22:30"}, "time_zone": "Europe/Berlin"})
        );
        assert_eq!(policy["indices"], json!(["logs-*", "-logs-debug"]));
        assert_eq!(policy["retention"]["max_age"], "30d");
        assert_eq!(policy["retention"]["keep"]["daily"], 7);
        assert_eq!(
            policy["verification"],
            json!({"sample_after_run": 0.05, "full": {"cron": "0 0 5 1 * ?", "time_zone": "Europe/Berlin"}})
        );
        assert_eq!(policy["when_running"], "queue");
    }

    #[test]
    fn a_policy_without_schedule_runs_only_when_asked_to() {
        let policy = wanted(&["--time-zone", "UTC"]).unwrap();
        assert_eq!(policy.get("schedule"), None);
        assert_eq!(policy.get("indices"), None);
        assert_eq!(policy["enabled"], true);
    }

    #[test]
    fn collections_alone_are_possible() {
        let policy = wanted(&["--collection", "*", "--no-indices"]).unwrap();
        assert_eq!(policy["indices"], json!([]));
        assert_eq!(policy["collections"], json!(["*"]));
        assert!(wanted(&["--no-indices"]).is_err());
    }

    #[test]
    fn mistakes_are_told() {
        for flags in [
            &["--every", "1h", "--daily", "01:00"][..],
            &["--weekly", "sunday"],
            &["--monthly", "first@01:00"],
            &["--verify-sample", "500%"],
            &["--metadata", "x"],
        ] {
            assert!(wanted(flags).is_err(), "{flags:?}");
        }
    }
}
