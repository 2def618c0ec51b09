//! References of objects that are restored under other names.
//!
//! A reference property holds `[{"beacon":"weaviate://localhost/<Class>/<uuid>"},…]`; its data type in the
//! class names the classes it may lead to. Class names begin with a capital letter, as no other type does.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::codec::{Stored, damaged};
use crate::{RestoredDocument, StoreError};

const SCHEME: &str = "weaviate://";

/// New names by the old ones.
pub(super) type Renamed = BTreeMap<String, String>;

/// Rewrites the references of one collection's objects.
pub(super) struct References {
    properties: Vec<String>,
    renamed: Renamed,
}

impl References {
    /// None when there is nothing to rewrite.
    pub(super) fn new(class: &Value, renamed: &Renamed) -> Option<Self> {
        if renamed.is_empty() {
            return None;
        }
        let properties: Vec<String> = class["properties"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|property| {
                let mut types = property["dataType"].as_array().into_iter().flatten();
                types.any(|name| name.as_str().is_some_and(is_class))
            })
            .filter_map(|property| Some(property["name"].as_str()?.to_owned()))
            .collect();
        let renamed = renamed.clone();
        (!properties.is_empty()).then_some(References {
            properties,
            renamed,
        })
    }

    /// The object's JSON with its references led to the new names, all else byte for byte; none when nothing
    /// changes.
    pub(super) fn rewrite(&self, object: &RestoredDocument) -> Result<Option<Vec<u8>>, StoreError> {
        let source = &object.source;
        let stored = Stored::parse(&object.id, source, &object.tail)?;
        let mut changes = Vec::new();
        self.collect(source, stored.properties, &mut changes)
            .map_err(|cause| damaged(&object.id, &cause.to_string()))?;
        if changes.is_empty() {
            return Ok(None);
        }
        changes.sort_unstable_by_key(|(range, _)| range.start);
        let mut rewritten = Vec::with_capacity(source.len() + 16 * changes.len());
        let mut at = 0;
        for (range, beacon) in changes {
            rewritten.extend_from_slice(&source[at..range.start]);
            rewritten.extend_from_slice(Value::from(beacon).to_string().as_bytes());
            at = range.end;
        }
        rewritten.extend_from_slice(&source[at..]);
        Ok(Some(rewritten))
    }

    /// Where beacons lie that change, and what they become.
    fn collect(
        &self,
        source: &[u8],
        properties: &RawValue,
        changes: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), serde_json::Error> {
        let properties: BTreeMap<String, &RawValue> = serde_json::from_str(properties.get())?;
        for name in &self.properties {
            let Some(value) = properties.get(name) else {
                continue;
            };
            // Whatever else is there is no reference and stays.
            let Ok(references) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
                continue;
            };
            for reference in references {
                let Ok(Reference { beacon }) = serde_json::from_str(reference.get()) else {
                    continue;
                };
                let Ok(text) = serde_json::from_str::<String>(beacon.get()) else {
                    continue;
                };
                if let Some(new) = self.beacon(&text) {
                    // Both lie in one buffer: what was parsed borrows from the source.
                    let start = beacon.get().as_ptr() as usize - source.as_ptr() as usize;
                    changes.push((start..start + beacon.get().len(), new));
                }
            }
        }
        Ok(())
    }

    /// The beacon under the new name; none for one that leads elsewhere, or that names no class.
    fn beacon(&self, text: &str) -> Option<String> {
        let (host, path) = text.strip_prefix(SCHEME)?.split_once('/')?;
        let (class, id) = path.split_once('/')?;
        let new = self.renamed.get(class)?;
        Some(format!("{SCHEME}{host}/{new}/{id}"))
    }
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    beacon: &'a RawValue,
}

/// Leads the reference properties of a class to the new names.
pub(super) fn rename_in_class(class: &mut Value, renamed: &Renamed) {
    let Some(properties) = class.get_mut("properties").and_then(Value::as_array_mut) else {
        return;
    };
    for property in properties {
        let types = property.get_mut("dataType").and_then(Value::as_array_mut);
        for name in types.into_iter().flatten() {
            let old = name.as_str().filter(|name| is_class(name));
            let new = old.and_then(|old| renamed.get(old));
            if let Some(new) = new.cloned() {
                *name = Value::from(new);
            }
        }
    }
}

