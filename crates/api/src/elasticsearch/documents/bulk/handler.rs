//! From the body's stream to the store and back.

use std::collections::HashMap;
use std::time::Instant;

use http_body_util::BodyExt;
use snapkeep_store::{Store, WriteKind, WriteOp, WriteOptions};

use super::action::{Defaults, refuse_pipeline};
use super::items::{Asked, Items};
use super::reader::{Operation, Reader};
use crate::elasticsearch::confine::Reach;
use crate::elasticsearch::documents::write::{auto_create, refresh};
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::output::Format;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;
use crate::elasticsearch::state::blocking;

/// A batch goes to the store when it holds this many operations …
const BATCH_OPERATIONS: usize = 2_000;
/// … or this many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// Operations waiting for the store.
#[derive(Debug, Default)]
struct Batch {
    asked: Vec<Asked>,
    ops: Vec<WriteOp>,
    size_bytes: usize,
}

impl Batch {
    fn add(&mut self, operation: Operation) {
        let Operation {
            kind,
            op,
            size_bytes,
        } = operation;
        let source = match &op.kind {
            WriteKind::Index { source, .. } => Some(source.clone()),
            _ => None,
        };
        self.asked.push(Asked {
            kind,
            index: op.index.clone(),
            id: op.id.clone(),
            source,
        });
        self.ops.push(op);
        self.size_bytes += size_bytes;
    }

    /// Takes out the operations on indices that the caller may not write to; gives for each operation why, if it is one.
    fn take_refused(&mut self, store: &Store, reach: &Reach) -> Vec<Option<EsError>> {
        let mut known: HashMap<String, Option<EsError>> = HashMap::new();
        let refused: Vec<Option<EsError>> = self
            .asked
            .iter()
            .map(|asked| {
                let known = known.entry(asked.index.clone());
                known
                    .or_insert_with(|| reach.authorise_named(store, &asked.index).err())
                    .clone()
            })
            .collect();
        let mut flags = refused.iter();
        self.ops
            .retain(|_| flags.next().is_none_or(Option::is_none));
        refused
    }

    fn is_full(&self) -> bool {
        self.ops.len() >= BATCH_OPERATIONS || self.size_bytes >= BATCH_BYTES
    }
}

/// `POST|PUT [/{index}]/_bulk`.
///
/// # Errors
/// 400 for a malformed body; what goes wrong with single operations is in their items.
pub async fn bulk(mut request: EsRequest) -> EsResult {
    let started = Instant::now();
    let shape = request.shape();
    request.params.check_timeouts()?;
    refuse_pipeline(request.params.get("pipeline"))?;
    if request.body_format() != Format::Json {
        return Err(EsError::illegal_argument(
            "[_bulk] takes lines of JSON only",
        ));
    }
    let defaults = Defaults {
        index: request.captured_or_param("index").map(str::to_owned),
        routing: request.params.get("routing").map(str::to_owned),
        require_alias: request.params.bool("require_alias", false)?,
        pipeline: None,
    };
    let reach = request.reach();
    let mut items = Items::new(shape, refresh(&request.params)?);
    let mut body = request.take_stream();
    let mut reader = Reader::new(defaults, shape);
    let mut batch = Batch::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            EsError::illegal_argument(format!("cannot read the request body: {error}"))
        })?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        reader.push(&chunk);
        while let Some(operation) = reader.next_operation()? {
            batch.add(operation);
            if batch.is_full() {
                let full = std::mem::take(&mut batch);
                items = write(request.state.store.clone(), &reach, full, items).await?;
            }
        }
    }
    reader.finish()?;
    items = write(request.state.store.clone(), &reach, batch, items).await?;
    Ok(EsResponse::json(
        items.finish(started.elapsed().as_millis()),
    ))
}

async fn write(
    store: Store,
    reach: &Reach,
    mut batch: Batch,
    mut items: Items,
) -> Result<Items, EsError> {
    if batch.ops.is_empty() {
        return Ok(items);
    }
    let reach = reach.clone();
    blocking(move || {
        let refused = batch.take_refused(&store, &reach);
        // Checked for the whole batch: one name that may not be made keeps its companions from being made.
        let options = WriteOptions {
            auto_create: batch.ops.iter().all(|op| auto_create(&store, &op.index)),
        };
        let outcomes = store.write(batch.ops, &options);
        let mut outcomes = outcomes.into_iter();
        for (asked, refused) in batch.asked.iter().zip(refused) {
            match refused {
                Some(error) => items.refuse(asked, &error),
                None => outcomes
                    .next()
                    .into_iter()
                    .for_each(|outcome| items.add(&store, asked, outcome)),
            }
        }
        Ok(items)
    })
    .await
}
