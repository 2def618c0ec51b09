//! Properties of objects as a query asks for them, along references.

use serde_json::{Map, Value};
use snapkeep_store::View;
use snapkeep_store::collections::{Object, ObjectHit};

use super::Stop;
use super::additional;
use super::syntax::Field;
use crate::auth::Need;
use crate::weaviate::class::{ClassSchema, DataType, PropertySchema};
use crate::weaviate::object::{Beacon, ClassCatalogue, beacons};
use crate::weaviate::request::WvRequest;

/// Most references that are followed from one object to the next.
const MAX_HOPS: usize = 8;

/// Checks the selection of a class, and of the classes it refers to; the caller must be allowed to read those, too.
pub(super) fn check(
    request: &WvRequest,
    classes: &mut ClassCatalogue<'_>,
    class: &ClassSchema,
    field: &Field,
) -> Result<(), Stop> {
    if field.selections.is_empty() {
        return Err(field.without_selection(&format!("[{}]", class.name)).into());
    }
    check_parts(request, classes, class, &field.selections, 0)
}

fn check_parts(
    request: &WvRequest,
    classes: &mut ClassCatalogue<'_>,
    class: &ClassSchema,
    parts: &[Field],
    hops: usize,
) -> Result<(), Stop> {
    for part in parts {
        match part.name.as_str() {
            "_additional" => additional::check(class, part)?,
            "__typename" => {}
            name => match class.property(name) {
                None => return Err(part.unknown_on(&class.name).into()),
                Some(property) => check_property(request, classes, class, property, part, hops)?,
            },
        }
    }
    Ok(())
}

fn check_property(
    request: &WvRequest,
    classes: &mut ClassCatalogue<'_>,
    class: &ClassSchema,
    property: &PropertySchema,
    part: &Field,
    hops: usize,
) -> Result<(), Stop> {
    match &property.data_type {
        DataType::Reference(targets) => {
            if part.variants.is_empty() || hops >= MAX_HOPS {
                let type_name = format!("[{}{}Obj]", class.name, part.name);
                return Err(part.without_selection(&type_name).into());
            }
            for (on, inner) in &part.variants {
                let target = targets.contains(on).then(|| classes.get(on)).flatten();
                let Some(target) = target else {
                    return Err(super::Failure {
                        place: part.place,
                        message: format!("Unknown type {on:?}."),
                    }
                    .into());
                };
                let names = [target.meta.name.clone()];
                request.authorise(Need::read("read_data").resources(&names))?;
                check_parts(request, classes, &target.schema, inner, hops + 1)?;
            }
            Ok(())
        }
        DataType::Object | DataType::ObjectArray => {
            check_nested(&format!("{}{}", class.name, part.name), property, part)
        }
        DataType::GeoCoordinates | DataType::PhoneNumber if part.selections.is_empty() => {
            let type_name = format!("{}{}Obj", class.name, part.name);
            Err(part.without_selection(&type_name).into())
        }
        _ => Ok(()),
    }
}

fn check_nested(type_name: &str, property: &PropertySchema, part: &Field) -> Result<(), Stop> {
    if part.selections.is_empty() {
        return Err(part.without_selection(type_name).into());
    }
    for inner in &part.selections {
        let Some(nested) = property.nested.iter().find(|it| it.name == inner.name) else {
            return Err(inner.unknown_on(type_name).into());
        };
        if nested.data_type.is_object() {
            check_nested(&format!("{type_name}{}", inner.name), nested, inner)?;
        }
    }
    Ok(())
}

/// Where references are looked up.
pub(super) struct Scope<'a> {
    view: &'a View,
    classes: ClassCatalogue<'a>,
    tenant: Option<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(view: &'a View, classes: ClassCatalogue<'a>, tenant: Option<String>) -> Self {
        Self {
            view,
            classes,
            tenant,
        }
    }

    /// One property of an object; null if it has none.
    pub(super) fn property(&mut self, part: &Field, object: &Object, hops: usize) -> Value {
        let Some(value) = object.properties.get(&part.name) else {
            return Value::Null;
        };
        if part.variants.is_empty() {
            return nested(part, value);
        }
        let found = beacons(value).unwrap_or_default();
        let targets = found
            .iter()
            .filter_map(|beacon| self.target(part, beacon, hops));
        targets.collect()
    }

    /// The object that a beacon points to, if it is there.
    fn target(&mut self, part: &Field, beacon: &Beacon, hops: usize) -> Option<Value> {
        let class = self.classes.get(beacon.class.as_deref()?)?;
        let tenant = self.tenant.clone().filter(|_| class.meta.multi_tenant);
        let name = &class.meta.name;
        let object = self
            .view
            .object(name, tenant.as_deref(), beacon.id)
            .ok()??;
        let mut shown = Map::new();
        let inner = part.variants.iter().filter(|(on, _)| on == name);
        let hit = ObjectHit {
            object,
            distance: None,
        };
        for field in inner.flat_map(|(_, fields)| fields) {
            let value = match field.name.as_str() {
                "_additional" => additional::shown(field, &hit, None),
                "__typename" => Value::from(name.as_str()),
                _ => self.property(field, &hit.object, hops + 1),
            };
            shown.insert(field.key.clone(), value);
        }
        Some(Value::Object(shown))
    }
}

/// The parts of a value that are asked for.
fn nested(part: &Field, value: &Value) -> Value {
    match value {
        Value::Array(items) if !part.selections.is_empty() => {
            items.iter().map(|item| nested(part, item)).collect()
        }
        Value::Object(map) if !part.selections.is_empty() => {
            let shown = part.selections.iter().map(|inner| {
                let value = map.get(&inner.name);
                let value = value.map_or(Value::Null, |value| nested(inner, value));
                (inner.key.clone(), value)
            });
            Value::Object(shown.collect())
        }
        other => other.clone(),
    }
}
