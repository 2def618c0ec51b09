//! Reading a body into a value: strict about duplicate keys, lenient about what follows the value.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::diagnosis::{Diagnosis, diagnose};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::output::Format;

/// Parses a body.
///
/// # Errors
/// 400 with line and column for JSON, with the parser's words for the other formats.
pub fn parse(bytes: &[u8], format: Format, shape: Shape) -> Result<Value, EsError> {
    match format {
        Format::Json => parse_json(bytes, shape),
        Format::Yaml => serde_yaml_ng::from_slice(bytes).map_err(other_format),
        Format::Cbor => ciborium::from_reader(bytes).map_err(other_format),
        Format::Smile => serde_smile::from_slice(bytes).map_err(other_format),
    }
}

fn other_format(error: impl fmt::Display) -> EsError {
    ErrorKind::XContentParse.error(error.to_string())
}

fn parse_json(bytes: &[u8], shape: Shape) -> Result<Value, EsError> {
    let duplicate = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let error = match (Unique {
        duplicate: &duplicate,
    })
    .deserialize(&mut deserializer)
    {
        // What stands behind the value is ignored, as Elasticsearch does.
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let diagnosis = if duplicate.get() {
        // serde_json adds " at line … column …" to the text of the visitor.
        let text = error.to_string();
        let message = text
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        Diagnosis {
            message,
            line: error.line(),
            column: error.column() + 1,
            is_end: false,
        }
    } else {
        diagnose(bytes).unwrap_or_else(|| Diagnosis {
            message: error.to_string(),
            line: error.line(),
            column: error.column(),
            is_end: error.is_eof(),
        })
    };
    Err(to_error(&diagnosis, bytes, shape))
}

fn to_error(found: &Diagnosis, bytes: &[u8], shape: Shape) -> EsError {
    let place = format!("line: {}, column: {}]", found.line, found.column);
    if shape == Shape::OpenSearch {
        let kind = if found.is_end {
            ErrorKind::XContentEof
        } else {
            ErrorKind::XContentParse
        };
        let source = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
        return kind.error(format!("{}\n at [Source: {source}; {place}", found.message));
    }
    let text = format!(
        "{}\n at [Source: (byte[])\"{}\"; {place}",
        found.message,
        beginning(bytes)
    );
    let prefix = format!("[{}:{}]", found.line, found.column);
    if found.is_end {
        let cause = ErrorKind::JsonEof.error(text);
        ErrorKind::XContentEof
            .error(format!("{prefix} Unexpected end of file"))
            .caused_by(cause)
    } else {
        let cause = ErrorKind::JsonParse.error(text.clone());
        ErrorKind::XContentParse
            .error(format!("{prefix} {text}"))
            .caused_by(cause)
    }
}

/// The start of a body, for a person to recognise it by.
fn beginning(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 500;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let text = String::from_utf8_lossy(shown).into_owned();
    if bytes.len() > SHOWN_BYTES {
        format!("{text}[truncated {} bytes]", bytes.len() - SHOWN_BYTES)
    } else {
        text
    }
}

/// Deserialises any value, refusing a key given twice in one object.
#[derive(Clone, Copy)]
struct Unique<'a> {
    duplicate: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if object.contains_key(&key) {
                self.duplicate.set(true);
                return Err(A::Error::custom(format!("Duplicate field '{key}'")));
            }
            let value = access.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn opensearch(text: &str) -> (String, String) {
        let error = parse(text.as_bytes(), Format::Json, Shape::OpenSearch).unwrap_err();
        let body = error.render(Shape::OpenSearch, false);
        let field = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        let reason = field("reason").replace(
            "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)",
            "…",
        );
        (field("type"), reason)
    }

    #[test]
    fn text_after_the_value_is_ignored() {
        assert_eq!(
            parse(b"{\"a\":1} trailing", Format::Json, Shape::Es).unwrap(),
            json!({"a": 1})
        );
        let nested = parse(
            b" {\"a\":[1,{\"b\":null}],\"c\":1.5}",
            Format::Json,
            Shape::Es,
        )
        .unwrap();
        assert_eq!(nested, json!({"a": [1, {"b": null}], "c": 1.5}));
    }

    #[test]
    fn errors_say_where_as_jackson_does() {
        let cases = [
            (
                "{\"type\":\"fs\",",
                "json_parse_exception",
                "Unexpected end-of-input within/between Object entries\n at [Source: …; line: 1, column: 14]",
            ),
            (
                "{\"settings\":",
                "json_e_o_f_exception",
                "Unexpected end-of-input within/between Object entries\n at [Source: …; line: 1, column: 13]",
            ),
            (
                "{\"ind",
                "json_e_o_f_exception",
                "Unexpected end-of-input in field name\n at [Source: …; line: 1, column: 6]",
            ),
            (
                "garbage\n",
                "json_parse_exception",
                "Unrecognized token 'garbage': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: …; line: 1, column: 8]",
            ),
            (
                "{x}",
                "json_parse_exception",
                "Unexpected character ('x' (code 120)): was expecting double-quote to start field name\n at [Source: …; line: 1, column: 3]",
            ),
            (
                "{\"indices\":\"idx-a\",\"indices\":\"other\"}",
                "json_parse_exception",
                "Duplicate field 'indices'\n at [Source: …; line: 1, column: 29]",
            ),
        ];
        for (text, kind, reason) in cases {
            assert_eq!(
                opensearch(text),
                (kind.to_owned(), reason.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_es_shape_wraps_the_parser_error() {
        let error = parse(b"{\"ind", Format::Json, Shape::Es)
            .unwrap_err()
            .render(Shape::Es, false);
        assert_eq!(error["error"]["type"], "x_content_e_o_f_exception");
        assert_eq!(error["error"]["reason"], "[1:6] Unexpected end of file");
        assert_eq!(error["error"]["caused_by"]["type"], "json_e_o_f_exception");
        assert_eq!(error["status"], 400);
    }

    #[test]
    fn other_formats_are_read() {
        assert_eq!(
            parse(b"a: 1\nb: [x]\n", Format::Yaml, Shape::Es).unwrap(),
            json!({"a": 1, "b": ["x"]})
        );
        assert!(parse(b"\xff\xff", Format::Cbor, Shape::Es).is_err());
        assert!(parse(b"nope", Format::Smile, Shape::Es).is_err());
    }
}
