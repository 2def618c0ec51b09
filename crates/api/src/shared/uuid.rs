//! UUIDs, as the clouds' dialects show ids of the engine.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The sixteen bytes behind an id of the engine (22 characters of URL-safe base64); none for an id in another notation.
pub fn bytes_of(engine_id: &str) -> Option<[u8; 16]> {
    let bytes = URL_SAFE_NO_PAD.decode(engine_id).ok()?;
    bytes.try_into().ok()
}

/// In the usual form, lower case.
pub fn hyphenated(bytes: &[u8; 16]) -> String {
    let hex = hex(bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// In the usual form as version 4: the six bits that say version and variant are overwritten.
pub fn versioned(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    hyphenated(&bytes)
}

/// Whether `text` is a UUID in its usual form, of any version and case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// 32 hexadecimal digits, lower case.
pub fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_engine_is_sixteen_bytes() {
        let bytes = bytes_of("AAECAwQFBgcICQoLDA0ODw").unwrap();
        assert_eq!(hyphenated(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(versioned(bytes), "00010203-0405-4607-8809-0a0b0c0d0e0f");
        assert_eq!(hex(&bytes), "000102030405060708090a0b0c0d0e0f");
        for text in ["", "AAEC", "not base64 at all!!!!!"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }

    #[test]
    fn uuids_are_told_from_other_text() {
        assert!(is_uuid("ea244205-d641-45d9-9dcb-ab2236bcd07e"));
        assert!(is_uuid("EA244205-D641-45D9-9DCB-AB2236BCD07E"));
        for text in [
            "",
            "ea244205d64145d99dcbab2236bcd07e",
            "ea244205-d641-45d9-9dcb-ab2236bcd07g",
            "{cluster_id}",
        ] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
