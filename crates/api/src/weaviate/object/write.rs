//! Writing objects: what single writes, batches and gRPC have in common.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use snapkeep_store::collections::{
    CollectionMeta, MAX_SHARDS, NewObject, Object, ObjectId, ObjectOp, ObjectOpKind, PutMode,
    TenantStatus,
};
use snapkeep_store::{Store, StoreError};

use super::auto_schema;
use super::beacon::Beacon;
use super::failure::StorageContext;
use super::input::ObjectInput;
use super::properties::check_and_normalise;
use super::vectors::{adopt_names, check_vectors};
use crate::weaviate::class::{
    ClassSchema, DataType, PropertySchema, Surroundings, capitalised, check_class,
    check_properties, complete,
};
use crate::weaviate::errors::WvError;
use crate::weaviate::schema::create_class;
use crate::weaviate::state::WeaviateState;

/// A class as it is now.
#[derive(Debug)]
pub struct ClassContext {
    /// The collection.
    pub meta: Arc<CollectionMeta>,
    /// Its class, read.
    pub schema: ClassSchema,
}

/// Classes by name or alias, each read once a request.
#[derive(Debug)]
pub struct ClassCatalogue<'a> {
    store: &'a Store,
    known: HashMap<String, Option<Arc<ClassContext>>>,
}

impl<'a> ClassCatalogue<'a> {
    /// Knows nothing yet.
    pub fn new(store: &'a Store) -> Self {
        Self {
            store,
            known: HashMap::new(),
        }
    }

    /// A class by its name, in either case of its first letter, or an alias.
    pub fn get(&mut self, name: &str) -> Option<Arc<ClassContext>> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let found = self.store.resolve_collection(&capitalised(name));
        let context = found.map(|meta| {
            let schema = ClassSchema::of(&meta);
            Arc::new(ClassContext { meta, schema })
        });
        self.known.insert(name.to_owned(), context.clone());
        context
    }

    /// Reads everything anew: the schema was changed.
    fn forget(&mut self) {
        self.known.clear();
    }
}

/// How objects are written.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// What is done about objects of the same id.
    pub mode: PutMode,
    /// The outcome holds the object as it was stored.
    pub echo: bool,
    /// How complaints are worded.
    pub wording: Wording,
}

/// Complaints about an item of a batch lack the context that those about a single object have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// As for one object.
    Single,
    /// As for one of many.
    Batch,
}

impl Wording {
    fn invalid(self, complaint: impl std::fmt::Display) -> WvError {
        match self {
            Self::Single => invalid(complaint),
            Self::Batch => WvError::unprocessable(complaint.to_string()),
        }
    }
}

/// What became of an object.
#[derive(Debug, Clone)]
pub struct WrittenObject {
    /// Its class, by its own name.
    pub class: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Its id.
    pub id: ObjectId,
    /// The object as it was stored, if the options ask for it.
    pub object: Option<Object>,
}

/// Writes objects as one durable batch; outcomes by position. Blocks.
///
/// Unknown classes and properties are added to the schema first, if the configuration says so.
pub fn write_objects(
    state: &WeaviateState,
    inputs: Vec<ObjectInput>,
    options: WriteOptions,
) -> Vec<Result<WrittenObject, WvError>> {
    let mut classes = ClassCatalogue::new(&state.store);
    let schema_failures = adapt_schema(state, &mut classes, &inputs);
    let mut outcomes = Vec::with_capacity(inputs.len());
    let mut ops = Vec::with_capacity(inputs.len());
    let mut positions = Vec::with_capacity(inputs.len());
    for (position, input) in inputs.into_iter().enumerate() {
        let failure = schema_failures.get(&capitalised(&input.class));
        let prepared = match failure {
            Some(error) => Err(error.clone()),
            None => prepare(state, &mut classes, input, options.wording),
        };
        outcomes.push(prepared.map(|prepared| {
            let object = options.echo.then(|| prepared.echo());
            let written = WrittenObject {
                class: prepared.class.clone(),
                tenant: prepared.tenant.clone(),
                id: prepared.object.id,
                object,
            };
            positions.push((position, prepared.shard));
            ops.push(ObjectOp {
                collection: prepared.class,
                tenant: prepared.tenant,
                kind: ObjectOpKind::Put {
                    object: prepared.object,
                    mode: options.mode,
                },
            });
            written
        }));
    }
    let results = state.store.write_objects(ops);
    for ((position, shard), result) in positions.into_iter().zip(results) {
        let Ok(written) = &mut outcomes[position] else {
            continue;
        };
        match result {
            Ok(outcome) => {
                if let Some(object) = &mut written.object {
                    object.created_ms = outcome.created_ms;
                    object.updated_ms = outcome.updated_ms;
                    object.version = outcome.version;
                }
            }
            Err(error) => {
                let id = written.id;
                let context = match options.wording {
                    Wording::Single => StorageContext::Write { id, shard: &shard },
                    Wording::Batch => StorageContext::BatchWrite { id },
                };
                outcomes[position] = Err(context.error(&written.class, &error));
            }
        }
    }
    outcomes
}

