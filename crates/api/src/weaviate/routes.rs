//! The table of routes: which handler answers which method and path.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;

use super::errors::WvError;
use super::request::WvRequest;
use super::response::WvResponse;

/// What a handler returns.
pub type WvResult = Result<WvResponse, WvError>;

type Answer = Pin<Box<dyn Future<Output = WvResult> + Send>>;
type Handler = Arc<dyn Fn(WvRequest) -> Answer + Send + Sync>;

/// One route; its path is the part after `/v1`.
#[derive(Clone)]
pub struct Route {
    method: Method,
    parts: Vec<Part>,
    handler: Handler,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(&'static str),
    Variable(&'static str),
}

impl Route {
    fn matches(&self, segments: &[String]) -> bool {
        self.parts.len() == segments.len()
            && self
                .parts
                .iter()
                .zip(segments)
                .all(|(part, segment)| match part {
                    Part::Literal(text) => text == segment,
                    Part::Variable(_) => true,
                })
    }

    /// Literal parts count more the further left they are.
    fn rank(&self) -> Vec<bool> {
        self.parts
            .iter()
            .map(|part| matches!(part, Part::Literal(_)))
            .collect()
    }

    /// Names of the variable parts with the segments that fill them.
    pub(super) fn capture(&self, segments: &[String]) -> Vec<(&'static str, String)> {
        self.parts
            .iter()
            .zip(segments)
            .filter_map(|(part, segment)| match part {
                Part::Variable(name) => Some((*name, segment.clone())),
                Part::Literal(_) => None,
            })
            .collect()
    }

    pub(super) fn call(&self, request: WvRequest) -> Answer {
        (self.handler)(request)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.method, self.parts)
    }
}

/// All routes.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A handler.
    Route(&'a Route),
    /// The path is known, the method is not; these are, as `Allow` lists them.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

impl RouteTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route; `{name}` in the path stands for one segment.
    pub fn add<H, F>(&mut self, method: Method, path: &'static str, handler: H)
    where
        H: Fn(WvRequest) -> F + Send + Sync + 'static,
        F: Future<Output = WvResult> + Send + 'static,
    {
        let parts = path.split('/').filter(|part| !part.is_empty()).map(part);
        self.routes.push(Route {
            method,
            parts: parts.collect(),
            handler: Arc::new(move |request| Box::pin(handler(request))),
        });
    }

    /// Adds a route for GET.
    pub fn get<H, F>(&mut self, path: &'static str, handler: H)
    where
        H: Fn(WvRequest) -> F + Send + Sync + 'static,
        F: Future<Output = WvResult> + Send + 'static,
    {
        self.add(Method::GET, path, handler);
    }

    /// Adds a route for POST.
    pub fn post<H, F>(&mut self, path: &'static str, handler: H)
    where
        H: Fn(WvRequest) -> F + Send + Sync + 'static,
        F: Future<Output = WvResult> + Send + 'static,
    {
        self.add(Method::POST, path, handler);
    }

    /// Adds a route for PUT.
    pub fn put<H, F>(&mut self, path: &'static str, handler: H)
    where
        H: Fn(WvRequest) -> F + Send + Sync + 'static,
        F: Future<Output = WvResult> + Send + 'static,
    {
        self.add(Method::PUT, path, handler);
    }

    /// Adds a route for DELETE.
    pub fn delete<H, F>(&mut self, path: &'static str, handler: H)
    where
        H: Fn(WvRequest) -> F + Send + Sync + 'static,
        F: Future<Output = WvResult> + Send + 'static,
    {
        self.add(Method::DELETE, path, handler);
    }

    /// Finds the route of a path, given as its segments after `/v1`.
    pub(super) fn find(&self, method: &Method, segments: &[String]) -> Found<'_> {
        let fitting = || self.routes.iter().filter(|route| route.matches(segments));
        let of_method = fitting().filter(|route| route.method == *method);
        if let Some(route) = of_method.max_by_key(|route| route.rank()) {
            return Found::Route(route);
        }
        let mut others: Vec<&str> = Vec::new();
        for route in fitting() {
            if !others.contains(&route.method.as_str()) {
                others.push(route.method.as_str());
            }
        }
        if others.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(others.join(","))
        }
    }
}

fn part(text: &'static str) -> Part {
    match text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        Some(name) => Part::Variable(name),
        None => Part::Literal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: WvRequest) -> WvResult {
        Ok(WvResponse::empty())
    }

    fn segments(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn a_literal_goes_before_a_variable() {
        let mut table = RouteTable::new();
        table.post("/objects/{id}", nothing);
        table.post("/objects/validate", nothing);
        table.get("/objects/{id}", nothing);
        let Found::Route(route) = table.find(&Method::POST, &segments("objects/validate")) else {
            panic!("no route");
        };
        assert!(route.capture(&segments("objects/validate")).is_empty());
        let Found::Route(route) = table.find(&Method::GET, &segments("objects/validate")) else {
            panic!("no route");
        };
        assert_eq!(
            route.capture(&segments("objects/validate")),
            [("id", "validate".to_owned())]
        );
    }

    #[test]
    fn other_methods_are_listed_once() {
        let mut table = RouteTable::new();
        table.get("/a/{x}", nothing);
        table.get("/a/b", nothing);
        table.put("/a/{x}", nothing);
        let Found::OtherMethods(methods) = table.find(&Method::POST, &segments("a/b")) else {
            panic!("should know the path");
        };
        assert_eq!(methods, "GET,PUT");
        assert!(matches!(
            table.find(&Method::GET, &segments("a")),
            Found::Nothing
        ));
    }
}
