//! What is in the folders of volumes and instances.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::{AddInstance, VolumeFormat};

/// Endings of disk images, without the dot. A file without an ending is one too.
const ENDINGS: [&str; 4] = ["raw", "img", "qcow2", "qcow"];
/// First bytes of a qcow2 file.
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";
/// Largest description of an instance that is read, bytes.
const MAX_INSTANCE_BYTES: u64 = 1 << 20;
/// Files of a folder that are looked at.
const MAX_FILES: usize = 100_000;

/// A disk image in the folder of volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundVolume {
    /// With its ending.
    pub(super) file_name: String,
    /// Without.
    pub(super) stem: String,
    pub(super) path: PathBuf,
    pub(super) format: VolumeFormat,
}

/// A description in the folder of instances.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundInstance {
    pub(super) file_name: String,
    pub(super) stem: String,
    /// What it says, or why it cannot be understood.
    pub(super) description: Result<AddInstance, String>,
}

/// The disk images in a folder, by name. A folder that is not there has none. Blocks.
pub(super) fn find_volumes(folder: &Path) -> io::Result<Vec<FoundVolume>> {
    let mut found = Vec::new();
    for (file_name, path) in regular_files(folder)? {
        let (stem, ending) = match file_name.rsplit_once('.') {
            Some((stem, ending)) => (stem, ending),
            None => (file_name.as_str(), ""),
        };
        let is_image = ending.is_empty() || ENDINGS.contains(&ending.to_ascii_lowercase().as_str());
        if stem.is_empty() || !is_image {
            continue;
        }
        // A guest that writes the header of an image to its raw disk must not make us read the files that this names.
        let content = if ending.eq_ignore_ascii_case("raw") {
            Ok(false)
        } else {
            is_qcow2(&path)
        };
        let format = match content {
            Ok(true) => VolumeFormat::Qcow2,
            Ok(false) => VolumeFormat::Raw,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a file in the folder of volumes cannot be read");
                continue;
            }
        };
        found.push(FoundVolume {
            stem: stem.to_owned(),
            file_name,
            path,
            format,
        });
    }
    Ok(found)
}

/// The descriptions of instances in a folder, by name. Blocks.
pub(super) fn find_instances(folder: &Path) -> io::Result<Vec<FoundInstance>> {
    let mut found = Vec::new();
    for (file_name, path) in regular_files(folder)? {
        let Some(stem) = file_name.strip_suffix(".toml") else {
            continue;
        };
        found.push(FoundInstance {
            stem: stem.to_owned(),
            description: read_instance(&path, stem)
                .map_err(|reason| format!("{}: {reason}", path.display())),
            file_name,
        });
    }
    Ok(found)
}

/// Names and paths of the regular files that are not hidden, by name. Symbolic links are followed.
fn regular_files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if !name.starts_with('.') && fs::metadata(&path).is_ok_and(|it| it.is_file()) {
            files.push((name, path));
        }
    }
    files.sort();
    Ok(files)
}

fn is_qcow2(path: &Path) -> io::Result<bool> {
    let mut magic = [0; QCOW2_MAGIC.len()];
    match fs::File::open(path)?.read_exact(&mut magic) {
        Ok(()) => Ok(magic == QCOW2_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_instance(path: &Path, stem: &str) -> Result<AddInstance, String> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_INSTANCE_BYTES).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    parse_instance(&text, stem)
}

/// A description as an operator writes it: `name` and `driver` may be left out.
fn parse_instance(text: &str, stem: &str) -> Result<AddInstance, String> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let defaults = [("name", stem), ("driver", "none")];
    for (key, value) in defaults {
        table
            .entry(key)
            .or_insert_with(|| toml::Value::String(value.to_owned()));
    }
    let instance: AddInstance = table.try_into().map_err(|error| error.to_string())?;
    instance.host.check().map_err(|error| error.to_string())?;
    Ok(instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostSpec;

    #[test]
    fn images_are_known_by_their_content_unless_named_raw_and_other_files_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        write("web.img", b"QFI\xfb and more");
        write("guest.raw", b"QFI\xfb and more");
        write("db.img", &[0; 512]);
        write("plain", b"");
        write(".web.raw.tmp", b"");
        write("README.txt", b"");
        fs::create_dir(folder.path().join("instances")).unwrap();
        let found = find_volumes(folder.path()).unwrap();
        let names: Vec<(&str, VolumeFormat)> = found
            .iter()
            .map(|it| (it.stem.as_str(), it.format))
            .collect();
        assert_eq!(
            names,
            [
                ("db", VolumeFormat::Raw),
                ("guest", VolumeFormat::Raw),
                ("plain", VolumeFormat::Raw),
                ("web", VolumeFormat::Qcow2)
            ]
        );
        assert!(
            find_volumes(&folder.path().join("nowhere"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn an_instance_needs_volumes_only() {
        let instance = parse_instance("volumes = [\"vol-abc1234\"]", "i-abc1234").unwrap();
        assert_eq!(instance.name, "i-abc1234");
        assert_eq!(instance.host, HostSpec::None);
        let hooked = parse_instance(
            "name = \"db\"\nvolumes = [\"vol-abc1234\"]\ndriver = \"hooks\"\n\
             freeze = { argv = [\"/bin/true\"] }\nthaw = { argv = [\"/bin/true\"] }",
            "db",
        )
        .unwrap();
        assert!(matches!(hooked.host, HostSpec::Hooks(_)));
    }

    #[test]
    fn what_is_wrong_with_an_instance_is_told() {
        let problem = |text: &str| parse_instance(text, "x").unwrap_err();
        assert!(problem("name = \"db\"").contains("volumes"));
        assert!(problem("volumes = []\ndriver = \"magic\"").contains("magic"));
        let lone_freeze = "volumes = []\ndriver = \"hooks\"\nfreeze = { argv = [\"/bin/true\"] }";
        assert!(problem(lone_freeze).contains("thaw"));
    }
}
