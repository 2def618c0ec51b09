//! `google.protobuf.Struct` and its parts.

use std::collections::BTreeMap;

/// `google.protobuf.Struct`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, StructValue>,
}

/// `google.protobuf.Value`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StructValue {
    #[prost(oneof = "StructKind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<StructKind>,
}

/// `google.protobuf.Value.kind`
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum StructKind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(StructList),
}

/// `google.protobuf.ListValue`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StructList {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<StructValue>,
}
