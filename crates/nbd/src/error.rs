//! All that can go wrong between two ends of NBD.

use std::io;
use std::ops::Range;

use crate::protocol::{Malformed, code};

/// A failure of a client, of a server that cannot be set up, or of an overlay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NbdError {
    /// The URI cannot be used.
    #[error(
        "the NBD URI {uri:?} cannot be used: {reason}; examples: nbd://127.0.0.1:10809/disk, nbd+unix:///disk?socket=/run/disk.sock, nbds://host/disk"
    )]
    Uri {
        /// As it was given.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot connect to {uri}: {cause}; is the NBD server running?")]
    Connect {
        /// Where.
        uri: String,
        /// Why not.
        cause: io::Error,
    },
    /// The server does not want to give this export.
    #[error("the NBD server refused {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// In the server's words where it gave some.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("TLS with the NBD peer failed: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// The connection failed.
    #[error("{operation} over NBD failed: {cause}")]
    Io {
        /// What was going on.
        operation: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// The connection failed earlier, also for this request.
    #[error("the NBD connection is unusable since: {reason}; connect again")]
    Broken {
        /// The first failure.
        reason: String,
    },
    /// The other side broke the rules of the protocol.
    #[error("the NBD peer broke the protocol: {reason}")]
    Violation {
        /// Which rule.
        reason: String,
    },
    /// The server could not carry out a request; the connection stays usable.
    #[error("{operation} of bytes {}..{} was refused by the NBD server: {}{}", range.start, range.end, code::name(*code), shown(message))]
    Remote {
        /// Which request.
        operation: &'static str,
        /// Bytes of the request.
        range: Range<u64>,
        /// An error of [`code`].
        code: u32,
        /// The server's words, possibly none.
        message: String,
    },
    /// The request cannot be sent: it lies beyond the export or is not aligned.
    #[error("{operation} of bytes {}..{} is not possible: {reason}", range.start, range.end)]
    Request {
        /// Which request.
        operation: &'static str,
        /// Bytes of the request.
        range: Range<u64>,
        /// Why not.
        reason: String,
    },
    /// The server does not offer what is needed.
    #[error("the NBD server does not offer {what}")]
    NotOffered {
        /// What is needed.
        what: String,
    },
    /// A server or an overlay cannot be set up.
    #[error("{operation} {object}: {cause}")]
    Setup {
        /// What was tried, for example `cannot listen on`.
        operation: &'static str,
        /// With what.
        object: String,
        /// Why not, and what to do.
        cause: String,
    },
}

fn shown(message: &str) -> String {
    match message.is_empty() {
        true => String::new(),
        false => format!(" ({message})"),
    }
}

impl NbdError {
    /// For `map_err` of socket operations.
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| {
            // What a timeout of a socket looks like.
            let cause = match cause.kind() {
                io::ErrorKind::WouldBlock => {
                    io::Error::new(io::ErrorKind::TimedOut, "no answer within the time limit")
                }
                io::ErrorKind::UnexpectedEof => io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer closed the connection",
                ),
                _ => cause,
            };
            Self::Io { operation, cause }
        }
    }

    pub(crate) fn violation(reason: impl Into<String>) -> Self {
        Self::Violation {
            reason: reason.into(),
        }
    }

    /// The request was refused but the connection is as good as before.
    pub fn is_of_request(&self) -> bool {
        matches!(self, Self::Remote { .. } | Self::Request { .. })
    }
}

impl From<Malformed> for NbdError {
    fn from(malformed: Malformed) -> Self {
        Self::violation(malformed.0)
    }
}
