//! What can be asked of objects.

use super::{Object, ObjectId};

/// Largest `offset + limit` of a query.
pub const MAX_WINDOW: usize = 100_000;

/// A search in one collection (or one tenant of it).
#[derive(Debug, Clone, Default)]
pub struct ObjectQuery {
    /// Collection or alias.
    pub collection: String,
    /// Tenant; exactly where the collection has tenants.
    pub tenant: Option<String>,
    /// Which objects.
    pub filter: Option<Filter>,
    /// Orders by distance; objects without that vector are left out.
    pub near: Option<NearVector>,
    /// Orders by values where `near` is absent (with `near`: sorts the nearest `offset + limit`). Without
    /// both, ascending by id.
    pub sort: Vec<ObjectSort>,
    /// Most hits; with `offset` at most [`MAX_WINDOW`].
    pub limit: usize,
    /// Hits passed over.
    pub offset: usize,
    /// Only ids greater than this (the cursor).
    pub after: Option<ObjectId>,
}

/// A hit.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectHit {
    /// The object.
    pub object: Object,
    /// Distance to the query's vector.
    pub distance: Option<f32>,
}

/// How far apart two vectors are. Smaller is nearer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Metric {
    /// `1 - cos`, 0 to 2.
    #[default]
    Cosine,
    /// `-dot`.
    Dot,
    /// Sum of squared differences.
    L2Squared,
    /// Number of positions that differ.
    Hamming,
    /// Sum of absolute differences.
    Manhattan,
}

/// The vector to search with.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryVector {
    /// For single vectors.
    Single(Vec<f32>),
    /// For multi-vectors: the sum over these rows of the smallest distance to a row of the object.
    Multi(Vec<Vec<f32>>),
}

/// Exact nearest neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct NearVector {
    /// Name of the objects' vector; empty for the unnamed one.
    pub target: String,
    /// The query's vector; [`crate::StoreError::VectorLength`] when its length is not that of the
    /// collection's vectors.
    pub vector: QueryVector,
    /// Metric.
    pub metric: Metric,
    /// Leaves out what is farther.
    pub max_distance: Option<f32>,
}

/// One key of a sort. Absent values come first when ascending, then `false`, `true`, numbers, texts, arrays
/// element by element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSort {
    /// By what.
    pub path: FilterPath,
    /// Greatest first.
    pub descending: bool,
    /// Texts are RFC 3339 dates and compared as moments.
    pub dates: bool,
}

/// What a condition or a sort looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterPath {
    /// The id, as text.
    Id,
    /// `_creationTimeUnix`, milliseconds since 1970.
    CreationTime,
    /// `_lastUpdateTimeUnix`, milliseconds since 1970.
    LastUpdateTime,
    /// A property; more names lead into nested objects.
    Property(Vec<String>),
    /// Length of a property: characters of a text, elements of an array (and so references), 0 when absent.
    Length(Vec<String>),
}

impl FilterPath {
    /// A property at the top.
    pub fn property(name: impl Into<String>) -> Self {
        FilterPath::Property(vec![name.into()])
    }
}

/// Which objects match.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of them match (everything, when empty).
    And(Vec<Filter>),
    /// Any of them matches (nothing, when empty).
    Or(Vec<Filter>),
    /// It does not match.
    Not(Box<Filter>),
    /// One condition.
    Is(Condition),
}

/// One condition. For an array any element may fulfil a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Looked at.
    pub path: FilterPath,
    /// Compared how.
    pub comparison: Comparison,
}

/// How a value is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// Equal (texts: see [`Tokenization`]).
    Equal(FilterValue),
    /// Not [`Comparison::Equal`]; also where the value is absent.
    NotEqual(FilterValue),
    /// Greater.
    GreaterThan(FilterValue),
    /// Greater or equal.
    GreaterThanEqual(FilterValue),
    /// Less.
    LessThan(FilterValue),
    /// Less or equal.
    LessThanEqual(FilterValue),
    /// A text with `?` for one and `*` for any number of characters, per token.
    Like {
        /// The pattern.
        pattern: String,
        /// How the property is cut.
        tokenization: Tokenization,
    },
    /// Absent or null (`true`), or present (`false`).
    IsNull(bool),
    /// At least one of the values is there.
    ContainsAny(Vec<FilterValue>),
    /// Each of the values is there.
    ContainsAll(Vec<FilterValue>),
    /// None of the values is there; also where the value is absent.
    ContainsNone(Vec<FilterValue>),
    /// A `geoCoordinates` value is near a point.
    WithinGeoRange(GeoRange),
}

/// A circle on the Earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoRange {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Radius in metres.
    pub max_distance_m: f64,
}

/// What a property is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// A number, whole or not.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// A text: every token of it must be a token of the property.
    Text(String, Tokenization),
    /// A moment, given in RFC 3339; properties are read alike. [`FilterPath::CreationTime`] and
    /// [`FilterPath::LastUpdateTime`] take this or a number of milliseconds.
    Date(String),
}

/// How a text is cut into what is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tokenization {
    /// Runs of letters and digits, in lower case.
    Word,
    /// Cut at white space, in lower case.
    Lowercase,
    /// Cut at white space.
    Whitespace,
    /// The whole text without white space around it.
    Field,
    /// The whole text as it is (ids, UUIDs).
    #[default]
    Exact,
}
