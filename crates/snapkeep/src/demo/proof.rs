//! The proof: an index holds exactly the documents it should hold.

use http::Method;
use serde_json::{Value, json};

use super::client::DemoClient;
use super::corpus::Corpus;
use crate::exit::Failure;

/// Documents fetched by one request.
const BATCH: usize = 500;

/// Compares every document of `index` with `expected`: as many are there, and each is the same.
pub async fn compare(
    client: &DemoClient<'_>,
    index: &str,
    expected: &Corpus,
) -> Result<usize, Failure> {
    let count = client
        .send(Method::GET, &format!("/{index}/_count"), None)
        .await?;
    if count["count"] != json!(expected.documents.len()) {
        return Err(Failure::failed(format!(
            "index {index} has {} documents instead of {}",
            count["count"],
            expected.documents.len()
        )));
    }
    let all: Vec<(&String, &Value)> = expected.documents.iter().collect();
    for (number, batch) in all.chunks(BATCH).enumerate() {
        let ids: Vec<&String> = batch.iter().map(|(id, _)| *id).collect();
        let path = format!("/{index}/_mget");
        let body = Some(json!({"ids": ids}));
        if number == 0 {
            client.show_only(
                Method::POST,
                &path,
                Some(&json!({"ids": [ids.first(), "…"]})),
            );
        }
        let answer = client.quietly(Method::POST, &path, body).await?;
        let found = answer["docs"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if found.len() != batch.len() {
            return Err(Failure::failed(format!(
                "asked for {} documents, got {}",
                batch.len(),
                found.len()
            )));
        }
        for ((id, document), got) in batch.iter().zip(found) {
            if got["_id"] != json!(id) || got["_source"] != **document {
                return Err(Failure::failed(format!(
                    "document {id} of {index} is not what was written: {got}"
                )));
            }
        }
    }
    Ok(all.len())
}
