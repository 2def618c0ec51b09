//! Which vectors an object may have.

use std::collections::HashSet;

use snapkeep_store::collections::ObjectVector;

use crate::weaviate::class::ClassSchema;

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
