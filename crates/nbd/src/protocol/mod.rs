//! The bytes of NBD: numbers, and encoding of what goes over the wire. Pure functions without I/O that bound what they allocate.
//!
//! The format is that of <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>, in its fixed newstyle: a *handshake*
//! of options, then the *transmission* of requests and replies. All numbers are big-endian.

mod fields;
mod handshake;
mod numbers;
#[cfg(test)]
mod tests;
mod transmission;

pub use fields::Malformed;
pub use handshake::{
    BlockSizes, ExportRequest, Info, MetaContext, MetaRequest, OptionHeader, OptionReply,
};
pub use numbers::{
    chunk, code, command, command_flag, export_flag, handshake_flag, info, magic, option, reply,
    state,
};
pub use transmission::{
    ChunkHeader, Extent, Request, SimpleReply, decode_error, decode_extents, encode_error,
    encode_extents,
};

/// The context that tells holes and zeroes.
pub const BASE_ALLOCATION: &str = "base:allocation";
/// Longest name of an export or context, bytes (a limit of the protocol).
pub const MAX_STRING: usize = 4096;
/// Longest payload of a READ or WRITE that any side sends or accepts, bytes (what the protocol tells clients to assume).
pub const MAX_PAYLOAD: u32 = 32 << 20;
/// Longest data of an option or of its reply, bytes.
pub const MAX_OPTION: u32 = 64 << 10;
