//! What reading and writing objects needs to know of a class.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use snapkeep_store::collections::{CollectionMeta, Metric, Tokenization};

use super::data_type::DataType;

/// How vectors of one name are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorIndex {
    /// The metric.
    pub metric: Metric,
    /// Each object has several vectors under this name.
    pub is_multi: bool,
}

impl VectorIndex {
    /// Reads `vectorIndexConfig`.
    fn of_config(config: Option<&Value>) -> Self {
        let config = config.unwrap_or(&Value::Null);
        // The dynamic index nests the configurations of the two it moves between.
        let distance = [&config["distance"], &config["hnsw"]["distance"]]
            .into_iter()
            .find_map(Value::as_str);
        Self {
            metric: match distance.unwrap_or("cosine") {
                "dot" => Metric::Dot,
                "l2-squared" => Metric::L2Squared,
                "hamming" => Metric::Hamming,
                "manhattan" => Metric::Manhattan,
                _ => Metric::Cosine,
            },
            is_multi: config["multivector"]["enabled"].as_bool() == Some(true),
        }
    }
}

/// One property.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertySchema {
    /// Name.
    pub name: String,
    /// Type.
    pub data_type: DataType,
    /// How texts are cut for comparison.
    pub tokenization: Tokenization,
    /// Properties of an object.
    pub nested: Vec<PropertySchema>,
}

impl PropertySchema {
    /// Reads a property; none if it has no name or no valid type.
    pub fn parse(property: &Value) -> Option<Self> {
        let names = property["dataType"].as_array()?;
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let tokenization = match property["tokenization"].as_str() {
            Some("field") => Tokenization::Field,
            Some("lowercase") => Tokenization::Lowercase,
            Some("whitespace") => Tokenization::Whitespace,
            _ => Tokenization::Word,
        };
        Some(Self {
            name: property["name"].as_str()?.to_owned(),
            data_type: DataType::parse(&names)?,
            tokenization,
            nested: parse_properties(property.get("nestedProperties")),
        })
    }
}

fn parse_properties(list: Option<&Value>) -> Vec<PropertySchema> {
    let list = list
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(PropertySchema::parse).collect()
}

/// A class, read for working with its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSchema {
    /// Name.
    pub name: String,
    /// Its shards are tenants.
    pub multi_tenant: bool,
    /// An unknown tenant is made when an object is written to it.
    pub auto_tenant_creation: bool,
    /// A cold tenant becomes hot when it is used.
    pub auto_tenant_activation: bool,
    /// Properties in the order of the class.
    pub properties: Vec<PropertySchema>,
    /// The unnamed vector, in classes without named ones.
    pub vector: Option<VectorIndex>,
    /// Named vectors.
    pub named_vectors: BTreeMap<String, VectorIndex>,
}

impl ClassSchema {
    /// Reads the class of a collection.
    pub fn of(meta: &CollectionMeta) -> Self {
        Self::parse(&meta.name, &meta.class)
    }

    /// Reads the JSON of a class.
    pub fn parse(name: &str, class: &Value) -> Self {
        let tenancy = &class["multiTenancyConfig"];
        let is_on = |key: &str| tenancy[key].as_bool() == Some(true);
        let named: BTreeMap<_, _> = class["vectorConfig"]
            .as_object()
            .unwrap_or(&Map::new())
            .iter()
            .map(|(name, config)| {
                let index = VectorIndex::of_config(config.get("vectorIndexConfig"));
                (name.clone(), index)
            })
            .collect();
        let vector = (named.is_empty() || class.get("vectorIndexType").is_some())
            .then(|| VectorIndex::of_config(class.get("vectorIndexConfig")));
        Self {
            name: name.to_owned(),
            multi_tenant: is_on("enabled"),
            auto_tenant_creation: is_on("autoTenantCreation"),
            auto_tenant_activation: is_on("autoTenantActivation"),
            properties: parse_properties(class.get("properties")),
            vector,
            named_vectors: named,
        }
    }

    /// A property by its name.
    pub fn property(&self, name: &str) -> Option<&PropertySchema> {
        self.properties.iter().find(|it| it.name == name)
    }

    /// The index of a vector by its name; the empty name is the unnamed one.
    pub fn vector_index(&self, name: &str) -> Option<VectorIndex> {
        match name {
            "" => self.vector,
            name => self.named_vectors.get(name).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_with_named_vectors_has_no_unnamed_one() {
        let class = json!({"class": "A", "vectorConfig": {
            "a": {"vectorIndexConfig": {"distance": "dot"}},
            "m": {"vectorIndexConfig": {"multivector": {"enabled": true}}},
        }});
        let schema = ClassSchema::parse("A", &class);
        assert_eq!(schema.vector_index(""), None);
        assert_eq!(schema.vector_index("a").unwrap().metric, Metric::Dot);
        assert!(schema.vector_index("m").unwrap().is_multi);
        assert_eq!(schema.vector_index("x"), None);
    }

    #[test]
    fn properties_know_their_types() {
        let class = json!({"class": "A", "properties": [
            {"name": "t", "dataType": ["text"], "tokenization": "field"},
            {"name": "o", "dataType": ["object"], "nestedProperties": [{"name": "y", "dataType": ["int"]}]},
            {"name": "r", "dataType": ["A", "B"]},
        ]});
        let schema = ClassSchema::parse("A", &class);
        assert_eq!(
            schema.property("t").unwrap().tokenization,
            Tokenization::Field
        );
        assert_eq!(
            schema.property("o").unwrap().nested[0].data_type,
            DataType::Int
        );
        assert!(schema.property("r").unwrap().data_type.is_reference());
        assert!(schema.vector.is_some() && !schema.multi_tenant);
    }
}
