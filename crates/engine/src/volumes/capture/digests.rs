//! Digests of the blocks of a volume at its last snapshot: what hashes alike needs no SHA-256 and no look-up.
//!
//! A file of one page that says what it belongs to, then 16 bytes a block of BLAKE3 under a key of the volume's own: nobody who can
//! write to a disk can make a block that is taken for another. Zeros stand for a hole and for "not known". The new file is
//! made beside the old one and takes its place when the snapshot is durable. It is a cache and never synced: what a power cut takes away
//! are zeros.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Bytes of a digest.
pub(super) const DIGEST_BYTES: usize = 16;
/// Bytes in front of the digests.
const HEADER_BYTES: usize = 4096;
/// Version of the file.
const FORMAT: u32 = 1;

/// A digest of a block; zeros where it is a hole or not known.
pub(super) type BlockDigest = [u8; DIGEST_BYTES];

/// What a file of digests belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Belongs {
    /// [`FORMAT`].
    format: u32,
    /// Id of the restic repository: in another one the blobs may not be there.
    repository: String,
    /// Uuid of the snapshot.
    snapshot: String,
    size_bytes: u64,
    block_bytes: u64,
}

impl Belongs {
    pub(super) fn new(repository: &str, snapshot: &str, size_bytes: u64, block_bytes: u64) -> Self {
        Self {
            format: FORMAT,
            repository: repository.to_owned(),
            snapshot: snapshot.to_owned(),
            size_bytes,
            block_bytes,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    key: [u8; blake3::KEY_LEN],
    #[serde(flatten)]
    belongs: Belongs,
}

/// The digests of the parent snapshot, where they are known, and those of the new one.
#[derive(Debug)]
pub(super) struct Digests {
    path: PathBuf,
    old: Option<File>,
    new: File,
    key: [u8; blake3::KEY_LEN],
    belongs: Belongs,
}

impl Digests {
    /// Opens what is known of `parent` and begins the file for `next`.
    pub(super) fn begin(path: &Path, parent: Option<&Belongs>, next: Belongs) -> io::Result<Self> {
        let known = parent.and_then(|parent| open(path, parent).ok().flatten());
        let (old, key) = match known {
            Some((file, key)) => (Some(file), key),
            None => (None, rand::random()),
        };
        let new = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(new_path(path))?;
        Ok(Self {
            path: path.to_owned(),
            old,
            new,
            key,
            belongs: next,
        })
    }

    /// Whether those of the parent are known.
    pub(super) fn has_parent(&self) -> bool {
        self.old.is_some()
    }

    /// The digest of a block.
    pub(super) fn of(&self, block: &[u8]) -> BlockDigest {
        let mut digest = [0; DIGEST_BYTES];
        let hash = blake3::keyed_hash(&self.key, block);
        digest.copy_from_slice(&hash.as_bytes()[..DIGEST_BYTES]);
        digest
    }

    /// Digests of the parent from block `first` on; zeros where they are not known.
    pub(super) fn parent(&self, first: u64, count: usize) -> Vec<BlockDigest> {
        let mut bytes = vec![0; count * DIGEST_BYTES];
        if let Some(old) = &self.old {
            // A file that is too short has unknown digests at its end.
            let mut filled = 0;
            while filled < bytes.len() {
                let at = offset_of(first) + filled as u64;
                match old.read_at(&mut bytes[filled..], at) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!(%error, "digests of a volume cannot be read; its blocks are hashed instead");
                        bytes.fill(0);
                        break;
                    }
                }
            }
        }
        let digest = |bytes: &[u8]| {
            let mut digest = [0; DIGEST_BYTES];
            digest.copy_from_slice(bytes);
            digest
        };
        bytes.chunks_exact(DIGEST_BYTES).map(digest).collect()
    }

    /// Notes digests of the new snapshot from block `first` on.
    pub(super) fn note(&self, first: u64, digests: &[BlockDigest]) {
        if digests.iter().all(|digest| *digest == [0; DIGEST_BYTES]) {
            return;
        }
        if let Err(error) = self
            .new
            .write_all_at(digests.as_flattened(), offset_of(first))
        {
            tracing::warn!(%error, "digests of a volume cannot be noted; the next snapshot hashes more");
        }
    }

    /// Takes the digests of blocks that are the same over from the parent.
    pub(super) fn carry_over(&self, first: u64, count: u64) {
        const AT_ONCE: u64 = 65_536;
        if self.old.is_none() {
            return;
        }
        let mut at = first;
        while at < first + count {
            let some = AT_ONCE.min(first + count - at);
            self.note(at, &self.parent(at, some as usize));
            at += some;
        }
    }

    /// Puts the new file in the place of the old one; to be called when the snapshot is durable.
    pub(super) fn keep(self) -> io::Result<()> {
        let header = Header {
            key: self.key,
            belongs: self.belongs.clone(),
        };
        let mut page = serde_json::to_vec(&header)?;
        if page.len() > HEADER_BYTES {
            return Err(io::Error::other("the header of digests is too long"));
        }
        page.resize(HEADER_BYTES, b' ');
        self.new.write_all_at(&page, 0)?;
        fs::rename(new_path(&self.path), &self.path)
    }

    /// Removes the new file.
    pub(super) fn discard(self) {
        // What stays is overwritten the next time.
        let _ = fs::remove_file(new_path(&self.path));
    }
}

fn new_path(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn offset_of(block: u64) -> u64 {
    HEADER_BYTES as u64 + block * DIGEST_BYTES as u64
}

type Known = (File, [u8; blake3::KEY_LEN]);

/// A file of digests, if it belongs to this.
fn open(path: &Path, belongs: &Belongs) -> io::Result<Option<Known>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut page = vec![0; HEADER_BYTES];
    file.read_exact_at(&mut page, 0)?;
    let header: Header = match serde_json::from_slice(&page) {
        Ok(header) => header,
        Err(_) => return Ok(None),
    };
    Ok((header.belongs == *belongs).then_some((file, header.key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(snapshot: &str) -> Belongs {
        Belongs::new("repository", snapshot, 1 << 20, 256 << 10)
    }

    #[test]
    fn digests_are_found_again_for_their_snapshot_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vol-abc1234");
        let first = Digests::begin(&path, None, of("one")).unwrap();
        assert!(!first.has_parent());
        let digest = first.of(b"block");
        first.note(2, &[digest]);
        first.keep().unwrap();
        let second = Digests::begin(&path, Some(&of("one")), of("two")).unwrap();
        assert!(second.has_parent());
        assert_eq!(second.parent(1, 3), [[0; 16], digest, [0; 16]]);
        assert_eq!(second.of(b"block"), digest);
        second.carry_over(0, 4);
        second.keep().unwrap();
        let other = Digests::begin(&path, Some(&of("one")), of("three")).unwrap();
        assert!(!other.has_parent());
        assert_ne!(other.of(b"block"), digest, "another key");
        assert_eq!(other.parent(2, 1), [[0; 16]]);
        other.discard();
        let third = Digests::begin(&path, Some(&of("two")), of("three")).unwrap();
        assert_eq!(third.parent(2, 1), [digest]);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vol-abc1234");
        for content in [&b"short"[..], &[7; 10_000]] {
            fs::write(&path, content).unwrap();
            let digests = Digests::begin(&path, Some(&of("one")), of("two")).unwrap();
            assert!(!digests.has_parent());
        }
    }
}
