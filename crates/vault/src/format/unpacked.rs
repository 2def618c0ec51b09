//! The envelope of index, snapshot and lock files: sealed `0x02 ‖ zstd(JSON)`.
//!
//! Repositories that were of version 1 once also hold sealed plain JSON, told by its first byte `{` or `[`.

use super::crypto::begin_seal;
use super::{Compressor, Decompressor, FormatError, MasterKey};

/// Largest plain file. Restic writes index files of 50 000 blobs, about 10 MB; a snapshot of a million excludes would fit.
pub const UNPACKED_PLAIN_MAX_BYTES: usize = 256 << 20;

/// The byte before compressed JSON.
const VERSION_COMPRESSED: u8 = 2;

/// Compresses and seals `json` as restic stores index, snapshot and lock files.
pub fn encode(
    key: &MasterKey,
    compressor: &mut Compressor,
    json: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let mut file = Vec::with_capacity(json.len() / 2 + 256);
    let start = begin_seal(&mut file);
    file.push(VERSION_COMPRESSED);
    compressor.compress_into(json, &mut file)?;
    key.finish_seal(&mut file, start);
    Ok(file)
}

/// Opens and decompresses such a file; the JSON has at most [`UNPACKED_PLAIN_MAX_BYTES`].
pub fn decode(key: &MasterKey, file: &[u8]) -> Result<Vec<u8>, FormatError> {
    let plain = key.open(file)?;
    match plain.split_first() {
        None => Err(FormatError::TooShort),
        Some((b'{' | b'[', _)) => Ok(plain),
        Some((&VERSION_COMPRESSED, frame)) => decompress(frame),
        Some((byte, _)) => Err(FormatError::Malformed(format!(
            "it starts with the unknown version byte {byte}"
        ))),
    }
}

fn decompress(frame: &[u8]) -> Result<Vec<u8>, FormatError> {
    let announced = zstd::zstd_safe::get_frame_content_size(frame)
        .map_err(|_| FormatError::Compression("it is not a zstd frame".to_owned()))?;
    let limit = UNPACKED_PLAIN_MAX_BYTES;
    let mut json = Vec::new();
    match announced {
        Some(len) if len > limit as u64 => Err(FormatError::TooLarge {
            what: "decompressed length",
            size: len,
            limit: limit as u64,
        }),
        Some(len) => {
            let len = usize::try_from(len).map_err(|_| FormatError::TooShort)?;
            Decompressor::new()?.decompress_exact(frame, len, &mut json)?;
            Ok(json)
        }
        None => {
            // A writer that streams does not know the length. Reserved memory is not touched before data arrives for it.
            Decompressor::new()?.decompress_bounded(frame, limit, &mut json)?;
            json.shrink_to_fit();
            Ok(json)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compressed_and_come_back() {
        let key = MasterKey::generate();
        let json = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
        let mut compressor = Compressor::new(3).unwrap();
        let file = encode(&key, &mut compressor, json.as_bytes()).unwrap();
        assert!(file.len() < 200);
        assert_eq!(decode(&key, &file).unwrap(), json.as_bytes());
    }

    #[test]
    fn uncompressed_json_of_former_version_1_repositories_is_read() {
        let key = MasterKey::generate();
        for json in [&b"{}"[..], b"[1]"] {
            assert_eq!(decode(&key, &key.seal(json)).unwrap(), json);
        }
    }

    #[test]
    fn unknown_version_bytes_and_empty_files_are_refused() {
        let key = MasterKey::generate();
        for plain in [&b""[..], b"\x01abc", b"\x02", b"\x02{}"] {
            assert!(decode(&key, &key.seal(plain)).is_err(), "{plain:?}");
        }
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused() {
        let key = MasterKey::generate();
        // Frame header: magic, single segment with an 8-byte content size of 1 TiB.
        let mut plain = vec![2, 0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        plain.extend_from_slice(&(1_u64 << 40).to_le_bytes());
        let result = decode(&key, &key.seal(&plain));
        assert!(
            matches!(result, Err(FormatError::TooLarge { .. })),
            "{result:?}"
        );
    }

    #[test]
    fn a_frame_without_announced_length_is_read() {
        use std::io::Write;
        let key = MasterKey::generate();
        let mut stream = zstd::stream::write::Encoder::new(vec![2], 3).unwrap();
        stream.write_all(b"{\"a\":1}").unwrap();
        let plain = stream.finish().unwrap();
        assert_eq!(decode(&key, &key.seal(&plain)).unwrap(), b"{\"a\":1}");
    }
}
