//! Messages of the transmission.

use super::fields::{Fields, Malformed};
use super::{MAX_STRING, chunk, magic};

/// A request; data of a WRITE follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Of [`super::command_flag`].
    pub flags: u16,
    /// One of [`super::command`].
    pub command: u16,
    /// What the replies name it by.
    pub cookie: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

impl Request {
    /// Bytes on the wire.
    pub const BYTES: usize = 28;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&magic::REQUEST.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.command.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_be_bytes());
        bytes[24..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// From what was received.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a request");
        if fields.u32()? != magic::REQUEST {
            return Err(Malformed::new("a request does not start as requests do"));
        }
        Ok(Self {
            flags: fields.u16()?,
            command: fields.u16()?,
            cookie: fields.u64()?,
            offset: fields.u64()?,
            length: fields.u32()?,
        })
    }
}

/// A reply without structure; data of a READ that succeeded follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleReply {
    /// 0 or one of [`super::code`].
    pub error: u32,
    /// Of the request.
    pub cookie: u64,
}

impl SimpleReply {
    /// Bytes on the wire.
    pub const BYTES: usize = 16;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&magic::SIMPLE_REPLY.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.error.to_be_bytes());
        bytes[8..].copy_from_slice(&self.cookie.to_be_bytes());
        bytes
    }

    /// From what follows the magic number.
    pub fn decode_body(bytes: &[u8; Self::BYTES - 4]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a reply");
        Ok(Self {
            error: fields.u32()?,
            cookie: fields.u64()?,
        })
    }
}

/// The start of one chunk of a structured reply; its payload follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    /// [`chunk::FLAG_DONE`] on the last one of a reply.
    pub flags: u16,
    /// One of [`chunk`].
    pub kind: u16,
    /// Of the request.
    pub cookie: u64,
    /// Bytes of payload.
    pub length: u32,
}

impl ChunkHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 20;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&magic::CHUNK.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.kind.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// From what follows the magic number.
    pub fn decode_body(bytes: &[u8; Self::BYTES - 4]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a chunk");
        Ok(Self {
            flags: fields.u16()?,
            kind: fields.u16()?,
            cookie: fields.u64()?,
            length: fields.u32()?,
        })
    }

    /// No chunk of this reply follows.
    pub fn is_last(&self) -> bool {
        self.flags & chunk::FLAG_DONE != 0
    }
}

/// A part of an export in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes.
    pub length: u32,
    /// Of [`super::state`], as the context means it.
    pub flags: u32,
}

/// The payload of a chunk with the status in one context.
pub fn encode_extents(context: u32, extents: &[Extent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + 8 * extents.len());
    bytes.extend(context.to_be_bytes());
    for extent in extents {
        bytes.extend(extent.length.to_be_bytes());
        bytes.extend(extent.flags.to_be_bytes());
    }
    bytes
}

/// Context and extents of a chunk with the status; there is at least one extent, and none is empty.
pub fn decode_extents(payload: &[u8]) -> Result<(u32, Vec<Extent>), Malformed> {
    let mut fields = Fields::new(payload, "a status");
    let context = fields.u32()?;
    let mut extents = Vec::with_capacity(payload.len() / 8);
    while !fields.is_empty() {
        let extent = Extent {
            length: fields.u32()?,
            flags: fields.u32()?,
        };
        if extent.length == 0 {
            return Err(Malformed::new("a status has an empty extent"));
        }
        extents.push(extent);
    }
    match extents.is_empty() {
        true => Err(Malformed::new("a status has no extent")),
        false => Ok((context, extents)),
    }
}

/// The payload of a chunk that tells an error.
pub fn encode_error(code: u32, message: &str) -> Vec<u8> {
    let mut end = message.len().min(MAX_STRING);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let message = &message[..end];
    let mut bytes = code.to_be_bytes().to_vec();
    bytes.extend((message.len() as u16).to_be_bytes());
    bytes.extend(message.as_bytes());
    bytes
}

/// Error and message of a chunk; what may follow them depends on the kind of chunk and is not needed.
pub fn decode_error(payload: &[u8]) -> Result<(u32, String), Malformed> {
    let mut fields = Fields::new(payload, "an error");
    let code = fields.u32()?;
    let length = fields.u16()?;
    let message = fields.string(u32::from(length))?;
    match code {
        0 => Err(Malformed::new("an error chunk tells of no error")),
        _ => Ok((code, message)),
    }
}
