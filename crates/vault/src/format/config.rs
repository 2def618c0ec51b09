//! The file `config`: sealed plain JSON, never compressed.

use super::{FormatError, MasterKey};
use crate::ids::RepositoryId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The format version that is read and written.
pub const VERSION: u64 = 2;

/// An irreducible polynomial of degree 53 over GF(2). Restic refuses to open a repository without one; our
/// own chunks do not depend on it, so that a constant reveals nothing.
const CHUNKER_POLYNOMIAL: &str = "3DA3358B4DC173";

/// What makes a folder a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Format version, always 2 once parsed.
    pub version: u64,
    /// Identity of the repository.
    pub id: RepositoryId,
    /// Polynomial of restic's chunker, hexadecimal.
    pub chunker_polynomial: String,
    /// Fields of other tools, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The one field that says whether the others can be understood.
#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

impl ConfigFile {
    /// The config of a new repository.
    pub fn new(id: RepositoryId) -> Self {
        Self {
            version: VERSION,
            id,
            chunker_polynomial: CHUNKER_POLYNOMIAL.to_owned(),
            other: Map::new(),
        }
    }

    /// The file as stored.
    pub fn seal(&self, key: &MasterKey) -> Result<Vec<u8>, FormatError> {
        let json = serde_json::to_vec(self).map_err(|error| FormatError::json(&error))?;
        Ok(key.seal(&json))
    }

    /// Opens the file; [`FormatError::UnsupportedVersion`] for any version but 2.
    pub fn open(key: &MasterKey, file: &[u8]) -> Result<Self, FormatError> {
        Self::parse(&key.open(file)?)
    }

    /// Reads the plain JSON.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        let VersionOnly { version } =
            serde_json::from_slice(json).map_err(|error| FormatError::json(&error))?;
        if version != VERSION {
            return Err(FormatError::UnsupportedVersion(version));
        }
        serde_json::from_slice(json).map_err(|error| FormatError::json(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_comes_back_with_the_fields_of_other_tools() {
        let key = MasterKey::generate();
        let mut config = ConfigFile::new(RepositoryId::random());
        config.other.insert("append_only".into(), true.into());
        let file = config.seal(&key).unwrap();
        assert_eq!(ConfigFile::open(&key, &file).unwrap(), config);
    }

    #[test]
    fn other_versions_are_named() {
        for version in [1, 3] {
            let json = format!("{{\"version\":{version},\"id\":7}}");
            assert_eq!(
                ConfigFile::parse(json.as_bytes()),
                Err(FormatError::UnsupportedVersion(version))
            );
        }
    }

    #[test]
    fn a_changed_config_is_noticed() {
        let key = MasterKey::generate();
        let mut file = ConfigFile::new(RepositoryId::random()).seal(&key).unwrap();
        file[40] ^= 1;
        assert_eq!(ConfigFile::open(&key, &file), Err(FormatError::MacMismatch));
    }
}
