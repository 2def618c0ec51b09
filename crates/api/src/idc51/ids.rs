//! Ids as this dialect writes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::shared::uuid;

/// What ids of points begin with.
const POINT_PREFIX: &str = "ss-";

/// An id of a job as a UUID: the same sixteen bytes, so that [`engine_job_id`] finds the way back.
pub fn job_uuid(engine_id: &str) -> String {
    match uuid::bytes_of(engine_id) {
        Some(bytes) => uuid::hyphenated(&bytes),
        None => engine_id.to_owned(),
    }
}

/// The engine's id of a job; none if the text is no UUID.
pub fn engine_job_id(text: &str) -> Option<String> {
    if !uuid::is_uuid(text) {
        return None;
    }
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).ok()?;
    Some(URL_SAFE_NO_PAD.encode(number.to_be_bytes()))
}

/// The id of the request that began a job: made of the job's own, so that it is the same whenever the job is shown.
pub fn request_uuid(engine_job_id: &str) -> String {
    let digest = Sha256::digest(format!("request of {engine_job_id}"));
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::versioned(bytes)
}

/// An id that nothing has had before.
pub fn new_uuid() -> String {
    uuid::versioned(rand::random())
}

/// An id of a point as the engine writes it. The documentation writes both `ss-…` and `s-…`: what counts is what follows the prefix.
pub fn point_id(text: &str) -> String {
    let text = text.trim();
    let rest = text.split_once('-').map_or(text, |(_, rest)| rest);
    format!("{POINT_PREFIX}{rest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_job_is_a_uuid_and_found_by_it() {
        let uuid = job_uuid("AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(
            engine_job_id(&uuid).as_deref(),
            Some("AAECAwQFBgcICQoLDA0ODw")
        );
        assert_eq!(
            engine_job_id(&uuid.to_uppercase()),
            engine_job_id(&uuid),
            "upper case names the same"
        );
        for text in [
            "",
            "AAECAwQFBgcICQoLDA0ODw",
            "00010203-0405-0607-0809-0a0b0c0d0e0g",
            "00010203+0405-0607-0809-0a0b0c0d0e0f",
        ] {
            assert_eq!(engine_job_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_job_has_one_request() {
        let id = request_uuid("AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(id, request_uuid("AAECAwQFBgcICQoLDA0ODw"));
        assert_ne!(id, request_uuid("BAECAwQFBgcICQoLDA0ODw"));
        assert!(engine_job_id(&id).is_some());
        assert_ne!(new_uuid(), new_uuid());
    }

    #[test]
    fn points_are_named_with_either_prefix() {
        for text in ["ss-ABCDEFG", "s-ABCDEFG", " ss-ABCDEFG", "ABCDEFG"] {
            assert_eq!(point_id(text), "ss-ABCDEFG", "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_harm(text in ".{0,40}") {
            let _ = (engine_job_id(&text), job_uuid(&text), point_id(&text));
        }

        #[test]
        fn every_id_comes_back(bytes: [u8; 16]) {
            let id = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(engine_job_id(&job_uuid(&id)), Some(id));
        }
    }
}
