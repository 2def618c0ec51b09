//! Volumes and instances as dialects see them.

use std::path::Path;
use std::sync::Arc;

use snapkeep_drivers::volume::{ProbedDisk, VolumeError, forget, forget_gone, probe};

use super::build::{Parts, build, declared, name_of, resolve, resource_row};
use super::found::{find_instances, find_volumes};
use super::{Known, source_of};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::model::{
    AddInstance, AddVolume, InstanceInfo, VolumeFormat, VolumeInfo, VolumeOrigin, VolumeStatus,
};
use crate::volumes::capture::VolumeState;
use crate::volumes::ids::IdKind;

/// Longest name of a volume or instance, characters.
const MAX_NAME_CHARS: usize = 255;
/// Volumes of one instance.
const MAX_DISKS: usize = 64;

/// How long a volume may be asked what it is: an NBD server may be far away or hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At files and devices only.
    Local,
    /// At everything.
    All,
}

impl Inner {
    /// Looks through folders, catalogue and configuration.
    pub(crate) async fn scan_volumes(self: &Arc<Self>) -> Result<(), EngineError> {
        let _one_at_a_time = self.registry.scan.lock().await;
        let rows = self.catalogue.resources().await?;
        let (mut known, new_rows) = self
            .blocking(move |inner| {
                let config = &mut inner.config.volumes.clone();
                for volume in &mut config.volumes {
                    volume.format = volume.format.or_else(|| format_at(&volume.location));
                }
                let unreadable = |folder: &Path, error: std::io::Error| {
                    EngineError::Configuration(format!(
                        "the folder {} cannot be read: {error}; check its permissions",
                        folder.display()
                    ))
                };
                let volumes = find_volumes(&config.folder)
                    .map_err(|error| unreadable(&config.folder, error))?;
                let mut instances = Vec::new();
                for folder in [&config.instances_folder, &config.folder.join("instances")] {
                    let found =
                        find_instances(folder).map_err(|error| unreadable(folder, error))?;
                    instances.extend(found);
                }
                let (known, new_rows) = build(&Parts {
                    config: &*config,
                    rows: &rows,
                    volumes: &volumes,
                    instances: &instances,
                });
                forget_gone(&config.folder, |volume| known.volumes.contains_key(volume));
                Ok((known, new_rows))
            })
            .await?;
        for row in &new_rows {
            self.catalogue.put_resource(row).await?;
        }
        self.keep_raw(&mut known).await?;
        *self.registry.known() = known;
        Ok(())
    }

    /// Takes files for raw that were so at their last point, though they begin like an image now and nothing else says what they are: a
    /// guest can write that to its own disk, and an image names other files to be read. Of a raw disk every byte is kept, whatever it is.
    async fn keep_raw(&self, known: &mut Known) -> Result<(), EngineError> {
        let is_said = |volume: &VolumeInfo| {
            let mut configured = self.config.volumes.volumes.iter();
            volume.origin == VolumeOrigin::Added
                || [".qcow2", ".qcow"]
                    .iter()
                    .any(|it| volume.location.ends_with(it))
                || configured.any(|it| it.format.is_some() && it.location == volume.location)
        };
        let images = known.volumes.values_mut();
        let doubtful: Vec<&mut VolumeInfo> = images
            .filter(|it| it.format == VolumeFormat::Qcow2 && !is_said(it))
            .collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        let points = self.catalogue.points().await?;
        for volume in doubtful {
            let living = points.iter().filter(|row| row.status.is_living());
            let formats = living.filter_map(|row| {
                let mut disks = row.stored.disks.iter();
                let disk = disks.find(|disk| disk.volume == volume.id)?;
                Some((row.stored.point.snapshot_ms, disk.format))
            });
            let last = formats.max_by_key(|(at_ms, _)| *at_ms);
            if last.is_some_and(|(_, format)| format == VolumeFormat::Raw) {
                tracing::warn!(
                    volume = volume.id,
                    "a raw disk begins like a qcow2 image now and is still taken for raw; if it was converted, name it .qcow2"
                );
                volume.format = VolumeFormat::Raw;
            }
        }
        Ok(())
    }

