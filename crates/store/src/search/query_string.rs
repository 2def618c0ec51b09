//! The small language of `query_string` and `simple_query_string`: `field:term`, quotes, `*`, `AND`, `OR`,
//! `NOT`, `+`, `-`, brackets, `field:[a TO b]`, `field:>5`, `_exists_:field`.

use serde_json::{Map, Value};

use super::SearchError;
use super::query::{Bool, Kind, Match, MatchMode, Query, Range, fields_of, is_and};

/// Longest query text in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 50;

/// Builds the query from the parameters of `query_string` or `simple_query_string`.
pub(super) fn from_parameters(name: &str, map: &Map<String, Value>) -> Result<Query, SearchError> {
    const KNOWN: [&str; 14] = [
        "query",
        "default_field",
        "fields",
        "default_operator",
        "lenient",
        "analyze_wildcard",
        "allow_leading_wildcard",
        "boost",
        "_name",
        "flags",
        "type",
        "auto_generate_synonyms_phrase_query",
        "max_determinized_states",
        "quote_field_suffix",
    ];
    if let Some(key) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(SearchError::unsupported(format!("{name} with {key}")));
    }
    let Some(text) = map.get("query").and_then(Value::as_str) else {
        return Err(SearchError::parsing(format!(
            "[{name}] must be provided with a [query]"
        )));
    };
    let mut fields = fields_of(map.get("fields").or_else(|| map.get("default_field")));
    if fields.is_empty() {
        fields.push("*".to_owned());
    }
    let mut query = parse(text, &fields, is_and(map, "default_operator"))?;
    query.boost = map.get("boost").and_then(Value::as_f64).unwrap_or(1.0) as f32;
    Ok(query)
}

/// Parses a query text.
pub(super) fn parse(text: &str, fields: &[String], is_and: bool) -> Result<Query, SearchError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(SearchError::illegal(format!(
            "the query text is longer than {MAX_TEXT_BYTES} bytes"
        )));
    }
    let mut parser = Parser {
        tokens: lex(text)?,
        position: 0,
        is_and,
        text,
    };
    let query = parser.clauses(fields, 0)?;
    if parser.position < parser.tokens.len() {
        return Err(parser.failed());
    }
    Ok(query)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Plus,
    Minus,
    /// `name:`
    Field(String),
    Phrase(String),
    /// A word; escapes are kept for patterns.
    Word(String),
    /// `[a TO b}`: bounds and whether they are included.
    Between(String, bool, String, bool),
}

fn lex(text: &str) -> Result<Vec<Token>, SearchError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let is_start = at == 0 || chars[at - 1].is_whitespace() || chars[at - 1] == '(';
        match c {
            c if c.is_whitespace() => at += 1,
            '(' => {
                tokens.push(Token::Open);
                at += 1;
            }
            ')' => {
                tokens.push(Token::Close);
                at += 1;
            }
            '+' if is_start => {
                tokens.push(Token::Plus);
                at += 1;
            }
            '-' | '!' if is_start => {
                tokens.push(Token::Minus);
                at += 1;
            }
            '"' => {
                let (phrase, next) = until(&chars, at + 1, '"', text)?;
                tokens.push(Token::Phrase(phrase));
                at = next;
            }
            '[' | '{' => {
                let (token, next) = between(&chars, at, text)?;
                tokens.push(token);
                at = next;
            }
            '&' if chars.get(at + 1) == Some(&'&') => {
                tokens.push(Token::And);
                at += 2;
            }
            '|' => {
                tokens.push(Token::Or);
                at += if chars.get(at + 1) == Some(&'|') {
                    2
                } else {
                    1
                };
            }
            '/' if is_start => {
                return Err(SearchError::unsupported(
                    "regular expression in a query string",
                ));
            }
            '~' => {
                return Err(SearchError::unsupported(
                    "fuzzy or proximity search in a query string",
                ));
            }
            '^' => {
                // A boost: scores are simple here, so its number is skipped.
                at += 1;
                while chars
                    .get(at)
                    .is_some_and(|c| c.is_ascii_digit() || *c == '.')
                {
                    at += 1;
                }
            }
            _ => {
                let (token, next) = word(&chars, at);
                tokens.push(token);
                at = next;
            }
        }
    }
    Ok(tokens)
}

