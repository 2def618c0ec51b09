//! Ids as this dialect writes them.

use crate::shared::uuid;

/// The UUID (version 4, lower case) that stands for an id of the engine.
pub fn uuid_of(engine_id: &str) -> String {
    uuid::versioned(sixteen_bytes(engine_id))
}

/// The project id (32 hexadecimal digits) that stands for an id of the engine.
pub fn project_of(engine_id: &str) -> String {
    uuid::hex(&sixteen_bytes(engine_id))
}

/// A new id of a request: 32 hexadecimal digits.
pub fn new_request_id() -> String {
    uuid::hex(&rand::random())
}

/// The bytes behind an id; of one in another notation, its first sixteen characters.
fn sixteen_bytes(engine_id: &str) -> [u8; 16] {
    uuid::bytes_of(engine_id).unwrap_or_else(|| {
        let mut sixteen = [0; 16];
        for (to, from) in sixteen.iter_mut().zip(engine_id.bytes()) {
            *to = from;
        }
        sixteen
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_engine_has_one_uuid() {
        let id = uuid_of("AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(id, "00010203-0405-4607-8809-0a0b0c0d0e0f");
        assert!(uuid::is_uuid(&id));
        assert_eq!(
            project_of("AAECAwQFBgcICQoLDA0ODw"),
            "000102030405060708090a0b0c0d0e0f"
        );
    }

    #[test]
    fn an_id_in_another_notation_has_one_too() {
        assert!(uuid::is_uuid(&uuid_of("cluster")));
        assert_ne!(uuid_of("cluster"), uuid_of("clusters"));
    }
}
