//! Policies: what is snapshotted when, where to, and how long it is kept.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule::{Schedule, utc};

/// Whose policy it is. Names are unique within one origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOrigin {
    /// Elasticsearch's snapshot lifecycle management.
    Slm,
    /// OpenSearch's snapshot management.
    Sm,
    /// The automatic snapshots of a cluster in Huawei's dialect.
    HuaweiCss {
        /// Id of the cluster, without `/`.
        cluster: String,
    },
    /// The automatic snapshots of an instance in Alibaba's dialect.
    Alibaba {
        /// Id of the instance, without `/`.
        instance: String,
    },
    /// The native API and the command line.
    Native,
}

/// A dialect that has policies, for what holds for all of its policies (stopping its scheduler, its totals).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum OriginKind {
    Slm,
    Sm,
    HuaweiCss,
    Alibaba,
    Native,
}

/// Names a policy. As text `slm/daily`, `sm/daily`, `native/daily`, `huawei_css/<cluster>/<name>`, `alibaba/<instance>/<name>`;
/// this text is what [`SnapshotInfo::policy`](crate::SnapshotInfo::policy) holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyKey {
    /// Whose.
    pub origin: PolicyOrigin,
    /// Its name there.
    pub name: String,
}

/// What is snapshotted. Resolved anew at each run, against what is there then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Expressions for indices (names, wildcards, `-` exclusions, comma lists). `["*"]` = all; **empty = no index at all**.
    pub indices: Vec<String>,
    /// Names of collections, `*` and `?` allowed, `-` before a pattern excludes. `["*"]` = all; **empty = no collection at all**.
    pub collections: Vec<String>,
    /// Names without wildcards that do not exist are left out instead of failing the run.
    pub ignore_unavailable: bool,
    /// Whether wildcards match open indices.
    pub expand_open: bool,
    /// Whether wildcards match closed indices.
    pub expand_closed: bool,
    /// Whether wildcards match hidden indices.
    pub expand_hidden: bool,
    /// Whether templates and cluster settings are included.
    pub include_global_state: bool,
    /// Whether shards that cannot be read make the snapshot PARTIAL instead of FAILED.
    pub partial: bool,
}

impl Default for Selection {
    /// All indices, open, closed and hidden, with the global state; no collection.
    fn default() -> Self {
        Self {
            indices: vec!["*".to_owned()],
            collections: Vec::new(),
            ignore_unavailable: false,
            expand_open: true,
            expand_closed: true,
            expand_hidden: true,
            include_global_state: true,
            partial: false,
        }
    }
}

/// How a policy names its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NameTemplate {
    /// `<date math>-<22 random lower-case letters and digits>`, as SLM does.
    DateMath {
        /// The name, possibly date math (`<daily-{now/d}>`).
        expression: String,
    },
    /// A date between a prefix and a random tail.
    Dated {
        /// As it is, with whatever separates it from the date (`daily-`, `es-cn-1_`).
        prefix: String,
        /// Java date format (`yyyyMMddHHmmss`, `yyyy-MM-dd't'HH:mm:ss`). The date is the moment the run begins.
        date_format: String,
        /// Zone of the date: IANA name, `UTC` or an offset.
        #[serde(default = "utc")]
        time_zone: String,
        /// Random lower-case letters and digits after a `-`; 0 = none, without the `-`. At most 32.
        #[serde(default)]
        random: u8,
    },
    /// `<prefix>-<milliseconds since 1970>`.
    EpochMillis {
        /// The prefix.
        prefix: String,
    },
}

/// How many snapshots of each period are kept: of every hour, day, … the last good one, for so many periods that have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gfs {
    /// Hours.
    pub hourly: u32,
    /// Days.
    pub daily: u32,
    /// Weeks, beginning on Monday.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
}

