//! From the text of a query to its fields.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::answer::Failure;
use super::lexer::{Lexer, Token};
use super::syntax::{Field, Place};

/// Deepest nesting of selections, values and fragments.
const MAX_DEPTH: usize = 32;
/// Most fields of a query after its fragments were spread.
const MAX_FIELDS: usize = 10_000;

/// The fields that a query asks for. Of several operations `operation` names the one.
pub(super) fn parse(
    text: &str,
    variables: &Map<String, Value>,
    operation: Option<&str>,
) -> Result<Vec<Field>, Failure> {
    let mut parser = Parser::new(text)?;
    let document = parser.document()?;
    let chosen = match operation.filter(|name| !name.is_empty()) {
        None => document.operations.last(),
        Some(name) => document
            .operations
            .iter()
            .find(|it| it.name.as_deref() == Some(name)),
    };
    let at_start = |message: &str| Failure {
        place: Place { line: 1, column: 1 },
        message: message.to_owned(),
    };
    let Some(chosen) = chosen else {
        return Err(at_start("Must provide an operation."));
    };
    if operation.is_none() && document.operations.len() > 1 {
        return Err(at_start(
            "Must provide operation name if query contains multiple operations.",
        ));
    }
    let mut values = variables.clone();
    for (name, default) in &chosen.defaults {
        values
            .entry(name.clone())
            .or_insert_with(|| default.clone());
    }
    let mut spreader = Spreader {
        fragments: &document.fragments,
        variables: &values,
        fields: 0,
    };
    let mut fields = Vec::new();
    let mut variants = Vec::new();
    spreader.spread(&chosen.selections, &mut fields, &mut variants, 0)?;
    Ok(fields)
}

#[derive(Default)]
struct Document {
    operations: Vec<Operation>,
    fragments: HashMap<String, (String, Vec<Selection>)>,
}

struct Operation {
    name: Option<String>,
    defaults: Vec<(String, Value)>,
    selections: Vec<Selection>,
}

#[derive(Debug, Clone)]
enum Selection {
    Field(RawField),
    Inline {
        on: Option<String>,
        selections: Vec<Selection>,
    },
    Spread {
        name: String,
        place: Place,
    },
}

#[derive(Debug, Clone)]
struct RawField {
    alias: Option<String>,
    name: String,
    arguments: Vec<(String, RawValue)>,
    selections: Vec<Selection>,
    place: Place,
}