    /// A volume as it is now. When the id is not known the folders are looked through again.
    pub(crate) async fn find_volume(self: &Arc<Self>, id: &str) -> Result<VolumeInfo, EngineError> {
        let known = self.registry.known().volumes.get(id).cloned();
        let volume = match known {
            // What was not there when it was looked for may be of another format than it was taken for.
            Some(volume) if volume.status != VolumeStatus::Missing => Some(volume),
            _ => {
                self.scan_volumes().await?;
                self.registry.known().volumes.get(id).cloned()
            }
        };
        let volume = volume.ok_or_else(|| EngineError::VolumeMissing { id: id.to_owned() })?;
        let looked_at = self.look_at(vec![volume], Look::All).await?;
        let volume = looked_at
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::VolumeMissing { id: id.to_owned() })?;
        // A file that was found is only there as long as the file is.
        if volume.origin == VolumeOrigin::Found && volume.status == VolumeStatus::Missing {
            self.scan_volumes().await?;
            if !self.registry.known().volumes.contains_key(id) {
                return Err(EngineError::VolumeMissing { id: id.to_owned() });
            }
        }
        Ok(volume)
    }

    /// An instance. When the id is not known the folders are looked through again.
    pub(crate) async fn find_instance(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<InstanceInfo, EngineError> {
        let is_file = |instance: &InstanceInfo| instance.origin == VolumeOrigin::Found;
        let known = self.registry.known().instances.get(id).cloned();
        // A file may have been changed since.
        match known {
            Some(instance) if !is_file(&instance) => return Ok(instance),
            _ => self.scan_volumes().await?,
        }
        let known = self.registry.known();
        if let Some(reason) = known.broken.get(id) {
            return Err(EngineError::ResourceRefused {
                resource: id.to_owned(),
                reason: format!("its description cannot be used: {reason}"),
            });
        }
        let instance = known.instances.get(id).cloned();
        instance.ok_or_else(|| EngineError::InstanceMissing { id: id.to_owned() })
    }

    /// Notes a volume that was made in the folder of volumes under a new id, with its name.
    pub(crate) async fn register_made(
        self: &Arc<Self>,
        volume: &AddVolume,
    ) -> Result<(), EngineError> {
        let spec = serde_json::to_string(volume)
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        let id = volume.id.as_deref().unwrap_or_default();
        let (kind, origin) = (IdKind::Volume, VolumeOrigin::Added);
        let row = resource_row(id, kind, origin, &name_of(volume), Some(spec));
        self.catalogue.put_resource(&row).await?;
        self.scan_volumes().await
    }

    /// Sizes and states of volumes as they are now.
    async fn look_at(
        self: &Arc<Self>,
        mut volumes: Vec<VolumeInfo>,
        look: Look,
    ) -> Result<Vec<VolumeInfo>, EngineError> {
        self.blocking(move |inner| {
            for volume in &mut volumes {
                inspect(volume, look);
                if let Some(reason) = inner.registry.suspension(&volume.id) {
                    volume.status = VolumeStatus::Suspended { reason };
                }
            }
            Ok(volumes)
        })
        .await
    }
}

/// What is at a location, if it can be told. Blocks.
fn format_at(location: &str) -> Option<VolumeFormat> {
    if location.starts_with("nbd") {
        return Some(VolumeFormat::Nbd);
    }
    found_at(location, None).ok().map(|found| found.format)
}

/// What is at a location that is declared to be of a format, or of none. A raw image is what it is declared to be. Blocks.
fn found_at(location: &str, declared_as: Option<VolumeFormat>) -> Result<ProbedDisk, VolumeError> {
    let is_raw = declared_as == Some(VolumeFormat::Raw);
    match raw_file_bytes(location).filter(|_| is_raw) {
        Some(size_bytes) => Ok(ProbedDisk {
            format: VolumeFormat::Raw,
            size_bytes,
        }),
        None => probe(location),
    }
}

/// The length of a regular file, whatever is in it. Blocks.
fn raw_file_bytes(location: &str) -> Option<u64> {
    let metadata = std::fs::metadata(location).ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Looks what a volume is. Blocks.
fn inspect(volume: &mut VolumeInfo, look: Look) {
    if volume.format == VolumeFormat::Nbd && look == Look::Local {
        return;
    }
    match found_at(&volume.location, Some(volume.format)) {
        Ok(found) => {
            volume.size_bytes = found.size_bytes;
            volume.format = found.format;
            volume.status = VolumeStatus::Available;
        }
        Err(error) => {
            tracing::debug!(volume = volume.id, %error, "a volume cannot be looked at");
            volume.size_bytes = 0;
            volume.status = VolumeStatus::Missing;
        }
    }
}

/// What cannot be done with a volume, an instance or an image, and why.
pub(in crate::volumes) fn refused(resource: &str, reason: impl Into<String>) -> EngineError {
    EngineError::ResourceRefused {
        resource: resource.to_owned(),
        reason: reason.into(),
    }
}

/// Refuses what cannot be the name of a volume, an instance or an image.
pub(in crate::volumes) fn check_name(resource: &str, name: &str) -> Result<(), EngineError> {
    if name.trim().is_empty() {
        return Err(refused(resource, "the name is empty; give one"));
    }
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(refused(
            resource,
            format!(
                "the name is longer than {MAX_NAME_CHARS} characters or has control characters"
            ),
        ));
    }
    Ok(())
}

