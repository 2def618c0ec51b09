//! Numbers of the protocol, with its own names.

/// What starts each kind of message.
#[allow(missing_docs)]
pub mod magic {
    pub const GREETING: u64 = 0x4e42_444d_4147_4943;
    pub const OPTION: u64 = 0x4948_4156_454f_5054;
    pub const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
    pub const REQUEST: u32 = 0x2560_9513;
    pub const SIMPLE_REPLY: u32 = 0x6744_6698;
    pub const CHUNK: u32 = 0x668e_33ef;
}

/// Flags of the greeting and of the client's answer to it.
#[allow(missing_docs)]
pub mod handshake_flag {
    pub const FIXED_NEWSTYLE: u16 = 1;
    pub const NO_ZEROES: u16 = 2;
}

/// Options of the handshake.
#[allow(missing_docs)]
pub mod option {
    pub const EXPORT_NAME: u32 = 1;
    pub const ABORT: u32 = 2;
    pub const LIST: u32 = 3;
    pub const STARTTLS: u32 = 5;
    pub const INFO: u32 = 6;
    pub const GO: u32 = 7;
    pub const STRUCTURED_REPLY: u32 = 8;
    pub const LIST_META_CONTEXT: u32 = 9;
    pub const SET_META_CONTEXT: u32 = 10;
}

/// Replies to options; errors have the highest bit.
#[allow(missing_docs)]
pub mod reply {
    pub const ACK: u32 = 1;
    pub const SERVER: u32 = 2;
    pub const INFO: u32 = 3;
    pub const META_CONTEXT: u32 = 4;
    pub const ERROR: u32 = 1 << 31;
    pub const UNSUPPORTED: u32 = ERROR | 1;
    pub const POLICY: u32 = ERROR | 2;
    pub const INVALID: u32 = ERROR | 3;
    pub const TLS_REQUIRED: u32 = ERROR | 5;
    pub const UNKNOWN: u32 = ERROR | 6;
    pub const SHUTDOWN: u32 = ERROR | 7;
    pub const BLOCK_SIZE_REQUIRED: u32 = ERROR | 8;
    pub const TOO_BIG: u32 = ERROR | 9;

    /// An error in words, for when the server gave none.
    pub fn name(kind: u32) -> String {
        let known = match kind {
            UNSUPPORTED => "it does not know this option",
            POLICY => "its policy does not allow it",
            INVALID => "it takes the request for malformed",
            TLS_REQUIRED => "it wants TLS; use an nbds:// URI",
            UNKNOWN => "it has no export of this name",
            SHUTDOWN => "it is shutting down",
            BLOCK_SIZE_REQUIRED => "it wants block sizes to be respected",
            TOO_BIG => "it takes the request for too big",
            _ => return format!("error {kind:#x}"),
        };
        known.to_owned()
    }
}

/// Kinds of information about an export.
#[allow(missing_docs)]
pub mod info {
    pub const EXPORT: u16 = 0;
    pub const NAME: u16 = 1;
    pub const DESCRIPTION: u16 = 2;
    pub const BLOCK_SIZE: u16 = 3;
}

/// What an export can do.
#[allow(missing_docs)]
pub mod export_flag {
    pub const HAS_FLAGS: u16 = 1;
    pub const READ_ONLY: u16 = 1 << 1;
    pub const SEND_FLUSH: u16 = 1 << 2;
    pub const SEND_FUA: u16 = 1 << 3;
    pub const SEND_TRIM: u16 = 1 << 5;
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    pub const SEND_DF: u16 = 1 << 7;
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
}

/// Requests.
#[allow(missing_docs)]
pub mod command {
    pub const READ: u16 = 0;
    pub const WRITE: u16 = 1;
    pub const DISCONNECT: u16 = 2;
    pub const FLUSH: u16 = 3;
    pub const TRIM: u16 = 4;
    pub const WRITE_ZEROES: u16 = 6;
    pub const BLOCK_STATUS: u16 = 7;

    /// For messages.
    pub fn name(command: u16) -> &'static str {
        match command {
            READ => "reading",
            WRITE => "writing",
            DISCONNECT => "disconnecting",
            FLUSH => "flushing",
            TRIM => "trimming",
            WRITE_ZEROES => "writing zeroes",
            BLOCK_STATUS => "asking for the status",
            _ => "an unknown request",
        }
    }
}

/// Flags of requests.
#[allow(missing_docs)]
pub mod command_flag {
    pub const FUA: u16 = 1;
    pub const NO_HOLE: u16 = 1 << 1;
    pub const DF: u16 = 1 << 2;
    pub const REQ_ONE: u16 = 1 << 3;
}

/// Chunks of structured replies; errors have the highest bit.
#[allow(missing_docs)]
pub mod chunk {
    pub const FLAG_DONE: u16 = 1;
    pub const NONE: u16 = 0;
    pub const OFFSET_DATA: u16 = 1;
    pub const OFFSET_HOLE: u16 = 2;
    pub const BLOCK_STATUS: u16 = 5;
    pub const ANY_ERROR: u16 = 1 << 15;
    pub const ERROR: u16 = ANY_ERROR | 1;
    pub const ERROR_OFFSET: u16 = ANY_ERROR | 2;
}

/// Errors of requests.
#[allow(missing_docs)]
pub mod code {
    pub const PERMISSION: u32 = 1;
    pub const IO: u32 = 5;
    pub const NO_MEMORY: u32 = 12;
    pub const INVALID: u32 = 22;
    pub const NO_SPACE: u32 = 28;
    pub const OVERFLOW: u32 = 75;
    pub const UNSUPPORTED: u32 = 95;
    pub const SHUTDOWN: u32 = 108;

    /// In words.
    pub fn name(code: u32) -> &'static str {
        match code {
            PERMISSION => "not permitted (is the export read-only?)",
            IO => "input/output error",
            NO_MEMORY => "out of memory",
            INVALID => "invalid argument",
            NO_SPACE => "no space left",
            OVERFLOW => "too large",
            UNSUPPORTED => "not supported",
            SHUTDOWN => "the server is shutting down",
            _ => "an unknown error",
        }
    }
}

/// Flags of extents.
pub mod state {
    /// `base:allocation`: nothing is allocated.
    pub const HOLE: u32 = 1;
    /// `base:allocation`: reads as zeroes.
    pub const ZERO: u32 = 2;
    /// `qemu:dirty-bitmap:…`: changed since the bitmap was started.
    pub const DIRTY: u32 = 1;
}