/// How long snapshots are kept. Without any rule they are kept for good.
///
/// Good snapshots (SUCCESS, PARTIAL) are deleted when older than `max_age_ms` unless that would leave fewer than `min_count`
/// successful ones, and when there are more than `max_count` of them. With `gfs` a good snapshot that it keeps stays whatever the
/// other rules say, and one that it does not keep goes unless `max_age_ms` or `min_count` keep it. The newest good one and locked
/// ones always stay. Failed ones go when older than `max_age_ms` (30 days without that) and beyond the ten newest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Longest age, milliseconds from the start of the snapshot.
    pub max_age_ms: Option<i64>,
    /// Successful snapshots that age does not remove.
    pub min_count: Option<u32>,
    /// Most good snapshots.
    pub max_count: Option<u32>,
    /// Grandfather, father, son.
    pub gfs: Option<Gfs>,
    /// Zone in which its hours, days, … begin; the schedule's when missing.
    pub time_zone: Option<String>,
    /// Snapshots whose names match (`*`, `?`) count as the policy's own although something else made them. Usually none.
    pub also_matching: Vec<String>,
}

/// How snapshots are proved after they were taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerificationPlan {
    /// After each good run the repository is checked and this share of its packs is read, above 0.0 to 1.0.
    pub sample_after_run: Option<f64>,
    /// Every byte of the repository is read at these times.
    pub full: Option<Schedule>,
}

/// What happens to a run that is due while one of the same policy runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenRunning {
    /// It is left out, and recorded as skipped.
    #[default]
    Skip,
    /// It begins when the other has ended; several that wait become one.
    Queue,
    /// It is left out also when any other snapshot or restore runs on the cluster, whoever asked for that.
    SkipWhenBusy,
}

/// What somebody wants of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// False: it never runs by itself; retention and the full verification stop too.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where to; must be registered when the policy is put.
    pub repository: String,
    /// What.
    #[serde(default)]
    pub selection: Selection,
    /// When; none = only when asked for.
    pub schedule: Option<Schedule>,
    /// How snapshots are named.
    pub name_template: NameTemplate,
    /// Kept with each snapshot. For SLM the engine adds `policy`, for SM `sm_policy`: the name of the policy.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// How long snapshots are kept.
    #[serde(default)]
    pub retention: Retention,
    /// When retention runs; none = after each run and every hour.
    #[serde(default)]
    pub retention_schedule: Option<Schedule>,
    /// Each good snapshot is locked for so many milliseconds from its start.
    #[serde(default)]
    pub lock_ms: Option<i64>,
    /// How snapshots are proved.
    #[serde(default)]
    pub verification: VerificationPlan,
    /// A due run while one runs.
    #[serde(default)]
    pub when_running: WhenRunning,
    /// A run that takes longer is cancelled and has failed.
    #[serde(default)]
    pub time_limit_ms: Option<i64>,
    /// Whatever else the dialect wants kept and given back, verbatim.
    #[serde(default)]
    pub extra: Value,
}

fn yes() -> bool {
    true
}

impl PolicySpec {
    /// An enabled policy that takes everything of the store's indices when asked to; fill in the rest.
    pub fn new(repository: impl Into<String>, name_template: NameTemplate) -> Self {
        Self {
            enabled: true,
            repository: repository.into(),
            selection: Selection::default(),
            schedule: None,
            name_template,
            metadata: None,
            retention: Retention::default(),
            retention_schedule: None,
            lock_ms: None,
            verification: VerificationPlan::default(),
            when_running: WhenRunning::default(),
            time_limit_ms: None,
            extra: Value::Null,
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name and whose it is.
    pub key: PolicyKey,
    /// What it does.
    #[serde(flatten)]
    pub spec: PolicySpec,
    /// 1 when new; one more with each change. Putting the same again changes nothing.
    pub version: u64,
    /// When it was first put, milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub modified_ms: i64,
}

/// What [`Engine::put_policy`](crate::Engine::put_policy) finds acceptable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there is replaced.
    #[default]
    Anything,
    /// There must be none of this name.
    Absent,
    /// It must be there, in any version.
    Present,
    /// It must be there in this version.
    Version(u64),
}

impl PolicyOrigin {
    /// The dialect.
    pub fn kind(&self) -> OriginKind {
        match self {
            Self::Slm => OriginKind::Slm,
            Self::Sm => OriginKind::Sm,
            Self::HuaweiCss { .. } => OriginKind::HuaweiCss,
            Self::Alibaba { .. } => OriginKind::Alibaba,
            Self::Native => OriginKind::Native,
        }
    }
}

impl OriginKind {
    /// The word used in keys and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slm => "slm",
            Self::Sm => "sm",
            Self::HuaweiCss => "huawei_css",
            Self::Alibaba => "alibaba",
            Self::Native => "native",
        }
    }
}

