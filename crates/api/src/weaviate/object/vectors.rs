//! Which vectors an object may have.

use std::collections::HashSet;

use snapkeep_store::collections::ObjectVector;

use crate::weaviate::class::ClassSchema;

/// What clients call the vector of a class that names none.
const DEFAULT: &str = "default";

/// Gives vectors the names that their class knows them by: a client that knows one vector sends it without a name
/// though the class names it, or calls the unnamed one `default`.
pub(super) fn adopt_names(class: &ClassSchema, vectors: &mut [ObjectVector]) {
    let [only] = vectors else {
        return;
    };
    let mut names = class.named_vectors.keys();
    match (class.vector.is_some(), names.next(), names.next()) {
        (false, Some(name), None) if only.name.is_empty() => only.name.clone_from(name),
        (true, None, _) if only.name == DEFAULT => only.name.clear(),
        _ => {}
    }
}

/// Checks names and kinds of the vectors of an object against its class.
///
/// # Errors
/// The complaint.
pub fn check_vectors(class: &ClassSchema, vectors: &[ObjectVector]) -> Result<(), String> {
    let mut names = HashSet::new();
    for vector in vectors {
        let name = vector.name.as_str();
        if !names.insert(name) {
            return Err(format!("vector {name} is given twice"));
        }
        let Some(index) = class.vector_index(name) else {
            return Err(if name.is_empty() {
                format!(
                    "collection {} configuration does not have single vector index",
                    class.name
                )
            } else {
                format!(
                    "collection {} does not have configuration for vector {name}",
                    class.name
                )
            });
        };
        match (index.is_multi, vector.rows.is_some()) {
            (true, false) => {
                return Err(format!(
                    "vector {name} is a multi-vector, but a single vector was given"
                ));
            }
            (false, true) => {
                return Err(format!(
                    "vector {name} is a single vector, but a multi-vector was given"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_single_vector_finds_its_name() {
        let adopted = |class: serde_json::Value, name: &str| {
            let mut vectors = [ObjectVector::single(name, vec![1.0])];
            adopt_names(&ClassSchema::parse("A", &class), &mut vectors);
            vectors[0].name.clone()
        };
        assert_eq!(adopted(json!({"vectorConfig": {"x": {}}}), ""), "x");
        assert_eq!(adopted(json!({"vectorConfig": {"x": {}, "y": {}}}), ""), "");
        assert_eq!(adopted(json!({}), "default"), "");
    }

    #[test]
    fn only_vectors_of_the_class_are_taken() {
        let class = json!({"vectorConfig": {"a": {}, "m": {"vectorIndexConfig": {"multivector": {"enabled": true}}}}});
        let class = ClassSchema::parse("Named", &class);
        let check = |vector| check_vectors(&class, &[vector]);
        assert_eq!(check(ObjectVector::single("a", vec![1.0])), Ok(()));
        assert_eq!(
            check(ObjectVector::single("zz", vec![1.0])).unwrap_err(),
            "collection Named does not have configuration for vector zz"
        );
        assert_eq!(
            check(ObjectVector::single("", vec![1.0])).unwrap_err(),
            "collection Named configuration does not have single vector index"
        );
        assert!(check(ObjectVector::single("m", vec![1.0])).is_err());
    }
}
