//! New volumes, images and exports made of points.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::rollbacks::{BLOCK, assert_file, changed, copy_of_state, disk, start_from, succeeded};
use common::volumes::assert_content;
use common::{World, world};
use serde_json::json;
use snapkeep_engine::{
    Compression, DiskFormat, EngineError, HostSpec, ImageFormat, JobState, RollbackMode,
    VolumeFormat, VolumeInfo, VolumeStatus, WriteProgress, export_disk,
};

/// A volume in the folder of volumes that is a qcow2 file with this content.
async fn qcow2_volume(world: &World, name: &str, bytes: &[u8]) -> VolumeInfo {
    let (raw, _) = world.volume("source", bytes, RollbackMode::Swap).await;
    let point = world.point(&raw, "to be exported").await;
    let disk = world.engine.open_disk(&point.id, None).await.unwrap();
    let folder = world.folder.path().join("data/volumes");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.qcow2"));
    tokio::task::spawn_blocking(move || {
        let format = DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        };
        export_disk(&disk, &path, format, false, &WriteProgress::new()).unwrap();
    })
    .await
    .unwrap();
    let volumes = world.engine.volumes().await.unwrap();
    volumes.into_iter().find(|it| it.name == name).unwrap()
}

fn allocated_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().blocks() * 512
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_volume_of_a_point_is_a_sparse_file_with_its_name() {
    let world = world().await;
    let first = disk(1, 40);
    let (volume, path) = world.volume("web", &first, RollbackMode::Swap).await;
    let point = world.point(&volume, "one").await;
    std::fs::write(&path, changed(&first, 3, 3)).unwrap();

    let ticket = world
        .engine
        .create_volume_from(&point.id, "web, as it was")
        .await
        .unwrap();
    let [id] = ticket.resources.as_slice() else {
        panic!("{ticket:?}");
    };
    assert!(id.starts_with("vol-"), "{id}");
    let job = succeeded(&world.engine, &ticket).await;
    assert_eq!(job.resources, ticket.resources);
    let made = world.engine.volume(id).await.unwrap();
    assert_eq!(
        (
            made.name.as_str(),
            made.format,
            made.size_bytes,
            &made.status
        ),
        (
            "web, as it was",
            VolumeFormat::Raw,
            first.len() as u64,
            &VolumeStatus::Available
        )
    );
    let file = world.folder.path().join(format!("data/volumes/{id}.raw"));
    assert_eq!(made.location, file.display().to_string());
    assert_file(&file, &first);
    // 30 of 40 blocks hold data; file systems need a little for themselves.
    assert!(allocated_bytes(&file) <= 31 * BLOCK as u64);

    // It is a volume like any other, also after a restart, and shown once.
    let world = world.restart().await;
    let volumes = world.engine.volumes().await.unwrap();
    let names: Vec<_> = volumes
        .iter()
        .filter(|it| it.id == *id)
        .map(|it| &it.name)
        .collect();
    assert_eq!(names, ["web, as it was"]);
    let of_new = world.point(id, "of the new one").await;
    assert_content(&world, &of_new, id, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_volume_has_the_format_of_its_source() {
    let world = world().await;
    let first = disk(1, 12);
    let source = qcow2_volume(&world, "guest", &first).await;
    assert_eq!(source.format, VolumeFormat::Qcow2);
    let point = world.point(&source.id, "one").await;
    assert_content(&world, &point, &source.id, &first).await;

    let ticket = world
        .engine
        .create_volume_from(&point.id, "copy")
        .await
        .unwrap();
    succeeded(&world.engine, &ticket).await;
    let made = world.engine.volume(&ticket.resources[0]).await.unwrap();
    assert_eq!(
        (made.format, made.size_bytes),
        (VolumeFormat::Qcow2, first.len() as u64)
    );
    assert!(made.location.ends_with(&format!("{}.qcow2", made.id)));
    let of_new = world.point(&made.id, "of the new one").await;
    assert_content(&world, &of_new, &made.id, &first).await;

    // A qcow2 volume is rolled back as a whole new file.
    let other = changed(&first, 2, 2);
    let (raw, _) = world.volume("other", &other, RollbackMode::Swap).await;
    let of_other = world.point(&raw, "other").await;
    let disk = world.engine.open_disk(&of_other.id, None).await.unwrap();
    let path = source.location.clone();
    tokio::task::spawn_blocking(move || {
        let format = DiskFormat::Qcow2 {
            compression: Compression::None,
        };
        export_disk(&disk, Path::new(&path), format, true, &WriteProgress::new()).unwrap();
    })
    .await
    .unwrap();
    let job = world.apply(&[&point.id]).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let after = world.point(&source.id, "after").await;
    assert_content(&world, &after, &source.id, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_an_instance_has_all_its_disks() {
    let world = world().await;
    let (first, second) = (disk(1, 12), disk(2, 8));
    let (boot, _) = world.volume("boot", &first, RollbackMode::Swap).await;
    let (data, _) = world.volume("data", &second, RollbackMode::Swap).await;
    let instance = world.instance("web", &[&boot, &data], HostSpec::None).await;
    let point = world.point(&instance, "both").await;
    assert!(world.engine.images().await.unwrap().is_empty());

    let capture = |format| world.engine.capture_image(&point.id, "web, golden", format);
    let raw = capture(ImageFormat::Raw).await.unwrap();
    let qcow2 = capture(ImageFormat::Qcow2).await.unwrap();
    let ova = capture(ImageFormat::Ova).await.unwrap();
    for ticket in [&raw, &qcow2, &ova] {
        succeeded(&world.engine, ticket).await;
    }
    let images = world.engine.images().await.unwrap();
    assert_eq!(images.len(), 3);
    let image = |id: &str| images.iter().find(|image| image.id == id).unwrap();
    let of_raw = image(&raw.resources[0]);
    assert_eq!(
        (
            of_raw.name.as_str(),
            of_raw.format,
            &of_raw.point,
            &of_raw.instance
        ),
        ("web, golden", ImageFormat::Raw, &point.id, &instance)
    );
    let volumes: Vec<_> = of_raw
        .disks
        .iter()
        .map(|disk| disk.volume.clone())
        .collect();
    assert_eq!(volumes, [boot, data]);
    for (disk, bytes) in of_raw.disks.iter().zip([&first, &second]) {
        let path = of_raw.path.join(&disk.file);
        assert_file(&path, bytes);
        assert_eq!(disk.size_bytes, bytes.len() as u64);
        assert_eq!(disk.sha256.len(), 64);
    }
    assert_eq!(image(&qcow2.resources[0]).format, ImageFormat::Qcow2);
    let of_ova = image(&ova.resources[0]);
    assert_eq!(of_ova.format, ImageFormat::Ova);
    assert!(of_ova.path.is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_of_the_wrong_kind_makes_nothing() {
    let world = world().await;
    let first = disk(1, 4);
    let (volume, _) = world.volume("web", &first, RollbackMode::Swap).await;
    let instance = world.instance("web", &[&volume], HostSpec::None).await;
    let of_volume = world.point(&volume, "volume").await;
    let of_instance = world.point(&instance, "instance").await;
    let engine = &world.engine;
    let image = engine
        .capture_image(&of_volume.id, "image", ImageFormat::Raw)
        .await;
    assert!(matches!(
        image.unwrap_err(),
        EngineError::WrongResourceKind {
            needed: "the point of an instance",
            ..
        }
    ));
    let new = engine.create_volume_from(&of_instance.id, "new").await;
    assert!(matches!(
        new.unwrap_err(),
        EngineError::WrongResourceKind {
            needed: "the point of a volume",
            ..
        }
    ));
    let missing = engine.create_volume_from("ss-0000000", "new").await;
    assert!(matches!(
        missing.unwrap_err(),
        EngineError::PointMissing { .. }
    ));
    let unnamed = engine.create_volume_from(&of_volume.id, " ").await;
    assert!(matches!(
        unnamed.unwrap_err(),
        EngineError::ResourceRefused { .. }
    ));
    assert!(engine.images().await.unwrap().is_empty());
    assert_eq!(engine.volumes().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_is_read_cannot_be_deleted() {
    let world = world().await;
    let (volume, _) = world.volume("web", &disk(1, 4), RollbackMode::Swap).await;
    let point = world.point(&volume, "one").await;
    let points = [point.id.clone()];
    let open = world.engine.open_disk(&point.id, None).await.unwrap();
    let refused = world
        .engine
        .delete_points(&points, false)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EngineError::PointInUse { .. }),
        "{refused}"
    );
    drop(open);
    let ticket = world.engine.delete_points(&points, false).await.unwrap();
    succeeded(&world.engine, &ticket).await;
    let gone = world.engine.open_disk(&point.id, None).await.unwrap_err();
    assert!(matches!(
        gone,
        EngineError::PointUnusable { .. } | EngineError::PointMissing { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_volume_leaves_no_file() {
    let world = world().await;
    let settings = json!({ "location": "volumes" });
    world.register_with("volumes", settings).await.unwrap();
    let (volume, _) = world.volume("web", &disk(1, 64), RollbackMode::Swap).await;
    let point = world.point(&volume, "one").await;
    let slow = json!({ "location": "volumes", "max_restore_bytes_per_sec": "1mb" });
    world.register_with("volumes", slow).await.unwrap();
    let ticket = world
        .engine
        .create_volume_from(&point.id, "new")
        .await
        .unwrap();
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    let job = world.engine.wait_job(&ticket.job_id).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    let folder = world.folder.path().join("data/volumes");
    let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    let missing = world.engine.volume(&ticket.resources[0]).await;
    assert!(matches!(
        missing.unwrap_err(),
        EngineError::VolumeMissing { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_complete_when_the_server_died_is_one_after_the_next_start() {
    let world = world().await;
    let settings = json!({ "location": "volumes" });
    world
        .register_with("volumes", settings.clone())
        .await
        .unwrap();
    let first = disk(1, 12);
    let (volume, _) = world.volume("web", &first, RollbackMode::Swap).await;
    let point = world.point(&volume, "one").await;
    let slow = json!({ "location": "volumes", "max_restore_bytes_per_sec": "1mb" });
    world.register_with("volumes", slow).await.unwrap();
    let ticket = world
        .engine
        .create_volume_from(&point.id, "copy")
        .await
        .unwrap();
    let copy = copy_of_state(&world);
    world.register_with("volumes", settings).await.unwrap();
    succeeded(&world.engine, &ticket).await;

    let id = &ticket.resources[0];
    let engine = start_from(&world, &copy).await;
    succeeded(&engine, &ticket).await;
    let made = engine.volume(id).await.unwrap();
    assert_eq!(
        (made.name.as_str(), &made.status),
        ("copy", &VolumeStatus::Available)
    );
    assert_file(Path::new(&made.location), &first);
    engine.shutdown(Duration::from_secs(5)).await;
}
