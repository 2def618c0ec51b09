//! `weaviate.v1`, aggregate.proto

use super::{Filters, Present};

/// `AggregateRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AggregateRequest {
    #[prost(string, tag = "1")]
    pub collection: String,
    #[prost(string, tag = "10")]
    pub tenant: String,
    #[prost(bool, tag = "20")]
    pub objects_count: bool,
    #[prost(message, repeated, tag = "21")]
    pub aggregations: Vec<Present>,
    #[prost(uint32, optional, tag = "30")]
    pub object_limit: Option<u32>,
    #[prost(message, optional, tag = "31")]
    pub group_by: Option<Present>,
    #[prost(message, optional, tag = "40")]
    pub filters: Option<Filters>,
    #[prost(
        oneof = "AggregateSearch",
        tags = "41, 42, 43, 44, 45, 46, 47, 48, 49, 50"
    )]
    pub search: Option<AggregateSearch>,
}

/// `AggregateRequest.search`: refused, whichever it is.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum AggregateSearch {
    #[prost(message, tag = "41")]
    Hybrid(Present),
    #[prost(message, tag = "42")]
    NearVector(Present),
    #[prost(message, tag = "43")]
    NearObject(Present),
    #[prost(message, tag = "44")]
    NearText(Present),
    #[prost(message, tag = "45")]
    NearImage(Present),
    #[prost(message, tag = "46")]
    NearAudio(Present),
    #[prost(message, tag = "47")]
    NearVideo(Present),
    #[prost(message, tag = "48")]
    NearDepth(Present),
    #[prost(message, tag = "49")]
    NearThermal(Present),
    #[prost(message, tag = "50")]
    NearImu(Present),
}

/// `AggregateReply`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AggregateReply {
    /// Seconds.
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(message, optional, tag = "2")]
    pub single_result: Option<AggregateSingle>,
}

/// `AggregateReply.Single`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct AggregateSingle {
    #[prost(int64, optional, tag = "1")]
    pub objects_count: Option<i64>,
    #[prost(message, optional, tag = "2")]
    pub aggregations: Option<Present>,
}