fn until(
    chars: &[char],
    start: usize,
    end: char,
    text: &str,
) -> Result<(String, usize), SearchError> {
    let mut found = String::new();
    let mut at = start;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => {
                found.extend(chars.get(at + 1));
                at += 2;
            }
            c if c == end => return Ok((found, at + 1)),
            c => {
                found.push(c);
                at += 1;
            }
        }
    }
    Err(cannot_parse(text))
}

fn between(chars: &[char], start: usize, text: &str) -> Result<(Token, usize), SearchError> {
    let end = chars[start..]
        .iter()
        .position(|c| *c == ']' || *c == '}')
        .map(|length| start + length)
        .ok_or_else(|| cannot_parse(text))?;
    let inner: String = chars[start + 1..end].iter().collect();
    let words: Vec<&str> = inner.split_whitespace().collect();
    let [from, "TO", to] = words.as_slice() else {
        return Err(cannot_parse(text));
    };
    let bare = |word: &str| word.trim_matches('"').to_owned();
    let token = Token::Between(bare(from), chars[start] == '[', bare(to), chars[end] == ']');
    Ok((token, end + 1))
}

fn word(chars: &[char], start: usize) -> (Token, usize) {
    let mut word = String::new();
    let mut at = start;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => {
                word.push(c);
                word.extend(chars.get(at + 1));
                at += 2;
            }
            ':' => return (Token::Field(unescape(&word)), at + 1),
            c if c.is_whitespace() || matches!(c, '(' | ')' | '"' | '^' | '~' | ']' | '}') => break,
            c => {
                word.push(c);
                at += 1;
            }
        }
    }
    if at == start {
        // A lone closing bracket: taken as a word, so that the lexer always moves on.
        word.push(chars[at]);
        at += 1;
    }
    let token = match word.as_str() {
        "AND" => Token::And,
        "OR" => Token::Or,
        "NOT" => Token::Not,
        _ => Token::Word(word),
    };
    (token, at)
}

fn unescape(word: &str) -> String {
    let mut plain = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            plain.extend(chars.next());
        } else {
            plain.push(c);
        }
    }
    plain
}

fn cannot_parse(text: &str) -> SearchError {
    SearchError::parsing(format!("Failed to parse query [{text}]"))
}

#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Default,
    Must,
    MustNot,
}

struct Parser<'a> {
    tokens: Vec<Token>,
    position: usize,
    is_and: bool,
    text: &'a str,
}

