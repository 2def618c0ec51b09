//! A signed request, whichever cloud's SDK signed it.

use http::HeaderMap;

use super::canonical::{Signed, field, is_same};
use super::{acs3, sdk_hmac};

/// How far a client's clock may be off, ms.
const WINDOW_MS: i64 = 15 * 60 * 1000;

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `SDK-HMAC-SHA256`, Huawei Cloud's: [`sdk_hmac`].
    SdkHmac,
    /// `ACS3-HMAC-SHA256`, Alibaba Cloud's: [`acs3`].
    Acs3,
}

impl Scheme {
    /// What the scheme calls the access key.
    fn key_field(self) -> &'static str {
        match self {
            Self::SdkHmac => "Access",
            Self::Acs3 => "Credential",
        }
    }
}

/// A signature as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    scheme: Scheme,
    /// The access key.
    pub access_key: &'a str,
    /// The signed headers, as they were listed.
    pub(super) names: &'a str,
    signature: &'a str,
}

impl<'a> Signature<'a> {
    /// Reads what follows the name of the scheme.
    pub fn parse(scheme: Scheme, text: &'a str) -> Option<Self> {
        Some(Self {
            scheme,
            access_key: field(text, scheme.key_field())?,
            names: field(text, "SignedHeaders")?,
            signature: field(text, "Signature")?,
        })
    }

    /// Whether the request is as fresh as it has to be: its date lies within 15 minutes of now.
    pub fn is_fresh(&self, headers: &HeaderMap, now_ms: i64) -> bool {
        let at_ms = match self.scheme {
            Scheme::SdkHmac => sdk_hmac::date_ms(headers),
            Scheme::Acs3 => acs3::date_ms(headers),
        };
        at_ms.is_some_and(|at_ms| (now_ms - at_ms).abs() <= WINDOW_MS)
    }

    /// Whether `secret` made this signature of this request, and the body is the one it speaks of.
    pub fn is_by(&self, secret: &str, request: Signed<'_>) -> bool {
        let expected = match self.scheme {
            Scheme::SdkHmac => sdk_hmac::expected(self.names, secret, request),
            Scheme::Acs3 => acs3::expected(self.names, secret, request),
        };
        expected.is_some_and(|expected| is_same(&expected, &self.signature.to_ascii_lowercase()))
    }
}
