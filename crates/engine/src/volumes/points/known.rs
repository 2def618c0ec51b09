//! What is known of the points of all repositories, put together with what is going on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::RunningPoint;
use crate::catalogue::{HeadRow, PointRow};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::model::{PointInfo, PointStatus, PointTransition, RepositorySpec};
use crate::repositories::FsSettings;
use crate::volumes::chain::{ChainTotals, Chains, HeadMark, Link};

/// Points and chains as they are now.
pub(super) struct KnownPoints {
    /// Names of repositories by what is behind them.
    repositories: HashMap<String, String>,
    /// Points being made.
    running: Vec<Arc<RunningPoint>>,
    rows: Vec<PointRow>,
    heads: Vec<HeadRow>,
}

/// What chains are kept apart by.
type ChainKey = (String, String);

impl Engine {
    /// The repository of points for which none is named; registered when it is not yet.
    pub(super) async fn ensure_points_repository(&self) -> Result<String, EngineError> {
        let name = self.inner.config.volumes.repository.clone();
        // What limits the snapshots of a cluster beside its searches is no default for disks.
        let settings = serde_json::json!({
            "location": name, "max_snapshot_bytes_per_sec": "0", "max_restore_bytes_per_sec": "0",
        });
        let spec = RepositorySpec {
            kind: "fs".to_owned(),
            settings: settings.as_object().cloned().unwrap_or_default(),
        };
        self.ensure_repository(&name, spec).await?;
        Ok(name)
    }

    /// Brings what is known of points in line with their repositories. One that cannot be reached is told as it was last known. Where
    /// the catalogue was lost, the repository of points is found again.
    pub(super) async fn refresh_points(&self) -> Result<(), EngineError> {
        let inner = &self.inner;
        let default = &inner.config.volumes.repository;
        if inner.catalogue.repository(default).await?.is_none() {
            let is_there = FsSettings::parse(
                serde_json::json!({ "location": default })
                    .as_object()
                    .unwrap_or(&serde_json::Map::new()),
                &inner.config,
            )
            .is_ok_and(|settings| settings.location.join("config").exists());
            if is_there {
                self.ensure_points_repository().await?;
            }
        }
        let with_points = inner.catalogue.vaults_with_points().await?;
        for row in inner.catalogue.repositories().await? {
            let has_points = row
                .vault
                .as_ref()
                .is_some_and(|vault| with_points.contains(vault));
            if !has_points && row.name != *default {
                continue;
            }
            if let Err(error) = inner.vault_id(&row.name).await {
                tracing::warn!(repository = row.name, %error, "points are told as they were last known");
            }
        }
        Ok(())
    }
}

impl KnownPoints {
    /// All points.
    pub(super) async fn load(inner: &Arc<Inner>) -> Result<Self, EngineError> {
        // Memory first: one that ends meanwhile is then seen twice rather than not at all.
        let running = inner.activity().points.values().cloned().collect();
        let mut repositories = HashMap::new();
        for row in inner.catalogue.repositories().await? {
            if let Some(vault) = row.vault {
                repositories.entry(vault).or_insert(row.name);
            }
        }
        let mut rows = inner.catalogue.points().await?;
        // What is in a repository that is not registered any more cannot be reached.
        rows.retain(|row| repositories.contains_key(&row.vault));
        Ok(Self {
            repositories,
            running,
            rows,
            heads: inner.catalogue.heads().await?,
        })
    }

    /// The rows of a point.
    pub(super) fn rows_of(&self, id: &str) -> Vec<&PointRow> {
        self.rows.iter().filter(|row| row.id() == id).collect()
    }

    /// The row of a snapshot.
    pub(super) fn row(&self, vault: &str, uuid: &str) -> Option<&PointRow> {
        self.rows
            .iter()
            .find(|row| row.vault == vault && row.uuid == uuid)
    }

    /// The row of a living point in a vault.
    pub(super) fn living(&self, vault: &str, id: &str) -> Option<&PointRow> {
        self.rows
            .iter()
            .find(|row| row.vault == vault && row.id() == id && row.status.is_living())
    }

    /// The name of a repository by what is behind it.
    pub(super) fn repository(&self, vault: &str) -> Option<&String> {
        self.repositories.get(vault)
    }

    /// Whether a point that was being made when this was loaded had ended by then.
    fn is_noted(&self, running: &RunningPoint) -> bool {
        self.row(&running.snapshot.vault.id, &running.snapshot.accepted.uuid)
            .is_some()
    }

    /// The points of this id that are being made.
    pub(super) fn running(&self, id: &str) -> Option<&Arc<RunningPoint>> {
        let mut running = self.running.iter().filter(|it| !self.is_noted(it));
        running.find(|it| it.record().id == id)
    }

    /// The chains of a resource in a vault; points that are being made are part of them.
    pub(super) fn chains(&self, vault: &str, resource: &str) -> Chains {
        let of_resource = self.rows.iter().filter(|row| {
            row.vault == vault && row.stored.point.resource.id == resource && row.status.is_living()
        });
        let mut links: Vec<Link> = of_resource.map(link_of).collect();
        for running in self.running.iter().filter(|it| !self.is_noted(it)) {
            let record = running.record();
            if running.snapshot.vault.id == vault && record.resource.id == resource {
                links.push(Link {
                    id: record.id,
                    ancestors: record.ancestors,
                    create_ms: record.create_ms,
                    snapshot_ms: record.snapshot_ms,
                    size_bytes: 0,
                    is_usable: false,
                });
            }
        }
        let head = self
            .heads
            .iter()
            .find(|head| head.vault == vault && head.resource == resource)
            .and_then(|head| {
                let row = self.row(vault, &head.uuid)?;
                Some(HeadMark {
                    id: row.id().to_owned(),
                    set_ms: head.set_ms,
                })
            });
        Chains::new(links, head.as_ref())
    }