impl fmt::Display for OriginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PolicyKey {
    /// A policy of an origin.
    pub fn new(origin: PolicyOrigin, name: impl Into<String>) -> Self {
        Self {
            origin,
            name: name.into(),
        }
    }

    /// A policy of SLM.
    pub fn slm(name: impl Into<String>) -> Self {
        Self::new(PolicyOrigin::Slm, name)
    }

    /// A policy of OpenSearch's snapshot management.
    pub fn sm(name: impl Into<String>) -> Self {
        Self::new(PolicyOrigin::Sm, name)
    }

    /// A policy of the native API.
    pub fn native(name: impl Into<String>) -> Self {
        Self::new(PolicyOrigin::Native, name)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.origin {
            PolicyOrigin::HuaweiCss { cluster: place }
            | PolicyOrigin::Alibaba { instance: place } => {
                write!(f, "{}/{place}/{name}", self.origin.kind())
            }
            PolicyOrigin::Slm | PolicyOrigin::Sm | PolicyOrigin::Native => {
                write!(f, "{}/{name}", self.origin.kind())
            }
        }
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{0}] does not name a policy; use slm/<name>, sm/<name> or native/<name>")]
pub struct PolicyKeyError(pub String);

impl FromStr for PolicyKey {
    type Err = PolicyKeyError;

    fn from_str(text: &str) -> Result<Self, PolicyKeyError> {
        let wrong = || PolicyKeyError(text.to_owned());
        let (origin, rest) = text.split_once('/').ok_or_else(wrong)?;
        let placed = || rest.split_once('/').ok_or_else(wrong);
        let (origin, name) = match origin {
            "slm" => (PolicyOrigin::Slm, rest),
            "sm" => (PolicyOrigin::Sm, rest),
            "native" => (PolicyOrigin::Native, rest),
            "huawei_css" => {
                let (cluster, name) = placed()?;
                let cluster = cluster.to_owned();
                (PolicyOrigin::HuaweiCss { cluster }, name)
            }
            "alibaba" => {
                let (instance, name) = placed()?;
                let instance = instance.to_owned();
                (PolicyOrigin::Alibaba { instance }, name)
            }
            _ => return Err(wrong()),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self::new(origin, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy as the first release writes it: it must stay readable.
    const SAMPLE: &str = include_str!("../../tests/samples/policy-format-1.json");

    #[test]
    fn the_first_format_stays_readable() {
        let policy: Policy = serde_json::from_str(SAMPLE).unwrap();
        assert_eq!(policy.key, PolicyKey::slm("daily-snapshots"));
        assert_eq!(
            policy
                .spec
                .schedule
                .as_ref()
                .map(Schedule::describe)
                .as_deref(),
            Some("every day at 02:30 (Europe/Berlin)")
        );
        assert_eq!(policy.spec.retention.gfs.map(|gfs| gfs.daily), Some(7));
        let again = serde_json::to_value(&policy).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(SAMPLE).unwrap());
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let least = r#"{"repository":"r","name_template":{"kind":"epoch_millis","prefix":"s"}}"#;
        let spec: PolicySpec = serde_json::from_str(least).unwrap();
        let template = NameTemplate::EpochMillis { prefix: "s".into() };
        assert_eq!(spec, PolicySpec::new("r", template));
    }

    #[test]
    fn a_key_is_read_back_from_its_text() {
        let origins = [
            PolicyOrigin::Slm,
            PolicyOrigin::Sm,
            PolicyOrigin::Native,
            PolicyOrigin::HuaweiCss {
                cluster: "c-1".into(),
            },
            PolicyOrigin::Alibaba {
                instance: "es-cn-1".into(),
            },
        ];
        for origin in origins {
            let key = PolicyKey::new(origin, "a/b");
            assert_eq!(key.to_string().parse::<PolicyKey>().unwrap(), key);
        }
        for text in ["", "slm", "slm/", "other/x", "alibaba/x"] {
            assert!(text.parse::<PolicyKey>().is_err(), "{text}");
        }
    }
}
