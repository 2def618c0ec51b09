//! How far a stored vector is from a query's. Sums are kept in `f64`, in several lanes that do not wait for
//! each other.

use super::codec::{Shape, VALUE_BYTES};
use super::{Metric, QueryVector};

/// Independent sums.
const LANES: usize = 8;

/// A query's vector made ready.
pub(super) struct Distance {
    metric: Metric,
    rows: Vec<Row>,
    /// Whether the query is for multi-vectors.
    is_multi: bool,
    dims: u32,
}

struct Row {
    values: Vec<f32>,
    /// Euclidean length.
    norm: f64,
}

impl Distance {
    /// `None` when the rows differ in length.
    pub(super) fn new(vector: &QueryVector, metric: Metric) -> Option<Self> {
        let (rows, is_multi) = match vector {
            QueryVector::Single(values) => (std::slice::from_ref(values), false),
            QueryVector::Multi(rows) => (rows.as_slice(), true),
        };
        let dims = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != dims) {
            return None;
        }
        let row = |values: &Vec<f32>| Row {
            values: values.clone(),
            norm: values
                .iter()
                .map(|value| f64::from(*value) * f64::from(*value))
                .sum::<f64>()
                .sqrt(),
        };
        Some(Distance {
            metric,
            rows: rows.iter().map(row).collect(),
            is_multi,
            dims: u32::try_from(dims).ok()?,
        })
    }

    /// Dimensions of the query.
    pub(super) fn dims(&self) -> u32 {
        self.dims
    }

    /// Distance to a stored vector; `None` when it has another shape.
    pub(super) fn to(&self, shape: Shape, bytes: &[u8]) -> Option<f32> {
        if shape.dims != self.dims || shape.rows.is_some() != self.is_multi || bytes.is_empty() {
            return None;
        }
        let row_bytes = self.dims as usize * VALUE_BYTES;
        if !self.is_multi {
            return self.rows.first().map(|row| self.between(row, bytes) as f32);
        }
        // Each row of the query counts with the nearest row of the object.
        let nearest = |row: &Row| {
            bytes
                .chunks_exact(row_bytes)
                .map(|stored| self.between(row, stored))
                .fold(f64::INFINITY, f64::min)
        };
        Some(self.rows.iter().map(nearest).sum::<f64>() as f32)
    }

    fn between(&self, row: &Row, stored: &[u8]) -> f64 {
        let query = &row.values;
        match self.metric {
            Metric::Cosine => {
                let dot = sum(query, stored, |a, b| a * b);
                let square = sum(query, stored, |_, b| b * b);
                let norms = row.norm * square.sqrt();
                // The direction of a zero vector is no direction: as far as one at right angles.
                let cosine = if norms == 0.0 { 0.0 } else { dot / norms };
                // Rounded before the subtraction, so that equal vectors are at distance 0.
                f64::from(1.0 - cosine as f32)
            }
            Metric::Dot => -sum(query, stored, |a, b| a * b),
            Metric::L2Squared => sum(query, stored, |a, b| (a - b) * (a - b)),
            Metric::Manhattan => sum(query, stored, |a, b| (a - b).abs()),
            Metric::Hamming => sum(query, stored, |a, b| if a == b { 0.0 } else { 1.0 }),
        }
    }
}

/// Sum of `term` over pairs of values.
fn sum(query: &[f32], stored: &[u8], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (stored, _) = stored.as_chunks::<VALUE_BYTES>();
    let (query_blocks, query_rest) = query.as_chunks::<LANES>();
    let (stored_blocks, stored_rest) = stored.as_chunks::<LANES>();
    let value = |bytes: &[u8; VALUE_BYTES]| f64::from(f32::from_le_bytes(*bytes));
    let mut lanes = [0.0f64; LANES];
    for (query, stored) in query_blocks.iter().zip(stored_blocks) {
        for lane in 0..LANES {
            lanes[lane] += term(f64::from(query[lane]), value(&stored[lane]));
        }
    }
    let mut total: f64 = lanes.iter().sum();
    for (query, stored) in query_rest.iter().zip(stored_rest) {
        total += term(f64::from(*query), value(stored));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn single(query: &[f32], stored: &[f32], metric: Metric) -> f32 {
        let distance = Distance::new(&QueryVector::Single(query.to_vec()), metric).unwrap();
        let shape = Shape {
            rows: None,
            dims: stored.len() as u32,
        };
        distance.to(shape, &bytes(stored)).unwrap()
    }

    #[test]
    fn the_metrics_are_the_documented_ones() {
        let (a, b) = ([1.0, 2.0, 3.0], [3.0, 2.0, 0.0]);
        let cosine = 1.0 - 7.0 / (14f64.sqrt() * 13f64.sqrt());
        assert!((f64::from(single(&a, &b, Metric::Cosine)) - cosine).abs() < 1e-6);
        assert_eq!(single(&a, &b, Metric::Dot), -7.0);
        assert_eq!(single(&a, &b, Metric::L2Squared), 13.0);
        assert_eq!(single(&a, &b, Metric::Manhattan), 5.0);
        assert_eq!(single(&a, &b, Metric::Hamming), 2.0);
        assert_eq!(single(&a, &[-1.0, -2.0, -3.0], Metric::Cosine), 2.0);
        assert_eq!(single(&a, &[0.0; 3], Metric::Cosine), 1.0);
    }

    #[test]
    fn a_multi_vector_is_as_far_as_its_rows_are_together() {
        let query = QueryVector::Multi(vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
        let distance = Distance::new(&query, Metric::Cosine).unwrap();
        let shape = Shape {
            rows: Some(2),
            dims: 2,
        };
        let stored = bytes(&[1.0, 0.0, -1.0, 0.0]);
        assert_eq!(distance.to(shape, &stored), Some(1.0), "0 and 1");
        assert!(Distance::new(&QueryVector::Multi(vec![vec![1.0], vec![]]), Metric::Dot).is_none());
    }

    #[test]
    fn other_shapes_have_no_distance() {
        let distance = Distance::new(&QueryVector::Single(vec![1.0, 2.0]), Metric::Dot).unwrap();
        let shape = |rows, dims| Shape { rows, dims };
        assert_eq!(distance.to(shape(None, 3), &[0; 12]), None);
        assert_eq!(distance.to(shape(Some(1), 2), &[0; 8]), None);
    }

    proptest! {
        #[test]
        fn the_lanes_sum_what_a_plain_loop_sums(pairs in prop::collection::vec((-100i8..100, -100i8..100), 1..70)) {
            let query: Vec<f32> = pairs.iter().map(|pair| f32::from(pair.0)).collect();
            let stored: Vec<f32> = pairs.iter().map(|pair| f32::from(pair.1)).collect();
            let dot: f32 = query.iter().zip(&stored).map(|(a, b)| a * b).sum();
            prop_assert_eq!(single(&query, &stored, Metric::Dot), -dot);
            prop_assert_eq!(single(&query, &query, Metric::L2Squared), 0.0);
            if query.iter().any(|value| *value != 0.0) {
                prop_assert_eq!(single(&query, &query, Metric::Cosine), 0.0);
            }
        }
    }
}
