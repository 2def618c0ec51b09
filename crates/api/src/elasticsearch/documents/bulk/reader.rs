//! Splits the body of a bulk request into operations while it arrives.
//!
//! Sources are handed on as slices of the received bytes: they are neither parsed nor copied here.

use bytes::{Buf, Bytes, BytesMut};
use snapkeep_store::{WriteKind, WriteOp};

use super::action::{self, Action, ActionKind, Defaults};
use crate::elasticsearch::body;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::documents::update;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::indices::targets;
use crate::elasticsearch::output::Format;

/// Longest line taken, in bytes: Elasticsearch's own limit of a document.
const MAX_LINE_BYTES: usize = 100 << 20;

/// One operation, as its action line gave it.
#[derive(Debug)]
pub struct Operation {
    /// Key of its item in the answer.
    pub kind: ActionKind,
    /// What the store shall do.
    pub op: WriteOp,
    /// Bytes it occupies while it waits.
    pub size_bytes: usize,
}

/// The reader: bytes in, operations out.
#[derive(Debug)]
pub struct Reader {
    defaults: Defaults,
    shape: Shape,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    searched: usize,
    line: usize,
    pending: Option<Action>,
    operations: usize,
}

impl Reader {
    /// A reader that has seen nothing yet.
    pub fn new(defaults: Defaults, shape: Shape) -> Self {
        Self {
            defaults,
            shape,
            buffer: BytesMut::new(),
            searched: 0,
            line: 0,
            pending: None,
            operations: 0,
        }
    }

    /// Takes more of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole operation, or `None` until more of the body is there.
    ///
    /// # Errors
    /// 400 for a malformed line.
    pub fn next_operation(&mut self) -> Result<Option<Operation>, EsError> {
        while let Some(line) = self.next_line()? {
            self.line += 1;
            match self.pending.take() {
                Some(action) => return self.operation(action, line).map(Some),
                None if line.is_empty() => {}
                None => {
                    let value = body::parse(&line, Format::Json, self.shape)?;
                    let parsed =
                        action::parse(&value, self.line, &self.defaults, self.shape == Shape::Es)?;
                    if parsed.kind.has_source() {
                        self.pending = Some(parsed);
                    } else {
                        return self.operation(parsed, Bytes::new()).map(Some);
                    }
                }
            }
        }
        Ok(None)
    }