#[derive(Debug, Clone)]
enum RawValue {
    Plain(Value),
    Variable(String, Place),
    List(Vec<RawValue>),
    Object(Vec<(String, RawValue)>),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    start: usize,
    place: Place,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(text);
        let (token, start, place) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            start,
            place,
        })
    }

    fn advance(&mut self) -> Result<Token, Failure> {
        let (token, start, place) = self.lexer.next()?;
        self.start = start;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn expected<T>(&self, what: &str) -> Result<T, Failure> {
        let message = format!("Expected {what}, found {}", self.token.described());
        Err(self.lexer.complaint(self.start, &message))
    }

    fn unexpected<T>(&self) -> Result<T, Failure> {
        let message = format!("Unexpected {}", self.token.described());
        Err(self.lexer.complaint(self.start, &message))
    }

    fn is(&self, punctuator: &str) -> bool {
        matches!(&self.token, Token::Punctuator(text) if *text == punctuator)
    }

    fn skip(&mut self, punctuator: &str) -> Result<bool, Failure> {
        let found = self.is(punctuator);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, punctuator: &'static str) -> Result<(), Failure> {
        if self.skip(punctuator)? {
            return Ok(());
        }
        self.expected(punctuator)
    }

    fn name(&mut self) -> Result<String, Failure> {
        if !matches!(self.token, Token::Name(_)) {
            return self.expected("Name");
        }
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => self.expected("Name"),
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), Failure> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("Nested deeper than {MAX_DEPTH}.");
        Err(self.lexer.complaint(self.start, &message))
    }

    fn document(&mut self) -> Result<Document, Failure> {
        let mut document = Document::default();
        loop {
            match &self.token {
                Token::Punctuator("{") => {
                    let selections = self.selections(0)?;
                    document.operations.push(Operation {
                        name: None,
                        defaults: Vec::new(),
                        selections,
                    });
                }
                Token::Name(word) if word == "query" => document.operations.push(self.operation()?),
                Token::Name(word) if word == "fragment" => {
                    self.advance()?;
                    let name = self.name()?;
                    if !matches!(&self.token, Token::Name(word) if word == "on") {
                        return self.expected("\"on\"");
                    }
                    self.advance()?;
                    let on = self.name()?;
                    self.directives()?;
                    let selections = self.selections(0)?;
                    document.fragments.insert(name, (on, selections));
                }
                Token::End if !document.operations.is_empty() => return Ok(document),
                _ => return self.unexpected(),
            }
        }
    }

    fn operation(&mut self) -> Result<Operation, Failure> {
        self.advance()?;
        let name = match &self.token {
            Token::Name(_) => Some(self.name()?),
            _ => None,
        };
        let mut defaults = Vec::new();
        if self.skip("(")? {
            while !self.skip(")")? {
                self.expect("$")?;
                let variable = self.name()?;
                self.expect(":")?;
                self.type_reference(0)?;
                if self.skip("=")? {
                    let value = self.value(0)?;
                    if let Some(value) = value.constant() {
                        defaults.push((variable, value));
                    }
                }
            }
        }
        self.directives()?;
        Ok(Operation {
            name,
            defaults,
            selections: self.selections(0)?,
        })
    }

    fn type_reference(&mut self, depth: usize) -> Result<(), Failure> {
        self.check_depth(depth)?;
        if self.skip("[")? {
            self.type_reference(depth + 1)?;
            self.expect("]")?;
        } else {
            self.name()?;
        }
        self.skip("!").map(|_| ())
    }

    /// Directives are read over; the only ones there are would leave fields out.
    fn directives(&mut self) -> Result<(), Failure> {
        while self.skip("@")? {
            self.name()?;
            self.arguments(0)?;
        }
        Ok(())
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection>, Failure> {
        self.check_depth(depth)?;
        self.expect("{")?;
        let mut selections = vec![self.selection(depth)?];
        while !self.skip("}")? {
            selections.push(self.selection(depth)?);
        }
        Ok(selections)
    }

    fn selection(&mut self, depth: usize) -> Result<Selection, Failure> {
        let place = self.place;
        if self.skip("...")? {
            let is_on = matches!(&self.token, Token::Name(word) if word == "on");
            if matches!(self.token, Token::Name(_)) && !is_on {
                let name = self.name()?;
                self.directives()?;
                return Ok(Selection::Spread { name, place });
            }
            let on = if is_on {
                self.advance()?;
                Some(self.name()?)
            } else {
                None
            };
            self.directives()?;
            let selections = self.selections(depth + 1)?;
            return Ok(Selection::Inline { on, selections });
        }
        let first = self.name()?;
        let (alias, name) = if self.skip(":")? {
            (Some(first), self.name()?)
        } else {
            (None, first)
        };
        let arguments = self.arguments(depth)?;
        self.directives()?;
        let selections = if self.is("{") {
            self.selections(depth + 1)?
        } else {
            Vec::new()
        };
        Ok(Selection::Field(RawField {
            alias,
            name,
            arguments,
            selections,
            place,
        }))
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<(String, RawValue)>, Failure> {
        let mut arguments = Vec::new();
        if self.skip("(")? {
            loop {
                let name = self.name()?;
                self.expect(":")?;
                arguments.push((name, self.value(depth + 1)?));
                if self.skip(")")? {
                    break;
                }
            }
        }
        Ok(arguments)
    }

    fn value(&mut self, depth: usize) -> Result<RawValue, Failure> {
        self.check_depth(depth)?;
        let place = self.place;
        if self.skip("$")? {
            return Ok(RawValue::Variable(self.name()?, place));
        }
        if self.skip("[")? {
            let mut items = Vec::new();
            while !self.skip("]")? {
                items.push(self.value(depth + 1)?);
            }
            return Ok(RawValue::List(items));
        }
        if self.skip("{")? {
            let mut fields = Vec::new();
            while !self.skip("}")? {
                let name = self.name()?;
                self.expect(":")?;
                fields.push((name, self.value(depth + 1)?));
            }
            return Ok(RawValue::Object(fields));
        }
        let value = match &self.token {
            Token::Int(text) => match text.parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => float(text),
            },
            Token::Float(text) => float(text),
            Token::String(text) => Value::from(text.as_str()),
            Token::Name(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                word => Value::from(word),
            },
            _ => return self.unexpected(),
        };
        self.advance()?;
        Ok(RawValue::Plain(value))
    }
}

fn float(text: &str) -> Value {
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

impl RawValue {
    /// The value, if it has no variables in it.
    fn constant(&self) -> Option<Value> {
        self.resolved(&Map::new()).ok()
    }

    fn resolved(&self, variables: &Map<String, Value>) -> Result<Value, Failure> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Variable(name, place) => match variables.get(name) {
                Some(value) => value.clone(),
                None => {
                    return Err(Failure {
                        place: *place,
                        message: format!("Variable \"${name}\" was not provided."),
                    });
                }
            },
            Self::List(items) => items
                .iter()
                .map(|item| item.resolved(variables))
                .collect::<Result<_, _>>()?,
            Self::Object(fields) => {
                let mut map = Map::new();
                for (name, value) in fields {
                    map.insert(name.clone(), value.resolved(variables)?);
                }
                Value::Object(map)
            }
        })
    }
}

