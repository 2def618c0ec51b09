//! Small things about files that several parts need.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::VolumeError;

/// The longest path of a UNIX socket, in bytes (`sun_path` with its end).
const LONGEST_SOCKET_PATH: usize = 107;

/// A folder that only this user may look into, removed with all in it when dropped.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    /// Makes one in which a socket of the name `socket` has a path of usable length: below `preferred`, or else with the
    /// system's temporary files.
    pub(super) fn for_socket(preferred: &Path, socket: &str) -> Result<Self, VolumeError> {
        let name = format!("snapkeep-{}", random_hex());
        let fits = |parent: &Path| {
            parent.join(&name).join(socket).as_os_str().len() <= LONGEST_SOCKET_PATH
        };
        let parent = if preferred.is_absolute() && fits(preferred) {
            fs::create_dir_all(preferred)
                .map_err(VolumeError::io("create the folder", preferred))?;
            preferred.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(VolumeError::io("create the folder", &path))?;
        Ok(Self { path })
    }

    /// A path in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What cannot be removed is an empty socket or a few lines of text; nobody is waiting for it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// 16 hexadecimal digits that are not used yet.
pub(super) fn random_hex() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Where an external program is, by `PATH`.
pub(super) fn find_tool(tool: &str, package: &str) -> Result<PathBuf, VolumeError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(tool))
        .find(|program| program.is_file())
        .ok_or_else(|| VolumeError::ToolMissing {
            tool: tool.to_owned(),
            package: package.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_folder_is_private_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::for_socket(&parent.path().join("state"), "s").unwrap();
        let path = folder.join("");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::write(folder.join("s"), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn sockets_never_get_too_long_a_path() {
        let long = std::env::temp_dir().join("x".repeat(100));
        let folder = PrivateFolder::for_socket(&long, "socket").unwrap();
        assert!(folder.join("socket").as_os_str().len() <= LONGEST_SOCKET_PATH);
        assert!(!long.exists());
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let text = find_tool("no-such-program", "qemu-utils")
            .unwrap_err()
            .to_string();
        assert!(text.contains("install the package qemu-utils"), "{text}");
    }
}