/// Checks an object as a write would, without writing it. Blocks.
///
/// # Errors
/// What the write would answer.
pub fn check_object(state: &WeaviateState, input: ObjectInput) -> Result<(), WvError> {
    prepare(
        state,
        &mut ClassCatalogue::new(&state.store),
        input,
        Wording::Single,
    )
    .map(|_| ())
}

struct Prepared {
    class: String,
    tenant: Option<String>,
    shard: String,
    object: NewObject,
}

impl Prepared {
    fn echo(&self) -> Object {
        Object {
            id: self.object.id,
            properties: self.object.properties.clone(),
            created_ms: 0,
            updated_ms: 0,
            vectors: self.object.vectors.clone(),
            version: 0,
        }
    }
}

pub(super) fn invalid(complaint: impl std::fmt::Display) -> WvError {
    WvError::unprocessable(format!("invalid object: {complaint}"))
}

fn prepare(
    state: &WeaviateState,
    classes: &mut ClassCatalogue<'_>,
    mut input: ObjectInput,
    wording: Wording,
) -> Result<Prepared, WvError> {
    if input.class.is_empty() {
        return Err(wording.invalid("the given class is empty"));
    }
    let Some(class) = classes.get(&input.class) else {
        return Err(wording.invalid(format!(
            "class '{}' not present in schema",
            capitalised(&input.class)
        )));
    };
    let id = input.id.unwrap_or_else(ObjectId::random);
    adopt_names(&class.schema, &mut input.vectors);
    check_vectors(&class.schema, &input.vectors).map_err(|it| wording.invalid(it))?;
    if let Some(tenant) = &input.tenant {
        ready_tenant(&state.store, &class, tenant, true)?;
    }
    let tenant = input.tenant.as_deref();
    let properties =
        check_and_normalise(&class.schema, input.properties, &mut |property, beacon| {
            resolve_reference(&state.store, classes, property, beacon, tenant)
        })
        .map_err(|it| wording.invalid(it))?;
    let shard = match &input.tenant {
        Some(tenant) => tenant.clone(),
        None => class
            .meta
            .shard_of(id)
            .map_or_else(String::new, |it| it.name.clone()),
    };
    state.check_writable(&class.meta, &shard)?;
    let mut object = NewObject::new(id, properties);
    object.vectors = input.vectors;
    object
        .vectors
        .sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Prepared {
        class: class.meta.name.clone(),
        tenant: input.tenant,
        shard,
        object,
    })
}

/// Makes or wakes a tenant where its class says that this happens by itself.
///
/// # Errors
/// Those of the store.
pub fn ready_tenant(
    store: &Store,
    class: &ClassContext,
    tenant: &str,
    for_writing: bool,
) -> Result<(), WvError> {
    let schema = &class.schema;
    if !schema.multi_tenant || !(schema.auto_tenant_creation || schema.auto_tenant_activation) {
        return Ok(());
    }
    // The catalogue of the request may be older than the tenant.
    let meta = store.collection(&class.meta.name);
    let status = meta.and_then(|meta| meta.shard(tenant).map(|it| it.status));
    let hot = [(tenant.to_owned(), TenantStatus::Hot)];
    match status {
        None if for_writing && schema.auto_tenant_creation => {
            crate::weaviate::class::check_tenant_name(tenant).map_err(WvError::unprocessable)?;
            Ok(store.add_tenants(&schema.name, &hot)?)
        }
        Some(TenantStatus::Cold) if schema.auto_tenant_activation => {
            Ok(store.set_tenants(&schema.name, &hot)?)
        }
        _ => Ok(()),
    }
}