fn check_id(kind: IdKind, id: Option<&String>) -> Result<(), EngineError> {
    match id {
        Some(id) if !kind.matches(id) => Err(refused(
            id,
            format!(
                "this is no id; use `{}` and seven letters or digits, or none",
                kind.prefix()
            ),
        )),
        _ => Ok(()),
    }
}

impl Engine {
    /// All volumes, by id. The folder is looked through anew. Sizes of disks behind NBD are not asked for.
    pub async fn volumes(&self) -> Result<Vec<VolumeInfo>, EngineError> {
        let inner = &self.inner;
        inner.scan_volumes().await?;
        let volumes = inner.registry.known().volumes.values().cloned().collect();
        inner.look_at(volumes, Look::Local).await
    }

    /// One volume. When the id is not known the folder is looked through again.
    pub async fn volume(&self, id: &str) -> Result<VolumeInfo, EngineError> {
        self.inner.find_volume(id).await
    }

    /// Adds a volume. What it is declared to be must be there.
    pub async fn add_volume(&self, mut volume: AddVolume) -> Result<VolumeInfo, EngineError> {
        let inner = &self.inner;
        let name = name_of(&volume);
        check_name(&name, &name)?;
        check_id(IdKind::Volume, volume.id.as_ref())?;
        let is_uri = volume.location.contains("://");
        if !is_uri && !Path::new(&volume.location).is_absolute() {
            return Err(refused(
                &name,
                format!("[{}] is no absolute path and no NBD URI", volume.location),
            ));
        }
        inner.scan_volumes().await?;
        let id = {
            let known = inner.registry.known();
            if let Some(other) = known
                .volumes
                .values()
                .find(|other| other.location == volume.location)
            {
                return Err(refused(
                    &name,
                    format!("[{}] is volume [{}] already", volume.location, other.id),
                ));
            }
            match &volume.id {
                Some(id) if known.volumes.contains_key(id) => {
                    return Err(refused(id, "there is a volume of this id; choose another"));
                }
                Some(id) => id.clone(),
                None => fresh(IdKind::Volume, |id| known.volumes.contains_key(id)),
            }
        };
        let (location, declared_as) = (volume.location.clone(), volume.format);
        let found = inner
            .blocking(move |_| Ok(found_at(&location, declared_as)))
            .await?
            .map_err(|error: VolumeError| refused(&name, error.to_string()))?;
        let format = volume.format.unwrap_or(found.format);
        if format != found.format {
            return Err(refused(
                &name,
                format!("[{}] is {}, not {format}", volume.location, found.format),
            ));
        }
        volume.format = Some(format);
        volume.id = Some(id.clone());
        volume.name = Some(name.clone());
        let spec = serde_json::to_string(&volume)
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        let row = resource_row(&id, IdKind::Volume, VolumeOrigin::Added, &name, Some(spec));
        inner.catalogue.put_resource(&row).await?;
        inner.scan_volumes().await?;
        let mut info = declared(id, &volume, VolumeOrigin::Added);
        info.size_bytes = found.size_bytes;
        Ok(info)
    }

    /// Forgets a volume that was added; its data and its points stay.
    pub async fn remove_volume(&self, id: &str) -> Result<(), EngineError> {
        let inner = &self.inner;
        inner.scan_volumes().await?;
        let (origin, instance, source) = {
            let known = inner.registry.known();
            let volume = known.volumes.get(id);
            let volume = volume.ok_or_else(|| EngineError::VolumeMissing { id: id.to_owned() })?;
            (volume.origin, volume.instance.clone(), source_of(volume))
        };
        self.refuse_removal(id, origin)?;
        if let Some(instance) = instance {
            return Err(refused(
                id,
                format!("it is a disk of instance [{instance}]; remove that first"),
            ));
        }
        inner.catalogue.remove_resource(id).await?;
        let forgotten = inner.blocking(move |inner| {
            // Clones and bitmaps beside the disk would grow for ever.
            forget(&source);
            let state = VolumeState::new(&inner.config.data_dir);
            state
                .forget(&source.volume)
                .map_err(|error| EngineError::Internal(error.to_string()))
        });
        if let Err(error) = forgotten.await {
            tracing::warn!(volume = id, %error, "what was noted of a volume that is gone stays");
        }
        inner.scan_volumes().await
    }

