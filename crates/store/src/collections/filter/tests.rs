//! Filters as specifications.

use serde_json::json;

use super::*;

const ID: &str = "00000000-0000-4000-8000-00000000000a";

/// Whether an object with these properties matches.
fn matches(properties: Value, filter: Filter) -> bool {
    let source = format!(
        "{{\"creationTimeUnix\":1700000000000,\"lastUpdateTimeUnix\":1700000000500,\"vectors\":{{}},\"properties\":{properties}}}"
    );
    let stored = Stored::parse(ID, source.as_bytes(), &[]).unwrap();
    Matcher::new(&filter)
        .matches(&Candidate::new(ID, &stored))
        .unwrap()
}

fn is(path: FilterPath, comparison: Comparison) -> Filter {
    Filter::Is(Condition { path, comparison })
}

fn p(comparison: Comparison) -> Filter {
    is(FilterPath::property("p"), comparison)
}

fn word(text: &str) -> FilterValue {
    FilterValue::Text(text.to_owned(), Tokenization::Word)
}

fn like(pattern: &str, tokenization: Tokenization) -> Filter {
    p(Comparison::Like {
        pattern: pattern.to_owned(),
        tokenization,
    })
}

#[test]
fn texts_are_compared_by_their_tokens() {
    let object = || json!({"p": "The Quick, brown fox"});
    assert!(matches(object(), p(Comparison::Equal(word("QUICK the")))));
    assert!(!matches(object(), p(Comparison::Equal(word("quick dog")))));
    assert!(
        !matches(object(), p(Comparison::Equal(word("…")))),
        "no token at all"
    );
    let whole = |text: &str, tokenization| {
        p(Comparison::Equal(FilterValue::Text(
            text.to_owned(),
            tokenization,
        )))
    };
    assert!(matches(
        object(),
        whole(" The Quick, brown fox ", Tokenization::Field)
    ));
    assert!(!matches(
        object(),
        whole("the quick, brown fox", Tokenization::Field)
    ));
    assert!(matches(object(), whole("quick,", Tokenization::Lowercase)));
    assert!(!matches(
        object(),
        whole("quick,", Tokenization::Whitespace)
    ));
}

#[test]
fn arrays_match_by_any_element() {
    let object = || json!({"p": [1, 5, null]});
    let five = FilterValue::Number(5.0);
    assert!(matches(object(), p(Comparison::Equal(five.clone()))));
    assert!(matches(
        object(),
        p(Comparison::GreaterThan(FilterValue::Number(4.5)))
    ));
    assert!(!matches(object(), p(Comparison::NotEqual(five.clone()))));
    let seven = FilterValue::Number(7.0);
    let both = vec![five, seven];
    assert!(matches(object(), p(Comparison::ContainsAny(both.clone()))));
    assert!(!matches(object(), p(Comparison::ContainsAll(both.clone()))));
    assert!(!matches(
        object(),
        p(Comparison::ContainsNone(both.clone()))
    ));
    assert!(matches(json!({}), p(Comparison::ContainsNone(both))));
}

#[test]
fn absent_null_and_empty_are_null() {
    for object in [json!({}), json!({"p": null}), json!({"p": []})] {
        assert!(matches(object.clone(), p(Comparison::IsNull(true))));
        assert!(!matches(object.clone(), p(Comparison::IsNull(false))));
        assert!(matches(object, p(Comparison::NotEqual(word("x")))));
    }
    assert!(matches(json!({"p": false}), p(Comparison::IsNull(false))));
    assert!(matches(
        json!({"p": false}),
        p(Comparison::Equal(FilterValue::Boolean(false)))
    ));
}

#[test]
fn patterns_have_two_wildcards() {
    let object = || json!({"p": "Snapshots of vectors"});
    for fitting in ["snap*", "*shot?", "*", "vec*or?", "s*s v*"] {
        assert!(
            matches(object(), like(fitting, Tokenization::Word)),
            "{fitting}"
        );
    }
    for other in ["shot*", "vector??", "?", "sn*x", ""] {
        assert!(
            !matches(object(), like(other, Tokenization::Word)),
            "{other}"
        );
    }
    assert!(matches(object(), like("Snap*vectors", Tokenization::Field)));
    assert!(!matches(
        object(),
        like("snap*vectors", Tokenization::Field)
    ));
}

