//! Objects.

use serde_json::{Map, Value};

use super::ObjectId;

/// A vector of an object, bit-exact.
#[derive(Debug, Clone, Default)]
pub struct ObjectVector {
    /// Name; empty for the unnamed vector of a class without named ones.
    pub name: String,
    /// Number of rows of a multi-vector, `None` for a single vector.
    pub rows: Option<u32>,
    /// Dimensions (of each row).
    pub dims: u32,
    /// `dims` values, or `rows × dims` row by row.
    pub values: Vec<f32>,
}

impl ObjectVector {
    /// A single vector.
    pub fn single(name: impl Into<String>, values: Vec<f32>) -> Self {
        ObjectVector {
            name: name.into(),
            rows: None,
            dims: values.len() as u32,
            values,
        }
    }

    /// A multi-vector; `None` when its rows differ in length.
    pub fn multi(name: impl Into<String>, rows: &[Vec<f32>]) -> Option<Self> {
        let dims = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != dims) {
            return None;
        }
        Some(ObjectVector {
            name: name.into(),
            rows: Some(rows.len() as u32),
            dims: dims as u32,
            values: rows.concat(),
        })
    }

    /// The rows: one for a single vector.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact((self.dims as usize).max(1))
    }
}

/// Equal when the bits are: a NaN equals itself, `-0` is not `0`.
impl PartialEq for ObjectVector {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.rows == other.rows
            && self.dims == other.dims
            && self.values.len() == other.values.len()
            && self
                .values
                .iter()
                .zip(&other.values)
                .all(|(one, other)| one.to_bits() == other.to_bits())
    }
}

/// One object as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Id.
    pub id: ObjectId,
    /// Properties in the order they were given.
    pub properties: Map<String, Value>,
    /// Creation time in milliseconds since 1970.
    pub created_ms: i64,
    /// Time of the last change.
    pub updated_ms: i64,
    /// Vectors.
    pub vectors: Vec<ObjectVector>,
    /// Counts up with each write.
    pub version: u64,
}

impl Object {
    /// The vector of that name (empty: the unnamed one).
    pub fn vector(&self, name: &str) -> Option<&ObjectVector> {
        self.vectors.iter().find(|vector| vector.name == name)
    }
}