    /// All instances, by id. The folder is looked through anew.
    pub async fn instances(&self) -> Result<Vec<InstanceInfo>, EngineError> {
        self.inner.scan_volumes().await?;
        let known = self.inner.registry.known();
        Ok(known.instances.values().cloned().collect())
    }

    /// One instance. When the id is not known the folder is looked through again.
    pub async fn instance(&self, id: &str) -> Result<InstanceInfo, EngineError> {
        self.inner.find_instance(id).await
    }

    /// Adds an instance of volumes that are known and belong to no other.
    pub async fn add_instance(
        &self,
        mut instance: AddInstance,
    ) -> Result<InstanceInfo, EngineError> {
        let inner = &self.inner;
        let name = instance.name.clone();
        check_name(&name, &name)?;
        check_id(IdKind::Instance, instance.id.as_ref())?;
        instance
            .host
            .check()
            .map_err(|error| refused(&name, error.to_string()))?;
        if instance.volumes.is_empty() || instance.volumes.len() > MAX_DISKS {
            return Err(refused(
                &name,
                format!("an instance has 1 to {MAX_DISKS} volumes"),
            ));
        }
        inner.scan_volumes().await?;
        let id = {
            let known = inner.registry.known();
            let mut volumes: Vec<String> = Vec::new();
            for named in &instance.volumes {
                let volume = resolve(&known.volumes, named);
                let info = known
                    .volumes
                    .get(&volume)
                    .ok_or_else(|| EngineError::VolumeMissing { id: named.clone() })?;
                if let Some(other) = &info.instance {
                    return Err(refused(
                        &volume,
                        format!("it is a disk of instance [{other}] already"),
                    ));
                }
                if volumes.contains(&volume) {
                    return Err(EngineError::ResourceRepeated {
                        resource: volume,
                        how: "as a disk of the same instance".to_owned(),
                    });
                }
                volumes.push(volume);
            }
            instance.volumes = volumes;
            match &instance.id {
                Some(id) if known.instances.contains_key(id) => {
                    return Err(refused(
                        id,
                        "there is an instance of this id; choose another",
                    ));
                }
                Some(id) => id.clone(),
                None => fresh(IdKind::Instance, |id| known.instances.contains_key(id)),
            }
        };
        instance.id = Some(id.clone());
        let spec = serde_json::to_string(&instance)
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        let row = resource_row(
            &id,
            IdKind::Instance,
            VolumeOrigin::Added,
            &name,
            Some(spec),
        );
        inner.catalogue.put_resource(&row).await?;
        inner.scan_volumes().await?;
        inner.find_instance(&id).await
    }

    /// Forgets an instance that was added; its volumes and points stay.
    pub async fn remove_instance(&self, id: &str) -> Result<(), EngineError> {
        let instance = self.inner.find_instance(id).await?;
        self.refuse_removal(id, instance.origin)?;
        self.inner.catalogue.remove_resource(id).await?;
        self.inner.scan_volumes().await
    }

    /// Only what was added can be removed, and not while a job works on it.
    fn refuse_removal(&self, id: &str, origin: VolumeOrigin) -> Result<(), EngineError> {
        match origin {
            VolumeOrigin::Added => {}
            VolumeOrigin::Found => {
                return Err(refused(
                    id,
                    "it is a file in the folder of volumes or instances; move the file away instead",
                ));
            }
            VolumeOrigin::Configured => {
                return Err(refused(id, "it is in the configuration; remove it there"));
            }
        }
        let job = self.inner.activity().busy.get(id).cloned();
        match job {
            Some(job) => Err(EngineError::ResourceBusy {
                resource: id.to_owned(),
                job,
            }),
            None => Ok(()),
        }
    }
}

/// A new id that is not taken.
fn fresh(kind: IdKind, is_taken: impl Fn(&str) -> bool) -> String {
    loop {
        let id = kind.new_id();
        if !is_taken(&id) {
            return id;
        }
    }
}
