//! One disk on its way to a capture: looked at, taken at the moment of its group, made ready to be read.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;

use super::captured::{Captured, Watch};
use super::generation::{Generation, Trace};
use super::reflink::{self, Anchor};
use super::{Changes, DiskRequest, image, raw};
use crate::volume::fiemap::count_extents;
use crate::volume::probe::device_size;
use crate::volume::qcow2::Qcow2Header;
use crate::volume::source::{DiskReader, FileSource, NbdSource};
use crate::volume::users::{qemu_lock, sysfs_folder};
use crate::volume::{
    Consistency, DiskSource, DiskUser, DiskUserKind, VolumeError, VolumeFormat, users_of,
};

/// Time that cloning takes for each extent, on a machine under load: 100,000 took 4.4 s on XFS and half of it on btrfs.
const CLONE_US_PER_EXTENT: u64 = 30;
/// Longest time that writers may be held up by the clones of one group.
const PAUSE_BUDGET_US: u64 = 2_000_000;
/// Longest time that is worth spending on a clone when nobody waits; reading it all takes longer.
const OFFLINE_BUDGET_US: u64 = 30_000_000;

/// How often, and after how long, a process that has the disk open is looked for again before it counts as a user.
const SECOND_LOOKS: u32 = 3;
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(100);

/// What all disks of a group share.
pub(super) struct Setting<'a> {
    /// The host, when it says that it runs.
    pub(super) running_host: Option<DiskUser>,
    /// How many disks share the budget of pauses.
    pub(super) disk_count: u64,
    pub(super) allow_inconsistent: bool,
    pub(super) state_dir: &'a Path,
    /// Why the host could not capture its disks itself, where it is one that can.
    pub(super) live_reason: Option<String>,
}

/// A disk that was looked at.
pub(super) struct Prepared<'a> {
    pub(super) request: &'a DiskRequest,
    pub(super) users: Vec<DiskUser>,
    kind: Kind,
}

enum Kind {
    File(FileDisk),
    Device {
        file: File,
        path: PathBuf,
        size_bytes: u64,
    },
    Nbd(Box<NbdSource>),
}

/// A raw file or an image file.
pub(super) struct FileDisk {
    pub(super) file: File,
    /// Without symbolic links.
    pub(super) path: PathBuf,
    /// Of the disk, not of the image file.
    pub(super) size_bytes: u64,
    /// None: raw.
    pub(super) image: Option<Qcow2Header>,
    /// The clone to be read, or why there is none.
    pub(super) clone: Result<Anchor, String>,
}

impl<'a> Prepared<'a> {
    /// Looks at a disk. Nothing is changed but that an empty file is made for its clone.
    pub(super) fn new(
        request: &'a DiskRequest,
        setting: &Setting<'_>,
    ) -> Result<Self, VolumeError> {
        let source = &request.source;
        let mut users = Vec::new();
        let mut kind = match source.format {
            VolumeFormat::Raw | VolumeFormat::Qcow2 => Kind::File(FileDisk::open(source)?),
            VolumeFormat::Block => open_device(source, &mut users)?,
            VolumeFormat::Nbd => Kind::Nbd(Box::new(NbdSource::connect(&source.location)?)),
        };
        // Asked after QEMU programs are locked out, so that none comes in between.
        let found = lasting_users(source)?;
        if !found.is_empty() {
            users = found;
        }
        users.extend(setting.running_host.clone());
        if let Kind::File(disk) = &mut kind {
            if !users.is_empty() {
                // It is theirs.
                qemu_lock::let_writers_in(&disk.file)
                    .map_err(VolumeError::io("unlock", &disk.path))?;
            }
            disk.plan_clone(source, !users.is_empty(), setting.disk_count);
        }
        let prepared = Self {
            request,
            users,
            kind,
        };
        if prepared.is_in_use() && !prepared.has_clone() && !setting.allow_inconsistent {
            return Err(prepared.refusal(setting.live_reason.as_deref()));
        }
        Ok(prepared)
    }

