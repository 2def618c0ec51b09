//! `Content-Type` and `Accept`.

use http::{HeaderMap, header};

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::output::Format;

/// Format and flavour of a body, from a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// How to read or write it.
    pub format: Format,
    /// Given as `application/vnd.elasticsearch+…; compatible-with=N`: the N.
    pub compatible_with: Option<u32>,
    /// Lines of JSON.
    pub is_lines: bool,
}

impl Media {
    /// Reads one media type; `None` when it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let mut parts = lower.split(';').map(str::trim);
        let subtype = parts.next()?.strip_prefix("application/")?;
        let (name, is_versioned) = match subtype.strip_prefix("vnd.elasticsearch+") {
            Some(name) => (name, true),
            None => (subtype, false),
        };
        let format = Format::by_name(name)?;
        let major = parts
            .find_map(|part| part.strip_prefix("compatible-with="))
            .map(str::trim);
        let compatible_with = match (is_versioned, major) {
            (true, Some(major)) => Some(major.trim_matches('"').parse().ok()?),
            (true, None) => Some(8),
            (false, _) => None,
        };
        Some(Self {
            format,
            compatible_with,
            is_lines: name == "x-ndjson",
        })
    }

    /// The type of a request's body.
    ///
    /// # Errors
    /// 406 when the type is missing or not understood. The OpenSearch shape knows no versioned types.
    pub fn of_request(headers: &HeaderMap, shape: Shape) -> Result<Self, EsError> {
        let given = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self::parse(given)
            .filter(|media| shape == Shape::Es || media.compatible_with.is_none())
            .ok_or_else(|| {
                EsError::plain(
                    406,
                    format!("Content-Type header [{given}] is not supported"),
                )
            })
    }
}

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// The first type of `Accept` that is ours; none: no wish.
    pub media: Option<Media>,
}

impl Accepted {
    /// Reads `Accept`; anything not understood is no wish.
    pub fn of_request(headers: &HeaderMap) -> Self {
        let given = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self {
            media: given.split(',').find_map(Media::parse),
        }
    }

    /// The `Content-Type` of an answer in `format`.
    pub fn content_type(self, format: Format, shape: Shape) -> String {
        let name = format.name();
        match (
            self.media.and_then(|media| media.compatible_with),
            shape,
            format,
        ) {
            (Some(major), Shape::Es, _) => {
                format!("application/vnd.elasticsearch+{name};compatible-with={major}")
            }
            (_, Shape::OpenSearch, Format::Json) => "application/json; charset=UTF-8".to_owned(),
            _ => format!("application/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_types_are_answered_in_kind() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            "application/vnd.elasticsearch+json; compatible-with=9"
                .parse()
                .unwrap(),
        );
        let accepted = Accepted::of_request(&headers);
        assert_eq!(
            accepted.content_type(Format::Json, Shape::Es),
            "application/vnd.elasticsearch+json;compatible-with=9"
        );
        assert_eq!(
            accepted.content_type(Format::Json, Shape::OpenSearch),
            "application/json; charset=UTF-8"
        );
        assert_eq!(
            Accepted::default().content_type(Format::Json, Shape::Es),
            "application/json"
        );
        assert_eq!(
            Accepted::default().content_type(Format::Yaml, Shape::OpenSearch),
            "application/yaml"
        );
    }

    #[test]
    fn types_that_are_not_ours_are_refused_by_name() {
        let mut headers = HeaderMap::new();
        let text = |headers: &HeaderMap| {
            Media::of_request(headers, Shape::Es)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(text(&headers), "Content-Type header [] is not supported");
        headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
        assert_eq!(
            text(&headers),
            "Content-Type header [text/plain] is not supported"
        );
        headers.insert(
            header::CONTENT_TYPE,
            "application/json; charset=utf-8".parse().unwrap(),
        );
        assert_eq!(
            Media::of_request(&headers, Shape::Es).unwrap().format,
            Format::Json
        );
        headers.insert(
            header::CONTENT_TYPE,
            "application/vnd.elasticsearch+x-ndjson;compatible-with=8"
                .parse()
                .unwrap(),
        );
        assert!(Media::of_request(&headers, Shape::Es).unwrap().is_lines);
        assert!(Media::of_request(&headers, Shape::OpenSearch).is_err());
    }
}
