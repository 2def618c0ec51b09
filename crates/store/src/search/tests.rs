//! Searching as specifications.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SearchError, SearchRequest, SearchResult, TotalRelation, count, search};
use crate::{IndexSpec, Store, StoreOptions, WriteOp, WriteOptions};

struct Fixture {
    store: Store,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    let settings = json!({"number_of_shards": 3});
    let mappings = json!({"properties": {"tag": {"type": "keyword"}}});
    let spec = IndexSpec {
        settings,
        mappings,
        aliases: json!({"alias": {}}),
    };
    store.create_index("i", spec).unwrap();
    let documents = [
        (
            "1",
            r#"{"title":"Quick brown fox","tag":"Red","n":1,"when":"2026-01-01","o":{"x":[1,2]},"ok":true}"#,
        ),
        (
            "2",
            r#"{"title":"Lazy brown dog","tag":"blue","n":2,"when":"2026-02-01T12:00:00Z","ok":false}"#,
        ),
        (
            "3",
            r#"{"title":"Quick blue dog","tag":["blue","green"],"n":30,"when":"2026-03-01","o":{"x":5}}"#,
        ),
        ("4", r#"{"tag":"grey","n":-4.5}"#),
    ];
    let ops = documents
        .iter()
        .map(|(id, source)| WriteOp::index("i", Some((*id).to_owned()), *source))
        .collect();
    for outcome in store.write(ops, &WriteOptions::default()) {
        outcome.unwrap();
    }
    Fixture { store, _dir: dir }
}

impl Fixture {
    fn run(&self, body: Value) -> Result<SearchResult, SearchError> {
        let request = SearchRequest::parse(&body)?;
        search(&self.store.peek(), &["i".to_owned()], &request)
    }

    /// Ids of the hits, in order of id.
    fn ids(&self, query: Value) -> String {
        let result = self.run(json!({"query": query, "sort": "_id"})).unwrap();
        let ids: Vec<String> = result.hits.into_iter().map(|hit| hit.id).collect();
        ids.join(",")
    }

