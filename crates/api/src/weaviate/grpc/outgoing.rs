//! Properties of objects that are read, from JSON into messages.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::class::{DataType, PropertySchema};
use super::proto::{
    BoolValues, GeoCoordinate, ListKind, ObjectPropertiesRequest, ObjectValues, PackedValues,
    PhoneNumber, Properties, PropertyKind, PropertyList, PropertyValue, TextValues,
};

/// Which properties of an object, or of an object within one, are shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// All.
    All,
    /// These, and these objects with a choice of their own.
    Some(&'a [String], &'a [ObjectPropertiesRequest]),
}

impl<'a> Wanted<'a> {
    /// The choice within a property; none if it is not shown.
    fn within(self, name: &str) -> Option<Wanted<'a>> {
        let Wanted::Some(plain, objects) = self else {
            return Some(Wanted::All);
        };
        if let Some(object) = objects.iter().find(|it| it.prop_name == name) {
            return Some(Wanted::Some(
                &object.primitive_properties,
                &object.object_properties,
            ));
        }
        plain.iter().any(|it| it == name).then_some(Wanted::All)
    }
}

/// The properties that are no references. One that is wanted and not there is null.
pub(super) fn properties(
    schema: &[PropertySchema],
    values: &Map<String, Value>,
    wanted: Wanted<'_>,
) -> Properties {
    let mut fields = BTreeMap::new();
    for property in schema.iter().filter(|it| !it.data_type.is_reference()) {
        let Some(within) = wanted.within(&property.name) else {
            continue;
        };
        let value = values.get(&property.name).unwrap_or(&Value::Null);
        let kind = kind(property, value, within).unwrap_or(PropertyKind::Null(0));
        fields.insert(property.name.clone(), PropertyValue { kind: Some(kind) });
    }
    Properties { fields }
}

fn kind(property: &PropertySchema, value: &Value, wanted: Wanted<'_>) -> Option<PropertyKind> {
    let text = || value.as_str().map(str::to_owned);
    Some(match &property.data_type {
        DataType::Text => PropertyKind::Text(text()?),
        DataType::Date => PropertyKind::Date(text()?),
        DataType::Uuid => PropertyKind::Uuid(text()?),
        DataType::Blob => PropertyKind::Blob(text()?),
        DataType::Int => PropertyKind::Int(whole(value)?),
        DataType::Number => PropertyKind::Number(value.as_f64()?),
        DataType::Boolean => PropertyKind::Bool(value.as_bool()?),
        DataType::GeoCoordinates => PropertyKind::Geo(GeoCoordinate {
            longitude: value["longitude"].as_f64()? as f32,
            latitude: value["latitude"].as_f64()? as f32,
        }),
        DataType::PhoneNumber => PropertyKind::Phone(phone(value)),
        DataType::Object => {
            PropertyKind::Object(properties(&property.nested, value.as_object()?, wanted))
        }
        _ => PropertyKind::List(PropertyList {
            kind: Some(list(property, value.as_array()?, wanted)?),
        }),
    })
}

fn list(property: &PropertySchema, items: &[Value], wanted: Wanted<'_>) -> Option<ListKind> {
    let texts = || TextValues {
        values: items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    };
    Some(match &property.data_type {
        DataType::TextArray => ListKind::Texts(texts()),
        DataType::DateArray => ListKind::Dates(texts()),
        DataType::UuidArray => ListKind::Uuids(texts()),
        DataType::IntArray => ListKind::Ints(PackedValues {
            values: items
                .iter()
                .filter_map(whole)
                .flat_map(i64::to_le_bytes)
                .collect(),
        }),
        DataType::NumberArray => ListKind::Numbers(PackedValues {
            values: items
                .iter()
                .filter_map(Value::as_f64)
                .flat_map(f64::to_le_bytes)
                .collect(),
        }),
        DataType::BooleanArray => ListKind::Bools(BoolValues {
            values: items.iter().filter_map(Value::as_bool).collect(),
        }),
        DataType::ObjectArray => {
            let objects = items.iter().filter_map(Value::as_object);
            ListKind::Objects(ObjectValues {
                values: objects
                    .map(|it| properties(&property.nested, it, wanted))
                    .collect(),
            })
        }
        _ => return None,
    })
}

/// An integer, which may be written with a fraction of zero.
fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|it| it as i64))
}

fn phone(value: &Value) -> PhoneNumber {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    PhoneNumber {
        country_code: number("countryCode"),
        default_country: text("defaultCountry"),
        input: text("input"),
        international_formatted: text("internationalFormatted"),
        national: number("national"),
        national_formatted: text("nationalFormatted"),
        valid: value["valid"].as_bool().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::class::ClassSchema;
    use super::*;
    use serde_json::json;

    fn schema() -> ClassSchema {
        let property = |name: &str, kind: &str| json!({"name": name, "dataType": [kind]});
        let mut inner = property("inner", "object");
        inner["nestedProperties"] = json!([property("a", "text"), property("b", "int")]);
        let class = json!({"properties": [
            property("title", "text"), property("sizes", "int[]"), inner, property("absent", "date"),
        ]});
        ClassSchema::parse("Article", &class)
    }

    #[test]
    fn values_have_the_type_of_their_property() {
        let values = json!({"title": "x", "sizes": [1, -1], "inner": {"a": "y", "b": 2.0}});
        let shown = properties(
            &schema().properties,
            values.as_object().unwrap(),
            Wanted::All,
        );
        assert_eq!(
            shown.fields["title"].kind,
            Some(PropertyKind::Text("x".into()))
        );
        assert_eq!(shown.fields["absent"].kind, Some(PropertyKind::Null(0)));
        let Some(PropertyKind::List(list)) = &shown.fields["sizes"].kind else {
            panic!("no list");
        };
        let packed = [1_i64.to_le_bytes(), (-1_i64).to_le_bytes()].concat();
        assert_eq!(
            list.kind,
            Some(ListKind::Ints(PackedValues { values: packed }))
        );
        let Some(PropertyKind::Object(inner)) = &shown.fields["inner"].kind else {
            panic!("no object");
        };
        assert_eq!(inner.fields["b"].kind, Some(PropertyKind::Int(2)));
    }

    #[test]
    fn only_what_is_wanted_is_shown() {
        let values = json!({"title": "x", "inner": {"a": "y", "b": 2}});
        let inner = ObjectPropertiesRequest {
            prop_name: "inner".into(),
            primitive_properties: vec!["b".into()],
            object_properties: Vec::new(),
        };
        let wanted = Wanted::Some(&[], std::slice::from_ref(&inner));
        let shown = properties(&schema().properties, values.as_object().unwrap(), wanted);
        assert_eq!(shown.fields.len(), 1);
        let Some(PropertyKind::Object(inner)) = &shown.fields["inner"].kind else {
            panic!("no object");
        };
        assert!(inner.fields.contains_key("b") && !inner.fields.contains_key("a"));
    }
}
