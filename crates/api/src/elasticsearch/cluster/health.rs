//! `_cluster/health`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};
use snapkeep_engine::selection::Expand;
use snapkeep_store::{IndexMeta, IndexState};
use tokio::time::Instant;

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::indices::targets::{Defaults, select};
use crate::elasticsearch::params::Params;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;

/// How long a health request waits unless it says so.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait of one request.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Time between two looks while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The traffic light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Light {
    /// Everything is there.
    #[default]
    Green,
    /// Primaries are there or being restored; copies are missing.
    Yellow,
    /// Something is missing.
    Red,
}

impl Light {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    fn by_name(name: &str, shape: Shape) -> Result<Self, EsError> {
        let package = match shape {
            Shape::Es => "elasticsearch",
            Shape::OpenSearch => "opensearch",
        };
        [Self::Green, Self::Yellow, Self::Red]
            .into_iter()
            .find(|light| light.name() == name.to_ascii_lowercase())
            .ok_or_else(|| {
                EsError::illegal_argument(format!(
                    "No enum constant org.{package}.cluster.health.ClusterHealthStatus.{}",
                    name.to_ascii_uppercase()
                ))
            })
    }
}

/// Shards of one index or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The worst of all.
    pub status: Light,
    /// Primaries that serve.
    pub active: u64,
    /// Primaries that are being restored.
    pub initializing: u64,
    /// Copies that a single node never has.
    pub unassigned: u64,
}

impl Health {
    fn add(&mut self, other: Self) {
        self.status = self.status.max(other.status);
        self.active += other.active;
        self.initializing += other.initializing;
        self.unassigned += other.unassigned;
    }

    /// Share of shards that serve.
    pub fn active_percent(self) -> f64 {
        let all = self.active + self.initializing + self.unassigned;
        if all == 0 {
            100.0
        } else {
            self.active as f64 * 100.0 / all as f64
        }
    }
}

/// Health of one index. A single node keeps no replicas, so those asked for are missing.
pub fn of_index(meta: &IndexMeta) -> Health {
    let shards = u64::from(meta.shards);
    let copies = shards * u64::from(meta.replicas);
    let copies_status = if copies > 0 {
        Light::Yellow
    } else {
        Light::Green
    };
    match meta.state {
        IndexState::Restoring => Health {
            status: Light::Yellow,
            active: 0,
            initializing: shards,
            unassigned: copies,
        },
        IndexState::Open | IndexState::Closed => Health {
            status: copies_status,
            active: shards,
            initializing: 0,
            unassigned: copies,
        },
    }
}

/// Health of several indices together.
pub fn of_indices(indices: &[Arc<IndexMeta>]) -> Health {
    let mut health = Health::default();
    for meta in indices {
        health.add(of_index(meta));
    }
    health
}

/// What a request waits for.
struct Wish {
    light: Option<Light>,
    no_initializing: bool,
    active: Option<u64>,
    nodes: bool,
}

impl Wish {
    fn read(params: &Params, shape: Shape) -> Result<Self, EsError> {
        params.bool("wait_for_no_relocating_shards", false)?;
        Ok(Self {
            light: params
                .get("wait_for_status")
                .map(|name| Light::by_name(name, shape))
                .transpose()?,
            no_initializing: params.bool("wait_for_no_initializing_shards", false)?,
            active: match params.get("wait_for_active_shards") {
                None | Some("all") => None,
                Some(_) => u64::try_from(params.int("wait_for_active_shards", 0)?).ok(),
            },
            nodes: params.get("wait_for_nodes").is_none_or(is_one_node_enough),
        })
    }

    fn is_granted(&self, health: Health) -> bool {
        self.nodes
            && self.light.is_none_or(|light| health.status <= light)
            && (!self.no_initializing || health.initializing == 0)
            && self.active.is_none_or(|active| health.active >= active)
    }
}

/// `1`, `>=1`, `ge(1)`, `<2` and so on, compared with the one node there is.
fn is_one_node_enough(wish: &str) -> bool {
    let text = wish.trim().trim_end_matches(')');
    let of = |prefixes: [&str; 2]| {
        prefixes
            .into_iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .and_then(|number| number.trim().parse::<i64>().ok())
    };
    if let Some(number) = of([">=", "ge("]) {
        1 >= number
    } else if let Some(number) = of(["<=", "le("]) {
        1 <= number
    } else if let Some(number) = of([">", "gt("]) {
        1 > number
    } else if let Some(number) = of(["<", "lt("]) {
        1 < number
    } else {
        text.parse() == Ok(1_i64)
    }
}