#[test]
fn dates_are_moments() {
    let object = || json!({"p": "2024-01-01T02:00:00.5+02:00"});
    let date = |text: &str| FilterValue::Date(text.to_owned());
    assert!(matches(
        object(),
        p(Comparison::Equal(date("2024-01-01T00:00:00.500Z")))
    ));
    assert!(matches(
        object(),
        p(Comparison::LessThan(date("2024-01-01T00:00:00.500000001Z")))
    ));
    assert!(!matches(
        object(),
        p(Comparison::GreaterThan(date("no date")))
    ));
}

#[test]
fn times_and_ids_of_objects_can_be_asked_for() {
    let created = |comparison| is(FilterPath::CreationTime, comparison);
    let text = |text: &str| FilterValue::Text(text.to_owned(), Tokenization::Exact);
    assert!(matches(
        json!({}),
        created(Comparison::Equal(text("1700000000000")))
    ));
    let date = FilterValue::Date("2023-11-14T22:13:20Z".to_owned());
    assert!(matches(json!({}), created(Comparison::Equal(date.clone()))));
    let updated = is(FilterPath::LastUpdateTime, Comparison::GreaterThan(date));
    assert!(matches(json!({}), updated));
    let number = FilterValue::Number(1_700_000_000_500.0);
    let updated = is(
        FilterPath::LastUpdateTime,
        Comparison::LessThanEqual(number),
    );
    assert!(matches(json!({}), updated));
    let upper = text(&ID.to_uppercase());
    assert!(matches(
        json!({}),
        is(FilterPath::Id, Comparison::Equal(upper.clone()))
    ));
    let filter = Filter::And(vec![
        p(Comparison::IsNull(true)),
        is(
            FilterPath::Id,
            Comparison::ContainsAny(vec![upper, text("no id")]),
        ),
    ]);
    assert_eq!(Matcher::ids(&filter), Some(vec![ID.parse().unwrap()]));
    assert_eq!(Matcher::ids(&Filter::Not(Box::new(filter))), None);
}

#[test]
fn nested_properties_and_lengths() {
    let object = || json!({"p": [{"q": "a b"}, {"q": "c"}], "t": "äöü", "o": {"l": [1, 2]}});
    let path = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let nested = is(
        FilterPath::Property(path(&["p", "q"])),
        Comparison::Equal(word("c a")),
    );
    assert!(matches(object(), nested));
    let length = |names: &[&str], number: f64| {
        let value = FilterValue::Number(number);
        is(FilterPath::Length(path(names)), Comparison::Equal(value))
    };
    assert!(matches(object(), length(&["p"], 2.0)));
    assert!(matches(object(), length(&["t"], 3.0)));
    assert!(matches(object(), length(&["o", "l"], 2.0)));
    assert!(matches(object(), length(&["absent"], 0.0)));
}

#[test]
fn a_circle_on_the_earth() {
    let berlin = || json!({"p": {"latitude": 52.52, "longitude": 13.405}});
    let near_potsdam = |max_distance_m| {
        p(Comparison::WithinGeoRange(GeoRange {
            latitude: 52.39,
            longitude: 13.065,
            max_distance_m,
        }))
    };
    assert!(matches(berlin(), near_potsdam(28_000.0)));
    assert!(!matches(berlin(), near_potsdam(26_000.0)));
    assert!(!matches(json!({"p": 5}), near_potsdam(1e9)));
}

#[test]
fn groups() {
    let yes = || p(Comparison::IsNull(true));
    let no = || p(Comparison::IsNull(false));
    assert!(matches(json!({}), Filter::And(vec![])));
    assert!(!matches(json!({}), Filter::Or(vec![])));
    assert!(matches(json!({}), Filter::Or(vec![no(), yes()])));
    assert!(!matches(json!({}), Filter::And(vec![no(), yes()])));
    assert!(matches(json!({}), Filter::Not(Box::new(no()))));
}