    /// To be called when the body has ended.
    ///
    /// # Errors
    /// 400 when the last line is not ended, an action lacks its source, or nothing was asked for.
    pub fn finish(&self) -> Result<(), EsError> {
        if self.buffer.has_remaining() {
            return Err(EsError::illegal_argument(
                "The bulk request must be terminated by a newline [\\n]",
            ));
        }
        if let Some(action) = &self.pending {
            return Err(EsError::illegal_argument(format!(
                "Malformed action/metadata line [{}], the action [{}] is not followed by a source",
                self.line,
                action.kind.name()
            )));
        }
        if self.line == 0 {
            return Err(ErrorKind::Parse.error("request body is required"));
        }
        if self.operations == 0 {
            return Err(EsError::validation(&["no requests added"]));
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, EsError> {
        let Some(found) = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        else {
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(EsError::illegal_argument(format!(
                    "line [{}] of the bulk request is longer than {MAX_LINE_BYTES} bytes",
                    self.line + 1
                )));
            }
            return Ok(None);
        };
        let mut line = self.buffer.split_to(self.searched + found).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line))
    }

    fn operation(&mut self, action: Action, source: Bytes) -> Result<Operation, EsError> {
        self.operations += 1;
        let index = action.index.filter(|name| !name.is_empty());
        let Some(index) = index else {
            return Err(EsError::validation(&["index is missing"]));
        };
        let index = targets::resolve_name(&index)?;
        if action.id.is_none() && matches!(action.kind, ActionKind::Update | ActionKind::Delete) {
            return Err(EsError::validation(&["id is missing"]));
        }
        let size_bytes = source.len() + index.len() + 128;
        let kind = match action.kind {
            ActionKind::Index => WriteKind::Index {
                source,
                create_only: false,
            },
            ActionKind::Create => WriteKind::Index {
                source,
                create_only: true,
            },
            ActionKind::Update => WriteKind::Update(update::parse(&source, self.shape)?.update),
            ActionKind::Delete => WriteKind::Delete,
        };
        let op = WriteOp {
            index,
            id: action.id,
            routing: action.routing,
            kind,
            if_seq_no: action.if_seq_no,
            if_primary_term: action.if_primary_term,
            version: action.version,
            version_type: action.version_type,
            require_alias: action.require_alias,
        };
        Ok(Operation {
            kind: action.kind,
            op,
            size_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], chunk: usize, defaults: &Defaults) -> Result<Vec<Operation>, EsError> {
        let mut reader = Reader::new(defaults.clone(), Shape::Es);
        let mut operations = Vec::new();
        for piece in body.chunks(chunk) {
            reader.push(piece);
            while let Some(operation) = reader.next_operation()? {
                operations.push(operation);
            }
        }
        reader.finish()?;
        Ok(operations)
    }

    fn reason(error: &EsError) -> String {
        error.render(Shape::Es, false)["error"]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn operations_are_the_same_however_the_body_is_cut() {
        let body = b"{\"index\":{\"_index\":\"a\",\"_id\":7}}\r\n{\"x\":1}\r\n\n{\"delete\":{\"_index\":\"b\",\"_id\":\"d\"}}\n";
        for chunk in [1, 2, 7, 1000] {
            let operations = read(body, chunk, &Defaults::default()).unwrap();
            assert_eq!(operations.len(), 2);
            assert_eq!(operations[0].op.id.as_deref(), Some("7"));
            let WriteKind::Index {
                source,
                create_only: false,
            } = &operations[0].op.kind
            else {
                panic!()
            };
            assert_eq!(&source[..], b"{\"x\":1}");
            assert!(matches!(operations[1].op.kind, WriteKind::Delete));
        }
    }

    #[test]
    fn the_last_line_must_end() {
        let error = read(
            b"{\"index\":{\"_index\":\"a\"}}\n{\"x\":1}",
            1000,
            &Defaults::default(),
        )
        .unwrap_err();
        assert_eq!(
            reason(&error),
            "The bulk request must be terminated by a newline [\\n]"
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        let parse =
            |body: &str| reason(&read(body.as_bytes(), 1000, &Defaults::default()).unwrap_err());
        assert_eq!(
            parse("{\"foo\":{\"_index\":\"docs1\"}}\n{}\n"),
            "Malformed action/metadata line [1], expected field [create], [delete], [index] or [update] but found [foo]"
        );
        assert_eq!(
            parse("{\"index\":{\"_index\":\"a\",\"_foo\":1}}\n{}\n"),
            "Action/metadata line [1] contains an unknown parameter [_foo]"
        );
        assert_eq!(
            parse("{\"index\":{}}\n{}\n"),
            "Validation Failed: 1: index is missing;"
        );
        assert_eq!(parse("\n"), "Validation Failed: 1: no requests added;");
        assert!(parse("{\"index\":{\"_index\":\"a\"}}\n").contains("not followed by a source"));
    }

    #[test]
    fn the_url_fills_in_what_lines_leave_out() {
        let defaults = Defaults {
            index: Some("i".into()),
            routing: Some("r".into()),
            ..Defaults::default()
        };
        let operations = read(
            b"{\"index\":{}}\n{}\n{\"create\":{\"_index\":\"j\",\"routing\":\"s\"}}\n{}\n",
            9,
            &defaults,
        )
        .unwrap();
        let seen: Vec<_> = operations
            .iter()
            .map(|one| (one.op.index.as_str(), one.op.routing.as_deref().unwrap()))
            .collect();
        assert_eq!(seen, [("i", "r"), ("j", "s")]);
    }

    #[test]
    fn pipelines_are_refused_but_none_is_no_pipeline() {
        let none = Defaults {
            pipeline: Some("_none".into()),
            index: Some("i".into()),
            ..Defaults::default()
        };
        assert_eq!(read(b"{\"index\":{}}\n{}\n", 100, &none).unwrap().len(), 1);
        let some = Defaults {
            pipeline: Some("p".into()),
            index: Some("i".into()),
            ..Defaults::default()
        };
        assert_eq!(
            reason(&read(b"{\"index\":{}}\n{}\n", 100, &some).unwrap_err()),
            "pipeline with id [p] does not exist"
        );
    }
}
