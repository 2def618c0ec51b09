//! Putting together what is found, added and configured.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Known;
use super::found::{FoundInstance, FoundVolume};
use crate::catalogue::ResourceRow;
use crate::config::VolumesConfig;
use crate::model::{
    AddInstance, AddVolume, InstanceInfo, RollbackMode, VolumeFormat, VolumeInfo, VolumeOrigin,
    VolumeStatus,
};
use crate::volumes::ids::IdKind;

/// What there is to put together.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a VolumesConfig,
    pub(super) rows: &'a [ResourceRow],
    pub(super) volumes: &'a [FoundVolume],
    pub(super) instances: &'a [FoundInstance],
}

/// All volumes and instances, and the ids that were given to names for the first time. Of two declarations with one id or one location the
/// configured one counts, then the added one.
pub(super) fn build(parts: &Parts<'_>) -> (Known, Vec<ResourceRow>) {
    let mut builder = Builder::new(parts);
    builder.add_volumes(parts);
    builder.add_instances(parts);
    (builder.known, builder.new_rows)
}

fn origin_word(origin: VolumeOrigin) -> &'static str {
    match origin {
        VolumeOrigin::Found => "found",
        VolumeOrigin::Added => "added",
        VolumeOrigin::Configured => "configured",
    }
}

/// The row of a volume or an instance that was added or has to be given an id.
pub(super) fn resource_row(
    id: &str,
    kind: IdKind,
    origin: VolumeOrigin,
    name: &str,
    spec: Option<String>,
) -> ResourceRow {
    ResourceRow {
        id: id.to_owned(),
        kind: kind_word(kind).to_owned(),
        origin: origin_word(origin).to_owned(),
        name: name.to_owned(),
        spec,
    }
}

fn kind_word(kind: IdKind) -> &'static str {
    match kind {
        IdKind::Instance => "instance",
        _ => "volume",
    }
}

struct Builder {
    known: Known,
    new_rows: Vec<ResourceRow>,
    /// Ids that names have, by kind, origin and name.
    by_name: HashMap<(String, String, String), String>,
    /// Ids that cannot be given to anything else.
    taken: BTreeSet<String>,
}

impl Builder {
    fn new(parts: &Parts<'_>) -> Self {
        let by_name = parts.rows.iter().map(|row| {
            let key = (row.kind.clone(), row.origin.clone(), row.name.clone());
            (key, row.id.clone())
        });
        let mut taken: BTreeSet<String> = parts.rows.iter().map(|row| row.id.clone()).collect();
        let stems = parts.volumes.iter().map(|it| &it.stem);
        taken.extend(
            stems
                .chain(parts.instances.iter().map(|it| &it.stem))
                .cloned(),
        );
        let configured = parts.config.volumes.iter().filter_map(|it| it.id.clone());
        let instances = parts.config.instances.iter().filter_map(|it| it.id.clone());
        taken.extend(configured.chain(instances));
        Self {
            known: Known::default(),
            new_rows: Vec::new(),
            by_name: by_name.collect(),
            taken,
        }
    }

    /// The id that a name has, now and later.
    fn id_of(&mut self, kind: IdKind, origin: VolumeOrigin, name: &str) -> String {
        let row = resource_row("", kind, origin, name, None);
        let key = (row.kind.clone(), row.origin.clone(), row.name.clone());
        if let Some(id) = self.by_name.get(&key) {
            return id.clone();
        }
        let mut attempt = 0;
        let id = loop {
            let id = kind.id_of_name(name, attempt);
            if self.taken.insert(id.clone()) {
                break id;
            }
            attempt += 1;
        };
        self.by_name.insert(key, id.clone());
        self.new_rows.push(ResourceRow {
            id: id.clone(),
            ..row
        });
        id
    }

    fn add_volumes(&mut self, parts: &Parts<'_>) {
        for volume in &parts.config.volumes {
            let id = match &volume.id {
                Some(id) => id.clone(),
                None => {
                    let name = name_of(volume);
                    self.id_of(IdKind::Volume, VolumeOrigin::Configured, &name)
                }
            };
            self.add_volume(declared(id, volume, VolumeOrigin::Configured));
        }
        for row in parts.rows.iter().filter(|row| row.kind == "volume") {
            if let Some(volume) = spec_of::<AddVolume>(row) {
                self.add_volume(declared(row.id.clone(), &volume, VolumeOrigin::Added));
            }
        }
        for file in parts.volumes {
            let location = file.path.display().to_string();
            if self
                .known
                .volumes
                .values()
                .any(|it| it.location == location)
            {
                continue;
            }
            let has_id = IdKind::Volume.matches(&file.stem);
            let id = if has_id && !self.known.volumes.contains_key(&file.stem) {
                file.stem.clone()
            } else {
                self.id_of(IdKind::Volume, VolumeOrigin::Found, &file.file_name)
            };
            self.add_volume(VolumeInfo {
                id,
                name: file.stem.clone(),
                format: file.format,
                location,
                size_bytes: 0,
                origin: VolumeOrigin::Found,
                instance: None,
                status: VolumeStatus::Available,
                allow_inconsistent: false,
                rollback: RollbackMode::Swap,
            });
        }
    }

