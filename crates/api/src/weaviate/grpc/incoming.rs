//! Properties of written objects, from messages into JSON.

use serde_json::{Map, Number, Value, json};

use super::super::object::Beacon;
use super::proto::{
    BatchProperties, NumberArrayProperties, ObjectPropertiesValue, Struct, StructKind, StructValue,
};

/// Whole numbers up to here are the same as integers and as doubles.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;
const F64_BYTES: usize = size_of::<f64>();

/// All properties of an object.
///
/// # Errors
/// The complaint.
pub(super) fn properties(given: BatchProperties) -> Result<Map<String, Value>, String> {
    let mut properties = nested(ObjectPropertiesValue {
        non_ref_properties: given.non_ref_properties,
        number_array_properties: given.number_array_properties,
        int_array_properties: given.int_array_properties,
        text_array_properties: given.text_array_properties,
        boolean_array_properties: given.boolean_array_properties,
        object_properties: given.object_properties,
        object_array_properties: given.object_array_properties,
        empty_list_props: given.empty_list_props,
    })?;
    for refs in given.single_target_ref_props {
        properties.insert(refs.prop_name, beacons(None, &refs.uuids)?);
    }
    for refs in given.multi_target_ref_props {
        let beacons = beacons(Some(&refs.target_collection), &refs.uuids)?;
        match (properties.get_mut(&refs.prop_name), beacons) {
            // One entry a target class.
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
            (_, beacons) => {
                properties.insert(refs.prop_name, beacons);
            }
        }
    }
    Ok(properties)
}

fn beacons(class: Option<&str>, ids: &[String]) -> Result<Value, String> {
    let beacons = ids.iter().map(|id| {
        let id = id
            .parse()
            .map_err(|_| format!("reference to {id:?}, which is no uuid"))?;
        let class = class.map(str::to_owned);
        Ok(json!({"beacon": Beacon { class, id }.to_string()}))
    });
    beacons
        .collect::<Result<Vec<_>, String>>()
        .map(Value::Array)
}

fn nested(given: ObjectPropertiesValue) -> Result<Map<String, Value>, String> {
    let mut properties = given.non_ref_properties.map_or_else(Map::new, object);
    for list in given.number_array_properties {
        let values = numbers(&list)?;
        properties.insert(list.prop_name, values);
    }
    for list in given.int_array_properties {
        properties.insert(list.prop_name, json!(list.values));
    }
    for list in given.text_array_properties {
        properties.insert(list.prop_name, json!(list.values));
    }
    for list in given.boolean_array_properties {
        properties.insert(list.prop_name, json!(list.values));
    }
    for one in given.object_properties {
        let value = nested(one.value.unwrap_or_default())?;
        properties.insert(one.prop_name, Value::Object(value));
    }
    for list in given.object_array_properties {
        let values = list
            .values
            .into_iter()
            .map(|it| nested(it).map(Value::Object));
        properties.insert(list.prop_name, values.collect::<Result<_, _>>()?);
    }
    for name in given.empty_list_props {
        properties.insert(name, json!([]));
    }
    Ok(properties)
}

fn numbers(list: &NumberArrayProperties) -> Result<Value, String> {
    let packed = list.values_bytes.chunks_exact(F64_BYTES);
    if !packed.remainder().is_empty() {
        return Err(format!(
            "property {} is no sequence of doubles",
            list.prop_name
        ));
    }
    let packed = packed.filter_map(|it| it.try_into().ok().map(f64::from_le_bytes));
    let values = list.values.iter().copied().chain(packed).map(number);
    Ok(Value::Array(values.collect()))
}

fn object(given: Struct) -> Map<String, Value> {
    let fields = given.fields.into_iter();
    fields.map(|(name, value)| (name, plain(value))).collect()
}

fn plain(given: StructValue) -> Value {
    match given.kind {
        None | Some(StructKind::Null(_)) => Value::Null,
        Some(StructKind::Number(value)) => number(value),
        Some(StructKind::Text(text)) => Value::String(text),
        Some(StructKind::Bool(truth)) => Value::Bool(truth),
        Some(StructKind::Struct(fields)) => Value::Object(object(fields)),
        Some(StructKind::List(list)) => list.values.into_iter().map(plain).collect(),
    }
}

/// A double; as an integer where that is the same, since messages have no integers. Infinities have no JSON and become null.
fn number(value: f64) -> Value {
    let is_whole = value.fract() == 0.0 && value.abs() <= MAX_WHOLE;
    if is_whole && !(value == 0.0 && value.is_sign_negative()) {
        return json!(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::super::proto::{IntArrayProperties, MultiTargetRefProps, ObjectProperties};
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn all_ways_to_give_a_property_end_in_one_object() {
        let fields = [
            ("n", StructKind::Number(2.0)),
            ("t", StructKind::Text("x".into())),
        ];
        let fields = fields.map(|(name, kind)| (name.to_owned(), StructValue { kind: Some(kind) }));
        let target = |class: &str| MultiTargetRefProps {
            uuids: vec![ID.into()],
            prop_name: "refs".into(),
            target_collection: class.into(),
        };
        let given = BatchProperties {
            non_ref_properties: Some(Struct {
                fields: fields.into(),
            }),
            int_array_properties: vec![IntArrayProperties {
                values: vec![1, 2],
                prop_name: "ints".into(),
            }],
            object_properties: vec![ObjectProperties {
                value: None,
                prop_name: "inner".into(),
            }],
            multi_target_ref_props: vec![target("A"), target("B")],
            empty_list_props: vec!["none".into()],
            ..BatchProperties::default()
        };
        let beacon = |class: &str| json!({"beacon": format!("weaviate://localhost/{class}/{ID}")});
        assert_eq!(
            Value::Object(properties(given).unwrap()),
            json!({"n": 2, "t": "x", "ints": [1, 2], "inner": {}, "none": [], "refs": [beacon("A"), beacon("B")]})
        );
    }

    #[test]
    fn doubles_keep_their_value() {
        assert_eq!(number(3.0), json!(3));
        assert_eq!(number(0.1), json!(0.1));
        assert_eq!(number(-0.0).to_string(), "-0.0");
        assert_eq!(number(1e300), json!(1e300));
    }
}
