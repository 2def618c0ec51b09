//! A query made ready for one index: field types looked up, values converted, then asked of documents.

mod compile;
mod test;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::SearchError;
use super::document::{Wanted, any_value};
use super::query::Query;
use crate::{DocumentRef, IndexMeta};
use test::Test;

/// A query for the documents of one index.
pub(super) struct Matcher {
    node: Node,
    /// Fields of the source it needs.
    pub(super) wanted: Wanted,
}

/// Where values come from.
enum Place {
    /// A path in the source.
    Source(String),
    Id,
    Routing,
    SeqNo,
    Version,
}

enum Node {
    All(f32),
    Nothing,
    Ids(HashSet<String>, f32),
    Exists(Place, f32),
    Has {
        place: Place,
        test: Test,
        boost: f32,
    },
    /// Any of them; the best counts.
    Any(Vec<Node>),
    Bool {
        must: Vec<Node>,
        filter: Vec<Node>,
        should: Vec<Node>,
        must_not: Vec<Node>,
        least: usize,
        boost: f32,
    },
    Constant(Box<Node>, f32),
}

impl Matcher {
    /// `now_ms`: the moment of `now` in date math.
    pub(super) fn new(query: &Query, index: &IndexMeta, now_ms: i64) -> Result<Self, SearchError> {
        let mut compiler = compile::Compiler {
            index,
            now_ms,
            wanted: Wanted::default(),
        };
        let node = compiler.query(query)?;
        Ok(Matcher {
            node,
            wanted: compiler.wanted,
        })
    }

    /// Matches every document.
    pub(super) fn is_all(&self) -> bool {
        matches!(self.node, Node::All(_))
    }

    /// Matches no document.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.node, Node::Nothing)
    }

    /// The only ids that can match, where the query says so.
    pub(super) fn ids(&self) -> Option<&HashSet<String>> {
        match &self.node {
            Node::Ids(ids, _) => Some(ids),
            _ => None,
        }
    }

    /// The score of a document, `None` when it does not match. `fields` holds at least the wanted ones.
    pub(super) fn score(
        &self,
        document: &DocumentRef<'_>,
        fields: &Map<String, Value>,
    ) -> Option<f32> {
        self.node.score(document, fields)
    }
}

impl Place {
    fn any(
        &self,
        document: &DocumentRef<'_>,
        fields: &Map<String, Value>,
        visit: &mut dyn FnMut(&Value) -> bool,
    ) -> bool {
        match self {
            Place::Source(path) => any_value(fields, path, visit),
            Place::Id => visit(&Value::from(document.id)),
            Place::Routing => document
                .routing
                .is_some_and(|routing| visit(&Value::from(routing))),
            Place::SeqNo => visit(&Value::from(document.seq_no)),
            Place::Version => visit(&Value::from(document.version)),
        }
    }
}

impl Node {
    fn score(&self, document: &DocumentRef<'_>, fields: &Map<String, Value>) -> Option<f32> {
        match self {
            Node::All(boost) => Some(*boost),
            Node::Nothing => None,
            Node::Ids(ids, boost) => ids.contains(document.id).then_some(*boost),
            Node::Exists(place, boost) => {
                place.any(document, fields, &mut |_| true).then_some(*boost)
            }
            Node::Has { place, test, boost } => {
                let mut tally = test.start();
                place.any(document, fields, &mut |value| test.take(value, &mut tally));
                test.score(&tally).map(|score| score * boost)
            }
            Node::Any(nodes) => nodes
                .iter()
                .filter_map(|node| node.score(document, fields))
                .reduce(f32::max),
            Node::Bool {
                must,
                filter,
                should,
                must_not,
                least,
                boost,
            } => {
                let matches = |node: &Node| node.score(document, fields).is_some();
                if must_not.iter().any(matches) || !filter.iter().all(matches) {
                    return None;
                }
                let mut score = 0.0;
                for node in must {
                    score += node.score(document, fields)?;
                }
                let mut matched = 0;
                for node in should {
                    if let Some(part) = node.score(document, fields) {
                        matched += 1;
                        score += part;
                    }
                }
                (matched >= *least).then_some(score * boost)
            }
            Node::Constant(node, boost) => node.score(document, fields).map(|_| *boost),
        }
    }
}
