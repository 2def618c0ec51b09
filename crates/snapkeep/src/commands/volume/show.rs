//! Volumes and their snapshots in words.

use snapkeep_api::native::volumes::types::{
    ChangeSource, Consistency, Origin, ResourceKind, RollbackMode, SnapshotStatus, Volume,
    VolumeFormat, VolumeSnapshot, VolumeSnapshots, VolumeStatus, Volumes,
};

use crate::output::{bytes, table, time};

fn format_word(format: VolumeFormat) -> &'static str {
    match format {
        VolumeFormat::Raw => "raw",
        VolumeFormat::Block => "block",
        VolumeFormat::Qcow2 => "qcow2",
        VolumeFormat::Nbd => "nbd",
    }
}

/// How one of `these` came to be known.
pub fn origin(origin: Origin, these: &str) -> String {
    match origin {
        Origin::Found => format!("found in the folder of {these}"),
        Origin::Added => "added".to_owned(),
        Origin::Configured => "configured".to_owned(),
    }
}

fn status_of_volume(volume: &Volume) -> String {
    let word = match volume.status {
        VolumeStatus::Available => "available",
        VolumeStatus::Suspended => "suspended",
        VolumeStatus::Missing => "missing",
    };
    match &volume.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

/// `raw, 4.0 GiB`.
pub fn kind_and_size(volume: &Volume) -> String {
    format!("{}, {}", format_word(volume.format), size(volume))
}

/// Of what is missing, and of what is only asked when it is needed, the size is not known.
fn size(volume: &Volume) -> String {
    match volume.size_bytes {
        0 => "not known".to_owned(),
        known => bytes(known),
    }
}

/// All volumes.
pub fn volumes(found: &Volumes) -> String {
    if found.volumes.is_empty() {
        return "no volumes; add one: snapkeep volume add PATH".to_owned();
    }
    let rows = found.volumes.iter().map(|volume| {
        [
            volume.id.clone(),
            volume.name.clone(),
            format_word(volume.format).to_owned(),
            size(volume),
            volume.instance.clone().unwrap_or_default(),
            status_of_volume(volume),
            volume.location.clone(),
        ]
    });
    table(
        [
            "ID", "NAME", "FORMAT", "SIZE", "INSTANCE", "STATUS", "LOCATION",
        ],
        rows,
    )
}

/// One volume.
pub fn volume(found: &Volume) -> String {
    let mut lines = vec![
        format!("volume    {}", found.id),
        format!("name      {}", found.name),
        format!("disk      {}", kind_and_size(found)),
        format!("location  {}", found.location),
        format!("known     {}", origin(found.origin, "volumes")),
        format!("status    {}", status_of_volume(found)),
    ];
    if let Some(instance) = &found.instance {
        lines.push(format!("instance  {instance}"));
    }
    let how = match found.rollback {
        RollbackMode::Swap => "by swapping files",
        RollbackMode::InPlace => "in place",
    };
    lines.push(format!("rollback  {how}"));
    if found.allow_inconsistent {
        lines.push("in use    snapshotted even without a consistent view".to_owned());
    }
    lines.join("\n")
}

/// Where a snapshot stands.
pub fn status(status: SnapshotStatus) -> &'static str {
    match status {
        SnapshotStatus::Pending => "pending",
        SnapshotStatus::Available => "available",
        SnapshotStatus::Suspended => "suspended",
        SnapshotStatus::Deleted => "deleted",
        SnapshotStatus::Ceased => "ceased",
    }
}

fn change_source(source: ChangeSource) -> &'static str {
    match source {
        ChangeSource::Bitmap => "bitmap",
        ChangeSource::Reflink => "reflink",
        ChangeSource::Stat => "stat",
        ChangeSource::Scan => "scan",
    }
}

fn consistency(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Offline => "offline",
        Consistency::Frozen => "frozen",
        Consistency::Crash => "crash",
        Consistency::Inconsistent => "INCONSISTENT",
    }
}

fn kind(snapshot: &VolumeSnapshot) -> &'static str {
    if snapshot.full { "full" } else { "increment" }
}

