//! What is wrong with a JSON text, in the words of Jackson that clients know from Elasticsearch.
//!
//! Runs only after parsing failed; it walks the text again and stops at the first fault.

/// The first fault of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// What is wrong.
    pub(super) message: String,
    /// From 1.
    pub(super) line: usize,
    /// From 1, behind the last character read.
    pub(super) column: usize,
    /// Whether the text ended where more was needed.
    pub(super) is_end: bool,
}

/// Finds the first fault; `None` when this walk sees none.
pub(super) fn diagnose(bytes: &[u8]) -> Option<Diagnosis> {
    Walk { bytes, position: 0 }.value(0).err()
}

/// Deeper nesting than the parser itself allows is not walked.
const DEEPEST: usize = 128;

struct Walk<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Walk<'_> {
    fn fault(&self, message: impl Into<String>, is_end: bool) -> Diagnosis {
        let read = &self.bytes[..self.position.min(self.bytes.len())];
        let line_start = read
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        Diagnosis {
            message: message.into(),
            line: read.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: read.len() - line_start + 1,
            is_end,
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while self
            .bytes
            .get(self.position)
            .is_some_and(u8::is_ascii_whitespace)
        {
            self.position += 1;
        }
        self.bytes.get(self.position).copied()
    }

    fn unexpected(&mut self, expectation: &str) -> Diagnosis {
        let rest = String::from_utf8_lossy(
            &self.bytes[self.position..self.bytes.len().min(self.position + 4)],
        )
        .into_owned();
        let character = rest.chars().next().unwrap_or('\u{fffd}');
        self.position += 1;
        self.fault(
            format!(
                "Unexpected character ('{character}' (code {})): {expectation}",
                u32::from(character)
            ),
            false,
        )
    }

    fn value(&mut self, depth: usize) -> Result<(), Diagnosis> {
        match self.peek() {
            None if depth == 0 => Err(self.fault("No content to map due to end-of-input", true)),
            None => Err(self.fault("Unexpected end-of-input within/between Object entries", true)),
            Some(_) if depth >= DEEPEST => Ok(()),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string("Unexpected end-of-input in VALUE_STRING"),
            Some(b'-' | b'0'..=b'9') => {
                self.number();
                Ok(())
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' => self.word(),
            Some(_) => Err(self.unexpected(
                "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            )),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Diagnosis> {
        self.position += 1;
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(());
        }
        let mut after_comma = false;
        loop {
            match self.peek() {
                None => {
                    return Err(self.fault(
                        "Unexpected end-of-input within/between Object entries",
                        !after_comma,
                    ));
                }
                Some(b'"') => self.string("Unexpected end-of-input in field name")?,
                Some(_) => {
                    return Err(self.unexpected("was expecting double-quote to start field name"));
                }
            }
            match self.peek() {
                None => {
                    return Err(self.fault(
                        "Unexpected end-of-input within/between Object entries",
                        true,
                    ));
                }
                Some(b':') => self.position += 1,
                Some(_) => {
                    return Err(
                        self.unexpected("was expecting a colon to separate field name and value")
                    );
                }
            }
            self.value(depth + 1)?;
            match self.peek() {
                None => {
                    return Err(self.fault(
                        "Unexpected end-of-input: expected close marker for Object",
                        true,
                    ));
                }
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(_) => {
                    return Err(self.unexpected("was expecting comma to separate Object entries"));
                }
            }
            after_comma = true;
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Diagnosis> {
        self.position += 1;
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(());
        }
        loop {
            if self.peek().is_none() {
                return Err(
                    self.fault("Unexpected end-of-input within/between Array entries", true)
                );
            }
            self.value(depth + 1)?;
            match self.peek() {
                None => {
                    return Err(self.fault(
                        "Unexpected end-of-input: expected close marker for Array",
                        true,
                    ));
                }
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(_) => {
                    return Err(self.unexpected("was expecting comma to separate Array entries"));
                }
            }
        }
    }

    fn string(&mut self, at_end: &str) -> Result<(), Diagnosis> {
        self.position += 1;
        while let Some(byte) = self.bytes.get(self.position) {
            match byte {
                b'"' => {
                    self.position += 1;
                    return Ok(());
                }
                b'\\' => self.position += 2,
                control @ 0..=0x1f => {
                    let code = *control;
                    self.position += 1;
                    return Err(self.fault(
                        format!("Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to be included in string value"),
                        false,
                    ));
                }
                _ => self.position += 1,
            }
        }
        self.position = self.bytes.len();
        Err(self.fault(at_end, true))
    }

    fn number(&mut self) {
        while self
            .bytes
            .get(self.position)
            .is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
        {
            self.position += 1;
        }
    }

    fn word(&mut self) -> Result<(), Diagnosis> {
        let start = self.position;
        while self
            .bytes
            .get(self.position)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
        {
            self.position += 1;
        }
        let word = String::from_utf8_lossy(&self.bytes[start..self.position]).into_owned();
        if matches!(word.as_str(), "true" | "false" | "null") {
            return Ok(());
        }
        let expectation =
            "was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
        Err(self.fault(format!("Unrecognized token '{word}': {expectation}"), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_line() {
        let found = diagnose(b"{\n  \"a\": 1\n  \"b\"").unwrap();
        assert_eq!((found.line, found.column), (3, 4));
        assert!(
            found
                .message
                .starts_with("Unexpected character ('\"' (code 34)): was expecting comma")
        );
    }

    #[test]
    fn sound_texts_have_no_fault() {
        assert_eq!(
            diagnose(br#"{"a": [1, -2.5e3, "x\"y", {}], "b": [], "c": true}"#),
            None
        );
    }

    #[test]
    fn nothing_makes_it_panic() {
        for text in [
            "",
            "{",
            "[",
            "\"",
            "\"\\",
            "{\"a\\",
            "[1,",
            "[1 2]",
            "\u{fc}",
            "{\"a\":\u{1}",
            "-",
        ] {
            let _ = diagnose(text.as_bytes());
        }
    }
}
