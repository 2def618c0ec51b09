//! The four formats of an answer: JSON, YAML, CBOR and SMILE.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::elasticsearch::errors::{ErrorKind, EsError};

/// A format that bodies may come and go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON text.
    Json,
    /// YAML text.
    Yaml,
    /// RFC 8949.
    Cbor,
    /// Jackson's binary JSON.
    Smile,
}

impl Format {
    /// By the name used in `?format=` and after the slash or plus of a media type.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "json" | "x-ndjson" => Some(Self::Json),
            "yaml" => Some(Self::Yaml),
            "cbor" => Some(Self::Cbor),
            "smile" => Some(Self::Smile),
            _ => None,
        }
    }

    /// `json`, `yaml`, `cbor` or `smile`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Cbor => "cbor",
            Self::Smile => "smile",
        }
    }
}

/// Encodes a value; `pretty` concerns JSON only.
///
/// # Errors
/// 500 when an encoder fails, which no JSON value makes it do.
pub fn encode(value: &Value, format: Format, pretty: bool) -> Result<Vec<u8>, EsError> {
    match format {
        Format::Json if pretty => {
            let mut bytes = Vec::new();
            let mut serializer =
                Serializer::with_formatter(&mut bytes, Spaced(PrettyFormatter::new()));
            value.serialize(&mut serializer).map_err(failed)?;
            bytes.push(b'\n');
            Ok(bytes)
        }
        Format::Json => serde_json::to_vec(value).map_err(failed),
        Format::Yaml => {
            let mut text = "---\n".to_owned();
            yaml(value, 0, &mut text);
            Ok(text.into_bytes())
        }
        Format::Cbor => {
            let mut bytes = Vec::new();
            ciborium::into_writer(value, &mut bytes).map_err(failed)?;
            Ok(bytes)
        }
        Format::Smile => serde_smile::to_vec(value).map_err(failed),
    }
}

fn failed(error: impl std::fmt::Display) -> EsError {
    ErrorKind::Exception.error(format!("cannot encode the answer: {error}"))
}

/// Jackson's pretty style: `"key" : value`, and blanks inside empty containers.
struct Spaced<'a>(PrettyFormatter<'a>);

impl Formatter for Spaced<'_> {
    fn begin_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.0.begin_array(writer)
    }
    fn end_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        let mut end = Vec::new();
        self.0.end_array(&mut end)?;
        if end == b"]" && writer.write_all(b" ").is_err() {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        writer.write_all(&end)
    }
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.0.begin_array_value(writer, first)
    }
    fn end_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        self.0.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.0.begin_object(writer)
    }
    fn end_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        let mut end = Vec::new();
        self.0.end_object(&mut end)?;
        if end == b"}" {
            writer.write_all(b" ")?;
        }
        writer.write_all(&end)
    }
    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b" : ")
    }
    fn end_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// Strings always quoted, lists at the indentation of their key: as Jackson writes YAML.
fn yaml(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (position, (key, child)) in object.iter().enumerate() {
                if position > 0 {
                    text.push_str(&" ".repeat(indent));
                }
                text.push_str(&yaml_key(key));
                text.push(':');
                yaml_child(child, indent, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push_str(&" ".repeat(indent));
                }
                text.push_str("- ");
                yaml(item, indent + 2, text);
            }
        }
        // Scalars and empty containers are written in YAML as in JSON.
        scalar => {
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

fn yaml_child(child: &Value, indent: usize, text: &mut String) {
    match child {
        Value::Object(object) if !object.is_empty() => {
            text.push('\n');
            text.push_str(&" ".repeat(indent + 2));
            yaml(child, indent + 2, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            yaml(child, indent, text);
        }
        scalar => {
            text.push(' ');
            yaml(scalar, indent, text);
        }
    }
}

fn yaml_key(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '.')
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&key.to_ascii_lowercase().as_str());
    if is_plain {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pretty_json_has_spaced_colons() {
        let bytes = encode(
            &json!({"a": {"b": [1, 2], "c": {}, "d": []}}),
            Format::Json,
            true,
        )
        .unwrap();
        let expected = "{\n  \"a\" : {\n    \"b\" : [\n      1,\n      2\n    ],\n    \"c\" : { },\n    \"d\" : [ ]\n  }\n}\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn yaml_quotes_strings_and_nests() {
        let value = json!({"name": "n", "list": ["a", {"k": 1, "m": 2}], "none": [], "sub": {"x": true, "0": null}});
        let expected = "---\nname: \"n\"\nlist:\n- \"a\"\n- k: 1\n  m: 2\nnone: []\nsub:\n  x: true\n  \"0\": null\n";
        assert_eq!(
            String::from_utf8(encode(&value, Format::Yaml, false).unwrap()).unwrap(),
            expected
        );
    }

    #[test]
    fn binary_formats_come_back() {
        let value = json!({"a": [1, "x", null, true, 1.5], "b": {"c": -3}});
        let cbor = encode(&value, Format::Cbor, false).unwrap();
        assert_eq!(
            ciborium::from_reader::<Value, _>(cbor.as_slice()).unwrap(),
            value
        );
        let smile = encode(&value, Format::Smile, false).unwrap();
        assert_eq!(&smile[..3], b":)\n");
        assert_eq!(serde_smile::from_slice::<Value>(&smile).unwrap(), value);
    }
}
