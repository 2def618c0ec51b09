//! What a rollback will do, worked out and checked before anything changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use snapkeep_drivers::volume::host::HostControl;
use snapkeep_drivers::volume::write::{RollbackMode, effective_mode};
use snapkeep_drivers::volume::{DiskSource, VolumeError, users_of};
use snapkeep_vault::CancelFlag;

use super::record::RollbackHost;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{HostSpec, PointInfo, VolumeFormat, VolumeInfo, VolumeStatus};
use crate::volumes::read::HeldPoint;
use crate::volumes::registry::source_of;

/// Everything that one job rolls back.
#[derive(Debug)]
pub(super) struct ApplyPlan {
    /// One host after the other.
    pub(super) groups: Vec<GroupPlan>,
    /// The points, kept from being deleted.
    pub(super) points: Vec<Arc<HeldPoint>>,
}

/// The volumes of one host.
#[derive(Debug)]
pub(super) struct GroupPlan {
    pub(super) host: RollbackHost,
    pub(super) disks: Vec<DiskPlan>,
    /// Whether the host is started at the end, where an earlier process found that out and stopped it.
    pub(super) restart: Option<bool>,
}

/// A volume.
#[derive(Debug, Clone)]
pub(super) struct DiskPlan {
    pub(super) source: DiskSource,
    pub(super) mode: RollbackMode,
    pub(super) point: Arc<HeldPoint>,
    /// Size of the disk in the point, bytes.
    pub(super) size_bytes: u64,
    /// Whether it is as the point shows already.
    pub(super) is_written: bool,
}

impl ApplyPlan {
    /// All volumes and instances that nothing else may work on meanwhile.
    pub(super) fn resources(&self) -> Vec<String> {
        let mut resources = BTreeSet::new();
        for group in &self.groups {
            resources.insert(group.host.id.clone());
            // Another disk of the instance would be captured while its host is down, and started by another job.
            resources.extend(group.host.disks.iter().map(|disk| disk.volume.clone()));
            resources.extend(group.disks.iter().map(|disk| disk.source.volume.clone()));
        }
        resources.into_iter().collect()
    }

    /// Bytes of all disks.
    pub(super) fn size_bytes(&self) -> u64 {
        let disks = self.groups.iter().flat_map(|group| &group.disks);
        disks.map(|disk| disk.size_bytes).sum()
    }
}

impl GroupPlan {
    /// What stops and starts the host.
    pub(super) fn control(&self) -> Box<dyn HostControl> {
        self.host.control()
    }
}

impl Engine {
    /// Works out and checks what is to be done.
    pub(super) async fn plan_apply(&self, ids: &[String]) -> Result<ApplyPlan, EngineError> {
        let ids: BTreeSet<&String> = ids.iter().collect();
        if ids.is_empty() {
            return Err(EngineError::NothingNamed { what: "point" });
        }
        let mut points: Vec<Arc<HeldPoint>> = Vec::new();
        let mut of_resource: BTreeMap<String, String> = BTreeMap::new();
        for id in ids {
            let held = self.hold_point(id).await?;
            let point = &held.info;
            let volumes = point.disks.iter().map(|disk| &disk.volume);
            for named in volumes.chain([&point.resource.id]) {
                match of_resource.insert(named.clone(), point.id.clone()) {
                    Some(other) if other != point.id => {
                        return Err(EngineError::ResourceRepeated {
                            resource: named.clone(),
                            how: format!("points {other} and {} are both of it", point.id),
                        });
                    }
                    _ => {}
                }
            }
            points.push(Arc::new(held));
        }
        let mut groups: Vec<GroupPlan> = Vec::new();
        for point in &points {
            for disk in &point.info.disks {
                let volume = self.volume(&disk.volume).await?;
                refuse_unwritable(&volume, &point.info, disk.size_bytes)?;
                let host = self.host_of(&volume).await?;
                let plan = DiskPlan {
                    source: source_of(&volume),
                    mode: volume.rollback,
                    point: Arc::clone(point),
                    size_bytes: disk.size_bytes,
                    is_written: false,
                };
                match groups.iter_mut().find(|group| group.host.id == host.id) {
                    Some(group) => group.disks.push(plan),
                    None => groups.push(GroupPlan {
                        host,
                        disks: vec![plan],
                        restart: None,
                    }),
                }
            }
        }
        let plan = ApplyPlan { groups, points };
        self.inner.blocking(move |_| check(plan)).await
    }

    /// What uses a volume.
    async fn host_of(&self, volume: &VolumeInfo) -> Result<RollbackHost, EngineError> {
        let Some(id) = &volume.instance else {
            return Ok(RollbackHost {
                id: volume.id.clone(),
                name: volume.name.clone(),
                spec: HostSpec::None,
                disks: vec![source_of(volume)],
            });
        };
        let instance = self.instance(id).await?;
        let mut disks = Vec::new();
        for id in &instance.volumes {
            disks.push(source_of(&self.volume(id).await?));
        }
        Ok(RollbackHost {
            id: instance.id,
            name: instance.name,
            spec: instance.host,
            disks,
        })
    }
}

/// What can be seen without touching the disk. A volume that an earlier rollback left as a mixture is welcome: this one mends it.
fn refuse_unwritable(
    volume: &VolumeInfo,
    point: &PointInfo,
    size_bytes: u64,
) -> Result<(), EngineError> {
    let has_fixed_size = matches!(volume.format, VolumeFormat::Block | VolumeFormat::Nbd);
    // A file that is lost is written anew.
    if has_fixed_size && volume.status == VolumeStatus::Missing {
        return Err(EngineError::VolumeUnreadable {
            volume: volume.id.clone(),
            reason: format!(
                "{} is not there; bring it back, or make a new volume of the point",
                volume.location
            ),
        });
    }
    if has_fixed_size && volume.size_bytes < size_bytes {
        return Err(EngineError::ResourceRefused {
            resource: volume.id.clone(),
            reason: format!(
                "it has {} bytes and the disk in point {} has {size_bytes}; make it larger",
                volume.size_bytes, point.id
            ),
        });
    }
    Ok(())
}

/// What takes a look at disks, hosts and the repository: how each volume will be written, whether its host can be stopped, whether the
/// point has it. Blocks.
fn check(mut plan: ApplyPlan) -> Result<ApplyPlan, EngineError> {
    for group in &mut plan.groups {
        let can_stop = group.control().can_stop();
        for disk in &mut group.disks {
            let volume = &disk.source.volume;
            disk.mode = effective_mode(&disk.source, disk.mode)
                .map_err(|error| unusable(volume, &error))?;
            disk.point.open_disk(Some(volume), &CancelFlag::new())?;
            if !can_stop {
                refuse_used(&disk.source)?;
            }
        }
    }
    Ok(plan)
}

/// Refuses a disk that something uses.
pub(super) fn refuse_used(source: &DiskSource) -> Result<(), EngineError> {
    let users = match users_of(source) {
        Ok(users) if users.is_empty() => return Ok(()),
        Ok(users) => users,
        Err(VolumeError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(unusable(&source.volume, &error)),
    };
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    Err(EngineError::ResourceRefused {
        resource: source.volume.clone(),
        reason: format!(
            "it is in use by {}; stop that, or give its instance a driver that can stop and start it",
            users.join(", ")
        ),
    })
}

pub(super) fn unusable(volume: &str, error: &VolumeError) -> EngineError {
    EngineError::ResourceRefused {
        resource: volume.to_owned(),
        reason: error.to_string(),
    }
}
