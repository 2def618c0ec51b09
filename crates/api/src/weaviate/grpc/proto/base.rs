//! `weaviate.v1`, base.proto and base_search.proto

use std::collections::BTreeMap;

use super::{Present, Struct};

/// `NumberArrayProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NumberArrayProperties {
    /// Deprecated: what old clients send instead of the bytes.
    #[prost(double, repeated, tag = "1")]
    pub values: Vec<f64>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
    /// Little-endian doubles.
    #[prost(bytes = "bytes", tag = "3")]
    pub values_bytes: bytes::Bytes,
}

/// `IntArrayProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IntArrayProperties {
    #[prost(int64, repeated, tag = "1")]
    pub values: Vec<i64>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `TextArrayProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TextArrayProperties {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `BooleanArrayProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BooleanArrayProperties {
    #[prost(bool, repeated, tag = "1")]
    pub values: Vec<bool>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `ObjectPropertiesValue`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectPropertiesValue {
    #[prost(message, optional, tag = "1")]
    pub non_ref_properties: Option<Struct>,
    #[prost(message, repeated, tag = "2")]
    pub number_array_properties: Vec<NumberArrayProperties>,
    #[prost(message, repeated, tag = "3")]
    pub int_array_properties: Vec<IntArrayProperties>,
    #[prost(message, repeated, tag = "4")]
    pub text_array_properties: Vec<TextArrayProperties>,
    #[prost(message, repeated, tag = "5")]
    pub boolean_array_properties: Vec<BooleanArrayProperties>,
    #[prost(message, repeated, tag = "6")]
    pub object_properties: Vec<ObjectProperties>,
    #[prost(message, repeated, tag = "7")]
    pub object_array_properties: Vec<ObjectArrayProperties>,
    #[prost(string, repeated, tag = "10")]
    pub empty_list_props: Vec<String>,
}

/// `ObjectArrayProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectArrayProperties {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<ObjectPropertiesValue>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `ObjectProperties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectProperties {
    #[prost(message, optional, tag = "1")]
    pub value: Option<ObjectPropertiesValue>,
    #[prost(string, tag = "2")]
    pub prop_name: String,
}

/// `TextArray`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TextArray {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

/// `IntArray`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IntArray {
    #[prost(int64, repeated, tag = "1")]
    pub values: Vec<i64>,
}

/// `NumberArray`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NumberArray {
    #[prost(double, repeated, tag = "1")]
    pub values: Vec<f64>,
}

/// `BooleanArray`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BooleanArray {
    #[prost(bool, repeated, tag = "1")]
    pub values: Vec<bool>,
}

/// `Filters`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Filters {
    #[prost(enumeration = "FilterOperator", tag = "1")]
    pub operator: i32,
    /// Deprecated: the path, from clients that know no `target`.
    #[prost(string, repeated, tag = "2")]
    pub on: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub filters: Vec<Filters>,
    #[prost(oneof = "FilterTest", tags = "4, 5, 6, 7, 9, 10, 11, 12, 13")]
    pub test_value: Option<FilterTest>,
    #[prost(message, optional, tag = "20")]
    pub target: Option<FilterTarget>,
}

/// `Filters.test_value`
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum FilterTest {
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(int64, tag = "5")]
    Int(i64),
    #[prost(bool, tag = "6")]
    Boolean(bool),
    #[prost(double, tag = "7")]
    Number(f64),
    #[prost(message, tag = "9")]
    TextArray(TextArray),
    #[prost(message, tag = "10")]
    IntArray(IntArray),
    #[prost(message, tag = "11")]
    BooleanArray(BooleanArray),
    #[prost(message, tag = "12")]
    NumberArray(NumberArray),
    #[prost(message, tag = "13")]
    Geo(GeoCoordinatesFilter),
}

/// `Filters.Operator`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum FilterOperator {
    Unspecified = 0,
    Equal = 1,
    NotEqual = 2,
    GreaterThan = 3,
    GreaterThanEqual = 4,
    LessThan = 5,
    LessThanEqual = 6,
    And = 7,
    Or = 8,
    WithinGeoRange = 9,
    Like = 10,
    IsNull = 11,
    ContainsAny = 12,
    ContainsAll = 13,
    ContainsNone = 14,
    Not = 15,
}

/// `FilterTarget`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FilterTarget {
    #[prost(oneof = "FilterTargetKind", tags = "1, 2, 3, 4")]
    pub target: Option<FilterTargetKind>,
}

/// `FilterTarget.target`
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum FilterTargetKind {
    #[prost(string, tag = "1")]
    Property(String),
    #[prost(message, tag = "2")]
    SingleTarget(Present),
    #[prost(message, tag = "3")]
    MultiTarget(Present),
    #[prost(message, tag = "4")]
    Count(FilterReferenceCount),
}

/// `FilterReferenceCount`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FilterReferenceCount {
    #[prost(string, tag = "1")]
    pub on: String,
}

/// `GeoCoordinatesFilter`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct GeoCoordinatesFilter {
    #[prost(float, tag = "1")]
    pub latitude: f32,
    #[prost(float, tag = "2")]
    pub longitude: f32,
    /// Metres.
    #[prost(float, tag = "3")]
    pub distance: f32,
}

/// `Vectors`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Vectors {
    /// Empty, or `default`: the unnamed vector.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Little-endian f32; a multi-vector begins with its dimensions as a little-endian u16.
    #[prost(bytes = "bytes", tag = "3")]
    pub vector_bytes: bytes::Bytes,
    #[prost(enumeration = "VectorType", tag = "4")]
    pub r#type: i32,
}

/// `Vectors.VectorType`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum VectorType {
    Unspecified = 0,
    SingleFp32 = 1,
    MultiFp32 = 2,
}

/// `Targets`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Targets {
    #[prost(string, repeated, tag = "1")]
    pub target_vectors: Vec<String>,
}

/// `VectorForTarget`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VectorForTarget {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Deprecated.
    #[prost(bytes = "bytes", tag = "2")]
    pub vector_bytes: bytes::Bytes,
    #[prost(message, repeated, tag = "3")]
    pub vectors: Vec<Vectors>,
}

/// `NearVector`. All but the thresholds are ways that clients of different age give the vector.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NearVector {
    #[prost(float, repeated, tag = "1")]
    pub vector: Vec<f32>,
    #[prost(double, optional, tag = "2")]
    pub certainty: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub distance: Option<f64>,
    #[prost(bytes = "bytes", tag = "4")]
    pub vector_bytes: bytes::Bytes,
    #[prost(string, repeated, tag = "5")]
    pub target_vectors: Vec<String>,
    #[prost(message, optional, tag = "6")]
    pub targets: Option<Targets>,
    #[prost(btree_map = "string, bytes", tag = "7")]
    pub vector_per_target: BTreeMap<String, Vec<u8>>,
    #[prost(message, repeated, tag = "8")]
    pub vector_for_targets: Vec<VectorForTarget>,
    #[prost(message, repeated, tag = "9")]
    pub vectors: Vec<Vectors>,
    #[prost(message, optional, tag = "10")]
    pub selection: Option<Present>,
}

/// `NearObject`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NearObject {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(double, optional, tag = "2")]
    pub certainty: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub distance: Option<f64>,
    #[prost(string, repeated, tag = "4")]
    pub target_vectors: Vec<String>,
    #[prost(message, optional, tag = "5")]
    pub targets: Option<Targets>,
    #[prost(message, optional, tag = "6")]
    pub selection: Option<Present>,
}
