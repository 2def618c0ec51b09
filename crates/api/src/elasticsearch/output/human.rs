//! Numbers with their readable twin, which `?human` puts before them and never instead of them.

use serde_json::{Map, Value};

use crate::elasticsearch::units;

/// Writes number fields into an object, with readable twins where they were asked for.
#[derive(Debug, Clone, Copy)]
pub struct Readable(pub bool);

impl Readable {
    /// `twin` (`"3mb"`) if asked for, then `raw` in bytes.
    pub fn bytes(self, object: &mut Map<String, Value>, twin: &str, raw: &str, bytes: u64) {
        if self.0 {
            object.insert(twin.to_owned(), units::readable_bytes(bytes).into());
        }
        object.insert(raw.to_owned(), bytes.into());
    }

    /// `twin` (`"1.4s"`) if asked for, then `raw` in milliseconds.
    pub fn millis(self, object: &mut Map<String, Value>, twin: &str, raw: &str, millis: i64) {
        if self.0 {
            object.insert(twin.to_owned(), units::readable_millis(millis).into());
        }
        object.insert(raw.to_owned(), millis.into());
    }

    /// `twin` (`"2026-…Z"`) if asked for, then `raw` in milliseconds since 1970.
    pub fn instant(self, object: &mut Map<String, Value>, twin: &str, raw: &str, millis: i64) {
        if self.0 {
            object.insert(twin.to_owned(), units::iso_instant(millis).into());
        }
        object.insert(raw.to_owned(), millis.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn twins_stand_before_the_number() {
        let mut object = Map::new();
        Readable(true).bytes(&mut object, "size", "size_in_bytes", 1536);
        assert_eq!(
            Value::Object(object),
            json!({"size": "1.5kb", "size_in_bytes": 1536})
        );
        let mut object = Map::new();
        Readable(false).millis(&mut object, "time", "time_in_millis", 5);
        assert_eq!(Value::Object(object), json!({"time_in_millis": 5}));
    }
}
