//! What a listener of this dialect is told by configuration.

use std::fmt;
use std::str::FromStr;

/// Whose answers are given: the same endpoints, differing keys, texts and statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Shape {
    /// Elasticsearch: 8.x answers plus the statistics keys of 5.x, so that tools of every age find theirs.
    #[default]
    Es,
    /// OpenSearch 2.x, strictly: no key that its published schema does not know.
    OpenSearch,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "es" => Ok(Self::Es),
            "opensearch" => Ok(Self::OpenSearch),
            other => Err(format!(
                "unknown shape \"{other}\"; use \"es\" or \"opensearch\""
            )),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Es => "es",
            Self::OpenSearch => "opensearch",
        })
    }
}

/// A version number `major.minor.patch` to present to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Major version: what clients compare first.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Patch level.
    pub patch: u32,
}

impl Version {
    /// The number used as `version_id` in snapshots; OpenSearch marks its own with bit 27.
    pub fn id(self, shape: Shape) -> u32 {
        let plain = self.major * 1_000_000 + self.minor * 10_000 + self.patch * 100 + 99;
        match shape {
            Shape::Es => plain,
            Shape::OpenSearch => plain ^ 0x0800_0000,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<u32> = text
            .split('.')
            .map_while(|part| part.parse().ok().filter(|n| *n < 100))
            .collect();
        match (parts.as_slice(), text.split('.').count()) {
            ([major, minor, patch], 3) => Ok(Self {
                major: *major,
                minor: *minor,
                patch: *patch,
            }),
            _ => Err(format!(
                "\"{text}\" is no version; write it like 8.19.0, each part below 100"
            )),
        }
    }
}

/// Identity and limits of the dialect.
#[derive(Debug, Clone)]
pub struct ElasticsearchConfig {
    /// Whose answers are given.
    pub shape: Shape,
    /// The version presented. The default of the `es` shape is accepted by elasticsearch-py 7.17, 8 and 9 (which ask
    /// for the product header and a version of at least 7.14) and by curator 8 (which asks for 8.x).
    pub version: Version,
    /// `cluster_name` in answers.
    pub cluster_name: String,
    /// 22 characters that identify this data directory.
    pub cluster_uuid: String,
    /// Name of the only node.
    pub node_name: String,
    /// 22 characters that identify the node.
    pub node_id: String,
    /// `host:port` shown as the node's address.
    pub address: String,
    /// Largest request body, after decompression, in bytes.
    pub max_body_bytes: usize,
}

impl ElasticsearchConfig {
    /// Largest request body unless configured otherwise: 100 MiB, as Elasticsearch has it.
    pub const MAX_BODY_BYTES: usize = 100 << 20;

    /// Defaults of a shape, with the identity `uuid` (22 characters) of this data directory.
    pub fn new(shape: Shape, uuid: &str) -> Self {
        let version = match shape {
            Shape::Es => Version {
                major: 8,
                minor: 19,
                patch: 21,
            },
            Shape::OpenSearch => Version {
                major: 2,
                minor: 19,
                patch: 6,
            },
        };
        Self {
            shape,
            version,
            cluster_name: "snapkeep".to_owned(),
            cluster_uuid: uuid.to_owned(),
            node_name: "snapkeep-1".to_owned(),
            node_id: uuid.to_owned(),
            address: "127.0.0.1:9250".to_owned(),
            max_body_bytes: Self::MAX_BODY_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_ids_follow_the_formula() {
        let id = |text: &str, shape| text.parse::<Version>().unwrap().id(shape);
        assert_eq!(id("5.5.3", Shape::Es), 5_050_399);
        assert_eq!(id("2.19.6", Shape::OpenSearch), 136_408_427);
        assert!("8.19".parse::<Version>().is_err());
        assert!("8.19.0.1".parse::<Version>().is_err());
    }
}
