//! The table of routes: which handler answers which method and path, and which parameters it knows.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;

use super::access::{self, Access};
use super::config::Shape;
use super::errors::EsError;
use super::params;
use super::request::EsRequest;
use super::response::EsResponse;

/// What a handler returns.
pub type EsResult = Result<EsResponse, EsError>;

type Handler =
    Arc<dyn Fn(EsRequest) -> Pin<Box<dyn Future<Output = EsResult> + Send>> + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    method: Method,
    pattern: &'static str,
    known: Vec<&'static str>,
    only: Option<Shape>,
    is_streaming: bool,
    access: Access,
    handler: Handler,
}

impl Route {
    /// A route; `{name}` in the pattern stands for one segment.
    pub fn new<H, F>(method: Method, pattern: &'static str, handler: H) -> Self
    where
        H: Fn(EsRequest) -> F + Send + Sync + 'static,
        F: Future<Output = EsResult> + Send + 'static,
    {
        let captured = pattern.split('/').filter_map(capture_name);
        Self {
            access: access::of(&method, pattern),
            method,
            pattern,
            // A part of the path may be given in the query instead, as Elasticsearch allows.
            known: captured.collect(),
            only: None,
            is_streaming: false,
            handler: Arc::new(move |request| Box::pin(handler(request))),
        }
    }

    /// Query parameters that the handler reads, beside [`params::COMMON`].
    #[must_use]
    pub fn params(mut self, names: &[&'static str]) -> Self {
        self.known.extend_from_slice(names);
        self
    }

    /// Adds the parameters of tables.
    #[must_use]
    pub fn cat(self) -> Self {
        self.params(params::CAT)
    }

    /// Offered in one shape only.
    #[must_use]
    pub fn only(mut self, shape: Shape) -> Self {
        self.only = Some(shape);
        self
    }

    /// The handler takes the body as a stream ([`EsRequest::take_stream`]) instead of having it collected.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.is_streaming = true;
        self
    }

    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// What a caller needs for it.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    pub(super) fn call(
        &self,
        request: EsRequest,
    ) -> Pin<Box<dyn Future<Output = EsResult> + Send>> {
        (self.handler)(request)
    }

    /// Names of the variable parts with the segments that fill them.
    pub(super) fn capture(&self, segments: &[String]) -> Vec<(&'static str, String)> {
        self.pattern
            .split('/')
            .filter(|part| !part.is_empty())
            .zip(segments)
            .filter_map(|(part, segment)| capture_name(part).map(|name| (name, segment.clone())))
            .collect()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.pattern)
    }
}

fn capture_name(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<&'static str, Node>,
    variable: Option<Box<Node>>,
    routes: Vec<Arc<Route>>,
}

/// All routes of a listener, by path.
#[derive(Debug, Default)]
pub struct RouteTable {
    root: Node,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A handler.
    Route(Arc<Route>),
    /// The path is known, the method is not; these are.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

impl RouteTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. Of two with the same method and path the later one counts.
    pub fn add(&mut self, route: Route) {
        let mut node = &mut self.root;
        for part in route.pattern.split('/').filter(|part| !part.is_empty()) {
            node = match capture_name(part) {
                Some(_) => node.variable.get_or_insert_default(),
                None => node.literals.entry(part).or_default(),
            };
        }
        node.routes
            .retain(|other| other.method != route.method || other.only != route.only);
        node.routes.push(Arc::new(route));
    }