    /// Whether somebody may be writing to it.
    pub(super) fn is_in_use(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether a clone is to be taken of it at the moment of the group.
    pub(super) fn has_clone(&self) -> bool {
        matches!(&self.kind, Kind::File(FileDisk { clone: Ok(_), .. }))
    }

    /// That it is in use, and why no view of it can be had: neither by its host nor from outside.
    fn refusal(&self, by_host: Option<&str>) -> VolumeError {
        let from_outside = match &self.kind {
            Kind::File(FileDisk { clone, .. }) => clone.as_ref().err().map(String::as_str),
            Kind::Device { .. } => Some("a block device can only be captured while nobody uses it"),
            Kind::Nbd(_) => None,
        };
        let reasons: Vec<&str> = by_host.into_iter().chain(from_outside).collect();
        VolumeError::InUse {
            volume: self.request.source.volume.clone(),
            users: self.users.clone(),
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        }
    }

    /// Writes out what its writers have written already, so that the clone itself takes less time.
    pub(super) fn warm_up(&self) {
        if let Kind::File(disk) = &self.kind
            && self.has_clone()
        {
            // The clone writes out what is left, and fails if that fails.
            let _ = disk.file.sync_data();
        }
    }

    /// The moment: takes the clone, where there is to be one.
    pub(super) fn take(&mut self) -> Result<(), VolumeError> {
        let is_in_use = self.is_in_use();
        let Kind::File(disk) = &mut self.kind else {
            return Ok(());
        };
        let Ok(anchor) = &disk.clone else {
            return Ok(());
        };
        match anchor.clone_from(&disk.file) {
            Ok(()) => Ok(()),
            // Nobody writes to it, so it can be read as it is.
            Err(cause) if !is_in_use => {
                disk.clone = Err(cause.to_string());
                Ok(())
            }
            Err(cause) => {
                disk.clone = Err(cause.to_string());
                Err(self.refusal(None))
            }
        }
    }

    /// Makes it ready to be read.
    pub(super) fn finish(
        self,
        setting: &Setting<'_>,
        frozen: bool,
    ) -> Result<Captured, VolumeError> {
        let consistency = if !self.is_in_use() {
            Consistency::Offline
        } else if !self.has_clone() {
            Consistency::Inconsistent
        } else if frozen {
            Consistency::Frozen
        } else {
            Consistency::Crash
        };
        let request = self.request;
        let mut captured = match self.kind {
            Kind::File(disk) if disk.image.is_some() => {
                image::finish(disk, request, consistency, setting.state_dir)?
            }
            Kind::File(disk) => raw::finish(disk, request, consistency)?,
            Kind::Device {
                file,
                path,
                size_bytes,
            } => finish_device(file, path, size_bytes, request, consistency),
            Kind::Nbd(source) => finish_nbd(*source, request, consistency),
        };
        if let Some(reason) = &setting.live_reason {
            captured.changes.reason = Some(match captured.changes.reason {
                Some(own) => format!("{reason}; {own}"),
                None => reason.clone(),
            });
        }
        Ok(captured)
    }
}

impl FileDisk {
    fn open(source: &DiskSource) -> Result<Self, VolumeError> {
        let path = resolve(source)?;
        let file = File::open(&path).map_err(VolumeError::io("open", &path))?;
        let metadata = file.metadata().map_err(VolumeError::io("look at", &path))?;
        if !metadata.is_file() {
            return Err(not_a(source, "regular file"));
        }
        let image = match source.format {
            VolumeFormat::Qcow2 => {
                Some(Qcow2Header::read(&file, &path)?.ok_or_else(|| not_a(source, "qcow2 image"))?)
            }
            // Whatever a guest has written there is data and not a header.
            _ => None,
        };
        let size_bytes = match &image {
            Some(header) => header.virtual_size,
            None => {
                qemu_lock::keep_writers_out(&file).map_err(VolumeError::io("lock", &path))?;
                metadata.len()
            }
        };
        Ok(Self {
            file,
            path,
            size_bytes,
            image,
            clone: Err(String::new()),
        })
    }

    fn plan_clone(&mut self, source: &DiskSource, in_use: bool, disk_count: u64) {
        self.clone = self.try_plan_clone(source, in_use, disk_count);
    }

