//! Why bytes are not what the format asks for.

/// Why bytes of a repository cannot be understood. The caller knows which file it was and says so in its own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the smallest possible.
    #[error("it is cut off")]
    TooShort,
    /// The authentication code does not match: bytes changed, or another key wrote them.
    #[error("its authentication code does not match")]
    MacMismatch,
    /// A nonce of all zeros, which no writer draws.
    #[error("its nonce is all zeros")]
    ZeroNonce,
    /// Compressed data that is broken, or is longer or shorter than announced.
    #[error("its compressed data is broken: {0}")]
    Compression(String),
    /// Larger than a named limit.
    #[error("its {what} of {size} is more than the {limit} possible")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The text or structure is wrong.
    #[error("{0}")]
    Malformed(String),
    /// A format version that cannot be read.
    #[error("its format version is {0}, only 2 can be used")]
    UnsupportedVersion(u64),
    /// The password is not the one of this key file.
    #[error("it does not open with this password")]
    WrongPassword,
}

impl FormatError {
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::Malformed(detail.into())
    }

    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::Malformed(format!("its JSON is wrong: {error}"))
    }
}
