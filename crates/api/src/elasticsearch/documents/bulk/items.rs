//! The answer of a bulk request: one item an operation, written as text at once.

use bytes::Bytes;
use serde_json::Value;
use snapkeep_store::{Store, StoreError, WriteOutcome, WriteResult};

use super::action::ActionKind;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::documents::write::{copies, document_failure};
use crate::elasticsearch::errors::EsError;

/// Items collected so far.
#[derive(Debug)]
pub struct Items {
    shape: Shape,
    forced_refresh: bool,
    text: String,
    has_errors: bool,
    /// Index of the latest operation, and the copies that its writes are meant for.
    copies: (String, u32),
}

/// What remains known of an operation after the store took it.
#[derive(Debug)]
pub struct Asked {
    /// Key of the item.
    pub kind: ActionKind,
    /// Index as it was named.
    pub index: String,
    /// Id as it was given.
    pub id: Option<String>,
    /// The source, to explain what is malformed in it.
    pub source: Option<Bytes>,
}

impl Items {
    /// Nothing yet. `forced_refresh`: the request said `refresh=true`.
    pub fn new(shape: Shape, forced_refresh: bool) -> Self {
        Self {
            shape,
            forced_refresh,
            text: String::new(),
            has_errors: false,
            copies: (String::new(), 1),
        }
    }

    /// Adds the item of one operation.
    pub fn add(&mut self, store: &Store, asked: &Asked, outcome: Result<WriteOutcome, StoreError>) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        let name = asked.kind.name();
        match outcome {
            Ok(outcome) => {
                if self.copies.0 != outcome.index {
                    self.copies = (outcome.index.clone(), copies(store, &outcome.index));
                }
                self.done(name, &outcome);
            }
            Err(error) => self.failed(name, asked, error),
        }
    }

    fn done(&mut self, name: &str, outcome: &WriteOutcome) {
        let is_noop = outcome.result == WriteResult::Noop;
        let refresh = if self.forced_refresh && !is_noop {
            "\"forced_refresh\":true,"
        } else {
            ""
        };
        let (copies, written) = if is_noop { (0, 0) } else { (self.copies.1, 1) };
        let status = status_of(outcome.result);
        self.text.push_str(&format!(
            "{{\"{name}\":{{\"_index\":{},\"_id\":{},\"_version\":{},\"result\":\"{}\",{refresh}\"_shards\":{{\"total\":{copies},\"successful\":{written},\"failed\":0}},\"_seq_no\":{},\"_primary_term\":{},\"status\":{status}}}}}",
            quoted(&outcome.index),
            quoted(&outcome.id),
            outcome.version,
            outcome.result.as_str(),
            outcome.seq_no,
            outcome.primary_term,
        ));
    }

    /// Adds the item of an operation that the caller may not do.
    pub fn refuse(&mut self, asked: &Asked, error: &EsError) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.explain(asked.kind.name(), asked, error);
    }

    fn failed(&mut self, name: &str, asked: &Asked, error: StoreError) {
        let error = document_failure(error, asked.source.as_ref(), self.shape);
        self.explain(name, asked, &error);
    }

    fn explain(&mut self, name: &str, asked: &Asked, error: &EsError) {
        self.has_errors = true;
        let status = error.status(self.shape).as_u16();
        let body = Value::Object(error.object(self.shape, true, false));
        let id = asked
            .id
            .as_deref()
            .map_or_else(|| "null".to_owned(), quoted);
        let index = quoted(&asked.index);
        self.text.push_str(&format!("{{\"{name}\":{{\"_index\":{index},\"_id\":{id},\"status\":{status},\"error\":{body}}}}}"));
    }

    /// The whole answer.
    pub fn finish(self, took_ms: u128) -> String {
        let Self {
            text, has_errors, ..
        } = self;
        format!("{{\"took\":{took_ms},\"errors\":{has_errors},\"items\":[{text}]}}")
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Status of an operation that was performed.
pub fn status_of(result: WriteResult) -> u16 {
    match result {
        WriteResult::Created => 201,
        WriteResult::Updated | WriteResult::Deleted | WriteResult::Noop => 200,
        WriteResult::NotFound => 404,
    }
}