    fn try_plan_clone(
        &self,
        source: &DiskSource,
        in_use: bool,
        disk_count: u64,
    ) -> Result<Anchor, String> {
        if let Some(image) = &self.image {
            if !in_use {
                return Err("the image is not in use and is read as it is".to_owned());
            }
            if !image.is_self_contained() {
                return Err("the image consists of several files".to_owned());
            }
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if let Some(obstacle) = reflink::obstacle(&self.file, folder) {
            return Err(obstacle);
        }
        let extents = count_extents(&self.file)
            .map_err(|cause| format!("the extents of the file cannot be listed: {cause}"))?;
        let budget_us = if in_use {
            PAUSE_BUDGET_US / disk_count.max(1)
        } else {
            OFFLINE_BUDGET_US
        };
        let estimate_us = extents.saturating_mul(CLONE_US_PER_EXTENT);
        if estimate_us > budget_us {
            return Err(format!(
                "the file has {extents} extents, and cloning it would take about {} s; defragment it",
                estimate_us / 1_000_000
            ));
        }
        Anchor::prepare(&source.volume, &self.file, &self.path).map_err(|cause| cause.to_string())
    }
}

/// Those who use the disk for more than a moment: `udev`, `blkid` or `losetup` open every device for writing now and then, only to
/// look at it.
fn lasting_users(source: &DiskSource) -> Result<Vec<DiskUser>, VolumeError> {
    let mut users = users_of(source)?;
    for _ in 0..SECOND_LOOKS {
        if users.is_empty() || users.iter().any(|user| user.kind != DiskUserKind::Process) {
            break;
        }
        thread::sleep(SECOND_LOOK_AFTER);
        users = users_of(source)?;
    }
    Ok(users)
}

/// The path behind symbolic links.
fn resolve(source: &DiskSource) -> Result<PathBuf, VolumeError> {
    fs::canonicalize(&source.location).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => VolumeError::Missing {
            location: source.location.clone(),
        },
        _ => VolumeError::io("find", &source.location)(cause),
    })
}

fn not_a(source: &DiskSource, wanted: &str) -> VolumeError {
    VolumeError::Unsupported {
        what: format!("{} is not a {wanted}", source.location),
        hint: format!(
            "volume [{}] was added as {}; remove it and add what is there now",
            source.volume, source.format
        ),
    }
}

fn open_device(source: &DiskSource, users: &mut Vec<DiskUser>) -> Result<Kind, VolumeError> {
    let path = resolve(source)?;
    let is_device = fs::metadata(&path)
        .map_err(VolumeError::io("look at", &path))?
        .file_type()
        .is_block_device();
    if !is_device {
        return Err(not_a(source, "block device"));
    }
    // O_EXCL on a block device keeps it from being mounted or built upon, and fails when it is.
    let mut options = OpenOptions::new();
    options.read(true);
    let exclusively = options
        .clone()
        .custom_flags(OFlags::EXCL.bits().cast_signed())
        .open(&path);
    let file = match exclusively {
        Err(cause) if cause.kind() == std::io::ErrorKind::ResourceBusy => {
            users.push(DiskUser {
                kind: DiskUserKind::Holder,
                name: "that is built on it or a mount of it".to_owned(),
                pid: None,
            });
            options.open(&path)
        }
        outcome => outcome,
    }
    .map_err(VolumeError::io("open", &path))?;
    // Writes of earlier users that are still in memory would otherwise be counted as writes of now.
    file.sync_all()
        .map_err(VolumeError::io("write out", &path))?;
    let size_bytes = device_size(&file, &path)?;
    Ok(Kind::Device {
        file,
        path,
        size_bytes,
    })
}

fn finish_device(
    file: File,
    path: PathBuf,
    size_bytes: u64,
    request: &DiskRequest,
    consistency: Consistency,
) -> Captured {
    let watch = match (consistency, file.metadata()) {
        (Consistency::Offline, Ok(metadata)) => file.try_clone().map_or(Watch::Nothing, |file| {
            Watch::device(file, sysfs_folder(metadata.rdev()))
        }),
        _ => Watch::Nothing,
    };
    Captured {
        reader: Box::new(FileSource::device(file, path, size_bytes)),
        changes: Changes::unknown("nothing tells what changed on a block device"),
        consistency,
        is_detached: false,
        watch,
        scratch: None,
        generation: generation(request, size_bytes, Trace::Nothing),
    }
}

fn finish_nbd(source: NbdSource, request: &DiskRequest, consistency: Consistency) -> Captured {
    let size_bytes = source.size_bytes();
    Captured {
        reader: Box::new(source),
        changes: Changes::unknown(
            "an NBD server does not tell what changed since a snapshot, nor who else writes to the disk",
        ),
        // Nobody can tell that nobody writes.
        consistency: match consistency {
            Consistency::Offline => Consistency::Crash,
            other => other,
        },
        is_detached: false,
        watch: Watch::Nothing,
        scratch: None,
        generation: generation(request, size_bytes, Trace::Nothing),
    }
}

/// The hand-over of a disk.
pub(super) fn generation(request: &DiskRequest, size_bytes: u64, new: Trace) -> Generation {
    Generation {
        source: request.source.clone(),
        size_bytes,
        new,
        old: request.token.clone(),
    }
}
