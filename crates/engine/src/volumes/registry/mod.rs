//! Which volumes and instances there are: files found in their folders, those that were added, and those of the configuration.
//!
//! What is known is in memory and made anew from those three whenever a list is asked for, or an id that is not known. Ids stay: those
//! of files and configured ones without an id of their own follow from their names and are kept in the catalogue.

mod api;
mod build;
mod found;
mod suspended;

pub(in crate::volumes) use api::{check_name, refused};

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use snapkeep_drivers::volume::DiskSource;

use crate::model::{InstanceInfo, VolumeInfo};

/// All known volumes and instances.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    known: Mutex<Known>,
    /// Volumes that nothing may be begun with, and why.
    suspended: Mutex<BTreeMap<String, String>>,
    /// One scan at a time.
    scan: tokio::sync::Mutex<()>,
}

/// What the last scan found. Sizes and states of volumes are as they were then.
#[derive(Debug, Clone, Default)]
struct Known {
    volumes: BTreeMap<String, VolumeInfo>,
    instances: BTreeMap<String, InstanceInfo>,
    /// Instances whose files cannot be understood, and why.
    broken: BTreeMap<String, String>,
}

impl Registry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the bytes of a volume are.
pub(crate) fn source_of(volume: &VolumeInfo) -> DiskSource {
    DiskSource {
        volume: volume.id.clone(),
        format: volume.format,
        location: volume.location.clone(),
    }
}

impl Registry {
    /// The volumes of an instance that are known, in its order.
    pub(crate) fn volumes_of(&self, instance: &InstanceInfo) -> Vec<VolumeInfo> {
        let known = self.known();
        let volumes = instance.volumes.iter();
        volumes
            .filter_map(|volume| known.volumes.get(volume).cloned())
            .collect()
    }
}