    /// Adds a `GET` route.
    pub fn get<H, F>(&mut self, pattern: &'static str, names: &[&'static str], handler: H)
    where
        H: Fn(EsRequest) -> F + Send + Sync + 'static,
        F: Future<Output = EsResult> + Send + 'static,
    {
        self.add(Route::new(Method::GET, pattern, handler).params(names));
    }

    /// Adds the same handler for several methods and patterns.
    pub fn each<H, F>(
        &mut self,
        methods: &[Method],
        patterns: &[&'static str],
        names: &[&'static str],
        handler: H,
    ) where
        H: Fn(EsRequest) -> F + Send + Sync + Clone + 'static,
        F: Future<Output = EsResult> + Send + 'static,
    {
        for pattern in patterns {
            for method in methods {
                self.add(Route::new(method.clone(), pattern, handler.clone()).params(names));
            }
        }
    }

    /// Method and pattern of all routes.
    #[cfg(test)]
    pub(super) fn routes(&self) -> Vec<(Method, &'static str)> {
        fn visit(node: &Node, found: &mut Vec<(Method, &'static str)>) {
            let own = node.routes.iter();
            found.extend(own.map(|route| (route.method.clone(), route.pattern)));
            let below = node.literals.values().chain(node.variable.as_deref());
            below.for_each(|child| visit(child, found));
        }
        let mut found = Vec::new();
        visit(&self.root, &mut found);
        found
    }

    /// Finds the handler. The most literal way through the tree that ends at a route decides, also about methods:
    /// `GET /_snapshot/r/_verify` is a wrong method, not a snapshot called `_verify`.
    pub(super) fn find(&self, method: &Method, segments: &[String], shape: Shape) -> Found {
        let offered = first_end(&self.root, segments, shape);
        if let Some(route) = offered.iter().find(|route| route.method == *method) {
            return Found::Route(Arc::clone(route));
        }
        let mut methods: Vec<Method> = offered.iter().map(|route| route.method.clone()).collect();
        methods.sort_by_key(order);
        methods.dedup();
        if methods.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(methods)
        }
    }
}

fn order(method: &Method) -> usize {
    ["GET", "POST", "PUT", "DELETE", "HEAD"]
        .iter()
        .position(|name| *name == method.as_str())
        .unwrap_or(usize::MAX)
}

/// The routes of a shape where the most literal way through the tree ends.
fn first_end<'a>(node: &'a Node, segments: &[String], shape: Shape) -> Vec<&'a Arc<Route>> {
    let Some((first, rest)) = segments.split_first() else {
        let is_offered = |route: &&Arc<Route>| route.only.is_none_or(|only| only == shape);
        return node.routes.iter().filter(is_offered).collect();
    };
    let literal = node.literals.get(first.as_str());
    let ways = literal.into_iter().chain(node.variable.as_deref());
    ways.map(|child| first_end(child, rest, shape))
        .find(|routes| !routes.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_request: EsRequest) -> EsResult {
        Ok(EsResponse::acknowledged())
    }

    fn table() -> RouteTable {
        let mut table = RouteTable::new();
        table.get("/_snapshot/_status", &[], nothing);
        table.get("/_snapshot/{repository}", &["local"], nothing);
        table.each(
            &[Method::PUT, Method::POST],
            &["/_snapshot/{repository}"],
            &[],
            nothing,
        );
        table.get(
            "/_snapshot/{repository}/{snapshot}/{index}/_status",
            &[],
            nothing,
        );
        table.add(Route::new(Method::GET, "/only", nothing).only(Shape::OpenSearch));
        table
    }

    fn find(method: Method, path: &str) -> String {
        let segments = crate::elasticsearch::path::segments(path).unwrap();
        match table().find(&method, &segments, Shape::Es) {
            Found::Route(route) => format!("{route:?}"),
            Found::OtherMethods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_most_literal_way_decides() {
        assert_eq!(
            find(Method::GET, "/_snapshot/_status/"),
            "GET /_snapshot/_status"
        );
        assert_eq!(find(Method::PUT, "/_snapshot/_status"), "[GET]");
        assert_eq!(find(Method::DELETE, "/_snapshot/r"), "[GET, POST, PUT]");
        assert_eq!(find(Method::GET, "/_snapshot/r/s/nothing"), "nothing");
        assert_eq!(find(Method::GET, "/only"), "nothing");
    }

    #[test]
    fn variable_parts_are_captured_by_name() {
        let segments =
            crate::elasticsearch::path::segments("/_snapshot/r%2F1/s/i/_status").unwrap();
        let Found::Route(route) = table().find(&Method::GET, &segments, Shape::Es) else {
            panic!("not found")
        };
        let expected = [("repository", "r/1"), ("snapshot", "s"), ("index", "i")]
            .map(|(n, v)| (n, v.to_owned()));
        assert_eq!(route.capture(&segments), expected);
    }
}
