//! `BatchObjects`, `BatchReferences`, `BatchDelete`

use std::time::Instant;

use snapkeep_store::collections::{ObjectVector, PutMode};

use super::super::batch::{BatchDelete, ReferenceInput, delete_matching, write_references};
use super::super::class::capitalised;
use super::super::errors::WvError;
use super::super::object::{Beacon, ObjectInput, Wording, WriteOptions, parse_id, write_objects};
use super::super::state::blocking;
use super::proto::{
    BatchDeleteObject, BatchDeleteReply, BatchDeleteRequest, BatchError, BatchObject,
    BatchObjectsRequest, BatchReference, BatchReferencesRequest, BatchReply,
};
use super::search::{class_of, filter};
use super::service::{Context, tenant, took};
use super::{incoming, vectors};
use crate::auth::Need;

/// Names that a client gives the vector of a class without named ones.
const UNNAMED: [&str; 2] = ["", "default"];

pub(super) async fn objects(
    context: Context,
    request: BatchObjectsRequest,
) -> Result<BatchReply, WvError> {
    let since = Instant::now();
    blocking(move || {
        let classes = request.objects.iter().map(|it| it.collection.as_str());
        authorise(&context, "create_data", classes)?;
        let options = WriteOptions {
            mode: PutMode::Upsert,
            echo: false,
            wording: Wording::Batch,
        };
        let errors = write_all(
            request.objects,
            |object| input(&context, object),
            |inputs| write_objects(&context.state, inputs, options),
        );
        Ok(BatchReply {
            took: took(since),
            errors,
        })
    })
    .await
}

/// Asks whether the caller may write to all classes that are named, under whatever name.
fn authorise<'a>(
    context: &Context,
    verb: &str,
    named: impl Iterator<Item = &'a str>,
) -> Result<(), WvError> {
    let mut classes: Vec<String> = Vec::new();
    for name in named {
        let class = class_of(context, name);
        let class = class.map_or_else(|| capitalised(name), |it| it.meta.name.clone());
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    let need = Need::write(verb).resources(&classes);
    Ok(context.caller.authorise(need)?)
}

/// Reads all items and writes those that could be read; what went wrong with the others and with these, by position.
fn write_all<Item, Input, Written>(
    items: Vec<Item>,
    read: impl Fn(Item) -> Result<Input, String>,
    write: impl FnOnce(Vec<Input>) -> Vec<Result<Written, WvError>>,
) -> Vec<BatchError> {
    let mut errors = Vec::new();
    let mut inputs = Vec::with_capacity(items.len());
    let mut positions = Vec::with_capacity(items.len());
    for (position, item) in items.into_iter().enumerate() {
        match read(item) {
            Ok(input) => {
                positions.push(position);
                inputs.push(input);
            }
            Err(complaint) => errors.push(error(position, complaint)),
        }
    }
    for (position, outcome) in positions.into_iter().zip(write(inputs)) {
        if let Err(failure) = outcome {
            errors.push(error(position, failure.message().to_owned()));
        }
    }
    errors.sort_by_key(|it| it.index);
    errors
}

fn error(position: usize, error: String) -> BatchError {
    BatchError {
        index: i32::try_from(position).unwrap_or(i32::MAX),
        error,
    }
}

/// An object as REST would have brought it.
fn input(context: &Context, object: BatchObject) -> Result<ObjectInput, String> {
    let id = parse_id(&object.uuid, "uuid", "body").map_err(|it| it.message().to_owned())?;
    let mut found: Vec<ObjectVector> = Vec::new();
    if !object.vector_bytes.is_empty() {
        let values = vectors::decode(&object.vector_bytes)?;
        found.push(ObjectVector::single("", values));
    } else if !object.vector.is_empty() {
        found.push(ObjectVector::single("", object.vector));
    }
    let class = class_of(context, &object.collection);
    let has_named = class
        .as_ref()
        .is_some_and(|it| !it.schema.named_vectors.is_empty());
    for vector in &object.vectors {
        let mut vector = vectors::of_object(vector)?;
        if !has_named && UNNAMED.contains(&vector.name.as_str()) {
            vector.name.clear();
        }
        found.push(vector);
    }
    let properties = object.properties.map(incoming::properties).transpose()?;
    Ok(ObjectInput {
        class: object.collection,
        id,
        tenant: tenant(object.tenant),
        properties: properties.unwrap_or_default(),
        vectors: found,
    })
}

pub(super) async fn references(
    context: Context,
    request: BatchReferencesRequest,
) -> Result<BatchReply, WvError> {
    let since = Instant::now();
    blocking(move || {
        let classes = request.references.iter();
        let classes = classes.map(|it| it.from_collection.as_str());
        authorise(&context, "update_data", classes)?;
        let errors = write_all(request.references, reference_input, |inputs| {
            write_references(&context.state, inputs)
        });
        Ok(BatchReply {
            took: took(since),
            errors,
        })
    })
    .await
}

fn reference_input(reference: BatchReference) -> Result<ReferenceInput, String> {
    let id = |text: &str| text.parse().map_err(|_| format!("{text:?} is no uuid"));
    let class = reference.to_collection.filter(|class| !class.is_empty());
    Ok(ReferenceInput {
        id: id(&reference.from_uuid)?,
        class: reference.from_collection,
        property: reference.name,
        tenant: tenant(reference.tenant),
        to: Beacon {
            class: class.map(|class| capitalised(&class)),
            id: id(&reference.to_uuid)?,
        },
    })
}

pub(super) async fn delete(
    context: Context,
    request: BatchDeleteRequest,
) -> Result<BatchDeleteReply, WvError> {
    let since = Instant::now();
    blocking(move || {
        let class = class_of(&context, &request.collection).ok_or_else(|| {
            WvError::unprocessable(format!(
                "could not find class {} in schema",
                request.collection
            ))
        })?;
        let names = [class.meta.name.clone()];
        let need = Need::write("delete_data").resources(&names);
        context.caller.authorise(need)?;
        let filter = filter(&class, request.filters.as_ref())?
            .ok_or_else(|| WvError::unprocessable("no filters in batch delete request"))?;
        let tenant = request.tenant.and_then(tenant);
        let deleted = delete_matching(
            &context.state,
            BatchDelete {
                class: &class,
                tenant: tenant.as_deref(),
                filter,
                dry_run: request.dry_run,
            },
        )?;
        let failed = deleted
            .objects
            .iter()
            .filter(|(_, error)| error.is_some())
            .count();
        let successful = match request.dry_run {
            true => 0,
            false => deleted.objects.len() - failed,
        };
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let shown = deleted.objects.iter().map(|(id, error)| BatchDeleteObject {
            uuid: id.0.to_vec(),
            successful: error.is_none(),
            error: error.as_ref().map(|it| it.message().to_owned()),
        });
        Ok(BatchDeleteReply {
            took: took(since),
            failed: count(failed),
            matches: i64::try_from(deleted.matches).unwrap_or(i64::MAX),
            successful: count(successful),
            objects: if request.verbose {
                shown.collect()
            } else {
                Vec::new()
            },
        })
    })
    .await
}