impl Parser<'_> {
    fn failed(&self) -> SearchError {
        cannot_parse(self.text)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += usize::from(token.is_some());
        token
    }

    /// Clauses up to a closing bracket. As in Lucene, `a AND b` demands both and `OR` is the default.
    fn clauses(&mut self, fields: &[String], depth: usize) -> Result<Query, SearchError> {
        if depth > MAX_DEPTH {
            return Err(self.failed());
        }
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        let mut has_or = false;
        let mut is_after_and = false;
        loop {
            match self.tokens.get(self.position) {
                None | Some(Token::Close) => break,
                Some(Token::And) => {
                    self.position += 1;
                    let Some((occur, _)) = clauses.last_mut() else {
                        return Err(self.failed());
                    };
                    if *occur == Occur::Default {
                        *occur = Occur::Must;
                    }
                    is_after_and = true;
                    continue;
                }
                Some(Token::Or) => {
                    self.position += 1;
                    has_or = true;
                    continue;
                }
                Some(_) => {}
            }
            let mut occur = if std::mem::take(&mut is_after_and) {
                Occur::Must
            } else {
                Occur::Default
            };
            while let Some(token @ (Token::Plus | Token::Minus | Token::Not)) =
                self.tokens.get(self.position)
            {
                occur = if *token == Token::Plus {
                    Occur::Must
                } else {
                    Occur::MustNot
                };
                self.position += 1;
            }
            clauses.push((occur, self.clause(fields, depth)?));
        }
        let mut query = Bool::default();
        for (occur, clause) in clauses {
            match occur {
                Occur::MustNot => query.must_not.push(clause),
                Occur::Must => query.must.push(clause),
                Occur::Default if self.is_and && !has_or => query.must.push(clause),
                Occur::Default => query.should.push(clause),
            }
        }
        if query.must_not.is_empty() && query.must.len() + query.should.len() == 1 {
            return query
                .must
                .pop()
                .or_else(|| query.should.pop())
                .ok_or_else(|| self.failed());
        }
        if query == Bool::default() {
            return Ok(Query::new(Kind::Nothing));
        }
        Ok(Query::new(Kind::Bool(Box::new(query))))
    }

    fn clause(&mut self, fields: &[String], depth: usize) -> Result<Query, SearchError> {
        if depth > MAX_DEPTH {
            return Err(self.failed());
        }
        let token = self.next().ok_or_else(|| self.failed())?;
        match token {
            Token::Open => {
                let query = self.clauses(fields, depth + 1)?;
                match self.next() {
                    Some(Token::Close) => Ok(query),
                    _ => Err(self.failed()),
                }
            }
            Token::Field(name) if name == "_exists_" => match self.next() {
                Some(Token::Word(field) | Token::Phrase(field)) => {
                    Ok(Query::new(Kind::Exists(unescape(&field))))
                }
                _ => Err(self.failed()),
            },
            Token::Field(name) if name == "*" => {
                if self.tokens.get(self.position) == Some(&Token::Word("*".to_owned())) {
                    self.position += 1;
                    return Ok(Query::all());
                }
                self.clause(&[name], depth + 1)
            }
            Token::Field(name) => self.clause(&[name], depth + 1),
            Token::Phrase(text) => Ok(matching(fields, text, MatchMode::Phrase)),
            Token::Between(from, from_included, to, to_included) => {
                let open = |bound: String, is_included| {
                    (bound != "*").then(|| (Value::String(bound), is_included))
                };
                Ok(self.range(fields, open(from, from_included), open(to, to_included)))
            }
            Token::Word(word) => Ok(self.word(fields, &word)),
            _ => Err(self.failed()),
        }
    }

    fn word(&self, fields: &[String], word: &str) -> Query {
        if word == "*" {
            return match fields {
                [field] if field != "*" => Query::new(Kind::Exists(field.clone())),
                _ => Query::all(),
            };
        }
        let bound = |text: &str, is_included| Some((Value::String(unescape(text)), is_included));
        for (sign, is_from, is_included) in [
            (">=", true, true),
            ("<=", false, true),
            (">", true, false),
            ("<", false, false),
        ] {
            if let Some(rest) = word.strip_prefix(sign) {
                return if is_from {
                    self.range(fields, bound(rest, is_included), None)
                } else {
                    self.range(fields, None, bound(rest, is_included))
                };
            }
        }
        let is_pattern = {
            let mut chars = word.chars();
            let mut found = false;
            while let Some(c) = chars.next() {
                match c {
                    '\\' => {
                        chars.next();
                    }
                    '*' | '?' => found = true,
                    _ => {}
                }
            }
            found
        };
        if is_pattern {
            return any_of(fields, |field| Kind::Wildcard {
                field: field.to_owned(),
                pattern: word.to_owned(),
                // Text is matched by lower-case tokens, so the pattern is folded there; see the matcher.
                ignore_case: false,
            });
        }
        let mode = if self.is_and {
            MatchMode::AllTokens
        } else {
            MatchMode::AnyToken
        };
        matching(fields, unescape(word), mode)
    }

    fn range(
        &self,
        fields: &[String],
        from: Option<(Value, bool)>,
        to: Option<(Value, bool)>,
    ) -> Query {
        any_of(fields, |field| {
            Kind::Range(Range {
                field: field.to_owned(),
                from: from.clone(),
                to: to.clone(),
            })
        })
    }
}

fn matching(fields: &[String], text: String, mode: MatchMode) -> Query {
    Query::new(Kind::Match(Match {
        fields: fields.to_vec(),
        text: Value::String(text),
        mode,
        is_lenient: true,
    }))
}

fn any_of(fields: &[String], kind: impl Fn(&str) -> Kind) -> Query {
    match fields {
        [field] => Query::new(kind(field)),
        fields => Query::new(Kind::Bool(Box::new(Bool {
            should: fields.iter().map(|field| Query::new(kind(field))).collect(),
            ..Bool::default()
        }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in ".*", dense in "[a:*()\\[\\]{}\"+\\-!&|^~/ TO\\\\]{0,60}") {
            let fields = ["*".to_owned()];
            let _ = parse(&text, &fields, false);
            let _ = parse(&dense, &fields, true);
        }
    }

    #[test]
    fn nesting_is_limited() {
        let fields = ["*".to_owned()];
        for text in ["(".repeat(20_000), "*:".repeat(20_000), "a:".repeat(20_000)] {
            assert!(parse(&text, &fields, false).is_err());
        }
    }
}
