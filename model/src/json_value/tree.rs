//! A parsed JSON text, and how it is written back: as Go's encoder does.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};

use super::JSON_LIMIT;

/// A JSON value. Numbers are 64-bit floats, as in a Go `any`; of equal keys the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

impl Json {
    /// Its kind, in the words of Go's decoder.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// Levels of lists and objects.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(members) => 1 + members.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Its members; what is no object becomes one.
    pub(super) fn members_mut(&mut self) -> &mut BTreeMap<String, Self> {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(BTreeMap::new());
        }
        match self {
            Self::Map(members) => members,
            _ => unreachable!("it was made an object above"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = access.next_entry()? {
            members.insert(key, value);
        }
        Ok(Json::Map(members))
    }
}

/// The text of a value: compact, or over several lines. `None` when it would be longer than [`JSON_LIMIT`].
pub(super) fn write(json: &Json, indent: Option<&str>) -> Option<String> {
    let mut writer = Writer { out: String::new(), indent };
    writer.value(json, 0).ok()?;
    Some(writer.out)
}

/// The text grew over the limit.
struct Full;

struct Writer<'a> {
    out: String,
    indent: Option<&'a str>,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Result<(), Full> {
        if self.out.len() + text.len() > JSON_LIMIT {
            return Err(Full);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn value(&mut self, json: &Json, level: usize) -> Result<(), Full> {
        match json {
            Json::Null => self.push("null"),
            Json::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Json::Number(value) => self.push(&number(*value)),
            Json::Text(text) => self.text(text),
            Json::List(items) if items.is_empty() => self.push("[]"),
            Json::List(items) => {
                self.push("[")?;
                for (index, item) in items.iter().enumerate() {
                    self.separate(index, level + 1)?;
                    self.value(item, level + 1)?;
                }
                self.line(level)?;
                self.push("]")
            }
            Json::Map(members) if members.is_empty() => self.push("{}"),
            Json::Map(members) => {
                self.push("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    self.separate(index, level + 1)?;
                    self.text(key)?;
                    self.push(if self.indent.is_some() { ": " } else { ":" })?;
                    self.value(value, level + 1)?;
                }
                self.line(level)?;
                self.push("}")
            }
        }
    }

    fn separate(&mut self, index: usize, level: usize) -> Result<(), Full> {
        if index > 0 {
            self.push(",")?;
        }
        self.line(level)
    }

    fn line(&mut self, level: usize) -> Result<(), Full> {
        let Some(indent) = self.indent else { return Ok(()) };
        self.push("\n")?;
        (0..level).try_for_each(|_| self.push(indent))
    }

    fn text(&mut self, text: &str) -> Result<(), Full> {
        self.push("\"")?;
        let mut from = 0;
        for (at, char) in text.char_indices() {
            let mut code = String::new();
            let escaped = match char {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                    let _infallible = write!(code, "\\u{:04x}", u32::from(char));
                    &code
                }
                _ => continue,
            };
            self.push(&text[from..at])?;
            self.push(escaped)?;
            from = at + char.len_utf8();
        }
        self.push(&text[from..])?;
        self.push("\"")
    }
}

/// The shortest digits that give the number back; an exponent only where Go writes one.
fn number(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (text, expected) in [
            ("1", "1"),
            ("-0", "-0"),
            ("-0.0", "-0"),
            ("1.50", "1.5"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("1.25e300", "1.25e+300"),
            ("0.000001", "0.000001"),
            ("0.00000015", "1.5e-7"),
            ("10000000000000000001", "10000000000000000000"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ] {
            let json: Json = serde_json::from_str(text).expect(text);
            assert_eq!(write(&json, None).as_deref(), Some(expected), "{text}");
        }
        assert!(serde_json::from_str::<Json>("1e400").is_err());
    }

    #[test]
    fn texts_are_escaped_for_html() {
        let json = Json::Text("<&>\u{2028}\u{1}\u{8}\"\\é".to_owned());
        assert_eq!(
            write(&json, None).as_deref(),
            Some("\"\\u003c\\u0026\\u003e\\u2028\\u0001\\b\\\"\\\\é\"")
        );
    }
}
