//! Beacons: how objects refer to each other.

use std::fmt;

use snapkeep_store::collections::ObjectId;

use crate::weaviate::class::capitalised;

const SCHEME: &str = "weaviate://";

/// Where a reference points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// Class; old beacons name none.
    pub class: Option<String>,
    /// Object.
    pub id: ObjectId,
}

impl Beacon {
    /// Reads `weaviate://host/Class/id` or `weaviate://host/id`.
    ///
    /// # Errors
    /// The complaint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = match text.strip_prefix(SCHEME) {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => text,
        };
        let wrong = || format!("path must be of format '<class>/<uuid>', but got '{path}'");
        let (class, id) = match path.split('/').collect::<Vec<_>>().as_slice() {
            [id] => (None, *id),
            [class, id] if !class.is_empty() => (Some(capitalised(class)), *id),
            _ => return Err(wrong()),
        };
        match id.parse() {
            Ok(id) => Ok(Self { class, id }),
            Err(_) => Err(wrong()),
        }
    }

    /// Where the object is read over HTTP.
    pub fn href(&self) -> String {
        match &self.class {
            Some(class) => format!("/v1/objects/{class}/{}", self.id),
            None => format!("/v1/objects/{}", self.id),
        }
    }
}

impl fmt::Display for Beacon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            Some(class) => write!(formatter, "{SCHEME}localhost/{class}/{}", self.id),
            None => write!(formatter, "{SCHEME}localhost/{}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Beacon;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn both_forms_are_read() {
        let beacon = Beacon::parse(&format!("weaviate://localhost/article/{ID}")).unwrap();
        assert_eq!(
            beacon.to_string(),
            format!("weaviate://localhost/Article/{ID}")
        );
        assert_eq!(beacon.href(), format!("/v1/objects/Article/{ID}"));
        let old = Beacon::parse(&format!("weaviate://other/{ID}")).unwrap();
        assert_eq!(old.class, None);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(
            Beacon::parse("nope").unwrap_err(),
            "path must be of format '<class>/<uuid>', but got 'nope'"
        );
        assert!(Beacon::parse(&format!("weaviate://localhost/A/B/{ID}")).is_err());
    }
}
