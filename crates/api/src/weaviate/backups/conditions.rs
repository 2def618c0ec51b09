//! The one table of what can be wrong with a backup or a restore, and what is answered.
//!
//! The texts are those of Weaviate 1.39. Where that server is plainly wrong, ours is right and [`Condition::differs`] says what it
//! does; `docs/weaviate.md` shows the table and `crates/api/tests/weaviate_backup_conditions.rs` sends each [`Example`].

mod examples;
mod table;

use std::fmt::Write as _;

pub use examples::{Call, Example, Step, Who};
pub use table::*;

use super::super::errors::WvError;

/// One row.
#[derive(Debug)]
pub struct Condition {
    /// What is the case.
    pub about: &'static str,
    /// HTTP status of the answer; 0 where it is not an answer but the reason of a failed backup or restore.
    pub status: u16,
    /// The text, with `{name}` where something is put in.
    pub text: &'static str,
    /// What Weaviate 1.39 does instead, where ours is meant to differ.
    pub differs: Option<&'static str>,
    /// How to get there.
    pub example: Example,
}

impl Condition {
    /// The text with values put in. A placeholder without a value stays as it is.
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut filled = String::with_capacity(self.text.len() + 64);
        let mut rest = self.text;
        while let Some(start) = rest.find('{') {
            filled.push_str(&rest[..start]);
            rest = &rest[start..];
            let value = rest.find('}').and_then(|end| {
                let name = &rest[1..end];
                let value = values.iter().find(|(key, _)| *key == name)?.1;
                Some((value, end + 1))
            });
            // Values are not looked at again: a name with braces stays what it is.
            let (value, used) = value.unwrap_or(("{", 1));
            filled.push_str(value);
            rest = &rest[used..];
        }
        filled.push_str(rest);
        filled
    }

    /// The answer.
    pub fn error(&self, values: &[(&str, &str)]) -> WvError {
        WvError::application(self.status, self.fill(values))
    }
}

/// The table as it stands in `docs/weaviate.md`.
pub fn markdown() -> String {
    let mut out = String::from("| When | Status | Text | Weaviate 1.39 |\n|---|---|---|---|\n");
    for row in TABLE {
        let status = match row.status {
            0 => "reason".to_owned(),
            status => status.to_string(),
        };
        let text = match row.text {
            "" => "(empty)".to_owned(),
            text => format!("`{text}`"),
        };
        let differs = row.differs.unwrap_or("the same");
        let about = match row.example {
            Example::Never(why) => format!("{} (does not happen here: {why})", row.about),
            _ => row.about.to_owned(),
        };
        let cells = [about, status, text, differs.to_owned()].map(|it| it.replace('|', "\\|"));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// What of it is not as upstream, as it stands in `docs/differences.md`.
pub fn differences() -> String {
    let mut out = String::from("| Where | Weaviate 1.39.0 | Snapkeep |\n|---|---|---|\n");
    for (row, differs) in TABLE.iter().filter_map(|row| Some((row, row.differs?))) {
        let status = match row.status {
            0 => String::new(),
            status => format!("{status} "),
        };
        let about = row.about.replace('|', "\\|");
        let _ = writeln!(out, "| {about} | {differs} | {status}`{}` |", row.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once() {
        let text = UNKNOWN_CLASS.fill(&[("class", "{class}{id}")]);
        assert_eq!(text, "class {class}{id} doesn't exist");
    }

    #[test]
    fn every_row_is_told_apart_and_says_what_it_is_about() {
        for (position, row) in TABLE.iter().enumerate() {
            assert!(!row.about.is_empty());
            let same = TABLE[..position]
                .iter()
                .find(|other| other.about == row.about);
            assert!(same.is_none(), "{} is there twice", row.about);
        }
    }

    /// Compares the part of a document between two marks; with `UPDATE_DOCS` set it is written anew.
    fn compare(document: &str, begin: &str, end: &str, wanted: &str) {
        let path = format!("{}/../../docs/{document}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let start = text.find(begin).unwrap() + begin.len();
        let stop = start + text[start..].find(end).unwrap();
        if text[start..stop] == *wanted {
            return;
        }
        assert!(
            std::env::var_os("UPDATE_DOCS").is_some(),
            "docs/{document} is out of date: run this test with UPDATE_DOCS=1"
        );
        let renewed = format!("{}{wanted}{}", &text[..start], &text[stop..]);
        std::fs::write(&path, renewed).unwrap();
    }

    #[test]
    fn the_documentation_shows_the_table_as_it_is() {
        let begin = "<!-- table of conditions -->\n";
        compare("weaviate.md", begin, "<!-- end of table -->", &markdown());
        let begin = "<!-- differences of conditions -->\n";
        let end = "\n<!-- end of differences -->";
        compare("differences.md", begin, end, &differences());
    }
}