    fn add_volume(&mut self, volume: VolumeInfo) {
        self.known
            .volumes
            .entry(volume.id.clone())
            .or_insert(volume);
    }

    fn add_instances(&mut self, parts: &Parts<'_>) {
        for instance in &parts.config.instances {
            let id = match &instance.id {
                Some(id) => id.clone(),
                None => self.id_of(IdKind::Instance, VolumeOrigin::Configured, &instance.name),
            };
            self.add_instance(id, instance, VolumeOrigin::Configured);
        }
        for row in parts.rows.iter().filter(|row| row.kind == "instance") {
            if let Some(instance) = spec_of::<AddInstance>(row) {
                self.add_instance(row.id.clone(), &instance, VolumeOrigin::Added);
            }
        }
        for file in parts.instances {
            let id = if IdKind::Instance.matches(&file.stem) {
                file.stem.clone()
            } else {
                self.id_of(IdKind::Instance, VolumeOrigin::Found, &file.file_name)
            };
            match &file.description {
                Ok(instance) => self.add_instance(id, instance, VolumeOrigin::Found),
                Err(reason) => {
                    tracing::warn!(
                        instance = id,
                        reason,
                        "the description of an instance cannot be used"
                    );
                    self.known.broken.insert(id, reason.clone());
                }
            }
        }
    }

    fn add_instance(&mut self, id: String, instance: &AddInstance, origin: VolumeOrigin) {
        if self.known.instances.contains_key(&id) {
            return;
        }
        let volumes: Vec<String> = instance
            .volumes
            .iter()
            .map(|volume| resolve(&self.known.volumes, volume))
            .collect();
        for volume in &volumes {
            let Some(known) = self.known.volumes.get_mut(volume) else {
                continue;
            };
            match &known.instance {
                Some(other) => tracing::warn!(
                    volume,
                    instance = id,
                    other,
                    "a volume is a disk of two instances; the first one counts"
                ),
                None => known.instance = Some(id.clone()),
            }
        }
        let info = InstanceInfo {
            id: id.clone(),
            name: instance.name.clone(),
            description: instance.description.clone(),
            volumes,
            host: instance.host.clone(),
            origin,
        };
        self.known.instances.insert(id, info);
    }
}

/// The id of a volume that is named by id or by name.
pub(super) fn resolve(volumes: &BTreeMap<String, VolumeInfo>, named: &str) -> String {
    if volumes.contains_key(named) {
        return named.to_owned();
    }
    let by_name = volumes.values().find(|volume| volume.name == named);
    by_name.map_or_else(|| named.to_owned(), |volume| volume.id.clone())
}

fn spec_of<T: serde::de::DeserializeOwned>(row: &ResourceRow) -> Option<T> {
    let spec = row.spec.as_ref()?;
    match serde_json::from_str(spec) {
        Ok(spec) => Some(spec),
        Err(error) => {
            tracing::error!(id = row.id, %error, "what was added cannot be read any more; add it again");
            None
        }
    }
}

/// The name of a volume: given, or the end of its location without the ending of a file.
pub(super) fn name_of(volume: &AddVolume) -> String {
    if let Some(name) = &volume.name {
        return name.clone();
    }
    let location = volume.location.trim_end_matches('/');
    let end = location.rsplit('/').next().unwrap_or(location);
    let stem = end.rsplit_once('.').map_or(end, |(stem, _)| stem);
    if stem.is_empty() { end } else { stem }.to_owned()
}

/// A volume as it is declared; what it really is is looked at later.
pub(super) fn declared(id: String, volume: &AddVolume, origin: VolumeOrigin) -> VolumeInfo {
    let is_nbd = volume.location.starts_with("nbd");
    let format = volume.format.unwrap_or(if is_nbd {
        VolumeFormat::Nbd
    } else {
        VolumeFormat::Raw
    });
    // Without a format nothing was found there, and it has to be looked for again.
    let status = if volume.format.is_none() && !is_nbd {
        VolumeStatus::Missing
    } else {
        VolumeStatus::Available
    };
    VolumeInfo {
        id,
        name: name_of(volume),
        format,
        location: volume.location.clone(),
        size_bytes: 0,
        origin,
        instance: None,
        status,
        allow_inconsistent: volume.allow_inconsistent,
        rollback: volume.rollback.unwrap_or(match format {
            VolumeFormat::Raw | VolumeFormat::Qcow2 => RollbackMode::Swap,
            VolumeFormat::Block | VolumeFormat::Nbd => RollbackMode::InPlace,
        }),
    }
}

#[cfg(test)]
mod tests;
