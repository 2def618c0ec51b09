//! Answers of searches as text: sources go out byte for byte as they came in.

use std::fmt::Write;

use serde_json::Value;
use snapkeep_store::search::{Hit, SearchResult, TotalRelation};

/// What stands around the hits.
#[derive(Debug, Default)]
pub struct Frame {
    /// `_scroll_id`.
    pub scroll_id: Option<String>,
    /// `pit_id`.
    pub pit_id: Option<String>,
    /// Time since the request came, in milliseconds.
    pub took_ms: u128,
    /// `rest_total_hits_as_int`.
    pub total_as_int: bool,
}

/// The whole answer.
pub fn render(result: &SearchResult, frame: &Frame) -> String {
    let mut text = String::from("{");
    for (key, id) in [("_scroll_id", &frame.scroll_id), ("pit_id", &frame.pit_id)] {
        if let Some(id) = id {
            text.push_str(&format!("\"{key}\":{},", quoted(id)));
        }
    }
    let shards = result.shards;
    text.push_str(&format!(
        "\"took\":{},\"timed_out\":false,\"_shards\":{{\"total\":{shards},\"successful\":{shards},\"skipped\":0,\"failed\":0}},\"hits\":{{",
        frame.took_ms
    ));
    match (result.total, frame.total_as_int) {
        (Some(total), true) => text.push_str(&format!("\"total\":{},", total.value)),
        (None, true) => text.push_str("\"total\":-1,"),
        (Some(total), false) => {
            let relation = if total.relation == TotalRelation::Eq {
                "eq"
            } else {
                "gte"
            };
            text.push_str(&format!(
                "\"total\":{{\"value\":{},\"relation\":\"{relation}\"}},",
                total.value
            ));
        }
        (None, false) => {}
    }
    // With nothing to look at, a real server's highest score is 0, not null.
    let max_score = if shards == 0 {
        Some(0.0)
    } else {
        result.max_score
    };
    text.push_str(&format!("\"max_score\":{},\"hits\":[", score(max_score)));
    for (position, hit) in result.hits.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        add_hit(&mut text, hit);
    }
    text.push_str("]}}");
    text
}

fn add_hit(text: &mut String, hit: &Hit) {
    text.push_str(&format!(
        "{{\"_index\":{},\"_id\":{}",
        quoted(&hit.index),
        quoted(&hit.id)
    ));
    if let Some(version) = hit.version {
        text.push_str(&format!(",\"_version\":{version}"));
    }
    if let Some(seq_no) = hit.seq_no {
        text.push_str(&format!(",\"_seq_no\":{seq_no},\"_primary_term\":1"));
    }
    text.push_str(&format!(",\"_score\":{}", score(hit.score)));
    if let Some(routing) = &hit.routing {
        text.push_str(&format!(",\"_routing\":{}", quoted(routing)));
    }
    if let Some(source) = &hit.source {
        text.push_str(",\"_source\":");
        text.push_str(source.get());
    }
    if let Some(sort) = &hit.sort {
        text.push_str(",\"sort\":[");
        for (position, value) in sort.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{value}");
        }
        text.push(']');
    }
    text.push('}');
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn score(score: Option<f32>) -> String {
    score.map_or_else(|| "null".to_owned(), |score| Value::from(score).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snapkeep_store::search::TotalHits;

    #[test]
    fn hits_have_the_keys_in_their_usual_order() {
        let hit = Hit {
            index: "i".into(),
            id: "1\"".into(),
            routing: Some("r".into()),
            score: None,
            version: Some(3),
            seq_no: Some(7),
            source: serde_json::from_str("{\"n\": 1.0}").ok(),
            sort: Some(vec![json!(2), json!("x")]),
        };
        let result = SearchResult {
            total: Some(TotalHits {
                value: 1,
                relation: TotalRelation::Eq,
            }),
            max_score: None,
            hits: vec![hit],
            shards: 2,
        };
        let text = render(
            &result,
            &Frame {
                took_ms: 5,
                ..Frame::default()
            },
        );
        assert_eq!(
            text,
            "{\"took\":5,\"timed_out\":false,\"_shards\":{\"total\":2,\"successful\":2,\"skipped\":0,\"failed\":0},\"hits\":{\"total\":{\"value\":1,\"relation\":\"eq\"},\"max_score\":null,\"hits\":[{\"_index\":\"i\",\"_id\":\"1\\\"\",\"_version\":3,\"_seq_no\":7,\"_primary_term\":1,\"_score\":null,\"_routing\":\"r\",\"_source\":{\"n\": 1.0},\"sort\":[2,\"x\"]}]}}"
        );
        let as_int = render(
            &result,
            &Frame {
                total_as_int: true,
                ..Frame::default()
            },
        );
        assert!(as_int.contains("\"hits\":{\"total\":1,\"max_score\":null"));
    }
}
