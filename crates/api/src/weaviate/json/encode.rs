//! Printing: whole floats without a fraction, exponents as in JavaScript.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A value as compact JSON.
pub fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, value);
    out
}

/// Appends a value as compact JSON.
pub fn append(out: &mut Vec<u8>, value: &impl Serialize) {
    let mut serializer = Serializer::with_formatter(&mut *out, Go);
    if let Err(error) = value.serialize(&mut serializer) {
        // Neither the buffer nor a JSON tree can fail; a wrong body is better than a panic.
        tracing::error!(%error, "cannot print JSON");
    }
}

struct Go;

impl Formatter for Go {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_number(writer, value.abs(), format_args!("{value:e}"), |writer| {
            write!(writer, "{value}")
        })
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        let magnitude = f64::from(value.abs());
        write_number(writer, magnitude, format_args!("{value:e}"), |writer| {
            write!(writer, "{value}")
        })
    }
}

/// Decimal between 1e-6 and 1e21, else with an exponent that has its sign.
fn write_number<W: ?Sized + Write>(
    writer: &mut W,
    magnitude: f64,
    scientific: std::fmt::Arguments<'_>,
    decimal: impl FnOnce(&mut W) -> io::Result<()>,
) -> io::Result<()> {
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return decimal(writer);
    }
    let text = scientific.to_string();
    match text.split_once('e') {
        Some((digits, exponent)) if exponent.starts_with('-') => {
            // Go pads a negative exponent to two digits and takes the padding off again below ten.
            write!(writer, "{digits}e{exponent}")
        }
        Some((digits, exponent)) => write!(writer, "{digits}e+{exponent}"),
        None => writer.write_all(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: impl Serialize) -> String {
        String::from_utf8(to_bytes(&value)).unwrap()
    }

    #[test]
    fn numbers_look_as_go_prints_them() {
        assert_eq!(printed([1.0_f64, 0.1, -0.0, 1e300]), "[1,0.1,-0,1e+300]");
        assert_eq!(
            printed([9.0_f32, 0.333_333_34, 5.960_464_5e-8, 1e-7]),
            "[9,0.33333334,5.9604645e-8,1e-7]"
        );
        assert_eq!(
            printed([1e20_f64, 1e21, 123_456_789.0]),
            "[100000000000000000000,1e+21,123456789]"
        );
    }

    #[test]
    fn a_tree_keeps_its_order() {
        assert_eq!(
            printed(serde_json::json!({"b": 2.0, "a": [null, true]})),
            r#"{"b":2,"a":[null,true]}"#
        );
    }
}
