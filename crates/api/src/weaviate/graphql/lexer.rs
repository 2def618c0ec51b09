//! Tokens of a query.

use super::answer::Failure;
use super::syntax::Place;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `{`, `...` and the like.
    Punctuator(&'static str),
    Name(String),
    Int(String),
    Float(String),
    String(String),
    End,
}

impl Token {
    /// The token as complaints name it.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Punctuator(text) => (*text).to_owned(),
            Self::Name(text) => format!("Name {text:?}"),
            Self::Int(text) => format!("Int {text:?}"),
            Self::Float(text) => format!("Float {text:?}"),
            Self::String(text) => format!("String {text:?}"),
            Self::End => "EOF".to_owned(),
        }
    }
}

const PUNCTUATORS: [&str; 14] = [
    "...", "!", "$", "(", ")", ":", "=", "@", "[", "]", "{", "|", "}", "&",
];

/// Cuts a text into tokens.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A complaint with the line it is about.
    pub(super) fn complaint(&self, at: usize, message: &str) -> Failure {
        let place = self.place(at.min(self.text.len()));
        let line = self.text.lines().nth(place.line - 1).unwrap_or_default();
        let number = place.line.to_string();
        let indent = " ".repeat(number.len() + 1 + place.column);
        Failure {
            place,
            message: format!(
                "Syntax Error GraphQL request ({}:{}) {message}\n\n{number}: {line}\n{indent}^\n",
                place.line, place.column
            ),
        }
    }

    fn skip_ignored(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', ',', '\u{feff}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// The next token, where it begins, and that place in lines and columns.
    pub(super) fn next(&mut self) -> Result<(Token, usize, Place), Failure> {
        self.skip_ignored();
        let start = self.at;
        let token = self.token()?;
        Ok((token, start, self.place(start)))
    }

    fn token(&mut self) -> Result<Token, Failure> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        for punctuator in PUNCTUATORS {
            if rest.starts_with(punctuator) {
                self.at += punctuator.len();
                return Ok(Token::Punctuator(punctuator));
            }
        }
        if first == '_' || first.is_ascii_alphabetic() {
            let end = rest
                .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            self.at += end;
            return Ok(Token::Name(rest[..end].to_owned()));
        }
        if first == '-' || first.is_ascii_digit() {
            return self.number(rest);
        }
        if let Some(block) = rest.strip_prefix("\"\"\"") {
            let Some(end) = block.find("\"\"\"") else {
                return Err(self.complaint(self.text.len(), "Unterminated string."));
            };
            self.at += end + 6;
            return Ok(Token::String(block[..end].trim().to_owned()));
        }
        if first == '"' {
            return self.string();
        }
        Err(self.complaint(self.at, &format!("Unexpected character {first:?}.")))
    }

    fn number(&mut self, rest: &str) -> Result<Token, Failure> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let text = &rest[..end];
        if text.parse::<f64>().is_err() {
            return Err(self.complaint(self.at, &format!("Invalid number, {text:?}.")));
        }
        self.at += end;
        if text.contains(['.', 'e', 'E']) {
            Ok(Token::Float(text.to_owned()))
        } else {
            Ok(Token::Int(text.to_owned()))
        }
    }

    /// A string in quotes; its escapes are those of JSON.
    fn string(&mut self) -> Result<Token, Failure> {
        let rest = self.rest();
        let mut escaped = false;
        for (position, character) in rest.char_indices().skip(1) {
            match character {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let quoted = &rest[..=position];
                    return match serde_json::from_str(quoted) {
                        Ok(text) => {
                            self.at += quoted.len();
                            Ok(Token::String(text))
                        }
                        Err(_) => {
                            Err(self.complaint(self.at, "Invalid character escape sequence."))
                        }
                    };
                }
                _ => {}
            }
        }
        Err(self.complaint(self.at, "Unterminated string."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next().unwrap() {
                (Token::End, ..) => return tokens,
                (token, ..) => tokens.push(token),
            }
        }
    }

    #[test]
    fn a_text_is_cut_into_tokens() {
        assert_eq!(
            tokens("{ a(x: -1.5, y:\"q\\\"\\u00e9\") # rest\n ...B }"),
            [
                Token::Punctuator("{"),
                Token::Name("a".into()),
                Token::Punctuator("("),
                Token::Name("x".into()),
                Token::Punctuator(":"),
                Token::Float("-1.5".into()),
                Token::Name("y".into()),
                Token::Punctuator(":"),
                Token::String("q\"é".into()),
                Token::Punctuator(")"),
                Token::Punctuator("..."),
                Token::Name("B".into()),
                Token::Punctuator("}"),
            ]
        );
    }

    #[test]
    fn a_complaint_shows_the_line() {
        let complaint = Lexer::new("a\n {").complaint(3, "Wrong.");
        assert_eq!(
            complaint.message,
            "Syntax Error GraphQL request (2:2) Wrong.\n\n2:  {\n    ^\n"
        );
        assert!(
            Lexer::new("\"abc")
                .next()
                .unwrap_err()
                .message
                .contains("Unterminated")
        );
        assert!(Lexer::new("%").next().is_err());
    }
}
