//! What can be done with an export.

use std::fmt;
use std::ops::Range;

use super::connection::{Answer, Connection};
use super::{Negotiated, Options, handshake};
use crate::error::NbdError;
use crate::protocol::{BlockSizes, Request, command, command_flag, export_flag, state};
use crate::uri::Uri;

/// Longest payload of one request, bytes: large enough to be fast, small enough that a few threads need little memory.
const PIECE_BYTES: u32 = 4 << 20;
/// Longest range whose status is asked for at once, bytes.
const STATUS_PIECE_BYTES: u64 = 1 << 30;

/// A range of bytes in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRange {
    /// Bytes of the export.
    pub range: Range<u64>,
    /// Of [`crate::protocol::state`], as the context means them.
    pub flags: u32,
}

impl StatusRange {
    /// In `base:allocation`: the bytes are zeroes, whether or not there is storage behind them.
    pub fn is_zero(&self) -> bool {
        self.flags & state::ZERO != 0
    }

    /// In `qemu:dirty-bitmap:…`: the bytes may have changed.
    pub fn is_dirty(&self) -> bool {
        self.flags & state::DIRTY != 0
    }
}

/// An export to which a connection is open. Dropping it closes the connection.
pub struct Client {
    connection: Connection,
    export: Negotiated,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("export", &self.export)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects and opens the export.
    ///
    /// # Errors
    /// [`NbdError::Connect`] when nobody answers, [`NbdError::Refused`] when there is no such export.
    pub fn connect(uri: &Uri, options: &Options) -> Result<Self, NbdError> {
        let (connection, export) = handshake::connect(uri, options)?;
        Ok(Self { connection, export })
    }

    /// Size of the export, bytes.
    pub fn size_bytes(&self) -> u64 {
        self.export.size_bytes
    }

    /// What the export can do, of [`export_flag`].
    pub fn flags(&self) -> u16 {
        self.export.flags
    }

    /// Nothing can be written.
    pub fn is_read_only(&self) -> bool {
        self.has_flag(export_flag::READ_ONLY)
    }

    /// How the export wants to be accessed. Reads may ignore it; for the rest the minimum holds.
    pub fn block_sizes(&self) -> BlockSizes {
        self.export.block_sizes
    }

    /// The server tells the state of ranges in this context.
    pub fn has_context(&self, name: &str) -> bool {
        self.context_id(name).is_some()
    }

    fn has_flag(&self, flag: u16) -> bool {
        self.export.flags & flag != 0
    }

    fn context_id(&self, name: &str) -> Option<u32> {
        let contexts = &self.export.contexts;
        let found = contexts.iter().find(|context| context.name == name)?;
        Some(found.id)
    }

