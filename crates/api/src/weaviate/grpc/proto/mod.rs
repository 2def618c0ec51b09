//! The messages of `weaviate.v1` and `grpc.health.v1`, with their public field numbers.
//!
//! Written by hand so that the build needs no protobuf compiler. Fields that this server does not read are left out:
//! a decoder passes over them. What it must *refuse* is there as [`Present`], which only tells that the client set it.

mod aggregate;
mod base;
mod batch;
mod health;
mod properties;
mod search;
mod tenants;
mod well_known;

pub(super) use aggregate::*;
pub(super) use base::*;
pub(super) use batch::*;
pub(super) use health::*;
pub(super) use properties::*;
pub(super) use search::*;
pub(super) use tenants::*;
pub(super) use well_known::*;

/// A message whose content does not matter: it is refused for being there.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Present {}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    /// Bytes as the public descriptors of the Python client encode the same message.
    #[test]
    fn field_numbers_are_the_public_ones() {
        let request = SearchRequest {
            collection: "A".into(),
            limit: 3,
            after: "x".into(),
            uses_127_api: true,
            ..Default::default()
        };
        // 1: "A", 30: 3, 33: "x", 102: true
        assert_eq!(
            request.encode_to_vec(),
            [
                0x0a, 1, b'A', 0xf0, 0x01, 3, 0x8a, 0x02, 1, b'x', 0xb0, 0x06, 1
            ]
        );
        let reply = HealthCheckResponse { status: 1 };
        assert_eq!(reply.encode_to_vec(), [0x08, 0x01]);
    }

    #[test]
    fn a_zero_that_was_set_is_sent() {
        let single = AggregateSingle {
            objects_count: Some(0),
            aggregations: None,
        };
        assert_eq!(single.encode_to_vec(), [0x08, 0x00]);
    }

    #[test]
    fn what_is_refused_is_noticed_whatever_is_in_it() {
        // 45 (near_text), a message of two bytes.
        let bytes = [0xea, 0x02, 2, 0x0a, 0];
        let request = SearchRequest::decode(&bytes[..]).unwrap();
        assert!(request.near_text.is_some());
    }
}
