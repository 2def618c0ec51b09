//! `/v1/graphql`: `Get` with filters, sorting, cursors and exact vector search; `Aggregate` for counts.
//!
//! The schema of a class is small, so requests are parsed and executed here against the class itself, without a GraphQL library.

mod additional;
mod aggregate;
mod answer;
mod arguments;
mod get;
mod lexer;
mod parser;
mod properties;
mod syntax;

use serde_json::{Value, json};

use super::errors::WvError;
use super::json::Fields;
use super::request::WvRequest;
use super::response::WvResponse;
use super::routes::{RouteTable, WvResult};
use super::state::blocking;
use answer::{Answer, Failure};
use syntax::Field;

/// Adds the routes.
pub(super) fn register(table: &mut RouteTable) {
    table.post("/graphql", one);
    table.post("/graphql/batch", many);
}

async fn one(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "GraphQLQuery")?;
    blocking(move || Ok(WvResponse::value(&execute(&request, &fields)?))).await
}

async fn many(request: WvRequest) -> WvResult {
    let Value::Array(items) = request.value("body")? else {
        return Err(WvError::undecodable(
            "body",
            "json: cannot unmarshal object into Go value of type models.GraphQLQueries",
        ));
    };
    if items.is_empty() {
        return Err(WvError::unprocessable("query cannot be empty"));
    }
    blocking(move || {
        let answers: Result<Vec<Value>, WvError> = items
            .into_iter()
            .map(|item| execute(&request, &Fields::of_body(item, "body", "GraphQLQuery")?))
            .collect();
        Ok(WvResponse::value(&answers?))
    })
    .await
}

/// Executes one query. What is wrong in it is part of the answer; what is not offered is an error.
fn execute(request: &WvRequest, fields: &Fields) -> Result<Value, WvError> {
    let query = fields.string("query")?.unwrap_or_default();
    if query.is_empty() {
        return Err(WvError::unprocessable("query cannot be empty"));
    }
    let variables = match fields.object("variables", "map[string]interface {}")? {
        Some(variables) => variables.into_map(),
        None => serde_json::Map::new(),
    };
    let operation = fields.string("operationName")?;
    let fields = match parser::parse(&query, &variables, operation.as_deref()) {
        Ok(fields) => fields,
        Err(failure) => return Ok(Answer::refused(failure)),
    };
    match run(request, &fields) {
        Ok(answer) => Ok(answer.into_value()),
        Err(Stop::Query(failure)) => Ok(Answer::refused(failure)),
        Err(Stop::Request(error)) => Err(error),
    }
}

/// Why a query gives no data at all.
enum Stop {
    /// It does not fit the schema.
    Query(Failure),
    /// It asks for what is not offered, or may not be asked for.
    Request(WvError),
}

impl From<WvError> for Stop {
    fn from(error: WvError) -> Self {
        Self::Request(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Query(failure)
    }
}

/// What answers the fields below a root. A text is a complaint about one of them.
type Resolve = fn(&WvRequest, &Field) -> Result<Result<Value, String>, Stop>;

fn run(request: &WvRequest, fields: &[Field]) -> Result<Answer, Stop> {
    let mut answer = Answer::default();
    for root in fields {
        let resolve: Resolve = match root.name.as_str() {
            "Get" => get::resolve,
            "Aggregate" => aggregate::resolve,
            "__typename" => {
                answer.insert(&[&root.key], json!("WeaviateObj"));
                continue;
            }
            "Explore" | "__schema" | "__type" => {
                return Err(WvError::not_offered(format!("GraphQL {}", root.name)).into());
            }
            _ => return Err(root.unknown_on("WeaviateObj").into()),
        };
        for class in &root.selections {
            let path = [root.key.as_str(), class.key.as_str()];
            match resolve(request, class)? {
                Ok(value) => answer.insert(&path, value),
                Err(message) => {
                    answer.insert(&path, Value::Null);
                    answer.fail(class, message, &path);
                }
            }
        }
    }
    Ok(answer)
}
