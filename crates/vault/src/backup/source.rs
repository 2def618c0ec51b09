//! What a backup reads from, and where sources deliver.

use crate::ids::BlobId;
use std::io;

/// How the content of a file is cut into blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// By content (FastCDC 512 KiB / 1 MiB / 8 MiB): unchanged parts are found again although they moved. A segment's end is
    /// always the end of a blob too.
    Content,
    /// Aligned blocks of this many bytes, at most [`MAX_BLOB_BYTES`]: for volumes. Every segment but the last must be a
    /// multiple of it. Zero blocks become zero blobs of [`ZERO_BLOB_BYTES`](super::ZERO_BLOB_BYTES) where the size is a multiple
    /// or a divisor of that; the zero blocks that are left over between smaller blocks become blobs of one block each.
    Fixed(u32),
    /// Where the source calls [`SegmentSink::cut`], and only there. A blob that would grow beyond [`MAX_BLOB_BYTES`] is cut
    /// there.
    Explicit,
}

/// Largest blob that is ever written, in bytes.
pub const MAX_BLOB_BYTES: usize = 8 << 20;

/// Segment size that suits the workers' buffers, in bytes. Sources may use others, larger ones too.
pub const SEGMENT_BYTES: usize = 16 << 20;

/// Why a source could not deliver.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading failed.
    #[error("reading {what} failed: {cause}")]
    Io {
        /// The file or device.
        what: String,
        /// Cause.
        cause: io::Error,
    },
    /// The source changed in a way that makes its content meaningless, or is inconsistent in itself.
    #[error("{0}")]
    Other(String),
    /// The sink refused more data because the backup has ended; the backup knows the reason.
    #[error("the backup has stopped")]
    Stopped,
}

impl From<SinkClosed> for SourceError {
    fn from(_: SinkClosed) -> Self {
        Self::Stopped
    }
}

/// The backup has stopped (error or cancel): return at once, usually by `?` in a [`FileSource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the backup has stopped")]
pub struct SinkClosed;

/// One file to be stored: a row of segments that may be read at the same time by several threads.
///
/// The content of the file is that of its segments one after another.
pub trait FileSource: Send + Sync {
    /// Number of segments. 0 is an empty file.
    fn segments(&self) -> usize;

    /// How the content is cut.
    fn chunking(&self) -> Chunking;

    /// Delivers segment `n` into the sink. Called once for each segment, from any thread, in no particular order.
    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError>;
}

/// Takes the bytes of one segment, in order.
pub trait SegmentSink {
    /// Appends bytes.
    fn write(&mut self, data: &[u8]) -> Result<(), SinkClosed>;

    /// Room for `len` bytes (at most [`SEGMENT_BYTES`]) to be read into without a copy; follow with
    /// [`advance`](Self::advance). What the room holds before is arbitrary.
    fn reserve(&mut self, len: usize) -> Result<&mut [u8], SinkClosed>;

    /// Appends the first `len` bytes of the room given by the last [`reserve`](Self::reserve).
    ///
    /// # Panics
    /// If `len` is larger than that room.
    fn advance(&mut self, len: usize);

    /// Appends `len` zeros without anyone reading or compressing them.
    fn hole(&mut self, len: u64) -> Result<(), SinkClosed>;

    /// Appends blobs by reference, if the repository has them all: the bytes they stand for need not be read. Gives the number
    /// of bytes appended. None: one of them is not there, or what was delivered before does not end with a whole block; nothing was
    /// appended, and the source has to deliver the bytes. Room that was reserved before is no longer valid.
    fn adopt(&mut self, content: &[BlobId]) -> Result<Option<u64>, SinkClosed>;

    /// Ends the blob here; without effect for other chunkings than [`Chunking::Explicit`] and where nothing was written since the
    /// last end.
    fn cut(&mut self) -> Result<(), SinkClosed>;
}

/// Bytes in memory as a file of one segment.
#[derive(Debug, Clone, Copy)]
pub struct BytesSource<'a>(pub &'a [u8]);

impl FileSource for BytesSource<'_> {
    fn segments(&self) -> usize {
        usize::from(!self.0.is_empty())
    }

    fn chunking(&self) -> Chunking {
        Chunking::Content
    }

    fn read_segment(&self, _n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        Ok(sink.write(self.0)?)
    }
}
