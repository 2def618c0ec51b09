//! Printing: whole floats without a fraction, exponents as in JavaScript.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

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
        write_number(writer, value.abs(), |text| {
            CompactFormatter.write_f64(text, value)
        })
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_number(writer, f64::from(value.abs()), |text| {
            CompactFormatter.write_f32(text, value)
        })
    }
}

/// Longest text of a number.
const MAX_NUMBER_BYTES: usize = 40;

/// The shortest digits as the usual formatter finds them: decimal between 1e-6 and 1e21, else with a signed exponent.
fn write_number<W: ?Sized + Write>(
    writer: &mut W,
    magnitude: f64,
    print: impl FnOnce(&mut &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0_u8; MAX_NUMBER_BYTES];
    let mut rest = &mut buffer[..];
    print(&mut rest)?;
    let unused = rest.len();
    let text = &buffer[..MAX_NUMBER_BYTES - unused];
    let whole = text.strip_suffix(b".0").unwrap_or(text);
    if !whole.contains(&b'e') && (magnitude == 0.0 || magnitude >= 1e-6) && magnitude < 1e21 {
        return writer.write_all(whole);
    }
    write_rare(writer, magnitude, &String::from_utf8_lossy(whole))
}

/// Numbers so small or large that the usual formatter and Go differ about the exponent.
fn write_rare<W: ?Sized + Write>(writer: &mut W, magnitude: f64, text: &str) -> io::Result<()> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = mantissa.trim_start_matches('-');
    let exponent: i32 = exponent.trim_start_matches('+').parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    // The value is 0.digits × 10^point.
    let leading = i32::try_from(all.len() - digits.len()).unwrap_or(0);
    let point = exponent + i32::try_from(whole.len()).unwrap_or(0) - leading;
    let digits = digits.trim_end_matches('0');
    if (1e-6..1e21).contains(&magnitude) {
        let text = match usize::try_from(point) {
            Ok(point) if point >= digits.len() => format!("{digits:0<point$}"),
            Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
            _ => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        };
        return write!(writer, "{sign}{text}");
    }
    let (first, others) = digits.split_at(digits.len().min(1));
    let separator = if others.is_empty() { "" } else { "." };
    write!(writer, "{sign}{first}{separator}{others}e{:+}", point - 1)
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
            printed([
                1e20_f64,
                1e21,
                123_456_789.0,
                1.5e17,
                -2.5e-7,
                1.25e-6,
                1e-6
            ]),
            "[100000000000000000000,1e+21,123456789,150000000000000000,-2.5e-7,0.00000125,0.000001]"
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
