//! The kinds of files in a repository, and where each lies.

/// Longest name of a [`FileKind::Side`] file, in bytes.
const SIDE_NAME_MAX_BYTES: usize = 200;

/// A kind of file. Layout as every restic backend has it: `config`, `keys/`, `data/xx/`, `index/`, `snapshots/`, `locks/`;
/// `snapkeep/` is ours, restic ignores it and leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The one file `config`; its name is ignored, give `""`.
    Config,
    /// Key files.
    Key,
    /// Pack files, spread over 256 folders by the first two digits.
    Data,
    /// Index files.
    Index,
    /// Snapshot files.
    Snapshot,
    /// Lock files.
    Lock,
    /// Files of our own beside the repository: relative paths of the characters `A-Z a-z 0-9 . _ -`.
    Side,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Config,
        Self::Key,
        Self::Data,
        Self::Index,
        Self::Snapshot,
        Self::Lock,
        Self::Side,
    ];

    /// The folder of the kind, `config` for the file of this name.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "keys",
            Self::Data => "data",
            Self::Index => "index",
            Self::Snapshot => "snapshots",
            Self::Lock => "locks",
            Self::Side => "snapkeep",
        }
    }

    /// Whether a removal must survive a power cut once it is answered. A snapshot must not come back, and neither must an index file: it
    /// would name packs that prune has deleted since. Packs and side files that come back are found and removed again.
    pub const fn removal_lasts(self) -> bool {
        !matches!(self, Self::Data | Self::Side)
    }

    /// Whether a file of this kind may have this name.
    pub fn allows(self, name: &str) -> bool {
        match self {
            Self::Config => name.is_empty() || name == "config",
            Self::Side => is_side_name(name),
            _ => is_id_name(name),
        }
    }

    /// The path below the root of the repository, with `/`; `None` if the kind does not allow the name.
    pub fn path(self, name: &str) -> Option<String> {
        if !self.allows(name) {
            return None;
        }
        let folder = self.folder();
        Some(match self {
            Self::Config => folder.to_owned(),
            Self::Data => format!("{folder}/{}/{name}", &name[..2]),
            _ => format!("{folder}/{name}"),
        })
    }

    /// The name of a file of this kind from its path below the root; the inverse of [`path`](Self::path).
    pub fn name_of(self, path: &str) -> Option<&str> {
        if self == Self::Config {
            return (path == "config").then_some("config");
        }
        let below = path.strip_prefix(self.folder())?.strip_prefix('/')?;
        let name = match self {
            Self::Data => {
                let (folder, name) = below.split_once('/')?;
                name.starts_with(folder).then_some(name)?
            }
            _ => below,
        };
        (self.path(name)? == path).then_some(name)
    }
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.folder())
    }
}

fn is_id_name(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_side_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= SIDE_NAME_MAX_BYTES
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_restic() {
        let id = "ab".repeat(32);
        assert_eq!(FileKind::Config.path("").unwrap(), "config");
        assert_eq!(FileKind::Data.path(&id).unwrap(), format!("data/ab/{id}"));
        assert_eq!(FileKind::Key.path(&id).unwrap(), format!("keys/{id}"));
        assert_eq!(
            FileKind::Snapshot.path(&id).unwrap(),
            format!("snapshots/{id}")
        );
        assert_eq!(
            FileKind::Side.path("digests/a-1.bin").unwrap(),
            "snapkeep/digests/a-1.bin"
        );
    }

    #[test]
    fn names_come_back_from_paths() {
        let id = "0f".repeat(32);
        for kind in FileKind::ALL {
            let name = match kind {
                FileKind::Config => "config",
                FileKind::Side => "a/b",
                _ => &id,
            };
            let path = kind.path(name).unwrap();
            assert_eq!(kind.name_of(&path), Some(name), "{path}");
        }
    }

    #[test]
    fn names_that_could_leave_the_folder_or_are_half_written_are_refused() {
        let id = "ab".repeat(32);
        for name in ["../x", "a//b", "/a", "", ".tmp", "a b", "x#1", "a/.."] {
            assert_eq!(FileKind::Side.path(name), None, "{name}");
        }
        for name in [&id[1..], &format!("{id}#1"), &id.to_uppercase(), "../etc"] {
            assert_eq!(FileKind::Data.path(name), None, "{name}");
        }
        assert_eq!(FileKind::Data.name_of(&format!("data/cd/{id}")), None);
        assert_eq!(FileKind::Data.name_of(&format!("data/ab/{id}#3")), None);
    }
}