fn is_class(data_type: &str) -> bool {
    data_type.starts_with(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn class() -> Value {
        json!({"class": "P", "properties": [
            {"name": "in", "dataType": ["A", "B"]}, {"name": "text", "dataType": ["text"]},
            {"name": "object", "dataType": ["object[]"]}
        ]})
    }

    fn renamed() -> Renamed {
        [("A", "A2"), ("B", "A"), ("text", "T")]
            .map(|(old, new)| (old.to_owned(), new.to_owned()))
            .into()
    }

    fn rewritten(properties: &str) -> Option<String> {
        let references = References::new(&class(), &renamed()).unwrap();
        let source = format!(
            r#"{{"creationTimeUnix":1,"lastUpdateTimeUnix":2,"vectors":{{}},"properties":{properties}}}"#
        );
        let object = RestoredDocument {
            id: ID.to_owned(),
            routing: None,
            version: 1,
            seq_no: 0,
            source: source.clone().into_bytes(),
            tail: Vec::new(),
        };
        let rewritten = references.rewrite(&object).unwrap()?;
        let rewritten = String::from_utf8(rewritten).unwrap();
        let start = source.len() - properties.len() - 1;
        assert_eq!(rewritten[..start], source[..start]);
        Some(rewritten[start..rewritten.len() - 1].to_owned())
    }

    #[test]
    fn references_lead_to_the_new_names_and_all_else_stays_byte_for_byte() {
        let of = |class: &str| {
            format!(r#"{{ "x":[1.50], "beacon":"weaviate://localhost/{class}/{ID}"}}"#)
        };
        let given = format!(
            r#"{{"n":9007199254740993,"in":[{},{} ,{},{{"beacon":"weaviate://localhost/{ID}"}}],"text":"weaviate://localhost/A/{ID}","object":[{}]}}"#,
            of("B"),
            of("A"),
            of("C"),
            of("A"),
        );
        let expected = format!(
            r#"{{"n":9007199254740993,"in":[{},{} ,{},{{"beacon":"weaviate://localhost/{ID}"}}],"text":"weaviate://localhost/A/{ID}","object":[{}]}}"#,
            of("A"),
            of("A2"),
            of("C"),
            of("A"),
        );
        assert_eq!(rewritten(&given), Some(expected));
    }

    #[test]
    fn what_holds_no_such_reference_is_left_alone() {
        for properties in [
            "{}",
            r#"{"in":[]}"#,
            r#"{"in":null}"#,
            r#"{"in":"A"}"#,
            r#"{"in":[{"beacon":7},{"class":"A"},"weaviate://localhost/A/x"]}"#,
            r#"{"in":[{"beacon":"weaviate://localhost/C/x"},{"beacon":"A/x"}]}"#,
        ] {
            assert_eq!(rewritten(properties), None, "{properties}");
        }
    }

    #[test]
    fn without_references_or_new_names_there_is_nothing_to_do() {
        assert!(References::new(&class(), &Renamed::new()).is_none());
        let plain = json!({"class": "P", "properties": [{"name": "t", "dataType": ["text"]}]});
        assert!(References::new(&plain, &renamed()).is_none());
        assert!(References::new(&json!({}), &renamed()).is_none());
    }

    #[test]
    fn the_class_says_where_its_references_lead() {
        let mut class = class();
        rename_in_class(&mut class, &renamed());
        assert_eq!(class["properties"][0]["dataType"], json!(["A2", "A"]));
        // No name of a class, whatever is renamed.
        assert_eq!(class["properties"][1]["dataType"], json!(["text"]));
    }

    proptest! {
        #[test]
        fn arbitrary_properties_never_panic(text in ".{0,40}", beacon in ".{0,40}") {
            let properties = json!({"in": [{"beacon": beacon}, {"beacon": text}], "text": text});
            let _ = rewritten(&properties.to_string());
        }
    }
}
