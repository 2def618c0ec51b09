//! Timed requests to one server, and the table of what they took.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::{Method, blocking::Client};
use serde_json::Value;

use crate::{measure, report};

/// One measured step: seconds and the size of the repository after it.
pub struct Step {
    label: String,
    seconds: f64,
    repository_bytes: u64,
}

/// A server, where it keeps its repository, and what was measured so far.
pub struct Subject {
    /// For requests that [`call`](Self::call) does not fit.
    pub client: Client,
    /// Address such as `http://127.0.0.1:9200`.
    pub url: String,
    /// The folder that is measured after each step.
    pub repository: PathBuf,
    steps: Vec<Step>,
}

impl Subject {
    /// Nothing measured yet.
    pub fn new(url: &str, repository: PathBuf) -> Result<Self> {
        let client = Client::builder()
            .timeout(Duration::from_secs(600))
            .build()?;
        Ok(Self {
            client,
            url: url.to_owned(),
            repository,
            steps: Vec::new(),
        })
    }

    /// Sends JSON and reads the answer; anything but success is an error.
    pub fn call(&self, method: &str, path: &str, body: Option<String>) -> Result<Value> {
        let method = Method::from_bytes(method.as_bytes())?;
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = request.send().with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let text = response.text()?;
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {text}");
        }
        // Some deletions answer with nothing.
        let text = if text.is_empty() { "null" } else { &text };
        Ok(serde_json::from_str(text)?)
    }

    /// A step that took this long.
    pub fn note(&mut self, label: &str, seconds: f64) -> Result<()> {
        let repository_bytes = if self.repository.exists() {
            measure::folder_size(&self.repository)?
        } else {
            0
        };
        eprintln!(
            "{} {label}: {seconds:.3} s, repository {:.1} MB",
            self.url,
            repository_bytes as f64 / 1e6
        );
        self.steps.push(Step {
            label: label.to_owned(),
            seconds,
            repository_bytes,
        });
        Ok(())
    }

    /// All that was measured.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

/// One line a step and server; the first column is ours.
pub fn print_steps(columns: &[(&str, &[Step])]) {
    println!("| step | server | s | repository MB | ours ÷ its time |");
    println!("| --- | --- | ---: | ---: | ---: |");
    let Some((_, ours)) = columns.first() else {
        return;
    };
    for (index, own) in ours.iter().enumerate() {
        for (name, steps) in columns {
            let Some(step) = steps.get(index) else {
                continue;
            };
            println!(
                "| {} | {name} | {:.3} | {:.1} | {} |",
                own.label,
                step.seconds,
                step.repository_bytes as f64 / 1e6,
                report::ratio(own.seconds, step.seconds)
            );
        }
    }
}