/// Finds the target of a reference; it must exist.
pub(crate) fn resolve_reference(
    store: &Store,
    classes: &mut ClassCatalogue<'_>,
    property: &PropertySchema,
    beacon: Beacon,
    tenant: Option<&str>,
) -> Result<Beacon, String> {
    let DataType::Reference(targets) = &property.data_type else {
        return Err(format!("property '{}' is no reference", property.name));
    };
    let candidates = match &beacon.class {
        Some(class) => vec![class.clone()],
        None => targets.clone(),
    };
    for name in candidates {
        let Some(class) = classes.get(&name) else {
            continue;
        };
        // Only a target with tenants of its own is looked for in the tenant of the referring object.
        let tenant = tenant.filter(|_| class.meta.multi_tenant);
        match store.get_object(&class.meta.name, tenant, beacon.id) {
            Ok(Some(_)) => {
                return Ok(Beacon {
                    class: Some(class.meta.name.clone()),
                    id: beacon.id,
                });
            }
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("no object with id {} found", beacon.id))
}

/// Adds the classes and properties that objects imply. Failures by class: its objects cannot be written.
pub(super) fn adapt_schema(
    state: &WeaviateState,
    classes: &mut ClassCatalogue<'_>,
    inputs: &[ObjectInput],
) -> BTreeMap<String, WvError> {
    let mut lacking: BTreeMap<String, Vec<&ObjectInput>> = BTreeMap::new();
    if !state.config.auto_schema {
        return BTreeMap::new();
    }
    for input in inputs.iter().filter(|it| !it.class.is_empty()) {
        let is_covered = classes
            .get(&input.class)
            .is_some_and(|it| auto_schema::covers(&it.schema.properties, &input.properties));
        if !is_covered {
            let name = capitalised(&input.class);
            lacking.entry(name).or_default().push(input);
        }
    }
    if lacking.is_empty() {
        return BTreeMap::new();
    }
    let mut failures = BTreeMap::new();
    for (name, inputs) in lacking {
        if let Err(error) = adapt_class(state, &name, &inputs) {
            failures.insert(name, error);
        }
    }
    classes.forget();
    failures
}

fn adapt_class(state: &WeaviateState, name: &str, inputs: &[&ObjectInput]) -> Result<(), WvError> {
    // Held over reading and writing the class: two requests that add properties would lose one otherwise.
    let _schema = state.lock_schema();
    let existing = state.store.resolve_collection(name);
    let mut properties = match existing.as_ref().map(|it| &it.class["properties"]) {
        Some(Value::Array(properties)) => properties.clone(),
        _ => Vec::new(),
    };
    let known = properties.len();
    for input in inputs {
        auto_schema::extend(&mut properties, &input.properties, 0).map_err(invalid)?;
    }
    let exists = |class: &str| class == name || state.store.collection(class).is_some();
    let around = Surroundings {
        exists: &exists,
        max_shards: MAX_SHARDS,
    };
    match existing {
        Some(meta) => {
            check_properties(
                &meta.name,
                &properties[..known],
                &properties[known..],
                &around,
            )
            .map_err(|error| invalid(error.message()))?;
            let mut class = meta.class.clone();
            class["properties"] = Value::Array(properties);
            Ok(state.store.update_class(&meta.name, class)?)
        }
        None => {
            let mut class = Map::new();
            class.insert("class".into(), json!(name));
            class.insert(
                "description".into(),
                json!(auto_schema::description("property")),
            );
            if !properties.is_empty() {
                class.insert("properties".into(), Value::Array(properties));
            }
            let class = complete(&class);
            check_class(&class, &around).map_err(|error| invalid(error.message()))?;
            match create_class(&state.store, class) {
                // Somebody else wrote an object of this class first.
                Err(StoreError::CollectionExists { .. }) | Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }
}
