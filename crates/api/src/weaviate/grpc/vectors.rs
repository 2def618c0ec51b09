//! Vectors as bytes: little-endian f32, bit for bit.

use bytes::Bytes;
use snapkeep_store::collections::{ObjectVector, QueryVector};

use super::proto::{VectorType, Vectors};

const F32_BYTES: usize = size_of::<f32>();
const DIMS_BYTES: usize = size_of::<u16>();

/// The values in some bytes.
///
/// # Errors
/// The complaint.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let values = bytes.chunks_exact(F32_BYTES);
    if !values.remainder().is_empty() {
        return Err(format!(
            "a vector of {} bytes is no sequence of 32-bit numbers",
            bytes.len()
        ));
    }
    Ok(values
        .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
        .collect())
}

/// The bytes of some values.
pub(super) fn encode(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The rows of a multi-vector: its dimensions, then all values.
fn decode_multi(bytes: &[u8]) -> Result<Vec<Vec<f32>>, String> {
    let Some((dims, values)) = bytes.split_first_chunk::<DIMS_BYTES>() else {
        return Err("a multi-vector begins with its dimensions in two bytes".to_owned());
    };
    let dims = usize::from(u16::from_le_bytes(*dims));
    let values = decode(values)?;
    if dims == 0 || values.len() % dims != 0 {
        return Err(format!(
            "a multi-vector of {} numbers has no rows of {dims}",
            values.len()
        ));
    }
    Ok(values.chunks_exact(dims).map(<[f32]>::to_vec).collect())
}

/// A named vector of an object.
///
/// # Errors
/// The complaint.
pub(super) fn of_object(vector: &Vectors) -> Result<ObjectVector, String> {
    if vector.r#type != i32::from(VectorType::MultiFp32) {
        return Ok(ObjectVector::single(
            &vector.name,
            decode(&vector.vector_bytes)?,
        ));
    }
    let rows = decode_multi(&vector.vector_bytes)?;
    ObjectVector::multi(&vector.name, &rows)
        .ok_or_else(|| format!("the rows of vector {} differ in length", vector.name))
}

/// A vector to search with.
///
/// # Errors
/// The complaint.
pub(super) fn of_query(vector: &Vectors) -> Result<QueryVector, String> {
    if vector.r#type == i32::from(VectorType::MultiFp32) {
        decode_multi(&vector.vector_bytes).map(QueryVector::Multi)
    } else {
        decode(&vector.vector_bytes).map(QueryVector::Single)
    }
}

/// A vector as replies have it; one of more than 65,535 dimensions has no place in a multi-vector's head and is left out.
pub(super) fn message(vector: &ObjectVector) -> Option<Vectors> {
    let (r#type, bytes) = match vector.rows {
        None => (VectorType::SingleFp32, encode(&vector.values)),
        Some(_) => {
            let dims = u16::try_from(vector.dims).ok()?;
            let mut bytes = dims.to_le_bytes().to_vec();
            bytes.extend(encode(&vector.values));
            (VectorType::MultiFp32, bytes)
        }
    };
    Some(Vectors {
        name: vector.name.clone(),
        vector_bytes: Bytes::from(bytes),
        r#type: r#type.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let values = [
            0.0,
            -0.0,
            f32::MIN_POSITIVE / 2.0,
            f32::NAN,
            16_777_217.0,
            -1e-30,
        ];
        let vector = ObjectVector::single("title", values.to_vec());
        assert_eq!(of_object(&message(&vector).unwrap()).unwrap(), vector);
        let rows = [vec![1.5, -0.0], vec![f32::INFINITY, 0.1]];
        let vector = ObjectVector::multi("colbert", &rows).unwrap();
        assert_eq!(of_object(&message(&vector).unwrap()).unwrap(), vector);
    }

    #[test]
    fn bytes_that_are_no_vector_are_refused() {
        assert!(decode(&[0; 5]).is_err());
        assert!(decode_multi(&[1]).is_err());
        assert!(decode_multi(&[0, 0, 0, 0, 0, 0]).is_err());
        assert!(decode_multi(&[2, 0, 0, 0, 0, 0]).is_err());
    }
}