    /// Fills `buffer` from `offset` on. Any offset, any length, any thread.
    ///
    /// # Errors
    /// [`NbdError::Request`] for bytes beyond the end, [`NbdError::Remote`] when the server cannot read them.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), NbdError> {
        let range = self.checked("reading", offset, buffer.len() as u64)?;
        let unit = u64::from(self.export.block_sizes.minimum);
        if range.start.is_multiple_of(unit) && range.end.is_multiple_of(unit) {
            return self.read_aligned(offset, buffer);
        }
        // The few bytes around it are thrown away. Where the export ends with a part of a block, nothing can be read there.
        let start = range.start - range.start % unit;
        let end = range.end.next_multiple_of(unit);
        if end > self.export.size_bytes {
            return Err(NbdError::Request {
                operation: "reading",
                range,
                reason: format!("the server reads whole blocks of {unit} bytes only"),
            });
        }
        let mut around = vec![0; (end - start) as usize];
        self.read_aligned(start, &mut around)?;
        let skip = (range.start - start) as usize;
        buffer.copy_from_slice(&around[skip..skip + buffer.len()]);
        Ok(())
    }

    fn read_aligned(&self, offset: u64, buffer: &mut [u8]) -> Result<(), NbdError> {
        let mut offset = offset;
        for piece in buffer.chunks_mut(self.piece_bytes() as usize) {
            let request = self.request(command::READ, 0, offset, piece.len() as u32);
            self.connection.call(request, &[], piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// The state of a range in a context that was asked for at connecting: consecutive ranges that cover it, neighbours with
    /// different flags.
    ///
    /// # Errors
    /// [`NbdError::NotOffered`] when the server does not have the context.
    pub fn block_status(
        &self,
        context: &str,
        range: Range<u64>,
    ) -> Result<Vec<StatusRange>, NbdError> {
        let id = self
            .context_id(context)
            .ok_or_else(|| NbdError::NotOffered {
                what: format!("the context {context}"),
            })?;
        let length = range.end.saturating_sub(range.start);
        let range = self.checked("asking for the status", range.start, length)?;
        let unit = u64::from(self.export.block_sizes.minimum);
        let mut found: Vec<StatusRange> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            // Asked in whole blocks, taken from `at` on only.
            let start = at - at % unit;
            let end = range.end.next_multiple_of(unit).min(self.export.size_bytes);
            let length = (end - start).min(STATUS_PIECE_BYTES) as u32;
            let request = self.request(command::BLOCK_STATUS, 0, start, length);
            let answers = self.connection.call(request, &[], &mut [])?;
            let extents = answers.into_iter().find_map(|answer| match answer {
                Answer::Status(context, extents) if context == id => Some(extents),
                _ => None,
            });
            let extents = extents.ok_or_else(|| {
                NbdError::violation(format!("no status in the context {context} was sent"))
            })?;
            let mut from = start;
            for extent in extents {
                let to = (from + u64::from(extent.length)).min(range.end);
                if to > at {
                    add(&mut found, at..to, extent.flags);
                    at = to;
                }
                from = to;
            }
        }
        Ok(found)
    }

    /// Writes `data` at `offset`; durable only after [`Client::flush`].
    ///
    /// # Errors
    /// [`NbdError::Request`] for bytes beyond the end or parts of blocks, [`NbdError::Remote`] with the server's reason.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), NbdError> {
        let operation = command::name(command::WRITE);
        let range = self.checked(operation, offset, data.len() as u64)?;
        self.check_alignment(operation, &range)?;
        let mut offset = offset;
        for piece in data.chunks(self.piece_bytes() as usize) {
            let request = self.request(command::WRITE, 0, offset, piece.len() as u32);
            self.connection.call(request, piece, &mut [])?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes a range zeroes; `may_be_hole` lets the server give up the storage behind it. Where the server has no request
    /// for that, zeroes are sent.
    pub fn write_zeroes(&self, range: Range<u64>, may_be_hole: bool) -> Result<(), NbdError> {
        if !self.has_flag(export_flag::SEND_WRITE_ZEROES) {
            let zeroes = vec![0; self.piece_bytes() as usize];
            let mut at = range.start;
            while at < range.end {
                let length = (range.end - at).min(zeroes.len() as u64) as usize;
                self.write_at(at, &zeroes[..length])?;
                at += length as u64;
            }
            return Ok(());
        }
        let flags = if may_be_hole {
            0
        } else {
            command_flag::NO_HOLE
        };
        self.without_payload(command::WRITE_ZEROES, flags, range)
    }

    /// Says that what is in a range is not needed any more; what it then reads as is up to the server.
    ///
    /// # Errors
    /// [`NbdError::NotOffered`] when the server cannot.
    pub fn trim(&self, range: Range<u64>) -> Result<(), NbdError> {
        if !self.has_flag(export_flag::SEND_TRIM) {
            return Err(NbdError::NotOffered {
                what: "trimming".to_owned(),
            });
        }
        self.without_payload(command::TRIM, 0, range)
    }

    fn without_payload(&self, command: u16, flags: u16, range: Range<u64>) -> Result<(), NbdError> {
        let operation = command::name(command);
        let length = range.end.saturating_sub(range.start);
        let range = self.checked(operation, range.start, length)?;
        self.check_alignment(operation, &range)?;
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(STATUS_PIECE_BYTES) as u32;
            let request = self.request(command, flags, at, length);
            self.connection.call(request, &[], &mut [])?;
            at += u64::from(length);
        }
        Ok(())
    }

    /// Makes durable what was written before. A server that cannot flush is one that does not have to.
    pub fn flush(&self) -> Result<(), NbdError> {
        if !self.has_flag(export_flag::SEND_FLUSH) {
            return Ok(());
        }
        let request = self.request(command::FLUSH, 0, 0, 0);
        self.connection.call(request, &[], &mut []).map(drop)
    }

    /// Takes leave of the server, which dropping the client does too, and tells whether that worked.
    pub fn disconnect(self) -> Result<(), NbdError> {
        self.connection.disconnect()
    }

    fn request(&self, command: u16, flags: u16, offset: u64, length: u32) -> Request {
        Request {
            flags,
            command,
            cookie: 0,
            offset,
            length,
        }
    }

    /// Longest payload, in whole blocks.
    fn piece_bytes(&self) -> u32 {
        let sizes = self.export.block_sizes;
        let piece = sizes.maximum.min(PIECE_BYTES);
        (piece - piece % sizes.minimum).max(sizes.minimum)
    }

    fn checked(
        &self,
        operation: &'static str,
        offset: u64,
        length: u64,
    ) -> Result<Range<u64>, NbdError> {
        let size = self.export.size_bytes;
        match offset.checked_add(length).filter(|end| *end <= size) {
            Some(end) => Ok(offset..end),
            None => Err(NbdError::Request {
                operation,
                range: offset..offset.saturating_add(length),
                reason: format!("the export ends at {size}"),
            }),
        }
    }

    fn check_alignment(&self, operation: &'static str, range: &Range<u64>) -> Result<(), NbdError> {
        let unit = u64::from(self.export.block_sizes.minimum);
        if range.start.is_multiple_of(unit) && range.end.is_multiple_of(unit) {
            return Ok(());
        }
        Err(NbdError::Request {
            operation,
            range: range.clone(),
            reason: format!("the server takes whole blocks of {unit} bytes only"),
        })
    }
}

fn add(found: &mut Vec<StatusRange>, range: Range<u64>, flags: u32) {
    match found.last_mut() {
        Some(last) if last.flags == flags => last.range.end = range.end,
        _ => found.push(StatusRange { range, flags }),
    }
}
