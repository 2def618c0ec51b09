//! Errors as Elasticsearch words them: one table of type and status, one envelope.
//!
//! [`ErrorKind::row`] is the only place where a type name meets a status. Everything else names a kind and a reason;
//! the shape of the listener decides which column of the table is used.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::config::Shape;

/// One line of the table: what a kind of error is called and which status it has in each shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    name: [&'static str; 2],
    status: [u16; 2],
    is_own: bool,
}

impl Row {
    /// An exception class of Elasticsearch itself: may be a root cause of another one.
    const fn own(name: &'static str, status: u16) -> Self {
        Self {
            name: [name, name],
            status: [status, status],
            is_own: true,
        }
    }

    /// A class of the Java library: never replaces an own exception as the root cause.
    const fn java(name: &'static str, status: u16) -> Self {
        Self {
            name: [name, name],
            status: [status, status],
            is_own: false,
        }
    }

    /// What OpenSearch answers where it differs.
    const fn opensearch(mut self, name: &'static str, status: u16) -> Self {
        self.name[1] = name;
        self.status[1] = status;
        self
    }
}

const fn column(shape: Shape) -> usize {
    match shape {
        Shape::Es => 0,
        Shape::OpenSearch => 1,
    }
}

/// Declares the kinds together with their rows, so that no kind can be without one.
macro_rules! error_table {
    ($($(#[$doc:meta])* $kind:ident => $row:expr;)*) => {
        /// Everything that can go wrong, by the name that clients see.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The line of the table for this kind.
            pub const fn row(self) -> Row {
                match self { $(Self::$kind => $row,)* }
            }
        }
    };
}

error_table! {
    /// No repository of that name.
    RepositoryMissing => Row::own("repository_missing_exception", 404);
    /// The repository cannot be made or used as asked.
    Repository => Row::own("repository_exception", 500);
    /// The repository cannot be reached or written.
    RepositoryVerification => Row::own("repository_verification_exception", 500);
    /// The repository is in use by a snapshot or restore.
    RepositoryConflict => Row::own("repository_conflict_exception", 409).opensearch("illegal_state_exception", 500);
    /// A write to a repository registered as read-only (creating).
    RepositoryReadOnly => Row::java("illegal_argument_exception", 400).opensearch("repository_exception", 500);
    /// No snapshot of that name.
    SnapshotMissing => Row::own("snapshot_missing_exception", 404);
    /// The name of a snapshot breaks a rule.
    InvalidSnapshotName => Row::own("invalid_snapshot_name_exception", 400);
    /// The name of a snapshot is taken, finished or running.
    SnapshotNameInUse => Row::own("snapshot_name_already_in_use_exception", 400).opensearch("invalid_snapshot_name_exception", 400);
    /// The snapshot cannot be taken.
    Snapshot => Row::own("snapshot_exception", 500);
    /// The snapshot cannot be restored.
    SnapshotRestore => Row::own("snapshot_restore_exception", 500);
    /// An index that is being snapshotted cannot be deleted or closed.
    SnapshotInProgress => Row::own("snapshot_in_progress_exception", 400);
    /// Another operation on snapshots stands in the way.
    ConcurrentSnapshot => Row::own("concurrent_snapshot_execution_exception", 503);
    /// No index, alias or data stream of that name.
    IndexNotFound => Row::own("index_not_found_exception", 404);
    /// An index of that name is there already.
    ResourceAlreadyExists => Row::own("resource_already_exists_exception", 400);
    /// Something named (a template, a script, a policy) does not exist.
    ResourceNotFound => Row::own("resource_not_found_exception", 404);
    /// The name of an index breaks a rule.
    InvalidIndexName => Row::own("invalid_index_name_exception", 400);
    /// The name of an alias breaks a rule.
    InvalidAliasName => Row::own("invalid_alias_name_exception", 400);
    /// No such alias.
    AliasesNotFound => Row::own("aliases_not_found_exception", 404);
    /// The index is closed.
    IndexClosed => Row::own("index_closed_exception", 400);
    /// The caller may not do this.
    Unauthorized => Row::own("security_exception", 403);
    /// The index is blocked for this operation.
    ClusterBlock => Row::own("cluster_block_exception", 403);
    /// No such index template.
    IndexTemplateMissing => Row::own("index_template_missing_exception", 404);
    /// The document does not exist.
    DocumentMissing => Row::own("document_missing_exception", 404);
    /// The document changed meanwhile, or exists already.
    VersionConflict => Row::own("version_conflict_engine_exception", 409);
    /// A document does not fit the mapping, or is no JSON object.
    DocumentParsing => Row::own("document_parsing_exception", 400).opensearch("mapper_parsing_exception", 400);
    /// A document brings a field into a mapping that takes no new ones.
    StrictDynamicMapping => Row::own("strict_dynamic_mapping_exception", 400);
    /// A mapping is wrong.
    MapperParsing => Row::own("mapper_parsing_exception", 400);
    /// The body is JSON but not what this call takes.
    Parse => Row::own("parse_exception", 400);
    /// A part of a query is wrong.
    Parsing => Row::own("parsing_exception", 400);
    /// A name in a query stands for nothing, below [`Self::Parsing`].
    NamedObjectNotFound => Row::java("named_object_not_found_exception", 400);
    /// A search contradicts itself, seen by a shard.
    Search => Row::own("search_exception", 500);
    /// A query cannot be built for the index.
    QueryShard => Row::own("query_shard_exception", 400);
    /// A search failed in every shard.
    SearchPhaseExecution => Row::own("search_phase_execution_exception", 400);
    /// A scroll or point in time is gone.
    SearchContextMissing => Row::own("search_context_missing_exception", 404);
    /// Too many requests or contexts.
    RejectedExecution => Row::java("rejected_execution_exception", 429).opensearch("rejected_execution_exception", 429);
    /// A status without a class of its own.
    Status => Row::own("status_exception", 400);
    /// A parameter, key or value is not allowed.
    IllegalArgument => Row::java("illegal_argument_exception", 400);
    /// The request lacks something or contradicts itself.
    Validation => Row::java("action_request_validation_exception", 400);
    /// The state of the server does not allow it.
    IllegalState => Row::java("illegal_state_exception", 500);
    /// A sort key of a table is unknown.
    UnknownSortKey => Row::java("illegal_argument_exception", 400).opensearch("unsupported_operation_exception", 500);
    /// A value is no number.
    NumberFormat => Row::java("number_format_exception", 400);
    /// A regular expression is wrong.
    PatternSyntax => Row::java("pattern_syntax_exception", 400);
    /// A group of a regular expression does not exist.
    IndexOutOfBounds => Row::java("index_out_of_bounds_exception", 500);
    /// A body has a key that the call does not know.
    UnknownField => Row::java("x_content_parse_exception", 400);
    /// The body is no JSON.
    XContentParse => Row::java("x_content_parse_exception", 400).opensearch("json_parse_exception", 400);
    /// The body ends too early.
    XContentEof => Row::java("x_content_e_o_f_exception", 400).opensearch("json_e_o_f_exception", 400);
    /// The parser's own complaint, below [`Self::XContentParse`].
    JsonParse => Row::java("json_parse_exception", 400);
    /// The parser's own complaint, below [`Self::XContentEof`].
    JsonEof => Row::java("json_e_o_f_exception", 400);
    /// A file is not there.
    NoSuchFile => Row::java("no_such_file_exception", 500);
    /// A file may not be read or written.
    AccessDenied => Row::java("access_denied_exception", 500);
    /// Any other failure of a disk or a connection.
    Io => Row::java("i_o_exception", 500);
    /// Something failed that the caller cannot mend.
    Exception => Row::own("exception", 500);
}

impl ErrorKind {
    /// The name that clients see as `type`.
    pub const fn name(self, shape: Shape) -> &'static str {
        self.row().name[column(shape)]
    }

    /// The HTTP status, also printed as `status`.
    pub const fn status(self, shape: Shape) -> u16 {
        self.row().status[column(shape)]
    }

    fn is_own(self, shape: Shape) -> bool {
        // Where OpenSearch has another class for a kind, the class's name tells whose it is.
        match self.name(shape) {
            "illegal_state_exception"
            | "illegal_argument_exception"
            | "json_parse_exception"
            | "json_e_o_f_exception"
            | "unsupported_operation_exception" => false,
            "repository_exception" => true,
            _ => self.row().is_own,
        }
    }

    /// An error of this kind.
    pub fn error(self, reason: impl Into<String>) -> EsError {
        EsError::new(self, reason)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Body {
    Exception {
        kind: ErrorKind,
        reason: Option<String>,
        fields: Vec<(String, Value)>,
        cause: Option<EsError>,
        status: Option<u16>,
        /// What `root_cause` lists instead of the innermost own error.
        roots: Vec<EsError>,
    },
    /// `{"error": text, "status": n}`, as the router itself answers.
    Plain {
        status: u16,
        text: String,
        with_status: bool,
    },
}

/// An error answer, not yet bound to a shape.
///
/// Built from an [`ErrorKind`]; [`EsError::render`] gives the status and the envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct EsError {
    body: Box<Body>,
    allow: Option<String>,
}

impl EsError {
    /// An error of `kind` with its reason.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        let body = Body::Exception {
            kind,
            reason: Some(reason.into()),
            fields: Vec::new(),
            cause: None,
            status: None,
            roots: Vec::new(),
        };
        Self {
            body: Box::new(body),
            allow: None,
        }
    }

    /// 400 `illegal_argument_exception`.
    pub fn illegal_argument(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::IllegalArgument, reason)
    }

    /// 400 `action_request_validation_exception`; the problems are numbered as Elasticsearch does.
    pub fn validation(problems: &[&str]) -> Self {
        let mut reason = "Validation Failed: ".to_owned();
        for (position, problem) in problems.iter().enumerate() {
            reason.push_str(&format!("{}: {problem};", position + 1));
        }
        Self::new(ErrorKind::Validation, reason)
    }

    /// 404 for an index, with the fields that curator reads.
    pub fn index_not_found(index: &str) -> Self {
        Self::new(ErrorKind::IndexNotFound, format!("no such index [{index}]"))
            .field("resource.type", "index_or_alias")
            .field("resource.id", index)
            .field("index_uuid", "_na_")
            .field("index", index)
    }

    /// A router's answer: `{"error": text, "status": n}`.
    pub fn plain(status: u16, text: impl Into<String>) -> Self {
        Self {
            body: Box::new(Body::Plain {
                status,
                text: text.into(),
                with_status: true,
            }),
            allow: None,
        }
    }

    /// A router's answer without the `status` key.
    pub fn plain_without_status(status: u16, text: impl Into<String>) -> Self {
        Self {
            body: Box::new(Body::Plain {
                status,
                text: text.into(),
                with_status: false,
            }),
            allow: None,
        }
    }

    /// Adds a key beside `type` and `reason`, also in `root_cause`.
    #[must_use]
    pub fn field(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Body::Exception { fields, .. } = &mut *self.body {
            fields.push((key.to_owned(), value.into()));
        }
        self
    }

    /// Puts `cause` below this error as `caused_by`.
    #[must_use]
    pub fn caused_by(mut self, inner: EsError) -> Self {
        if let Body::Exception { cause, .. } = &mut *self.body {
            *cause = Some(inner);
        }
        self
    }

    /// Sets what `root_cause` lists: the errors of the shards, for a search that failed in all of them.
    #[must_use]
    pub fn with_roots(mut self, errors: Vec<EsError>) -> Self {
        if let Body::Exception { roots, .. } = &mut *self.body {
            *roots = errors;
        }
        self
    }

    /// Answers with a status other than the table's, for the few answers whose status depends on the cause.
    #[must_use]
    pub fn with_status(mut self, code: u16) -> Self {
        match &mut *self.body {
            Body::Exception { status, .. } => *status = Some(code),
            Body::Plain { status, .. } => *status = code,
        }
        self
    }

    /// Sets the `Allow` header.
    #[must_use]
    pub fn with_allow(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    /// The methods for the `Allow` header, if any.
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The kind, unless this is a router's plain answer.
    pub fn kind(&self) -> Option<ErrorKind> {
        match &*self.body {
            Body::Exception { kind, .. } => Some(*kind),
            Body::Plain { .. } => None,
        }
    }

    /// The reason, or the text of a router's plain answer.
    pub fn reason(&self) -> Option<&str> {
        match &*self.body {
            Body::Exception { reason, .. } => reason.as_deref(),
            Body::Plain { text, .. } => Some(text),
        }
    }

    /// The HTTP status in a shape.
    pub fn status(&self, shape: Shape) -> StatusCode {
        let code = match &*self.body {
            Body::Exception {
                status: Some(code), ..
            } => *code,
            Body::Exception { kind, .. } => kind.status(shape),
            Body::Plain { status, .. } => *status,
        };
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The whole body: envelope, root cause and status.
    pub fn render(&self, shape: Shape, with_trace: bool) -> Value {
        let status = self.status(shape).as_u16();
        match &*self.body {
            Body::Plain {
                text,
                with_status: true,
                ..
            } => json!({ "error": text, "status": status }),
            Body::Plain { text, .. } => json!({ "error": text }),
            Body::Exception { roots, .. } => {
                let mut error = Map::new();
                let listed = if roots.is_empty() {
                    std::slice::from_ref(self.root(shape))
                } else {
                    roots
                };
                let root_cause: Vec<_> = listed
                    .iter()
                    .map(|root| root.object(shape, false, with_trace))
                    .collect();
                error.insert("root_cause".into(), json!(root_cause));
                error.extend(self.object(shape, true, with_trace));
                json!({ "error": error, "status": status })
            }
        }
    }

    /// The error without envelope: what an item of `_bulk`, `_mget` or `failures` shows.
    pub fn object(&self, shape: Shape, with_cause: bool, with_trace: bool) -> Map<String, Value> {
        let mut object = Map::new();
        match &*self.body {
            Body::Plain { text, .. } => {
                object.insert("type".into(), "exception".into());
                object.insert("reason".into(), text.clone().into());
            }
            Body::Exception {
                kind,
                reason,
                fields,
                cause,
                ..
            } => {
                object.insert("type".into(), kind.name(shape).into());
                object.insert("reason".into(), reason.clone().into());
                for (key, value) in fields {
                    object.insert(key.clone(), value.clone());
                }
                if let (true, Some(cause)) = (with_cause, cause) {
                    object.insert(
                        "caused_by".into(),
                        cause.object(shape, true, with_trace).into(),
                    );
                }
                if with_trace {
                    object.insert("stack_trace".into(), self.trace(shape).into());
                }
            }
        }
        object
    }

    /// The innermost error of the chain that is Elasticsearch's own, as clients expect in `root_cause`.
    fn root(&self, shape: Shape) -> &Self {
        let Body::Exception {
            kind,
            cause: Some(cause),
            ..
        } = &*self.body
        else {
            return self;
        };
        let descends = kind.is_own(shape) && cause.kind().is_some_and(|inner| inner.is_own(shape));
        if descends { cause.root(shape) } else { self }
    }

    /// There are no Java frames to show; the chain of causes is what a reader wants from a trace.
    fn trace(&self, shape: Shape) -> String {
        let mut lines = String::new();
        let mut current = Some(self);
        while let Some(error) = current {
            let Body::Exception {
                kind,
                reason,
                cause,
                ..
            } = &*error.body
            else {
                break;
            };
            let lead = if lines.is_empty() { "" } else { "Caused by: " };
            lines.push_str(&format!(
                "{lead}{}: {}\n",
                kind.name(shape),
                reason.as_deref().unwrap_or_default()
            ));
            current = cause.as_ref();
        }
        lines
    }
}

impl std::fmt::Display for EsError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.body {
            Body::Exception { kind, reason, .. } => {
                write!(
                    formatter,
                    "{}: {}",
                    kind.name(Shape::Es),
                    reason.as_deref().unwrap_or_default()
                )
            }
            Body::Plain { text, .. } => formatter.write_str(text),
        }
    }
}