    fn reason(&self, body: Value) -> String {
        self.run(body).unwrap_err().to_string()
    }
}

#[test]
fn each_query_finds_what_it_says() {
    let f = fixture();
    for (query, expected) in [
        (json!({"match_all": {}}), "1,2,3,4"),
        (json!({"match_none": {}}), ""),
        (json!({"ids": {"values": ["2", "9", "1"]}}), "1,2"),
        (json!({"term": {"tag": "blue"}}), "2,3"),
        (
            json!({"term": {"tag": {"value": "RED", "case_insensitive": true}}}),
            "1",
        ),
        (json!({"term": {"tag": "red"}}), ""),
        (json!({"term": {"title": "quick"}}), "1,3"),
        (json!({"term": {"title": "Quick"}}), ""),
        (json!({"term": {"title.keyword": "Lazy brown dog"}}), "2"),
        (json!({"term": {"n": 2}}), "2"),
        (json!({"term": {"n": "30"}}), "3"),
        (json!({"term": {"ok": true}}), "1"),
        (json!({"term": {"_id": "4"}}), "4"),
        (json!({"term": {"_index": "i"}}), "1,2,3,4"),
        (json!({"term": {"nothing": 1}}), ""),
        (json!({"terms": {"tag": ["Red", "green"]}}), "1,3"),
        (json!({"terms": {"o.x": [2, 5]}}), "1,3"),
        (json!({"match": {"title": "fox DOG"}}), "1,2,3"),
        (
            json!({"match": {"title": {"query": "quick dog", "operator": "and"}}}),
            "3",
        ),
        (json!({"match_phrase": {"title": "brown fox"}}), "1"),
        (json!({"match_phrase_prefix": {"title": "brown d"}}), "2"),
        (
            json!({"multi_match": {"query": "blue", "fields": ["title", "tag"]}}),
            "2,3",
        ),
        (json!({"range": {"n": {"gte": 1, "lt": 30}}}), "1,2"),
        (json!({"range": {"n": {"lt": "0"}}}), "4"),
        (
            json!({"range": {"tag": {"gt": "blue", "lte": "green"}}}),
            "3",
        ),
        (
            json!({"range": {"when": {"gt": "2026-01-01", "lte": "2026-02-01"}}}),
            "2",
        ),
        (
            json!({"range": {"when": {"gte": "2026-02-01||/M", "lt": "2026-02-01||+1M/M"}}}),
            "2",
        ),
        (json!({"range": {"when": {"lt": "now-100y"}}}), ""),
        (json!({"exists": {"field": "o"}}), "1,3"),
        (json!({"exists": {"field": "title"}}), "1,2,3"),
        (json!({"prefix": {"tag": "gr"}}), "3,4"),
        (json!({"wildcard": {"tag": "*e?"}}), "1,3,4"),
        (
            json!({"constant_score": {"filter": {"term": {"n": 1}}}}),
            "1",
        ),
        (
            json!({"bool": {"must": {"term": {"tag": "blue"}}, "must_not": [{"term": {"n": 2}}]}}),
            "3",
        ),
        (
            json!({"bool": {"filter": [{"match_all": {}}], "should": [{"term": {"n": 1}}]}}),
            "1,2,3,4",
        ),
        (
            json!({"bool": {"should": [{"term": {"n": 1}}, {"term": {"n": 2}}]}}),
            "1,2",
        ),
        (
            json!({"bool": {"should": [{"term": {"tag": "blue"}}, {"term": {"n": 2}}, {"term": {"n": 1}}], "minimum_should_match": 2}}),
            "2",
        ),
        (json!({"bool": {}}), "1,2,3,4"),
    ] {
        assert_eq!(f.ids(query.clone()), expected, "{query}");
    }
}

#[test]
fn query_strings_are_understood() {
    let f = fixture();
    for (text, expected) in [
        ("*", "1,2,3,4"),
        ("*:*", "1,2,3,4"),
        ("tag:blue", "2,3"),
        ("quick AND dog", "3"),
        ("fox OR lazy", "1,2"),
        ("fox lazy", "1,2"),
        ("quick AND NOT dog", "1"),
        ("+quick -fox", "3"),
        ("\"brown dog\"", "2"),
        ("title:(fox OR lazy) AND n:1", "1"),
        ("n:[1 TO 2]", "1,2"),
        ("n:{1 TO *}", "2,3"),
        ("n:>=30", "3"),
        ("tag:gr*", "3,4"),
        ("_exists_:ok", "1,2"),
        ("_id:3", "3"),
        ("blue", "2,3"),
    ] {
        assert_eq!(
            f.ids(json!({"query_string": {"query": text}})),
            expected,
            "{text}"
        );
    }
    let and = json!({"query_string": {"query": "quick dog", "default_field": "title", "default_operator": "AND"}});
    assert_eq!(f.ids(and), "3");
    for bad in ["(a", "a)", "\"a", "[1 2]"] {
        assert!(
            f.run(json!({"query": {"query_string": {"query": bad}}}))
                .is_err(),
            "{bad}"
        );
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    let f = fixture();
    assert_eq!(
        f.reason(json!({"query": {"nope": {}}})),
        "unknown query [nope]"
    );
    assert_eq!(
        f.reason(json!({"aggs": {"a": {}}})),
        "[aggs] is not supported by this server"
    );
    assert_eq!(
        f.reason(json!({"query": {"fuzzy": {"a": "b"}}})),
        "[fuzzy query] is not supported by this server"
    );
    assert_eq!(
        f.reason(json!({"foo": 1})),
        "Unknown key for a VALUE_NUMBER in [foo]."
    );
    assert_eq!(
        f.reason(json!({"query": {"term": {"n": "abc"}}})),
        "failed to create query: For input string: \"abc\""
    );
    assert!(
        f.reason(json!({"size": 10_001}))
            .starts_with("Result window is too large")
    );
    assert_eq!(
        f.reason(json!({"from": -1})),
        "[from] parameter cannot be negative, found [-1]"
    );
    assert_eq!(
        f.reason(json!({"sort": "nothing"})),
        "No mapping found for [nothing] in order to sort on"
    );
    assert!(
        f.reason(json!({"sort": "title"}))
            .starts_with("Text fields are not optimised")
    );
}

#[test]
fn sorting_paging_and_search_after_agree() {
    let f = fixture();
    let ids = |body: Value| -> Vec<String> {
        f.run(body)
            .unwrap()
            .hits
            .into_iter()
            .map(|hit| hit.id)
            .collect()
    };
    assert_eq!(ids(json!({"sort": [{"n": "desc"}]})), ["3", "2", "1", "4"]);
    assert_eq!(
        ids(json!({"sort": [{"when": {"order": "asc", "missing": "_first"}}]})),
        ["4", "1", "2", "3"]
    );
    assert_eq!(
        ids(json!({"sort": ["n"], "from": 1, "size": 2})),
        ["1", "2"]
    );
    let mut after: Option<Vec<Value>> = None;
    let mut seen = Vec::new();
    loop {
        let mut body = json!({"sort": ["n", "_id"], "size": 1});
        if let Some(after) = &after {
            body["search_after"] = json!(after);
        }
        let Some(hit) = f.run(body).unwrap().hits.pop() else {
            break;
        };
        after = hit.sort;
        seen.push(hit.id);
    }
    assert_eq!(seen, ["4", "1", "2", "3"]);
}

#[test]
fn totals_follow_track_total_hits() {
    let f = fixture();
    let total = |body: Value| {
        f.run(body)
            .unwrap()
            .total
            .map(|total| (total.value, total.relation))
    };
    assert_eq!(total(json!({"size": 0})), Some((4, TotalRelation::Eq)));
    assert_eq!(total(json!({"track_total_hits": false})), None);
    assert_eq!(
        total(json!({"track_total_hits": 2})),
        Some((2, TotalRelation::Gte))
    );
    let query = json!({"term": {"tag": "blue"}});
    assert_eq!(
        total(json!({"query": query, "size": 0})),
        Some((2, TotalRelation::Eq))
    );
    let view = f.store.peek();
    assert_eq!(count(&view, &["i".to_owned()], Some(&query)).unwrap(), 2);
    assert_eq!(count(&view, &["i".to_owned()], None).unwrap(), 4);
}

#[test]
fn hits_show_what_was_asked_for() {
    let f = fixture();
    let body = json!({"query": {"ids": {"values": ["1"]}}, "_source": ["n"], "seq_no_primary_term": true, "version": true});
    let result = f.run(body).unwrap();
    let hit = &result.hits[0];
    assert_eq!(hit.source.as_ref().unwrap().get(), r#"{"n":1}"#);
    assert_eq!(
        (hit.version, hit.score, result.max_score),
        (Some(1), Some(1.0), Some(1.0))
    );
    assert!(hit.seq_no.is_some() && hit.sort.is_none());
    let best = f
        .run(json!({"query": {"match": {"title": "quick dog"}}}))
        .unwrap();
    assert_eq!(best.hits[0].id, "3", "more matching terms score higher");
}

#[test]
fn the_filter_of_an_alias_applies() {
    let f = fixture();
    let mut request = SearchRequest::default();
    request
        .add_index_filter("i", &json!({"term": {"tag": "blue"}}))
        .unwrap();
    let result = search(&f.store.peek(), &["i".to_owned()], &request).unwrap();
    assert_eq!(result.total.unwrap().value, 2);
}

#[test]
fn scrolls_and_points_in_time_see_one_moment() {
    let f = fixture();
    let contexts = f.store.contexts();
    let minute = Duration::from_secs(60);
    for sort in [json!(null), json!("_doc"), json!([{"n": "desc"}])] {
        let request = SearchRequest::parse(&json!({"size": 3, "sort": sort})).unwrap();
        let (id, first) = contexts
            .open_scroll(f.store.peek(), vec!["i".to_owned()], request, minute)
            .unwrap();
        f.store
            .write(vec![WriteOp::delete("i", "1")], &WriteOptions::default());
        let second = contexts.scroll(&id, None).unwrap();
        let third = contexts.scroll(&id, None).unwrap();
        let mut ids: Vec<String> = first
            .hits
            .into_iter()
            .chain(second.hits)
            .map(|hit| hit.id)
            .collect();
        ids.sort();
        assert_eq!(ids, ["1", "2", "3", "4"]);
        assert!(third.hits.is_empty());
        assert_eq!(third.total.unwrap().value, 4);
        assert!(contexts.close_scroll(&id) && !contexts.close_scroll(&id));
        f.store.write(
            vec![WriteOp::index("i", Some("1".to_owned()), r#"{"n":1}"#)],
            &WriteOptions::default(),
        );
    }
    let pit = contexts
        .open_pit(f.store.peek(), vec!["i".to_owned()], minute)
        .unwrap();
    f.store
        .write(vec![WriteOp::delete("i", "1")], &WriteOptions::default());
    let mut after: Option<Vec<Value>> = None;
    let mut pages = 0;
    loop {
        let mut body = json!({"size": 1, "sort": [{"_shard_doc": "asc"}]});
        if let Some(after) = &after {
            body["search_after"] = json!(after);
        }
        let request = SearchRequest::parse(&body).unwrap();
        let Some(hit) = contexts
            .search_pit(&pit, &request, None)
            .unwrap()
            .hits
            .pop()
        else {
            break;
        };
        after = hit.sort;
        pages += 1;
    }
    assert_eq!(pages, 4);
    assert!(contexts.close_pit(&pit));
    let request = SearchRequest::default();
    assert!(matches!(
        contexts.search_pit(&pit, &request, None),
        Err(SearchError::ContextMissing { .. })
    ));
}

#[test]
fn an_expired_context_is_gone() {
    let f = fixture();
    let contexts = f.store.contexts();
    let id = contexts
        .open_pit(f.store.peek(), vec!["i".to_owned()], Duration::ZERO)
        .unwrap();
    assert_eq!(contexts.stats().points_in_time, 0);
    assert!(!contexts.close_pit(&id));
}

#[test]
fn slices_part_the_documents() {
    let f = fixture();
    let part = |id: u64| {
        f.run(json!({"slice": {"id": id, "max": 2}}))
            .unwrap()
            .total
            .unwrap()
            .value
    };
    assert_eq!(part(0) + part(1), 4);
}
