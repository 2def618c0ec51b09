//! Embedded document store: indices of JSON documents in numbered shards.
