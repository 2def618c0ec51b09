//! `GET /_plugins/_sm/policies`: a page of the policies.

use std::cmp::Ordering;

use serde_json::Value;

use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::params::Params;
use crate::elasticsearch::pattern::matches;

/// Parameters that are read.
pub const PARAMS: &[&str] = &["from", "size", "sortField", "sortOrder", "queryString"];

/// Fields that policies can be sorted by.
const SORTABLE: [&str; 6] = [
    "sm_policy.name",
    "sm_policy.description",
    "sm_policy.enabled",
    "sm_policy.enabled_time",
    "sm_policy.last_updated_time",
    "sm_policy.schema_version",
];

/// What is asked for.
#[derive(Debug)]
pub struct Query {
    from: usize,
    size: usize,
    sort_field: String,
    is_descending: bool,
    names: Vec<String>,
}

impl Query {
    /// Reads and checks the parameters.
    ///
    /// # Errors
    /// 400 for a value that cannot be used.
    pub fn read(params: &Params) -> Result<Self, EsError> {
        let number = |name: &str, default: i64| {
            usize::try_from(params.int(name, default)?).map_err(|_| {
                EsError::illegal_argument(format!("[{name}] parameter cannot be negative"))
            })
        };
        let field = params.get("sortField").unwrap_or("sm_policy.name");
        let sort_field = field.strip_suffix(".keyword").unwrap_or(field);
        if !SORTABLE.contains(&sort_field) {
            return Err(EsError::illegal_argument(format!(
                "No mapping found for [{field}] in order to sort on"
            )));
        }
        let order = params.get("sortOrder").unwrap_or("asc");
        let is_descending = match order.to_ascii_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            _ => {
                return Err(EsError::illegal_argument(format!(
                    "No enum constant org.opensearch.search.sort.SortOrder.{}",
                    order.to_uppercase()
                )));
            }
        };
        let query = params.get("queryString").unwrap_or("*");
        if query.contains(['"', '(', ')', ':', '~', '^', '[', '{', '/']) {
            return Err(EsError::illegal_argument(format!(
                "the query string [{query}] is not supported: give names, with * for any characters, separated by blanks"
            )));
        }
        Ok(Self {
            from: number("from", 0)?,
            size: number("size", 20)?,
            sort_field: sort_field.to_owned(),
            is_descending,
            names: query.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// The page of these documents, and how many match in all.
    pub fn page(&self, mut documents: Vec<Value>) -> (Vec<Value>, usize) {
        documents.retain(|document| {
            let name = document["sm_policy"]["name"].as_str().unwrap_or_default();
            // All words must match, as the real query joins them with AND.
            self.names.iter().all(|pattern| matches(pattern, name))
        });
        let pointer = format!("/{}", self.sort_field.replace('.', "/"));
        documents.sort_by(|left, right| {
            let order = compare(left.pointer(&pointer), right.pointer(&pointer));
            if self.is_descending {
                order.reverse()
            } else {
                order
            }
        });
        let total = documents.len();
        let page = documents.into_iter().skip(self.from).take(self.size);
        (page.collect(), total)
    }
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (Some(Value::String(left)), Some(Value::String(right))) => left.cmp(right),
        (Some(Value::Bool(left)), Some(Value::Bool(right))) => left.cmp(right),
        (left, right) => {
            let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or(i64::MAX);
            number(left).cmp(&number(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::path::query_pairs;
    use serde_json::json;

    fn query(text: &str) -> Result<Query, EsError> {
        Query::read(&Params::new(query_pairs(text).unwrap()))
    }

    fn names(text: &str) -> (Vec<String>, usize) {
        let all = ["b", "ab", "c"].map(|name| json!({"sm_policy": {"name": name}}));
        let (page, total) = query(text).unwrap().page(all.to_vec());
        let name = |value: &Value| value["sm_policy"]["name"].as_str().unwrap().to_owned();
        (page.iter().map(name).collect(), total)
    }

    #[test]
    fn pages_are_sorted_and_filtered_by_name() {
        assert_eq!(names(""), (vec!["ab".into(), "b".into(), "c".into()], 3));
        assert_eq!(
            names("sortOrder=desc&size=1&from=1&sortField=sm_policy.name"),
            (vec!["b".into()], 3)
        );
        assert_eq!(names("queryString=*b"), (vec!["ab".into(), "b".into()], 2));
        assert_eq!(names("queryString=a*%20*b").0, ["ab"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for text in [
            "sortField=nope",
            "sortOrder=up",
            "from=-1",
            "size=x",
            "queryString=name:x",
        ] {
            assert!(query(text).is_err(), "{text}");
        }
    }
}
