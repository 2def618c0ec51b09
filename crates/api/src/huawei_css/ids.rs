//! Ids as this dialect writes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The UUID (version 4, lower case) that stands for an id of the engine: 22 characters of URL-safe base64, of which the six bits
/// that say version and variant are overwritten.
pub fn uuid_of(engine_id: &str) -> String {
    let mut bytes = sixteen_bytes(engine_id);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex_of(&bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// The project id (32 hexadecimal digits) that stands for an id of the engine.
pub fn project_of(engine_id: &str) -> String {
    hex_of(&sixteen_bytes(engine_id))
}

/// A new id of a request: 32 hexadecimal digits.
pub fn new_request_id() -> String {
    hex_of(&rand::random::<[u8; 16]>())
}

/// Whether `text` is a UUID in its usual form, of any version and case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The bytes behind an id; of one in another notation, its first sixteen characters.
fn sixteen_bytes(engine_id: &str) -> [u8; 16] {
    let decoded = URL_SAFE_NO_PAD.decode(engine_id).ok();
    let bytes = decoded
        .filter(|bytes| bytes.len() == 16)
        .unwrap_or_else(|| engine_id.as_bytes().to_vec());
    let mut sixteen = [0; 16];
    for (to, from) in sixteen.iter_mut().zip(bytes) {
        *to = from;
    }
    sixteen
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_engine_has_one_uuid() {
        let id = uuid_of("AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(id, "00010203-0405-4607-8809-0a0b0c0d0e0f");
        assert!(is_uuid(&id));
        assert_eq!(
            project_of("AAECAwQFBgcICQoLDA0ODw"),
            "000102030405060708090a0b0c0d0e0f"
        );
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
