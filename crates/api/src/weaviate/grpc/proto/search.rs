//! `weaviate.v1`, search_get.proto

use super::{Filters, NearObject, NearVector, Present, Properties, Vectors};

/// `SearchRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SearchRequest {
    #[prost(string, tag = "1")]
    pub collection: String,
    #[prost(string, tag = "10")]
    pub tenant: String,
    #[prost(message, optional, tag = "20")]
    pub properties: Option<PropertiesRequest>,
    #[prost(message, optional, tag = "21")]
    pub metadata: Option<MetadataRequest>,
    #[prost(message, optional, tag = "22")]
    pub group_by: Option<Present>,
    #[prost(uint32, tag = "30")]
    pub limit: u32,
    #[prost(uint32, tag = "31")]
    pub offset: u32,
    #[prost(uint32, tag = "32")]
    pub autocut: u32,
    #[prost(string, tag = "33")]
    pub after: String,
    #[prost(message, repeated, tag = "34")]
    pub sort_by: Vec<SortBy>,
    #[prost(message, optional, tag = "40")]
    pub filters: Option<Filters>,
    #[prost(message, optional, tag = "41")]
    pub hybrid_search: Option<Present>,
    #[prost(message, optional, tag = "42")]
    pub bm25_search: Option<Present>,
    #[prost(message, optional, tag = "43")]
    pub near_vector: Option<NearVector>,
    #[prost(message, optional, tag = "44")]
    pub near_object: Option<NearObject>,
    #[prost(message, optional, tag = "45")]
    pub near_text: Option<Present>,
    #[prost(message, optional, tag = "46")]
    pub near_image: Option<Present>,
    #[prost(message, optional, tag = "47")]
    pub near_audio: Option<Present>,
    #[prost(message, optional, tag = "48")]
    pub near_video: Option<Present>,
    #[prost(message, optional, tag = "49")]
    pub near_depth: Option<Present>,
    #[prost(message, optional, tag = "50")]
    pub near_thermal: Option<Present>,
    #[prost(message, optional, tag = "51")]
    pub near_imu: Option<Present>,
    #[prost(message, optional, tag = "60")]
    pub generative: Option<Present>,
    #[prost(message, optional, tag = "61")]
    pub rerank: Option<Present>,
    #[prost(message, optional, tag = "62")]
    pub boost: Option<Present>,
    /// Old clients do not set it and get properties in an older shape, which this server does not speak.
    #[prost(bool, tag = "102")]
    pub uses_127_api: bool,
}

/// `SortBy`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SortBy {
    #[prost(bool, tag = "1")]
    pub ascending: bool,
    #[prost(string, repeated, tag = "2")]
    pub path: Vec<String>,
}

/// `MetadataRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetadataRequest {
    #[prost(bool, tag = "1")]
    pub uuid: bool,
    #[prost(bool, tag = "2")]
    pub vector: bool,
    #[prost(bool, tag = "3")]
    pub creation_time_unix: bool,
    #[prost(bool, tag = "4")]
    pub last_update_time_unix: bool,
    #[prost(bool, tag = "5")]
    pub distance: bool,
    #[prost(bool, tag = "6")]
    pub certainty: bool,
    #[prost(bool, tag = "9")]
    pub is_consistent: bool,
    #[prost(string, repeated, tag = "10")]
    pub vectors: Vec<String>,
}

/// `PropertiesRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertiesRequest {
    #[prost(string, repeated, tag = "1")]
    pub non_ref_properties: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub ref_properties: Vec<RefPropertiesRequest>,
    #[prost(message, repeated, tag = "3")]
    pub object_properties: Vec<ObjectPropertiesRequest>,
    #[prost(bool, tag = "11")]
    pub return_all_nonref_properties: bool,
}

/// `ObjectPropertiesRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectPropertiesRequest {
    #[prost(string, tag = "1")]
    pub prop_name: String,
    #[prost(string, repeated, tag = "2")]
    pub primitive_properties: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub object_properties: Vec<ObjectPropertiesRequest>,
}

/// `RefPropertiesRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RefPropertiesRequest {
    #[prost(string, tag = "1")]
    pub reference_property: String,
    #[prost(message, optional, tag = "2")]
    pub properties: Option<PropertiesRequest>,
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<MetadataRequest>,
    #[prost(string, tag = "4")]
    pub target_collection: String,
}

/// `SearchReply`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SearchReply {
    /// Seconds.
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<SearchResult>,
}

/// `SearchResult`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SearchResult {
    #[prost(message, optional, tag = "1")]
    pub properties: Option<PropertiesResult>,
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<MetadataResult>,
}

/// `MetadataResult`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetadataResult {
    #[prost(string, tag = "1")]
    pub id: String,
    /// Deprecated; a real server of this version still sends it beside the bytes, this one does not.
    #[prost(float, repeated, tag = "2")]
    pub vector: Vec<f32>,
    #[prost(int64, tag = "3")]
    pub creation_time_unix: i64,
    #[prost(bool, tag = "4")]
    pub creation_time_unix_present: bool,
    #[prost(int64, tag = "5")]
    pub last_update_time_unix: i64,
    #[prost(bool, tag = "6")]
    pub last_update_time_unix_present: bool,
    #[prost(float, tag = "7")]
    pub distance: f32,
    #[prost(bool, tag = "8")]
    pub distance_present: bool,
    #[prost(float, tag = "9")]
    pub certainty: f32,
    #[prost(bool, tag = "10")]
    pub certainty_present: bool,
    #[prost(bool, optional, tag = "15")]
    pub is_consistent: Option<bool>,
    #[prost(bool, tag = "18")]
    pub is_consistent_present: bool,
    /// The unnamed vector, little-endian f32.
    #[prost(bytes = "vec", tag = "19")]
    pub vector_bytes: Vec<u8>,
    #[prost(bytes = "vec", tag = "20")]
    pub id_as_bytes: Vec<u8>,
    #[prost(message, repeated, tag = "23")]
    pub vectors: Vec<Vectors>,
}

/// `PropertiesResult`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertiesResult {
    #[prost(message, repeated, tag = "2")]
    pub ref_props: Vec<RefPropertiesResult>,
    #[prost(string, tag = "3")]
    pub target_collection: String,
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<MetadataResult>,
    #[prost(message, optional, tag = "11")]
    pub non_ref_props: Option<Properties>,
    #[prost(bool, tag = "12")]
    pub ref_props_requested: bool,
}

/// `RefPropertiesResult`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RefPropertiesResult {
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<PropertiesResult>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}