/// A list of snapshots.
pub fn snapshots(found: &VolumeSnapshots) -> String {
    if found.snapshots.is_empty() {
        return "no snapshots; take one: snapkeep volume snapshot VOLUME".to_owned();
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let rows = found.snapshots.iter().map(|snapshot| {
        let is_locked = snapshot.locked_until_ms.is_some_and(|until| until > now_ms);
        let locked = if is_locked { ", locked" } else { "" };
        let head = if snapshot.is_head { ", head" } else { "" };
        [
            snapshot.id.clone(),
            snapshot.name.clone(),
            snapshot.resource.id.clone(),
            kind(snapshot).to_owned(),
            snapshot.parent_id.clone().unwrap_or_default(),
            format!("{}{head}{locked}", status(snapshot.status)),
            time(snapshot.snapshot_ms),
            bytes(snapshot.size_bytes),
        ]
    });
    let mut text = table(
        [
            "ID", "NAME", "OF", "KIND", "PARENT", "STATUS", "TAKEN", "ADDED",
        ],
        rows,
    );
    let shown = found.snapshots.len() as u64;
    if found.total > shown {
        text.push_str(&format!(
            "\n{shown} of {}; see more with --limit and --offset",
            found.total
        ));
    }
    text
}

/// One snapshot.
pub fn snapshot(found: &VolumeSnapshot) -> String {
    let kind_of_resource = match found.resource.kind {
        ResourceKind::Volume => "volume",
        ResourceKind::Instance => "instance",
    };
    let mut lines = vec![format!("snapshot  {}", found.id)];
    if !found.name.is_empty() {
        lines.push(format!("name      {}", found.name));
    }
    if !found.description.is_empty() {
        lines.push(format!("about     {}", found.description));
    }
    lines.push(format!(
        "of        {kind_of_resource} {} ({})",
        found.resource.id, found.resource.name
    ));
    lines.push(format!("status    {}", status(found.status)));
    if let Some(reason) = &found.reason {
        lines.push(format!("reason    {reason}"));
    }
    lines.push(match &found.parent_id {
        Some(parent) => format!(
            "kind      {} on {parent}, chain of {}",
            kind(found),
            found.root_id
        ),
        None => format!(
            "kind      {}; {} snapshot(s) in its chain, {}",
            kind(found),
            found.total_count,
            bytes(found.total_size_bytes)
        ),
    });
    if found.is_head {
        lines.push("head      the next increment is taken on top of it".to_owned());
    }
    lines.push(format!("taken     {}", time(found.snapshot_ms)));
    lines.push(format!(
        "size      {} added, disks of {}",
        bytes(found.size_bytes),
        bytes(found.virtual_size_bytes)
    ));
    lines.push(format!("kept in   repository {}", found.repository));
    if let Some(until) = found.locked_until_ms {
        lines.push(format!("locked    until {}", time(until)));
    }
    if found.disks.is_empty() {
        return lines.join("\n");
    }
    let rows = found.disks.iter().map(|disk| {
        [
            disk.volume.clone(),
            bytes(disk.size_bytes),
            bytes(disk.read_bytes),
            bytes(disk.stored_bytes),
            consistency(disk.consistency).to_owned(),
            change_source(disk.change_source).to_owned(),
            disk.reason.clone().unwrap_or_default(),
        ]
    });
    let disks = table(
        [
            "DISK",
            "SIZE",
            "READ",
            "ADDED",
            "CONSISTENCY",
            "CHANGES BY",
            "",
        ],
        rows,
    );
    format!("{}\n\n{disks}", lines.join("\n"))
}

/// What taking a snapshot came to, in a line and its remarks.
pub fn taken(found: &VolumeSnapshot) -> String {
    let read = found.disks.iter().map(|disk| disk.read_bytes).sum();
    let mut text = format!(
        "snapshot {} of {}: {}, {} read, {} added to repository {}",
        found.id,
        found.resource.id,
        kind(found),
        bytes(read),
        bytes(found.size_bytes),
        found.repository
    );
    for disk in &found.disks {
        if disk.consistency == Consistency::Inconsistent {
            text.push_str(&format!(
                "\n  {}: INCONSISTENT, it was written to while it was read",
                disk.volume
            ));
        }
        // Of a full snapshot everything is read anyway.
        if let Some(reason) = disk.reason.as_ref().filter(|_| !found.full) {
            let source = change_source(disk.change_source);
            text.push_str(&format!(
                "\n  {}: changes found by {source}: {reason}",
                disk.volume
            ));
        }
    }
    text
}
