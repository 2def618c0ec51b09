//! `weaviate.v1`, tenants.proto

/// `TenantsGetRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TenantsGetRequest {
    #[prost(string, tag = "1")]
    pub collection: String,
    #[prost(message, optional, tag = "2")]
    pub names: Option<TenantNames>,
}

/// `TenantNames`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TenantNames {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

/// `TenantsGetReply`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TenantsGetReply {
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(message, repeated, tag = "2")]
    pub tenants: Vec<Tenant>,
}

/// `Tenant`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Tenant {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "TenantActivityStatus", tag = "2")]
    pub activity_status: i32,
}

/// `TenantActivityStatus`, as far as this server answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum TenantActivityStatus {
    Unspecified = 0,
    Hot = 1,
    Cold = 2,
    Frozen = 4,
}
