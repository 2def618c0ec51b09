//! One call of the native API.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use snapkeep_api::native::types::Problem;
use tower::ServiceExt;

use super::trust;
use crate::exit::{Exit, Failure};
use crate::serve::App;

/// What a name may keep unescaped in a path.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Speaks the native API.
#[derive(Debug)]
pub struct Client {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Http { base: String, http: reqwest::Client },
    InProcess { router: Router, app: Box<App> },
}

impl Client {
    /// Talks to the server at `base`, with these headers in every request. `trusted`: a file with the certificates to trust, instead of
    /// those that the machine trusts.
    pub fn http(base: &str, headers: HeaderMap, trusted: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder().default_headers(headers);
        if let Some(file) = trusted {
            builder = builder.tls_backend_preconfigured(trust::only(file)?);
        }
        let http = builder.build().map_err(|cause| {
            Failure::failed(format!("cannot set up a client: {}", innermost(&cause)))
        })?;
        Ok(Self {
            backend: Backend::Http {
                base: base.trim_end_matches('/').to_owned(),
                http,
            },
        })
    }

    /// Works in this process.
    pub fn in_process(app: App) -> Self {
        Self {
            backend: Backend::InProcess {
                router: app.offline_router(),
                app: Box::new(app),
            },
        }
    }

    /// Calls `path` (segments are escaped) and reads the answer.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + ?Sized + Sync)>,
    ) -> Result<T, Failure> {
        self.exchange(method, target(path), body).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        target: String,
        body: Option<&(impl Serialize + ?Sized + Sync)>,
    ) -> Result<T, Failure> {
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(Failure::failed)?
            .unwrap_or_default();
        let (status, answer) = self.send(method, &target, body).await?;
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        // Answers without content are read as null, so that callers ask for `()`.
        let text: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(text).map_err(|cause| {
            Failure::failed(format!(
                "the server's answer to {target} cannot be read: {cause}"
            ))
            .hint("is it a Snapkeep of this version?")
        })
    }

    /// GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// GET with parameters.
    pub async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.exchange(Method::GET, with_query(path, query), None::<&()>)
            .await
    }

    /// POST with a body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    /// DELETE with parameters, where it is a job.
    pub async fn delete_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.exchange(Method::DELETE, with_query(path, query), None::<&()>)
            .await
    }

    /// Ends; work in this process is finished first.
    pub async fn close(self, deadline: std::time::Duration) {
        if let Backend::InProcess { app, .. } = self.backend {
            app.close(deadline).await;
        }
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        match &self.backend {
            Backend::Http { base, http } => {
                let request = http
                    .request(method, format!("{base}{target}"))
                    .header("content-type", "application/json")
                    .body(body);
                let unreachable = |cause: reqwest::Error| {
                    Failure::new(Exit::Unreachable, "unreachable", format!("no answer from {base}: {}", innermost(&cause)))
                        .hint(match is_about_trust(&cause) {
                            true => "trust its certificate with --ca-file FILE, and name the server as its certificate does",
                            false => "is the server running? start it with `snapkeep serve`, or name another with --server URL (https:// if it speaks TLS)",
                        })
                };
                let response = request.send().await.map_err(unreachable)?;
                let status = response.status();
                Ok((
                    status,
                    response.bytes().await.map_err(unreachable)?.to_vec(),
                ))
            }
            Backend::InProcess { router, .. } => {
                let request = Request::builder()
                    .method(method)
                    .uri(target)
                    .body(Body::from(body))
                    .map_err(Failure::failed)?;
                let response = router
                    .clone()
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {});
                let status = response.status();
                let answer = response
                    .into_body()
                    .collect()
                    .await
                    .map_err(Failure::failed)?;
                Ok((status, answer.to_bytes().to_vec()))
            }
        }
    }
}

/// The path below the API, each segment escaped.
fn target(path: &[&str]) -> String {
    let mut target = String::from("/api/v1");
    for segment in path {
        target.push('/');
        target.extend(utf8_percent_encode(segment, PATH_SEGMENT));
    }
    target
}

fn with_query(path: &[&str], query: &[(&str, String)]) -> String {
    let mut target = target(path);
    for (position, (name, value)) in query.iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        target.extend(utf8_percent_encode(value, PATH_SEGMENT));
    }
    target
}

fn is_about_trust(error: &dyn std::error::Error) -> bool {
    let text = innermost(error);
    ["certificate", "UnknownIssuer", "NotValidForName"]
        .iter()
        .any(|word| text.contains(word))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

fn refused(status: StatusCode, answer: &[u8]) -> Failure {
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        _ => Exit::Failed,
    };
    match serde_json::from_slice::<Problem>(answer) {
        Ok(Problem { error }) => Failure {
            exit,
            code: error.code,
            message: error.message,
            hint: error.hint,
        },
        Err(_) => Failure::failed(format!(
            "the server answered {status}: {}",
            String::from_utf8_lossy(answer)
                .chars()
                .take(300)
                .collect::<String>()
        ))
        .hint("is it a Snapkeep of this version?"),
    }
}
