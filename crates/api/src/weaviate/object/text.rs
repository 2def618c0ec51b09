//! Vectors in JSON text. Most bytes of a batch are these, so they are read straight into `f32`.

/// The numbers of a JSON array, each rounded once. `text` must be valid JSON.
///
/// # Errors
/// Go's word for what stands in the way of a number.
pub fn parse_floats(text: &str) -> Result<Vec<f32>, String> {
    let inner = text.trim();
    let inner = inner
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| kind(inner).to_owned())?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    // A number and its comma take about ten bytes.
    let mut values = Vec::with_capacity(inner.len() / 8);
    for token in inner.split(',') {
        let token = token.trim_ascii();
        match token.parse::<f32>() {
            Ok(value) if value.is_finite() => values.push(value),
            Ok(_) => return Err(format!("number {token}")),
            Err(_) if token == "null" => values.push(0.0),
            Err(_) => return Err(kind(token).to_owned()),
        }
    }
    values.shrink_to_fit();
    Ok(values)
}

fn kind(token: &str) -> &'static str {
    match token.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "bool",
        _ => "number",
    }
}

/// A vector, or the rows of a multi-vector.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Vectors {
    Single(Vec<f32>),
    Multi(Vec<Vec<f32>>),
}

/// An array of numbers or of such arrays. `text` must be valid JSON.
pub(super) fn parse_vector(text: &str) -> Result<Vectors, String> {
    let inner = text.trim();
    let Some(rows) = inner.strip_prefix('[').map(str::trim_start) else {
        return Err(kind(inner).to_owned());
    };
    if !rows.starts_with('[') {
        return parse_floats(inner).map(Vectors::Single);
    }
    let rows = rows.strip_suffix(']').unwrap_or(rows).trim_end();
    let mut parsed = Vec::new();
    let mut rest = rows;
    while let Some(end) = rest.find(']') {
        parsed.push(parse_floats(&rest[..=end])?);
        rest = rest[end + 1..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    if rest.is_empty() {
        Ok(Vectors::Multi(parsed))
    } else {
        Err(kind(rest).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_once_to_single_precision() {
        let values = parse_floats("[0.1, 1e-07,16777217 ,-0.0, 3]").unwrap();
        let bits: Vec<u32> = values.iter().map(|it| it.to_bits()).collect();
        let expected = [0.1_f32, 1e-7, 16_777_216.0, -0.0, 3.0].map(f32::to_bits);
        assert_eq!(bits, expected);
        assert!(parse_floats("[ ]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(parse_floats("[1,\"2\"]").unwrap_err(), "string");
        assert_eq!(parse_floats("[1e400]").unwrap_err(), "number 1e400");
        assert_eq!(parse_floats("{}").unwrap_err(), "object");
        assert_eq!(parse_floats("[true]").unwrap_err(), "bool");
    }

    #[test]
    fn rows_make_a_multi_vector() {
        assert_eq!(
            parse_vector(" [ [1,2], [3 , 4] ] ").unwrap(),
            Vectors::Multi(vec![vec![1.0, 2.0], vec![3.0, 4.0]])
        );
        assert_eq!(parse_vector("[1]").unwrap(), Vectors::Single(vec![1.0]));
        assert_eq!(parse_vector("[[1],2]").unwrap_err(), "number");
    }
}
