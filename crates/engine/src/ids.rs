//! Random identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A new uuid: 16 random bytes as 22 characters of URL-safe base64.
pub(crate) fn new_uuid() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}