/// `GET /_cluster/health[/{index}]`.
///
/// # Errors
/// 400 for a bad parameter. What is waited for in vain is 408 with the health as it is.
pub async fn health(request: EsRequest) -> EsResult {
    let params = &request.params;
    params.bool("local", false)?;
    params.time("master_timeout")?;
    params.time("cluster_manager_timeout")?;
    let timeout = params
        .time("timeout")?
        .unwrap_or(DEFAULT_TIMEOUT)
        .min(LONGEST_TIMEOUT);
    let level = params.get("level").unwrap_or("cluster");
    if !matches!(
        level,
        "cluster" | "indices" | "shards" | "awareness_attributes"
    ) {
        return Err(EsError::illegal_argument(format!(
            "unknown cluster health level [{level}]"
        )));
    }
    let wish = Wish::read(params, request.shape())?;
    let expression = request.captured_or_param("index");
    let everything = Defaults {
        expand: Expand::ALL,
        ..Defaults::METADATA
    };
    let deadline = Instant::now() + timeout;
    loop {
        let found = match select(&request, expression, params, everything) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == Some(ErrorKind::IndexNotFound) => None,
            Err(error) => return Err(error),
        };
        let granted = found
            .as_deref()
            .is_some_and(|indices| wish.is_granted(of_indices(indices)));
        let is_late = Instant::now() >= deadline;
        if granted || is_late {
            let is_missing = found.is_none();
            let value = render(
                &request,
                found.as_deref().unwrap_or_default(),
                level,
                !granted,
                is_missing,
            );
            let status = if granted {
                StatusCode::OK
            } else {
                StatusCode::REQUEST_TIMEOUT
            };
            return Ok(EsResponse::value(value).with_status(status));
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_AGAIN)).await;
    }
}

fn render(
    request: &EsRequest,
    indices: &[Arc<IndexMeta>],
    level: &str,
    timed_out: bool,
    is_missing: bool,
) -> Value {
    let shape = request.shape();
    let health = of_indices(indices);
    let status = if is_missing {
        Light::Red
    } else {
        health.status
    };
    let mut shown = Map::from_iter([
        (
            "cluster_name".to_owned(),
            json!(request.state.config.cluster_name),
        ),
        ("status".to_owned(), json!(status.name())),
        ("timed_out".to_owned(), json!(timed_out)),
        ("number_of_nodes".to_owned(), json!(1)),
        ("number_of_data_nodes".to_owned(), json!(1)),
    ]);
    if shape == Shape::OpenSearch {
        shown.insert("discovered_master".into(), json!(true));
        shown.insert("discovered_cluster_manager".into(), json!(true));
    }
    counts(&mut shown, health, shape);
    shown.insert("delayed_unassigned_shards".into(), json!(0));
    shown.insert("number_of_pending_tasks".into(), json!(0));
    shown.insert("number_of_in_flight_fetch".into(), json!(0));
    shown.insert("task_max_waiting_in_queue_millis".into(), json!(0));
    shown.insert(
        "active_shards_percent_as_number".into(),
        json!(health.active_percent()),
    );
    if level == "indices" || level == "shards" {
        let of_each = indices
            .iter()
            .map(|meta| (meta.name.clone(), render_index(meta, level, shape)));
        shown.insert("indices".into(), Value::Object(of_each.collect()));
    }
    Value::Object(shown)
}

fn counts(shown: &mut Map<String, Value>, health: Health, shape: Shape) {
    shown.insert("active_primary_shards".into(), json!(health.active));
    shown.insert("active_shards".into(), json!(health.active));
    shown.insert("relocating_shards".into(), json!(0));
    shown.insert("initializing_shards".into(), json!(health.initializing));
    shown.insert("unassigned_shards".into(), json!(health.unassigned));
    if shape == Shape::Es {
        shown.insert("unassigned_primary_shards".into(), json!(0));
    }
}

fn render_index(meta: &IndexMeta, level: &str, shape: Shape) -> Value {
    let health = of_index(meta);
    let mut shown = Map::from_iter([
        ("status".to_owned(), json!(health.status.name())),
        ("number_of_shards".to_owned(), json!(meta.shards)),
        ("number_of_replicas".to_owned(), json!(meta.replicas)),
    ]);
    counts(&mut shown, health, shape);
    if level == "shards" {
        let is_active = health.initializing == 0;
        let shards = (0..meta.shards).map(|number| {
            let mut shard = json!({
                "status": health.status.name(),
                "primary_active": is_active,
                "active_shards": u8::from(is_active),
                "relocating_shards": 0,
                "initializing_shards": u8::from(!is_active),
                "unassigned_shards": meta.replicas,
            });
            if shape == Shape::Es {
                shard["unassigned_primary_shards"] = json!(0);
            }
            (number.to_string(), shard)
        });
        shown.insert("shards".into(), Value::Object(shards.collect()));
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_wishes_are_compared_with_one() {
        for granted in ["1", ">=1", "ge(1)", "<2", "le(1)", ">0"] {
            assert!(is_one_node_enough(granted), "{granted}");
        }
        for denied in ["2", ">1", "gt(1)", ">=2", "<1", "x"] {
            assert!(!is_one_node_enough(denied), "{denied}");
        }
    }

    #[test]
    fn missing_copies_are_yellow() {
        let health = Health {
            status: Light::Yellow,
            active: 2,
            initializing: 0,
            unassigned: 2,
        };
        assert!((health.active_percent() - 50.0).abs() < f64::EPSILON);
        assert!((Health::default().active_percent() - 100.0).abs() < f64::EPSILON);
        let wish = |light| Wish {
            light: Some(light),
            no_initializing: false,
            active: None,
            nodes: true,
        };
        assert!(wish(Light::Yellow).is_granted(health));
        assert!(!wish(Light::Green).is_granted(health));
    }
}
