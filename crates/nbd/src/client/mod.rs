//! A client of one export.
//!
//! [`Client`] may be shared by many threads: their requests are under way at the same time over one connection, so it works with
//! servers that accept only one.

mod connection;
mod handshake;
mod requests;

pub use requests::{Client, StatusRange};

use std::time::Duration;

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Contexts to ask for, for example [`crate::protocol::BASE_ALLOCATION`] and `qemu:dirty-bitmap:NAME`. What the server
    /// does not have is left out: see [`Client::has_context`].
    pub contexts: Vec<String>,
    /// Longest wait for the network, for the server's next byte as for room to send.
    pub timeout: Duration,
}

impl Default for Options {
    /// No contexts; a minute.
    fn default() -> Self {
        Self {
            contexts: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Options {
    /// With these contexts.
    pub fn with_contexts<S: Into<String>>(contexts: impl IntoIterator<Item = S>) -> Self {
        Self {
            contexts: contexts.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// What the handshake found out about the export.
#[derive(Debug, Clone)]
pub(crate) struct Negotiated {
    pub size_bytes: u64,
    pub flags: u16,
    pub block_sizes: crate::protocol::BlockSizes,
    pub is_structured: bool,
    /// Those that the server gives, with its numbers.
    pub contexts: Vec<crate::protocol::MetaContext>,
}
