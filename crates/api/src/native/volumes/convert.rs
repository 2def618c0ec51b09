//! From the engine's terms to those of this API, and back.

use snapkeep_engine as engine;

use super::types::{
    AddVolume, ChangeSource, Consistency, Image, ImageDisk, ImageFormat, Instance, Origin,
    Resource, ResourceKind, RollbackMode, SnapshotDisk, SnapshotStatus, Volume, VolumeFormat,
    VolumeSnapshot, VolumeStatus,
};

impl From<engine::VolumeFormat> for VolumeFormat {
    fn from(format: engine::VolumeFormat) -> Self {
        match format {
            engine::VolumeFormat::Raw => Self::Raw,
            engine::VolumeFormat::Block => Self::Block,
            engine::VolumeFormat::Qcow2 => Self::Qcow2,
            engine::VolumeFormat::Nbd => Self::Nbd,
        }
    }
}

impl From<VolumeFormat> for engine::VolumeFormat {
    fn from(format: VolumeFormat) -> Self {
        match format {
            VolumeFormat::Raw => Self::Raw,
            VolumeFormat::Block => Self::Block,
            VolumeFormat::Qcow2 => Self::Qcow2,
            VolumeFormat::Nbd => Self::Nbd,
        }
    }
}

impl From<engine::RollbackMode> for RollbackMode {
    fn from(mode: engine::RollbackMode) -> Self {
        match mode {
            engine::RollbackMode::Swap => Self::Swap,
            engine::RollbackMode::InPlace => Self::InPlace,
        }
    }
}

impl From<RollbackMode> for engine::RollbackMode {
    fn from(mode: RollbackMode) -> Self {
        match mode {
            RollbackMode::Swap => Self::Swap,
            RollbackMode::InPlace => Self::InPlace,
        }
    }
}

impl From<engine::VolumeOrigin> for Origin {
    fn from(origin: engine::VolumeOrigin) -> Self {
        match origin {
            engine::VolumeOrigin::Found => Self::Found,
            engine::VolumeOrigin::Added => Self::Added,
            engine::VolumeOrigin::Configured => Self::Configured,
        }
    }
}

impl From<engine::VolumeInfo> for Volume {
    fn from(info: engine::VolumeInfo) -> Self {
        let (status, reason) = match info.status {
            engine::VolumeStatus::Available => (VolumeStatus::Available, None),
            engine::VolumeStatus::Missing => (VolumeStatus::Missing, None),
            engine::VolumeStatus::Suspended { reason } => (VolumeStatus::Suspended, Some(reason)),
        };
        Self {
            id: info.id,
            name: info.name,
            format: info.format.into(),
            location: info.location,
            size_bytes: info.size_bytes,
            origin: info.origin.into(),
            instance: info.instance,
            status,
            reason,
            allow_inconsistent: info.allow_inconsistent,
            rollback: info.rollback.into(),
        }
    }
}

impl From<AddVolume> for engine::AddVolume {
    fn from(wanted: AddVolume) -> Self {
        Self {
            id: wanted.id,
            name: wanted.name,
            location: wanted.location,
            format: wanted.format.map(Into::into),
            allow_inconsistent: wanted.allow_inconsistent,
            rollback: wanted.rollback.map(Into::into),
        }
    }
}

impl From<engine::InstanceInfo> for Instance {
    fn from(info: engine::InstanceInfo) -> Self {
        Self {
            id: info.id,
            name: info.name,
            description: info.description,
            volumes: info.volumes,
            // Its keys are texts, so that nothing can go wrong.
            host: serde_json::to_value(&info.host).unwrap_or_default(),
            origin: info.origin.into(),
        }
    }
}

