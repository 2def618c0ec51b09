//! Tables of the `_cat` endpoints: text in columns, or a list of objects.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::Params;
use crate::elasticsearch::pattern;
use crate::elasticsearch::units;

/// What a column is called and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    name: &'static str,
    aliases: &'static str,
    description: &'static str,
    is_default: bool,
    is_right: bool,
}

impl Column {
    /// A column that is shown by default, aligned to the left; `aliases` is a comma list.
    pub const fn new(name: &'static str, aliases: &'static str, description: &'static str) -> Self {
        Self {
            name,
            aliases,
            description,
            is_default: true,
            is_right: false,
        }
    }

    /// Aligned to the right.
    #[must_use]
    pub const fn right(mut self) -> Self {
        self.is_right = true;
        self
    }

    /// Shown only when asked for with `h`.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.is_default = false;
        self
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.split(',').any(|alias| alias == name)
    }
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing: empty in text, `null` in objects.
    Null,
    /// Text as it is.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, shown with one decimal.
    Float(f64),
    /// A size, shown readably unless `bytes` names a unit.
    Bytes(u64),
    /// A duration, shown readably unless `time` names a unit.
    Millis(i64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl Cell {
    fn show(&self, units: Units) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format!("{number:.1}"),
            Self::Bytes(bytes) => match units.bytes {
                Some(factor) => (bytes / factor).to_string(),
                None => units::readable_bytes(*bytes),
            },
            Self::Millis(millis) => match units.nanos {
                Some(factor) => (i128::from(*millis) * 1_000_000 / i128::from(factor)).to_string(),
                None => units::readable_millis(*millis),
            },
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Millis(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bytes(bytes) => Some(*bytes as f64),
            Self::Null | Self::Text(_) => None,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => match (self, other) {
                (Self::Null, Self::Null) => Ordering::Equal,
                (Self::Null, _) => Ordering::Less,
                (_, Self::Null) => Ordering::Greater,
                _ => self
                    .show(Units::default())
                    .cmp(&other.show(Units::default())),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Units {
    bytes: Option<u64>,
    nanos: Option<u64>,
}

/// A table before it is cut to the columns and order asked for.
#[derive(Debug, Clone)]
pub struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
}

/// A column as asked for: the header may be an alias; none for a name that is no column.
struct Shown<'a> {
    header: &'a str,
    position: usize,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell for each column, in their order.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The answer to `?help`.
    pub fn help(&self) -> String {
        let width = |text: fn(&Column) -> &str| {
            self.columns
                .iter()
                .map(|column| length(text(column)))
                .max()
                .unwrap_or(0)
        };
        let (name, aliases, description) = (
            width(|c| c.name),
            width(|c| c.aliases),
            width(|c| c.description),
        );
        let mut text = String::new();
        for column in self.columns {
            text.push_str(&format!(
                "{:<name$} | {:<aliases$} | {:<description$}\n",
                column.name, column.aliases, column.description
            ));
        }
        text
    }

    /// Text in columns, with headers if `v` is given.
    ///
    /// # Errors
    /// 400 (OpenSearch: 500) for an unknown sort key; 400 for an unknown unit.
    pub fn text(&self, params: &Params) -> Result<String, EsError> {
        let units = units_of(params)?;
        let rows = self.sorted(params)?;
        let shown = self.shown(params);
        let mut lines: Vec<Vec<String>> = Vec::with_capacity(rows.len() + 1);
        if params.bool("v", false)? {
            lines.push(
                shown
                    .iter()
                    .map(|column| column.header.to_owned())
                    .collect(),
            );
        }
        lines.extend(rows.iter().map(|row| {
            shown
                .iter()
                .map(|column| row[column.position].show(units))
                .collect::<Vec<String>>()
        }));
        let mut widths = vec![0; shown.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = length(cell).max(*width);
            }
        }
        let mut text = String::new();
        for line in &lines {
            let last = line.len().saturating_sub(1);
            for (position, cell) in line.iter().enumerate() {
                let padding = " ".repeat(widths[position] - length(cell));
                let is_right = self.columns[shown[position].position].is_right;
                if position > 0 {
                    text.push(' ');
                }
                if is_right {
                    text.push_str(&padding);
                }
                text.push_str(cell);
                if !is_right && position < last {
                    text.push_str(&padding);
                }
            }
            text.push('\n');
        }
        Ok(text)
    }

    /// A list of objects with string values.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn value(&self, params: &Params) -> Result<Value, EsError> {
        let units = units_of(params)?;
        let rows = self.sorted(params)?;
        let shown = self.shown(params);
        let objects = rows.iter().map(|row| {
            let cells = shown.iter().map(|column| {
                let value = match &row[column.position] {
                    Cell::Null => Value::Null,
                    cell => Value::String(cell.show(units)),
                };
                (column.header.to_owned(), value)
            });
            Value::Object(cells.collect::<Map<String, Value>>())
        });
        Ok(Value::Array(objects.collect()))
    }

    fn shown<'a>(&self, params: &'a Params) -> Vec<Shown<'a>> {
        let all = self.columns.iter().enumerate();
        let Some(asked) = params.get("h").filter(|names| !names.is_empty()) else {
            return all
                .filter(|(_, column)| column.is_default)
                .map(|(position, column)| Shown {
                    header: column.name,
                    position,
                })
                .collect();
        };
        let mut shown: Vec<Shown<'a>> = Vec::new();
        for name in asked.split(',').map(str::trim) {
            if name.contains('*') {
                for (position, column) in self.columns.iter().enumerate() {
                    let is_new = !shown.iter().any(|other| other.position == position);
                    if is_new && pattern::matches(name, column.name) {
                        shown.push(Shown {
                            header: column.name,
                            position,
                        });
                    }
                }
            } else if let Some(position) = self
                .columns
                .iter()
                .position(|column| column.is_called(name))
            {
                shown.push(Shown {
                    header: name,
                    position,
                });
            }
        }
        shown
    }

    fn sorted(&self, params: &Params) -> Result<Vec<&Vec<Cell>>, EsError> {
        let mut keys = Vec::new();
        for item in params.list("s") {
            let (name, is_descending) = match item.split_once(':') {
                Some((name, order)) => (name, order.eq_ignore_ascii_case("desc")),
                None => (item.as_str(), false),
            };
            let position = self
                .columns
                .iter()
                .position(|column| column.is_called(name));
            let position = position.ok_or_else(|| {
                ErrorKind::UnknownSortKey
                    .error(format!("Unable to sort by unknown sort key `{name}`"))
            })?;
            keys.push((position, is_descending));
        }
        let mut rows: Vec<&Vec<Cell>> = self.rows.iter().collect();
        rows.sort_by(|left, right| {
            keys.iter()
                .map(|(position, is_descending)| {
                    let order = left[*position].compare(&right[*position]);
                    if *is_descending {
                        order.reverse()
                    } else {
                        order
                    }
                })
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        Ok(rows)
    }
}

fn units_of(params: &Params) -> Result<Units, EsError> {
    let bytes = match params.get("bytes") {
        None | Some("") => None,
        Some(unit) => Some(match unit {
            "b" => 1,
            "k" | "kb" => 1 << 10,
            "m" | "mb" => 1 << 20,
            "g" | "gb" => 1 << 30,
            "t" | "tb" => 1_u64 << 40,
            "p" | "pb" => 1_u64 << 50,
            other => {
                return Err(EsError::illegal_argument(format!(
                    "No such byte unit [{other}]"
                )));
            }
        }),
    };
    let nanos = match params.get("time") {
        None | Some("") => None,
        Some(unit) => Some(match unit {
            "nanos" => 1,
            "micros" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            other => {
                return Err(EsError::illegal_argument(format!(
                    "No such time unit [{other}]"
                )));
            }
        }),
    };
    Ok(Units { bytes, nanos })
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        Column::new("id", "id,snapshot", "unique snapshot"),
        Column::new("status", "s,status", "snapshot name").right(),
        Column::new("duration", "dur,duration", "duration").right(),
        Column::new("reason", "r,reason", "reason for failures").hidden(),
    ];

    const HELPED: &[Column] = &[
        Column::new("id", "id,repoId", "unique repository id"),
        Column::new("type", "t,type", "repository type"),
    ];

    fn sample() -> Table {
        let mut table = Table::new(COLUMNS);
        table.push(vec![
            "run1".into(),
            "IN_PROGRESS".into(),
            Cell::Millis(1_400),
            Cell::Null,
        ]);
        table.push(vec![
            "a".into(),
            "SUCCESS".into(),
            Cell::Millis(900),
            Cell::Null,
        ]);
        table
    }

    fn params(query: &str) -> Params {
        Params::new(crate::elasticsearch::path::query_pairs(query).unwrap())
    }

    #[test]
    fn columns_line_up() {
        let expected =
            "id        status duration\nrun1 IN_PROGRESS     1.4s\na        SUCCESS    900ms\n";
        assert_eq!(sample().text(&params("v")).unwrap(), expected);
        assert_eq!(sample().text(&params("h=nosuch")).unwrap(), "\n\n");
        assert_eq!(
            sample().text(&params("h=snapshot&v&s=id")).unwrap(),
            "snapshot\na\nrun1\n"
        );
    }

    #[test]
    fn sorting_is_by_value() {
        assert_eq!(sample().text(&params("h=id&s=dur")).unwrap(), "a\nrun1\n");
        assert_eq!(
            sample().text(&params("h=id&s=duration:desc")).unwrap(),
            "run1\na\n"
        );
        let error = sample().text(&params("s=x")).unwrap_err();
        assert_eq!(error.status(Shape::Es), 400);
        assert_eq!(error.status(Shape::OpenSearch), 500);
    }

    #[test]
    fn units_and_objects() {
        assert_eq!(
            sample().value(&params("h=id,dur,r&time=s")).unwrap(),
            json!([{"id": "run1", "dur": "1", "r": null}, {"id": "a", "dur": "0", "r": null}])
        );
        assert!(sample().text(&params("bytes=furlong")).is_err());
        assert_eq!(
            Table::new(HELPED).help(),
            "id   | id,repoId | unique repository id\ntype | t,type    | repository type     \n"
        );
    }
}
