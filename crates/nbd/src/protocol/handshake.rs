//! Messages of the handshake.

use super::fields::{Fields, Malformed};
use super::{MAX_OPTION, MAX_PAYLOAD, info, magic};

/// What announces an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// One of [`super::option`].
    pub option: u32,
    /// Bytes of data that follow.
    pub length: u32,
}

impl OptionHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 16;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&magic::OPTION.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// From what was received.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "an option");
        if fields.u64()? != magic::OPTION {
            return Err(Malformed::new("an option does not start as options do"));
        }
        Ok(Self {
            option: fields.u32()?,
            length: fields.u32()?,
        })
    }
}

/// What announces a reply to an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionReply {
    /// To which option.
    pub option: u32,
    /// One of [`super::reply`].
    pub kind: u32,
    /// Bytes of data that follow.
    pub length: u32,
}

impl OptionReply {
    /// Bytes on the wire.
    pub const BYTES: usize = 20;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&magic::OPTION_REPLY.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.kind.to_be_bytes());
        bytes[16..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// From what was received; data longer than [`MAX_OPTION`] is refused.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a reply to an option");
        if fields.u64()? != magic::OPTION_REPLY {
            return Err(Malformed::new(
                "a reply to an option does not start as such replies do",
            ));
        }
        let reply = Self {
            option: fields.u32()?,
            kind: fields.u32()?,
            length: fields.u32()?,
        };
        if reply.length > MAX_OPTION {
            return Err(Malformed::new("a reply to an option is too long"));
        }
        Ok(reply)
    }
}

/// Data of GO and INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// Name of the export.
    pub export: String,
    /// Kinds of information that are wanted, of [`super::info`].
    pub wanted: Vec<u16>,
}

impl ExportRequest {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = with_length(&self.export);
        bytes.extend((self.wanted.len() as u16).to_be_bytes());
        for wanted in &self.wanted {
            bytes.extend(wanted.to_be_bytes());
        }
        bytes
    }

    /// From what was received.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a request for an export");
        let length = fields.u32()?;
        let export = fields.string(length)?;
        let count = fields.u16()?;
        let wanted = (0..count).map(|_| fields.u16()).collect::<Result<_, _>>()?;
        fields.end()?;
        Ok(Self { export, wanted })
    }
}

/// How an export wants to be accessed, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSizes {
    /// Offsets and lengths are multiples of it; a power of two.
    pub minimum: u32,
    /// What is fast.
    pub preferred: u32,
    /// Longest payload.
    pub maximum: u32,
}

impl Default for BlockSizes {
    /// What the protocol says of an export that does not tell.
    fn default() -> Self {
        Self {
            minimum: 1,
            preferred: 4096,
            maximum: MAX_PAYLOAD,
        }
    }
}

impl BlockSizes {
    fn check(&self) -> Result<(), Malformed> {
        let fits = self.minimum.is_power_of_two()
            && self.minimum <= 64 << 10
            && self.preferred.is_power_of_two()
            && self.preferred >= self.minimum
            && self.maximum >= self.minimum
            && (self.maximum == u32::MAX || self.maximum.is_multiple_of(self.minimum));
        match fits {
            true => Ok(()),
            false => Err(Malformed(format!("block sizes that cannot be: {self:?}"))),
        }
    }
}

/// One piece of information about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// How large it is and what it can do.
    Export {
        /// Bytes.
        size_bytes: u64,
        /// Of [`super::export_flag`].
        flags: u16,
    },
    /// Its canonical name.
    Name(String),
    /// For people.
    Description(String),
    /// How to access it.
    BlockSizes(BlockSizes),
    /// Something that is not known here.
    Other(u16),
}

impl Info {
    /// As it is sent; nothing for [`Info::Other`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(14);
        match self {
            Self::Export { size_bytes, flags } => {
                bytes.extend(info::EXPORT.to_be_bytes());
                bytes.extend(size_bytes.to_be_bytes());
                bytes.extend(flags.to_be_bytes());
            }
            Self::Name(text) => {
                bytes.extend(info::NAME.to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            Self::Description(text) => {
                bytes.extend(info::DESCRIPTION.to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            Self::BlockSizes(sizes) => {
                bytes.extend(info::BLOCK_SIZE.to_be_bytes());
                for size in [sizes.minimum, sizes.preferred, sizes.maximum] {
                    bytes.extend(size.to_be_bytes());
                }
            }
            Self::Other(_) => {}
        }
        bytes
    }

    /// From what was received.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "information about an export");
        let info = match fields.u16()? {
            info::EXPORT => Self::Export {
                size_bytes: fields.u64()?,
                flags: fields.u16()?,
            },
            info::BLOCK_SIZE => {
                let sizes = BlockSizes {
                    minimum: fields.u32()?,
                    preferred: fields.u32()?,
                    maximum: fields.u32()?,
                };
                sizes.check()?;
                Self::BlockSizes(sizes)
            }
            kind @ (info::NAME | info::DESCRIPTION) => {
                let text = fields.remainder();
                let text =
                    Fields::new(text, "information about an export").string(text.len() as u32)?;
                return Ok(match kind {
                    info::NAME => Self::Name(text),
                    _ => Self::Description(text),
                });
            }
            other => return Ok(Self::Other(other)),
        };
        fields.end()?;
        Ok(info)
    }
}

/// Data of SET_META_CONTEXT and LIST_META_CONTEXT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaRequest {
    /// Name of the export.
    pub export: String,
    /// Contexts that are wanted; what `base:` and the like mean is up to the server.
    pub queries: Vec<String>,
}

impl MetaRequest {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = with_length(&self.export);
        bytes.extend((self.queries.len() as u32).to_be_bytes());
        for query in &self.queries {
            bytes.extend(with_length(query));
        }
        bytes
    }

    /// From what was received. The count is not trusted: each query takes at least four of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a request for contexts");
        let length = fields.u32()?;
        let export = fields.string(length)?;
        let count = fields.u32()?;
        let mut queries = Vec::new();
        for _ in 0..count {
            let length = fields.u32()?;
            queries.push(fields.string(length)?);
        }
        fields.end()?;
        Ok(Self { export, queries })
    }
}

/// A context that the server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaContext {
    /// Number in replies to BLOCK_STATUS; 0 in lists.
    pub id: u32,
    /// For example `base:allocation`.
    pub name: String,
}

impl MetaContext {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(self.name.as_bytes());
        bytes
    }

    /// From what was received.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes, "a context");
        let id = fields.u32()?;
        let rest = fields.remainder();
        let name = Fields::new(rest, "a context").string(rest.len() as u32)?;
        Ok(Self { id, name })
    }
}

/// A string behind its length.
fn with_length(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}