/// Puts variables and fragments in.
struct Spreader<'a> {
    fragments: &'a HashMap<String, (String, Vec<Selection>)>,
    variables: &'a Map<String, Value>,
    fields: usize,
}

impl Spreader<'_> {
    fn spread(
        &mut self,
        selections: &[Selection],
        fields: &mut Vec<Field>,
        variants: &mut Vec<(String, Vec<Field>)>,
        depth: usize,
    ) -> Result<(), Failure> {
        for selection in selections {
            match selection {
                Selection::Field(raw) => fields.push(self.field(raw, depth)?),
                Selection::Inline {
                    on: None,
                    selections,
                } => {
                    self.spread(selections, fields, variants, depth + 1)?;
                }
                Selection::Inline {
                    on: Some(on),
                    selections,
                } => variants.push((on.clone(), self.of_type(selections, depth + 1)?)),
                Selection::Spread { name, place } => {
                    let Some((on, selections)) = self.fragments.get(name) else {
                        return Err(Failure {
                            place: *place,
                            message: format!("Unknown fragment {name:?}."),
                        });
                    };
                    // A fragment that spreads itself ends here.
                    if depth > MAX_DEPTH {
                        return Err(Failure {
                            place: *place,
                            message: format!("Cannot spread fragment {name:?} within itself."),
                        });
                    }
                    variants.push((on.clone(), self.of_type(selections, depth + 1)?));
                }
            }
        }
        Ok(())
    }

    fn of_type(&mut self, selections: &[Selection], depth: usize) -> Result<Vec<Field>, Failure> {
        let mut fields = Vec::new();
        let mut variants = Vec::new();
        self.spread(selections, &mut fields, &mut variants, depth)?;
        // A type within the same type adds to it.
        fields.extend(variants.into_iter().flat_map(|(_, inner)| inner));
        Ok(fields)
    }

    fn field(&mut self, raw: &RawField, depth: usize) -> Result<Field, Failure> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Failure {
                place: raw.place,
                message: format!("A query may ask for {MAX_FIELDS} fields."),
            });
        }
        let mut arguments = Vec::with_capacity(raw.arguments.len());
        for (name, value) in &raw.arguments {
            arguments.push((name.clone(), value.resolved(self.variables)?));
        }
        let mut selections = Vec::new();
        let mut variants = Vec::new();
        self.spread(&raw.selections, &mut selections, &mut variants, depth + 1)?;
        Ok(Field {
            key: raw.alias.clone().unwrap_or_else(|| raw.name.clone()),
            name: raw.name.clone(),
            arguments,
            selections,
            variants,
            place: raw.place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(text: &str) -> Vec<Field> {
        parse(text, &Map::new(), None).unwrap()
    }

    fn complaint(text: &str) -> String {
        parse(text, &Map::new(), None).unwrap_err().message
    }

    #[test]
    fn fields_have_arguments_and_places() {
        let fields = parsed("{Get{a:Article(limit:2 where:{path:[\"x\"],operator:Equal}){title}}}");
        let article = &fields[0].selections[0];
        assert_eq!(
            (article.key.as_str(), article.name.as_str()),
            ("a", "Article")
        );
        assert_eq!(article.place, Place { line: 1, column: 6 });
        assert_eq!(
            article.arguments,
            [
                ("limit".to_owned(), json!(2)),
                (
                    "where".to_owned(),
                    json!({"path": ["x"], "operator": "Equal"})
                )
            ]
        );
        assert_eq!(article.selections[0].name, "title");
    }

    #[test]
    fn fragments_and_variables_are_put_in() {
        let text = "query Q($n: Int = 3, $v: [Float!]!) { Get { A(limit: $n, near: $v) { r { ... on B { x ...F } } } } } fragment F on B { y }";
        let variables = json!({"v": [1.5]});
        let fields = parse(text, variables.as_object().unwrap(), None).unwrap();
        let class = &fields[0].selections[0];
        assert_eq!(class.arguments[0].1, json!(3));
        assert_eq!(class.arguments[1].1, json!([1.5]));
        let (on, inner) = &class.selections[0].variants[0];
        let names: Vec<&str> = inner.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((on.as_str(), names), ("B", vec!["x", "y"]));
    }

    #[test]
    fn mistakes_say_where_they_are() {
        assert_eq!(
            complaint("{Get{"),
            "Syntax Error GraphQL request (1:6) Expected Name, found EOF\n\n1: {Get{\n        ^\n"
        );
        assert!(complaint("{a(x:)}").contains("(1:6) Unexpected )"));
        assert_eq!(complaint("{a(x:$y)}"), "Variable \"$y\" was not provided.");
        assert_eq!(complaint("{...F}"), "Unknown fragment \"F\".");
        assert!(complaint("{...F} fragment F on X {...F}").contains("within itself"));
        assert!(complaint(&"{a".repeat(100)).contains("Nested deeper"));
    }
}
