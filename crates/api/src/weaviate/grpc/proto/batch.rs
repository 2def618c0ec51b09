//! `weaviate.v1`, batch.proto and batch_delete.proto

use super::{
    BooleanArrayProperties, Filters, IntArrayProperties, NumberArrayProperties,
    ObjectArrayProperties, ObjectProperties, Struct, TextArrayProperties, Vectors,
};

/// `BatchObjectsRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchObjectsRequest {
    #[prost(message, repeated, tag = "1")]
    pub objects: Vec<BatchObject>,
}

/// `BatchObject`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchObject {
    #[prost(string, tag = "1")]
    pub uuid: String,
    /// Deprecated.
    #[prost(float, repeated, tag = "2")]
    pub vector: Vec<f32>,
    #[prost(message, optional, tag = "3")]
    pub properties: Option<BatchProperties>,
    #[prost(string, tag = "4")]
    pub collection: String,
    #[prost(string, tag = "5")]
    pub tenant: String,
    #[prost(bytes = "bytes", tag = "6")]
    pub vector_bytes: bytes::Bytes,
    #[prost(message, repeated, tag = "23")]
    pub vectors: Vec<Vectors>,
}

/// `BatchObject.Properties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchProperties {
    #[prost(message, optional, tag = "1")]
    pub non_ref_properties: Option<Struct>,
    #[prost(message, repeated, tag = "2")]
    pub single_target_ref_props: Vec<SingleTargetRefProps>,
    #[prost(message, repeated, tag = "3")]
    pub multi_target_ref_props: Vec<MultiTargetRefProps>,
    #[prost(message, repeated, tag = "4")]
    pub number_array_properties: Vec<NumberArrayProperties>,
    #[prost(message, repeated, tag = "5")]
    pub int_array_properties: Vec<IntArrayProperties>,
    #[prost(message, repeated, tag = "6")]
    pub text_array_properties: Vec<TextArrayProperties>,
    #[prost(message, repeated, tag = "7")]
    pub boolean_array_properties: Vec<BooleanArrayProperties>,
    #[prost(message, repeated, tag = "8")]
    pub object_properties: Vec<ObjectProperties>,
    #[prost(message, repeated, tag = "9")]
    pub object_array_properties: Vec<ObjectArrayProperties>,
    #[prost(string, repeated, tag = "10")]
    pub empty_list_props: Vec<String>,
}

/// `BatchObject.SingleTargetRefProps`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SingleTargetRefProps {
    #[prost(string, repeated, tag = "1")]
    pub uuids: Vec<String>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `BatchObject.MultiTargetRefProps`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MultiTargetRefProps {
    #[prost(string, repeated, tag = "1")]
    pub uuids: Vec<String>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
    #[prost(string, tag = "3")]
    pub target_collection: String,
}

/// `BatchObjectsReply` and `BatchReferencesReply`, which are alike.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchReply {
    /// Seconds.
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(message, repeated, tag = "2")]
    pub errors: Vec<BatchError>,
}

/// `BatchObjectsReply.BatchError`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchError {
    #[prost(int32, tag = "1")]
    pub index: i32,
    #[prost(string, tag = "2")]
    pub error: String,
}

/// `BatchReferencesRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchReferencesRequest {
    #[prost(message, repeated, tag = "1")]
    pub references: Vec<BatchReference>,
}

/// `BatchReference`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchReference {
    /// Of the property.
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub from_collection: String,
    #[prost(string, tag = "3")]
    pub from_uuid: String,
    #[prost(string, optional, tag = "4")]
    pub to_collection: Option<String>,
    #[prost(string, tag = "5")]
    pub to_uuid: String,
    #[prost(string, tag = "6")]
    pub tenant: String,
}

/// `BatchDeleteRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchDeleteRequest {
    #[prost(string, tag = "1")]
    pub collection: String,
    #[prost(message, optional, tag = "2")]
    pub filters: Option<Filters>,
    #[prost(bool, tag = "3")]
    pub verbose: bool,
    #[prost(bool, tag = "4")]
    pub dry_run: bool,
    #[prost(string, optional, tag = "6")]
    pub tenant: Option<String>,
}

/// `BatchDeleteReply`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchDeleteReply {
    /// Seconds.
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(int64, tag = "2")]
    pub failed: i64,
    #[prost(int64, tag = "3")]
    pub matches: i64,
    #[prost(int64, tag = "4")]
    pub successful: i64,
    #[prost(message, repeated, tag = "5")]
    pub objects: Vec<BatchDeleteObject>,
}

/// `BatchDeleteObject`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchDeleteObject {
    /// The 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub uuid: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub successful: bool,
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
}