impl std::error::Error for EsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_repeats_the_error_as_root_cause() {
        let error = ErrorKind::RepositoryMissing.error("[r] missing");
        assert_eq!(
            error.render(Shape::Es, false),
            json!({"error": {"root_cause": [{"type": "repository_missing_exception", "reason": "[r] missing"}],
                "type": "repository_missing_exception", "reason": "[r] missing"}, "status": 404})
        );
    }

    #[test]
    fn the_root_cause_is_the_innermost_own_exception() {
        let error = ErrorKind::Repository
            .error("[r] failed to create repository")
            .caused_by(ErrorKind::Repository.error("[r] missing location"));
        let body = error.render(Shape::Es, false);
        assert_eq!(
            body["error"]["root_cause"][0]["reason"],
            "[r] missing location"
        );
        assert_eq!(body["error"]["caused_by"]["reason"], "[r] missing location");

        let java_cause = ErrorKind::Repository
            .error("[r] failed to create repository")
            .caused_by(ErrorKind::IllegalArgument.error("bad size"));
        let body = java_cause.render(Shape::Es, false);
        assert_eq!(
            body["error"]["root_cause"][0]["reason"],
            "[r] failed to create repository"
        );
    }

    #[test]
    fn shapes_differ_where_the_servers_do() {
        let conflict = ErrorKind::RepositoryConflict;
        assert_eq!(
            (conflict.name(Shape::Es), conflict.status(Shape::Es)),
            ("repository_conflict_exception", 409)
        );
        assert_eq!(
            (
                conflict.name(Shape::OpenSearch),
                conflict.status(Shape::OpenSearch)
            ),
            ("illegal_state_exception", 500)
        );
    }

    #[test]
    fn every_kind_has_an_error_status() {
        for kind in ErrorKind::ALL {
            for shape in [Shape::Es, Shape::OpenSearch] {
                assert!((400..600).contains(&kind.status(shape)), "{kind:?}");
                assert!(
                    kind.name(shape)
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c == '_')
                );
            }
        }
    }

    #[test]
    fn a_trace_names_the_chain() {
        let error = ErrorKind::Repository
            .error("top")
            .caused_by(ErrorKind::Io.error("disk gone"));
        let body = error.render(Shape::Es, true);
        let trace = body["error"]["stack_trace"].as_str().unwrap();
        assert!(
            trace.contains("repository_exception: top")
                && trace.contains("Caused by: i_o_exception: disk gone")
        );
    }
}
