//! Every parser of repository data under one signature, for tests that throw any bytes at them.
//!
//! A repository may lie where others can write, and disks turn bits: whatever the bytes are, a parser answers, without a panic
//! and without unbounded memory. The property test below and the targets in `fuzz/` call the same functions. Where a
//! parser accepts its input, the function also checks what must hold then.

use super::pack::{self, TRAILER_BYTES};
use super::{
    BlobKind, ConfigFile, Decompressor, IndexFile, KeyFile, LockFile, MasterKey, OVERHEAD_BYTES,
    PackEntry, SnapshotFile, Tree, unpacked,
};
use crate::ids::BlobId;

/// A parser with its name.
pub type Parser = (&'static str, fn(&[u8]));

/// Every parser of repository data.
pub const PARSERS: [Parser; 9] = [
    ("pack_header", pack_header),
    ("index_file", index_file),
    ("snapshot_file", snapshot_file),
    ("tree", tree),
    ("lock_file", lock_file),
    ("config", config),
    ("key_file", key_file),
    ("unpacked_file", unpacked_file),
    ("blob", blob),
];

/// A key that is the same in every run, so that found inputs can be tried again.
fn fixed_key() -> MasterKey {
    MasterKey::from_derived(&[7; 64])
}

/// The plain header of a pack whose blobs end where the header says.
pub fn pack_header(data: &[u8]) {
    if let Some((trailer, rest)) = data.split_first_chunk::<TRAILER_BYTES>() {
        let _ = pack::sealed_header_len(*trailer, rest.len() as u64);
        let _ = pack::open_header(&fixed_key(), rest, data.len() as u64);
    }
    let blobs_end = header_blobs_end(data);
    if let Ok(entries) = pack::parse_header(data, blobs_end) {
        assert_eq!(pack::encode_header(&entries), data);
        let mut offset = 0;
        for entry in entries {
            assert_eq!(u64::from(entry.offset), offset);
            offset = entry.end();
        }
        assert_eq!(offset, blobs_end);
    }
}

/// The sum of the lengths in a header, so that chance bytes get beyond the check of it.
fn header_blobs_end(header: &[u8]) -> u64 {
    let mut end = 0;
    let mut rest = header;
    while let [code, a, b, c, d, ..] = *rest {
        end += u64::from(u32::from_le_bytes([a, b, c, d]));
        let entry_bytes = if code < 2 { 37 } else { 41 };
        rest = rest.get(entry_bytes..).unwrap_or_default();
    }
    end
}

/// The JSON of an index file.
pub fn index_file(data: &[u8]) {
    if let Ok(index) = IndexFile::parse(data) {
        let json = serde_json::to_vec(&index).unwrap_or_default();
        assert_eq!(IndexFile::parse(&json), Ok(index));
    }
}

/// The JSON of a snapshot file.
pub fn snapshot_file(data: &[u8]) {
    if let Ok(snapshot) = SnapshotFile::parse(data) {
        let json = serde_json::to_vec(&snapshot).unwrap_or_default();
        assert!(SnapshotFile::parse(&json).is_ok());
    }
}

/// The JSON of a directory.
pub fn tree(data: &[u8]) {
    if let Ok(tree) = Tree::parse(data) {
        let json = tree.to_json();
        let again = Tree::parse(&json);
        assert_eq!(again.map(|tree| tree.to_json()), Ok(json));
    }
}

/// The JSON of a lock file.
pub fn lock_file(data: &[u8]) {
    if let Ok(lock) = LockFile::parse(data) {
        let _ = lock.holder();
    }
}

/// The JSON of the config.
pub fn config(data: &[u8]) {
    if let Ok(config) = ConfigFile::parse(data) {
        assert_eq!(config.version, 2);
    }
}

/// A key file; its password is not tried, that takes as long as its parameters allow.
pub fn key_file(data: &[u8]) {
    if let Ok(key) = KeyFile::parse(data) {
        assert!(key.to_json().is_ok());
    }
}

/// A sealed and compressed file: the bytes as they are, and as what is within the seal.
pub fn unpacked_file(data: &[u8]) {
    let key = fixed_key();
    assert!(unpacked::decode(&key, data).is_err() || data.len() > OVERHEAD_BYTES);
    if let Ok(plain) = unpacked::decode(&key, &key.seal(data)) {
        assert!(plain.len() <= unpacked::UNPACKED_PLAIN_MAX_BYTES);
    }
}

/// A blob in a pack, raw and compressed, with a plain length from the bytes themselves.
pub fn blob(data: &[u8]) {
    let key = fixed_key();
    let Ok(mut decompressor) = Decompressor::new() else {
        return;
    };
    let announced = data.first().map_or(0, |byte| u32::from(*byte) * 100);
    for uncompressed_length in [None, Some(announced), Some(u32::MAX)] {
        let mut sealed = key.seal(data);
        let entry = PackEntry {
            id: BlobId::of(data),
            kind: BlobKind::Data,
            offset: 0,
            length: u32::try_from(sealed.len()).unwrap_or(u32::MAX),
            uncompressed_length,
        };
        let mut scratch = Vec::new();
        let opened = pack::open_blob(&key, &entry, &mut sealed, &mut decompressor, &mut scratch);
        if let Ok(plain) = opened {
            assert_eq!(BlobId::of(plain), entry.id);
        }
    }
    assert!(key.open_in_place(&mut data.to_vec()).is_err() || data.len() >= OVERHEAD_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Compressor, IndexPack, KdfParams, Node, NodeKind, Time};
    use crate::ids::{PackId, RepositoryId};
    use crate::password::Password;
    use proptest::prelude::*;

    /// One valid input for each parser, to be damaged.
    fn samples() -> Vec<Vec<u8>> {
        let entry = PackEntry {
            id: BlobId::of(b"x"),
            kind: BlobKind::Tree,
            offset: 0,
            length: 50,
            uncompressed_length: Some(99),
        };
        let index = IndexFile {
            supersedes: Vec::new(),
            packs: vec![IndexPack {
                id: PackId::of(b"pack"),
                blobs: vec![entry],
            }],
        };
        let mut link = Node::new(*b"link\xff", NodeKind::Symlink);
        link.link_target = b"\xfe".to_vec();
        let file = Node::file(*b"a\n", Time::now(), vec![entry.id], 5);
        let tree = Tree::new(vec![file, link]).unwrap();
        let lock = LockFile {
            time: Time::now(),
            exclusive: true,
            hostname: "h".into(),
            username: "u".into(),
            pid: 1,
            uid: 2,
            gid: 3,
        };
        let password = Password::from("p");
        let key = KeyFile::create(&fixed_key(), &password, KdfParams::machine(), "u", "h").unwrap();
        let mut compressed = vec![2];
        let mut compressor = Compressor::new(3).unwrap();
        compressor
            .compress_into(&tree.to_json(), &mut compressed)
            .unwrap();
        vec![
            pack::encode_header(&[entry, entry]),
            serde_json::to_vec(&index).unwrap(),
            serde_json::to_vec(&SnapshotFile::new(entry.id)).unwrap(),
            tree.to_json(),
            serde_json::to_vec(&lock).unwrap(),
            serde_json::to_vec(&ConfigFile::new(RepositoryId::random())).unwrap(),
            key.to_json().unwrap(),
            compressed.clone(),
            compressed[1..].to_vec(),
        ]
    }

    #[test]
    fn samples_are_accepted_before_they_are_damaged() {
        let samples = samples();
        assert!(pack::parse_header(&samples[0], 100).is_ok());
        assert!(IndexFile::parse(&samples[1]).is_ok());
        assert!(SnapshotFile::parse(&samples[2]).is_ok());
        assert!(Tree::parse(&samples[3]).is_ok());
        assert!(LockFile::parse(&samples[4]).is_ok());
        assert!(ConfigFile::parse(&samples[5]).is_ok());
        assert!(KeyFile::parse(&samples[6]).is_ok());
        let key = fixed_key();
        assert!(unpacked::decode(&key, &key.seal(&samples[7])).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn parsers_never_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            for (_, parse) in PARSERS {
                parse(&data);
            }
        }

        #[test]
        fn parsers_never_panic_on_damaged_samples(
            cut in any::<proptest::sample::Index>(),
            is_cut in any::<bool>(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        ) {
            for ((_, parse), mut data) in PARSERS.into_iter().zip(samples()) {
                for (at, byte) in &changes {
                    let at = at.index(data.len());
                    data[at] = *byte;
                }
                if is_cut {
                    data.truncate(cut.index(data.len()));
                }
                parse(&data);
            }
        }
    }
}
