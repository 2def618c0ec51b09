//! Parameters of the query, in the several notations that clients have for lists.

use super::errors::{Fault, Idc51Error};
use crate::shared::path::pairs;

/// Items of a list that are taken; longer ones are a mistake or an attack.
pub const MAX_ITEMS: usize = 1000;

/// A query, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query apart.
    pub fn parse(text: &str) -> Self {
        Self(
            pairs(text)
                .filter(|(name, _)| !name.is_empty())
                .take(MAX_ITEMS)
                .collect(),
        )
    }

    /// A parameter; none when it is missing or empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.trim().is_empty())
            .map(|(_, value)| value.trim())
    }

    /// A list: `name=a,b`, repeated, `name[]=a`, `name.1=a`, all of them together, each item once.
    ///
    /// # Errors
    /// It has more than [`MAX_ITEMS`].
    pub fn list(&self, name: &str) -> Result<Vec<String>, Idc51Error> {
        let values = self.0.iter().filter(|(key, _)| is_list_name(key, name));
        let items = values.flat_map(|(_, value)| value.split(','));
        distinct(name, items.map(str::to_owned))
    }

    /// A whole number from 0 on.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Idc51Error> {
        let Some(text) = self.one(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number.map(Some).map_err(|_| {
            Fault::Format.because(format!("{name} [{text}] is not a whole number from 0 on"))
        })
    }

    /// Yes or no.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Idc51Error> {
        let Some(text) = self.one(name) else {
            return Ok(None);
        };
        yes_or_no(text)
            .map(Some)
            .ok_or_else(|| Fault::Format.because(format!("{name} [{text}] is neither 1 nor 0")))
    }
}

/// What a flag says.
pub fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// Trimmed items without empty ones, each once, in their order.
///
/// # Errors
/// There are more than [`MAX_ITEMS`].
pub fn distinct(
    name: &str,
    items: impl Iterator<Item = String>,
) -> Result<Vec<String>, Idc51Error> {
    let mut found: Vec<String> = Vec::new();
    for item in items {
        let item = item.trim();
        if item.is_empty() || found.iter().any(|known| known == item) {
            continue;
        }
        if found.len() >= MAX_ITEMS {
            return Err(
                Fault::Format.because(format!("{name} has more than {MAX_ITEMS} items; send less"))
            );
        }
        found.push(item.to_owned());
    }
    Ok(found)
}

/// Whether `key` is `name`, `name[]`, `name[3]` or `name.3`.
fn is_list_name(key: &str, name: &str) -> bool {
    let Some(rest) = key.strip_prefix(name) else {
        return false;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let bracketed = rest.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match (rest.strip_prefix('.'), bracketed) {
        (Some(index), _) => !index.is_empty() && is_number(index),
        (None, Some(index)) => is_number(index),
        (None, None) => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(query: &str) -> Vec<String> {
        Query::parse(query).list("snapshots").unwrap()
    }

    #[test]
    fn a_list_is_read_in_all_notations_at_once() {
        assert_eq!(list("snapshots=a,b"), ["a", "b"]);
        assert_eq!(list("snapshots=a&snapshots=b"), ["a", "b"]);
        assert_eq!(list("snapshots.1=a&snapshots.2=b"), ["a", "b"]);
        assert_eq!(list("snapshots[]=a&snapshots%5B1%5D=b"), ["a", "b"]);
        assert_eq!(
            list("snapshots=a,,%20b+,a&snapshots.9=c&snapshots=b"),
            ["a", "b", "c"]
        );
        assert_eq!(
            list("snapshot=a&snapshots.x=b&snapshots.=c"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_list_has_an_end() {
        let many: Vec<String> = (0..=MAX_ITEMS).map(|n| n.to_string()).collect();
        let query = Query::parse(&format!("snapshots={}", many.join(",")));
        assert_eq!(query.list("snapshots").unwrap_err().fault, Fault::Format);
    }

    #[test]
    fn numbers_and_flags_are_checked_and_empty_ones_are_absent() {
        let query = Query::parse("limit=&offset=7&low=-1&word=many&yes=True&no=0&what=2");
        assert_eq!(query.number("limit").unwrap(), None);
        assert_eq!(query.number("offset").unwrap(), Some(7));
        assert!(query.number("low").is_err() && query.number("word").is_err());
        assert_eq!(query.flag("yes").unwrap(), Some(true));
        assert_eq!(query.flag("no").unwrap(), Some(false));
        assert_eq!(query.flag("absent").unwrap(), None);
        assert!(query.flag("what").is_err());
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_harm(text in ".{0,60}") {
            let query = Query::parse(&text);
            let _ = (query.list("a"), query.number("a"), query.flag("a"));
        }
    }
}
