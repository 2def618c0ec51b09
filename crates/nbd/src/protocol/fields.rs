//! Taking fields from received bytes, one after the other.

use super::MAX_STRING;

/// What was received does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// For messages.
    message: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], message: &'static str) -> Self {
        Self {
            rest: bytes,
            message,
        }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Malformed(format!("{} is too short", self.message)))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A string of `length` bytes, within the limit of the protocol.
    pub(crate) fn string(&mut self, length: u32) -> Result<String, Malformed> {
        let bytes = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_STRING)
            .ok_or_else(|| Malformed(format!("{} has a string that is too long", self.message)))?;
        let bytes = self.bytes(bytes)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Malformed(format!("{} has a string that is not UTF-8", self.message)))?;
        Ok(text.to_owned())
    }

    /// All that is left.
    pub(crate) fn remainder(self) -> &'a [u8] {
        self.rest
    }

    /// Refuses bytes that should not be there.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(Malformed(format!("{} is too long", self.message))),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