impl From<engine::PointDisk> for SnapshotDisk {
    fn from(disk: engine::PointDisk) -> Self {
        let change_source = match disk.change_source {
            engine::ChangeSource::Bitmap => ChangeSource::Bitmap,
            engine::ChangeSource::Reflink => ChangeSource::Reflink,
            engine::ChangeSource::Stat => ChangeSource::Stat,
            engine::ChangeSource::Scan => ChangeSource::Scan,
        };
        let consistency = match disk.consistency {
            engine::Consistency::Offline => Consistency::Offline,
            engine::Consistency::Frozen => Consistency::Frozen,
            engine::Consistency::Crash => Consistency::Crash,
            engine::Consistency::Inconsistent => Consistency::Inconsistent,
        };
        Self {
            volume: disk.volume,
            name: disk.name,
            format: disk.format.into(),
            size_bytes: disk.size_bytes,
            change_source,
            reason: disk.reason,
            consistency,
            read_bytes: disk.read_bytes,
            changed_bytes: disk.changed_bytes,
            stored_bytes: disk.stored_bytes,
        }
    }
}

impl From<engine::PointStatus> for SnapshotStatus {
    fn from(status: engine::PointStatus) -> Self {
        match status {
            engine::PointStatus::Pending => Self::Pending,
            engine::PointStatus::Available => Self::Available,
            engine::PointStatus::Suspended => Self::Suspended,
            engine::PointStatus::Deleted => Self::Deleted,
            engine::PointStatus::Ceased => Self::Ceased,
        }
    }
}

impl From<engine::PointResource> for Resource {
    fn from(resource: engine::PointResource) -> Self {
        let kind = match resource.kind {
            engine::PointKind::Volume => ResourceKind::Volume,
            engine::PointKind::Instance => ResourceKind::Instance,
        };
        Self {
            id: resource.id,
            name: resource.name,
            kind,
        }
    }
}

impl From<engine::PointInfo> for VolumeSnapshot {
    fn from(point: engine::PointInfo) -> Self {
        Self {
            id: point.id,
            repository: point.repository,
            name: point.name,
            description: point.description,
            resource: point.resource.into(),
            full: point.full,
            root_id: point.root_id,
            parent_id: point.parent_id,
            is_head: point.is_head,
            head_chain: point.head_chain,
            status: point.status.into(),
            taken: point.taken,
            reason: point.reason,
            created_ms: point.create_ms,
            snapshot_ms: point.snapshot_ms,
            size_bytes: point.size_bytes,
            virtual_size_bytes: point.virtual_size_bytes,
            total_size_bytes: point.total_size_bytes,
            total_count: point.total_count,
            locked_until_ms: point.locked_until_ms,
            job: point.job_id,
            disks: point.disks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<engine::ImageFormat> for ImageFormat {
    fn from(format: engine::ImageFormat) -> Self {
        match format {
            engine::ImageFormat::Qcow2 => Self::Qcow2,
            engine::ImageFormat::Qcow2Zlib => Self::Qcow2Zlib,
            engine::ImageFormat::Raw => Self::Raw,
            engine::ImageFormat::Ova => Self::Ova,
        }
    }
}

impl From<ImageFormat> for engine::ImageFormat {
    fn from(format: ImageFormat) -> Self {
        match format {
            ImageFormat::Qcow2 => Self::Qcow2,
            ImageFormat::Qcow2Zlib => Self::Qcow2Zlib,
            ImageFormat::Raw => Self::Raw,
            ImageFormat::Ova => Self::Ova,
        }
    }
}

impl From<engine::ImageInfo> for Image {
    fn from(info: engine::ImageInfo) -> Self {
        let disk = |disk: engine::ImageDisk| ImageDisk {
            volume: disk.volume,
            file: disk.file,
            size_bytes: disk.size_bytes,
            file_bytes: disk.file_bytes,
            sha256: disk.sha256,
        };
        Self {
            id: info.id,
            name: info.name,
            format: info.format.into(),
            snapshot: info.point,
            instance: info.instance,
            created_ms: info.created_ms,
            path: info.path.display().to_string(),
            disks: info.disks.into_iter().map(disk).collect(),
        }
    }
}