    /// All points as lists show them, those that are being made among them.
    pub(super) fn infos(&self, inner: &Inner) -> Vec<PointInfo> {
        let mut infos = Vec::new();
        for running in self.running.iter().filter(|it| !self.is_noted(it)) {
            infos.push((running.snapshot.vault.id.clone(), pending(running)));
        }
        {
            let activity = inner.activity();
            for row in &self.rows {
                let Some(repository) = self.repository(&row.vault) else {
                    continue;
                };
                let mut info = stored(row, repository);
                let key = (row.vault.clone(), row.uuid.clone());
                if activity.deleting.contains(&key) && info.status.is_living() {
                    info.transition = Some(PointTransition::Deleting);
                }
                infos.push((row.vault.clone(), info));
            }
        }
        let mut chains: BTreeMap<ChainKey, Chains> = BTreeMap::new();
        for (vault, info) in &infos {
            let key = (vault.clone(), info.resource.id.clone());
            chains
                .entry(key)
                .or_insert_with(|| self.chains(vault, &info.resource.id));
        }
        let totals: BTreeMap<&ChainKey, HashMap<&str, ChainTotals>> = chains
            .iter()
            .map(|(key, chains)| (key, chains.totals()))
            .collect();
        infos
            .into_iter()
            .map(|(vault, mut info)| {
                let key = (vault, info.resource.id.clone());
                if let (Some(chains), Some(totals)) = (chains.get(&key), totals.get(&key)) {
                    show_chain(&mut info, chains, totals);
                }
                info
            })
            .collect()
    }
}

fn link_of(row: &PointRow) -> Link {
    let point = &row.stored.point;
    Link {
        id: point.id.clone(),
        ancestors: point.ancestors.clone(),
        create_ms: point.create_ms,
        snapshot_ms: point.snapshot_ms,
        size_bytes: row.stored.stored_bytes,
        is_usable: row.status == PointStatus::Available,
    }
}

/// Where a point stands in its chain. Those that are gone or never were are shown as they were meant.
fn show_chain(info: &mut PointInfo, chains: &Chains, totals: &HashMap<&str, ChainTotals>) {
    if info.status.is_living() {
        info.parent_id = chains.parent(&info.id).map(ToOwned::to_owned);
        info.root_id = chains.root(&info.id).to_owned();
        info.is_head = chains.head() == Some(info.id.as_str());
        info.head_chain = chains.is_in_head_chain(&info.id);
    }
    info.full = info.parent_id.is_none();
    if let Some(total) = totals.get(info.root_id.as_str()) {
        info.total_size_bytes = total.size_bytes;
        info.total_count = total.count;
        info.latest_ms = total.latest_ms;
    }
}

/// A point of the catalogue, without its chain.
fn stored(row: &PointRow, repository: &str) -> PointInfo {
    let point = &row.stored.point;
    PointInfo {
        id: point.id.clone(),
        repository: repository.to_owned(),
        snapshot_uuid: row.uuid.clone(),
        name: row.name.clone(),
        description: row.description.clone(),
        resource: point.resource.clone(),
        virtual_size_bytes: row.stored.disks.iter().map(|disk| disk.size_bytes).sum(),
        disks: row.stored.disks.clone(),
        full: point.ancestors.is_empty(),
        root_id: point.ancestors.first().unwrap_or(&point.id).clone(),
        parent_id: point.ancestors.last().cloned(),
        is_head: false,
        head_chain: false,
        status: row.status,
        transition: None,
        taken: row.status != PointStatus::Ceased,
        create_ms: point.create_ms,
        status_ms: row.status_ms,
        snapshot_ms: point.snapshot_ms,
        size_bytes: row.stored.stored_bytes,
        total_size_bytes: 0,
        total_count: 0,
        latest_ms: point.snapshot_ms,
        locked_until_ms: row.locked_until_ms,
        reason: row.stored.reason.clone(),
        job_id: Some(point.job_id.clone()).filter(|job| !job.is_empty()),
    }
}

/// A point that is being made, without its chain.
fn pending(running: &RunningPoint) -> PointInfo {
    let record = running.record();
    let accepted = &running.snapshot.accepted;
    PointInfo {
        repository: accepted.repository.clone(),
        snapshot_uuid: accepted.uuid.clone(),
        disks: Vec::new(),
        full: record.ancestors.is_empty(),
        root_id: record.ancestors.first().unwrap_or(&record.id).clone(),
        parent_id: record.ancestors.last().cloned(),
        is_head: false,
        head_chain: false,
        status: PointStatus::Pending,
        transition: Some(PointTransition::Creating),
        taken: running.is_taken(),
        create_ms: record.create_ms,
        status_ms: record.create_ms,
        snapshot_ms: record.snapshot_ms,
        size_bytes: 0,
        virtual_size_bytes: running.disk_bytes(),
        total_size_bytes: 0,
        total_count: 0,
        latest_ms: record.snapshot_ms,
        locked_until_ms: None,
        reason: None,
        job_id: Some(record.job_id.clone()),
        id: record.id,
        name: record.name,
        description: record.description,
        resource: record.resource,
    }
}
