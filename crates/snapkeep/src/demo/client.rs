//! Requests over HTTP, each shown as the curl line that does the same.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use snapkeep_api::native::types::JobState;

use super::story::Story;
use crate::exit::Failure;

/// Sends requests to the demo's server.
#[derive(Debug)]
pub struct DemoClient<'a> {
    base: String,
    http: reqwest::Client,
    story: &'a Story,
}

impl<'a> DemoClient<'a> {
    /// Requests go to `base`.
    pub fn new(base: &str, story: &'a Story) -> Self {
        Self {
            base: base.to_owned(),
            http: reqwest::Client::new(),
            story,
        }
    }

    /// Shows and sends a request with an optional JSON body.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        self.show_only(method.clone(), path, body.as_ref());
        self.quietly(method, path, body).await
    }

    /// Shows a request that is not sent as shown: one that stands for many.
    pub fn show_only(&self, method: Method, path: &str, body: Option<&Value>) {
        let verb = if method == Method::GET {
            String::new()
        } else {
            format!(" -X {method}")
        };
        let data = body
            .map(|body| format!(" -H 'Content-Type: application/json' -d '{body}'"))
            .unwrap_or_default();
        self.story
            .command(&format!("curl{verb} '{}{path}'{data}", self.base));
    }

    /// Sends a request without showing it: one of many of the same kind.
    pub async fn quietly(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        self.transfer(method, path, "application/json", text).await
    }

    /// Shows and sends a `_bulk` body that also lies in `file`.
    pub async fn bulk(
        &self,
        file: &std::path::Path,
        body: String,
        show: bool,
    ) -> Result<Value, Failure> {
        std::fs::write(file, &body)?;
        if show {
            self.story.command(&format!(
                "curl -X POST '{}/_bulk' -H 'Content-Type: application/x-ndjson' --data-binary @{}",
                self.base,
                file.display()
            ));
        }
        let answer = self
            .transfer(Method::POST, "/_bulk", "application/x-ndjson", body)
            .await?;
        if answer["errors"] != Value::Bool(false) {
            return Err(Failure::failed(format!(
                "the bulk request had errors: {}",
                shortened(&answer)
            )));
        }
        Ok(answer)
    }

    /// The status of a GET, whatever it is.
    pub async fn status_of(&self, path: &str) -> Result<(u16, Value), Failure> {
        let url = format!("{}{path}", self.base);
        self.story.command(&format!("curl '{url}'"));
        let response = self.http.get(&url).send().await.map_err(Failure::failed)?;
        let status = response.status().as_u16();
        Ok((status, response.json().await.map_err(Failure::failed)?))
    }

    /// Shows how a job is followed, and waits until it has succeeded.
    pub async fn finished(&self, accepted: &Value) -> Result<Value, Failure> {
        let id = accepted["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/jobs/{id}");
        self.show_only(Method::GET, &path, None);
        loop {
            let job = self.quietly(Method::GET, &path, None).await?;
            let state: JobState =
                serde_json::from_value(job["state"].clone()).map_err(Failure::failed)?;
            match state {
                JobState::Succeeded => return Ok(job),
                state if state.is_finished() => {
                    return Err(Failure::failed(format!("the job did not succeed: {job}")));
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn transfer(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<Value, Failure> {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .header("content-type", content_type);
        let request = if body.is_empty() {
            request
        } else {
            request.body(body)
        };
        let response = request
            .send()
            .await
            .map_err(|cause| Failure::failed(format!("{method} {path}: {cause}")))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(|cause| Failure::failed(format!("{method} {path}: {cause}")))?;
        if !status.is_success() {
            return Err(Failure::failed(format!(
                "{method} {path} answered {status}: {text}"
            )));
        }
        serde_json::from_str(&text).map_err(|cause| {
            Failure::failed(format!(
                "{method} {path} answered no JSON ({cause}): {text}"
            ))
        })
    }
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}
