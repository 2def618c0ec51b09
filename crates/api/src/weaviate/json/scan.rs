//! Why a text is no JSON, in the words of Go's decoder.

/// Go's text for the first syntax error of `text`; `unexpected EOF` if it only ends too early.
pub fn go_syntax_error(text: &[u8]) -> String {
    let mut scanner = Scanner { text, at: 0 };
    match scanner.value(0) {
        Err(complaint) => complaint,
        // Well formed, and still beyond what can be kept: a number too large, half a surrogate pair, no UTF-8.
        Ok(()) => match serde_json::from_slice::<serde_json::Value>(text) {
            Err(error) => error.to_string(),
            Ok(_) => "invalid character after top-level value".to_owned(),
        },
    }
}

/// Deeper nesting is refused by Go and by our parser.
const MAX_DEPTH: usize = 128;

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

type Scan = Result<(), String>;

impl Scanner<'_> {
    fn peek(&self) -> Result<u8, String> {
        match self.text.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err("unexpected EOF".to_owned()),
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected<T>(&self, context: &str) -> Result<T, String> {
        let shown = match self.peek()? {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte if byte.is_ascii_graphic() || byte == b' ' => format!("'{}'", char::from(byte)),
            b'\n' => "'\\n'".to_owned(),
            b'\t' => "'\\t'".to_owned(),
            b'\r' => "'\\r'".to_owned(),
            byte if byte < 0x80 => format!("'\\x{byte:02x}'"),
            byte => format!("'{}'", char::from(byte)),
        };
        Err(format!("invalid character {shown} {context}"))
    }

    fn value(&mut self, depth: usize) -> Scan {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.skip_blanks();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    fn object(&mut self, depth: usize) -> Scan {
        self.at += 1;
        self.skip_blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_blanks();
            if self.peek()? != b'"' {
                return self.unexpected("looking for beginning of object key string");
            }
            self.string()?;
            self.skip_blanks();
            if self.peek()? != b':' {
                return self.unexpected("after object key");
            }
            self.at += 1;
            self.value(depth + 1)?;
            self.skip_blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected("after object key:value pair"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Scan {
        self.at += 1;
        self.skip_blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.skip_blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected("after array element"),
            }
        }
    }

    fn string(&mut self) -> Scan {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'u' => {
                            for _ in 0..4 {
                                self.at += 1;
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return self.unexpected("in \\u hexadecimal character escape");
                                }
                            }
                        }
                        b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                        _ => return self.unexpected("in string escape code"),
                    }
                    self.at += 1;
                }
                byte if byte < 0x20 => return self.unexpected("in string literal"),
                _ => self.at += 1,
            }
        }
    }

    fn literal(&mut self, word: &str) -> Scan {
        for expected in word.bytes() {
            if self.peek()? != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return self.unexpected(&context);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Scan {
        if !self.peek()?.is_ascii_digit() {
            return self.unexpected(context);
        }
        while matches!(self.text.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Scan {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::go_syntax_error;

    #[test]
    fn each_mistake_has_its_text() {
        let cases = [
            ("{", "unexpected EOF"),
            ("[1, ", "unexpected EOF"),
            (
                "{id:1}",
                "invalid character 'i' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"",
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "nul!",
                "invalid character '!' in literal null (expecting 'l')",
            ),
            (
                "<x>",
                "invalid character '<' looking for beginning of value",
            ),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            (
                "[1.x]",
                "invalid character 'x' after decimal point in numeric literal",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(go_syntax_error(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_well_formed_and_cannot_be_kept_says_why() {
        let cases: [(&[u8], &str); 3] = [
            (b"[1e400]", "number out of range"),
            (b"\"\\ud800\"", "hex escape"),
            (b"\"\xff\"", "invalid unicode"),
        ];
        for (text, expected) in cases {
            let told = go_syntax_error(text);
            assert!(told.contains(expected), "{told}");
        }
    }
}
