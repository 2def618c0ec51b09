//! Compression: zstd frames without checksum and without dictionary.
//!
//! The MAC protects the bytes, so a checksum in the frame would be paid twice.

use super::FormatError;
use std::fmt;
use std::io::Cursor;
use std::ops::RangeInclusive;
use zstd::zstd_safe::CParameter;

/// Level 3: on blobs of 1 MiB it stores less than restic's default for about the same time as level 1.
pub const DEFAULT_LEVEL: i32 = 3;

/// Contents for which zstd has other tables than for larger ones. At [`DEFAULT_LEVEL`] it looks there for matches of four bytes and
/// above for five; with five it takes no longer and stores 2 to 3 % less of records and text, and up to 1.5 % more of programs.
const LONGER_MATCHES: RangeInclusive<usize> = (128 << 10) + 1..=256 << 10;

/// A reusable compressor: one a worker, so that its tables are allocated once.
pub struct Compressor {
    inner: zstd::bulk::Compressor<'static>,
    level: i32,
    /// Whether matches of five bytes are looked for now.
    has_longer_matches: bool,
}

impl Compressor {
    /// A compressor of this zstd level. Levels beyond what zstd has are taken as its nearest.
    pub fn new(level: i32) -> Result<Self, FormatError> {
        let range = zstd::compression_level_range();
        let level = level.clamp(*range.start(), *range.end());
        let mut inner = zstd::bulk::Compressor::new(level).map_err(compression_error)?;
        inner
            .set_parameter(CParameter::ChecksumFlag(false))
            .map_err(compression_error)?;
        Ok(Self {
            inner,
            level,
            has_longer_matches: false,
        })
    }

    /// A compressor that takes three quarters of the time of [`DEFAULT_LEVEL`]: level 1 with a hash table of 256 KiB. On
    /// records and text of few words it stores as little, on programs or source code up to 8 % more; see `backup`, which tries both.
    pub fn fast() -> Result<Self, FormatError> {
        const HASH_LOG: u32 = 16;
        let mut fast = Self::new(1)?;
        fast.inner
            .set_parameter(CParameter::HashLog(HASH_LOG))
            .map_err(compression_error)?;
        Ok(fast)
    }

    /// Appends the compressed `plain` to `out` and returns the number of bytes appended.
    pub fn compress_into(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, FormatError> {
        self.prepare(plain.len())?;
        let start = out.len();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let mut target = Cursor::new(&mut *out);
        target.set_position(start as u64);
        self.inner
            .compress_to_buffer(plain, &mut target)
            .map_err(compression_error)
    }

    fn prepare(&mut self, len: usize) -> Result<(), FormatError> {
        const LONGER: u32 = 5;
        const AS_THE_LEVEL_SAYS: u32 = 0;
        let wants_longer = self.level == DEFAULT_LEVEL && LONGER_MATCHES.contains(&len);
        if wants_longer != self.has_longer_matches {
            let length = match wants_longer {
                true => LONGER,
                false => AS_THE_LEVEL_SAYS,
            };
            self.inner
                .set_parameter(CParameter::MinMatch(length))
                .map_err(compression_error)?;
            self.has_longer_matches = wants_longer;
        }
        Ok(())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Compressor(level {})", self.level)
    }
}

/// A reusable decompressor. Whole frames are decompressed into their target, which serves as the window: a frame
/// cannot ask for memory beyond it.
pub struct Decompressor {
    inner: zstd::bulk::Decompressor<'static>,
}

impl Decompressor {
    /// A decompressor.
    pub fn new() -> Result<Self, FormatError> {
        let inner = zstd::bulk::Decompressor::new().map_err(compression_error)?;
        Ok(Self { inner })
    }

    /// Replaces the content of `out` by the decompressed `data`, which must give exactly `plain_len` bytes.
    ///
    /// Memory is reserved for `plain_len` and not touched before data for it arrives: the caller checks it against a limit.
    pub fn decompress_exact(
        &mut self,
        data: &[u8],
        plain_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let len = self.decompress_bounded(data, plain_len, out)?;
        if len == plain_len {
            Ok(())
        } else {
            Err(FormatError::Compression(format!(
                "it gives {len} bytes, not the {plain_len} announced"
            )))
        }
    }

    /// Replaces the content of `out` by the decompressed `data`, at most `limit` bytes, and returns their number.
    pub(super) fn decompress_bounded(
        &mut self,
        data: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, FormatError> {
        out.clear();
        out.try_reserve_exact(limit)
            .map_err(|error| FormatError::Compression(error.to_string()))?;
        // A vector may have more room than asked for; the frame must not use it.
        let written = self
            .inner
            .decompress_to_buffer(data, out)
            .map_err(compression_error)?;
        if written <= limit {
            Ok(written)
        } else {
            Err(FormatError::Compression(format!(
                "it gives {written} bytes, more than {limit}"
            )))
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Decompressor")
    }
}

fn compression_error(error: std::io::Error) -> FormatError {
    FormatError::Compression(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compressing_appends() {
        let mut out = b"before".to_vec();
        let added = Compressor::new(3)
            .unwrap()
            .compress_into(&[7; 10_000], &mut out)
            .unwrap();
        assert_eq!(out.len(), 6 + added);
        assert_eq!(&out[..6], b"before");
        assert!(added < 100);
    }

    #[test]
    fn a_frame_that_is_not_as_long_as_announced_is_refused() {
        let mut frame = Vec::new();
        let mut compressor = Compressor::new(3).unwrap();
        compressor.compress_into(&[7; 1000], &mut frame).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        let mut out = Vec::with_capacity(5000);
        for announced in [0, 999, 1001, 4000] {
            let result = decompressor.decompress_exact(&frame, announced, &mut out);
            assert!(
                matches!(result, Err(FormatError::Compression(_))),
                "{announced}"
            );
        }
        decompressor
            .decompress_exact(&frame, 1000, &mut out)
            .unwrap();
        assert_eq!(out, [7; 1000]);
    }

    #[test]
    fn what_a_compressor_did_before_does_not_change_what_it_does() {
        let plain = |len: usize| -> Vec<u8> { (0..len).map(|n| (n * n / 7 % 251) as u8).collect() };
        let mut used = Compressor::new(DEFAULT_LEVEL).unwrap();
        for len in [1000, 200 << 10, 300 << 10, 256 << 10, 128 << 10, 256 << 10] {
            let (mut by_used, mut by_new) = (Vec::new(), Vec::new());
            used.compress_into(&plain(len), &mut by_used).unwrap();
            let mut new = Compressor::new(DEFAULT_LEVEL).unwrap();
            new.compress_into(&plain(len), &mut by_new).unwrap();
            assert_eq!(by_used, by_new, "{len}");
            let mut out = Vec::new();
            let mut decompressor = Decompressor::new().unwrap();
            decompressor
                .decompress_exact(&by_used, len, &mut out)
                .unwrap();
            assert_eq!(out, plain(len));
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(plain in proptest::collection::vec(any::<u8>(), 0..5000), level in -5..6) {
            let mut frame = Vec::new();
            Compressor::new(level).unwrap().compress_into(&plain, &mut frame).unwrap();
            let mut out = Vec::new();
            Decompressor::new().unwrap().decompress_exact(&frame, plain.len(), &mut out).unwrap();
            prop_assert_eq!(out, plain);
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            let _ = Decompressor::new().unwrap().decompress_exact(&data, 1000, &mut out);
        }
    }
}
