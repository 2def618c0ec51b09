//! `weaviate.v1`, properties.proto

use std::collections::BTreeMap;

/// `Properties`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Properties {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, PropertyValue>,
}

/// `Value`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertyValue {
    #[prost(
        oneof = "PropertyKind",
        tags = "1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13"
    )]
    pub kind: Option<PropertyKind>,
}

/// `Value.kind`
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum PropertyKind {
    #[prost(double, tag = "1")]
    Number(f64),
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(message, tag = "4")]
    Object(Properties),
    #[prost(message, tag = "5")]
    List(PropertyList),
    #[prost(string, tag = "6")]
    Date(String),
    #[prost(string, tag = "7")]
    Uuid(String),
    #[prost(int64, tag = "8")]
    Int(i64),
    #[prost(message, tag = "9")]
    Geo(GeoCoordinate),
    #[prost(string, tag = "10")]
    Blob(String),
    #[prost(message, tag = "11")]
    Phone(PhoneNumber),
    #[prost(int32, tag = "12")]
    Null(i32),
    #[prost(string, tag = "13")]
    Text(String),
}

/// `ListValue`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertyList {
    #[prost(oneof = "ListKind", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub kind: Option<ListKind>,
}

/// `ListValue.kind`
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ListKind {
    #[prost(message, tag = "2")]
    Numbers(PackedValues),
    #[prost(message, tag = "3")]
    Bools(BoolValues),
    #[prost(message, tag = "4")]
    Objects(ObjectValues),
    #[prost(message, tag = "5")]
    Dates(TextValues),
    #[prost(message, tag = "6")]
    Uuids(TextValues),
    #[prost(message, tag = "7")]
    Ints(PackedValues),
    #[prost(message, tag = "8")]
    Texts(TextValues),
}

/// `NumberValues` and `IntValues`: eight little-endian bytes each.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PackedValues {
    #[prost(bytes = "vec", tag = "1")]
    pub values: Vec<u8>,
}

/// `TextValues`, `DateValues` and `UuidValues`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TextValues {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

/// `BoolValues`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BoolValues {
    #[prost(bool, repeated, tag = "1")]
    pub values: Vec<bool>,
}

/// `ObjectValues`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectValues {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Properties>,
}

/// `GeoCoordinate`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct GeoCoordinate {
    #[prost(float, tag = "1")]
    pub longitude: f32,
    #[prost(float, tag = "2")]
    pub latitude: f32,
}

/// `PhoneNumber`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PhoneNumber {
    #[prost(uint64, tag = "1")]
    pub country_code: u64,
    #[prost(string, tag = "2")]
    pub default_country: String,
    #[prost(string, tag = "3")]
    pub input: String,
    #[prost(string, tag = "4")]
    pub international_formatted: String,
    #[prost(uint64, tag = "5")]
    pub national: u64,
    #[prost(string, tag = "6")]
    pub national_formatted: String,
    #[prost(bool, tag = "7")]
    pub valid: bool,
}
