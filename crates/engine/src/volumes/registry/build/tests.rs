use std::path::{Path, PathBuf};

use super::*;
use crate::model::HostSpec;

fn file(name: &str) -> FoundVolume {
    FoundVolume {
        file_name: name.to_owned(),
        stem: name.split('.').next().unwrap_or_default().to_owned(),
        path: PathBuf::from("/v").join(name),
        format: VolumeFormat::Raw,
    }
}

fn volume(id: Option<&str>, name: &str, location: &str) -> AddVolume {
    AddVolume {
        id: id.map(ToOwned::to_owned),
        name: Some(name.to_owned()),
        location: location.to_owned(),
        format: None,
        allow_inconsistent: false,
        rollback: None,
    }
}

fn instance(name: &str, volumes: &[&str]) -> AddInstance {
    AddInstance {
        id: None,
        name: name.to_owned(),
        description: String::new(),
        volumes: volumes.iter().map(|it| (*it).to_owned()).collect(),
        host: HostSpec::None,
    }
}

fn put_together(
    config: &VolumesConfig,
    rows: &[ResourceRow],
    volumes: &[FoundVolume],
) -> (Known, Vec<ResourceRow>) {
    build(&Parts {
        config,
        rows,
        volumes,
        instances: &[],
    })
}

#[test]
fn a_file_named_by_an_id_has_it_and_others_get_one_that_stays() {
    let config = VolumesConfig::new(Path::new("/d"));
    let files = [file("vol-abc1234.raw"), file("web.raw")];
    let (known, rows) = put_together(&config, &[], &files);
    assert_eq!(known.volumes["vol-abc1234"].name, "vol-abc1234");
    assert_eq!(rows.len(), 1);
    let web = &known.volumes[&rows[0].id];
    assert_eq!(
        (web.name.as_str(), web.origin),
        ("web", VolumeOrigin::Found)
    );
    // Known already, and from nothing again: the same.
    let (again, none) = put_together(&config, &rows, &files);
    assert!(none.is_empty() && again.volumes.contains_key(&rows[0].id));
    assert_eq!(put_together(&config, &[], &files).1, rows);
}

#[test]
fn an_id_that_is_taken_is_not_given_to_a_name() {
    let config = VolumesConfig::new(Path::new("/d"));
    let (_, rows) = put_together(&config, &[], &[file("web.raw")]);
    let squatter = format!("{}.raw", rows[0].id);
    let (known, rows) = put_together(&config, &[], &[file(&squatter), file("web.raw")]);
    assert_eq!(known.volumes.len(), 2);
    assert_ne!(squatter, format!("{}.raw", rows[0].id));
}

#[test]
fn two_files_of_one_id_are_two_volumes() {
    let config = VolumesConfig::new(Path::new("/d"));
    let files = [file("vol-abc1234.qcow2"), file("vol-abc1234.raw")];
    let (known, _) = put_together(&config, &[], &files);
    assert_eq!(known.volumes.len(), 2);
    assert!(known.volumes["vol-abc1234"].location.ends_with("qcow2"));
}

#[test]
fn what_is_configured_comes_before_what_is_found() {
    let mut config = VolumesConfig::new(Path::new("/d"));
    config.volumes = vec![volume(Some("vol-0000001"), "boot", "/v/web.raw")];
    let (known, rows) = put_together(&config, &[], &[file("web.raw")]);
    assert!(rows.is_empty());
    assert_eq!(known.volumes["vol-0000001"].name, "boot");
    assert_eq!(known.volumes.len(), 1);
}

#[test]
fn instances_name_their_volumes_by_id_or_name() {
    let mut config = VolumesConfig::new(Path::new("/d"));
    config.volumes = vec![
        volume(Some("vol-0000001"), "boot", "/v/a"),
        volume(None, "data", "nbd://host/x"),
    ];
    config.instances = vec![instance("web", &["boot", "data", "gone"])];
    let (known, _) = put_together(&config, &[], &[]);
    let web = known.instances.values().next().unwrap();
    assert_eq!(web.volumes[0], "vol-0000001");
    assert_eq!(web.volumes[2], "gone");
    let data = &known.volumes[&web.volumes[1]];
    assert_eq!(data.instance.as_ref(), Some(&web.id));
    assert_eq!(
        (data.format, data.rollback),
        (VolumeFormat::Nbd, RollbackMode::InPlace)
    );
}

#[test]
fn what_was_added_comes_back_from_its_row() {
    let config = VolumesConfig::new(Path::new("/d"));
    let added = volume(None, "disk", "/dev/vdb");
    let spec = serde_json::to_string(&added).unwrap();
    let row = resource_row(
        "vol-0000009",
        IdKind::Volume,
        VolumeOrigin::Added,
        "disk",
        Some(spec),
    );
    let (known, _) = put_together(&config, &[row], &[]);
    assert_eq!(known.volumes["vol-0000009"].location, "/dev/vdb");
}

#[test]
fn a_volume_without_a_name_is_called_as_its_file() {
    let mut unnamed = volume(None, "", "/srv/disks/db.main.qcow2");
    unnamed.name = None;
    assert_eq!(name_of(&unnamed), "db.main");
    unnamed.location = "nbd://host:10809/export".to_owned();
    assert_eq!(name_of(&unnamed), "export");
}
