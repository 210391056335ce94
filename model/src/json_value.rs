//! JSON values: a text as it was given, looked into and changed on demand.
//!
//! Invariant: the text of a [`JsonValue`] parses, is at most [`JSON_LIMIT`] bytes long and nests at most
//! [`JSON_DEPTH`] levels, so reading and writing may recurse.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Invalid;

mod tree;

use tree::Json;

/// Most bytes of one JSON text.
pub const JSON_LIMIT: usize = 16 << 20;

/// Most levels of lists and objects.
pub const JSON_DEPTH: usize = 127;

/// A JSON value.
///
/// # Source
/// `contract/values.md` 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonValue {
    text: Arc<str>,
}

impl JsonValue {
    /// `null`.
    pub fn null() -> Self {
        Self { text: "null".into() }
    }

    /// A text, kept byte for byte.
    ///
    /// # Errors
    /// It is no JSON, or it is too large or too deep.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parsed(text)?;
        Ok(Self { text: text.into() })
    }

    /// A string.
    ///
    /// # Errors
    /// It is too large.
    pub fn string(value: &str) -> Result<Self, Invalid> {
        Self::written(&Json::Text(value.to_owned()))
    }

    /// An integer.
    pub fn integer(value: i64) -> Self {
        Self { text: value.to_string().into() }
    }

    /// A boolean.
    pub fn boolean(value: bool) -> Self {
        Self { text: if value { "true" } else { "false" }.into() }
    }

    /// The text as it was given.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The text over several lines, each level indented by `indent`, keys sorted.
    ///
    /// # Errors
    /// It would be larger than [`JSON_LIMIT`].
    pub fn pretty(&self, indent: &str) -> Result<String, Invalid> {
        tree::write(&self.json()?, Some(indent)).ok_or_else(too_large)
    }

    /// The text of a string; empty for null.
    ///
    /// # Errors
    /// It is something else, in the words of Go's decoder.
    pub fn as_string(&self) -> Result<String, Invalid> {
        match self.json()? {
            Json::Text(text) => Ok(text),
            Json::Null => Ok(String::new()),
            other => Err(Invalid::new(format!(
                "json: cannot unmarshal {} into Go value of type string",
                other.kind()
            ))),
        }
    }

    /// An integral number; 0 for null.
    ///
    /// # Errors
    /// It is something else, has a fraction or an exponent, or does not fit 64 bits.
    pub fn as_integer(&self) -> Result<i64, Invalid> {
        let refused =
            |what: &str| Invalid::new(format!("json: cannot unmarshal {what} into Go value of type int"));
        match self.json()? {
            Json::Null => Ok(0),
            Json::Number(_) => {
                let digits = self.text.trim();
                digits.parse().map_err(|_| refused(&format!("number {digits}")))
            }
            other => Err(refused(other.kind())),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// It is something else.
    pub fn as_boolean(&self) -> Result<bool, Invalid> {
        match self.json()? {
            Json::Bool(value) => Ok(value),
            _ => Err(Invalid::new("value is not a boolean")),
        }
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// It is something else.
    pub fn as_array(&self) -> Result<Vec<Self>, Invalid> {
        match self.json()? {
            Json::List(items) => items.iter().map(Self::written).collect(),
            _ => Err(Invalid::new("value is not an array")),
        }
    }

    /// The keys of an object, sorted.
    ///
    /// # Errors
    /// It is something else.
    pub fn fields(&self) -> Result<Vec<String>, Invalid> {
        match self.json()? {
            Json::Map(members) => Ok(members.into_keys().collect()),
            _ => Err(Invalid::new("value is not an object")),
        }
    }

    /// The value at the end of a path of keys. An empty path is the value itself.
    ///
    /// # Errors
    /// A key is missing; something on the way is no object.
    pub fn field(&self, path: &[String]) -> Result<Self, Invalid> {
        if path.is_empty() {
            return Ok(self.clone());
        }
        let root = self.json()?;
        let mut at = &root;
        for key in path {
            let Json::Map(members) = at else {
                return Err(Invalid::new(format!("can't lookup field '{key}' in non-object value")));
            };
            at = members.get(key).ok_or_else(|| Invalid::new(format!("no such field: '{key}'")))?;
        }
        Self::written(at)
    }

    /// The same value with another at the end of a path of keys. What is no object on the way, the root
    /// included, is replaced by one.
    ///
    /// # Errors
    /// The result is too large or too deep.
    pub fn with_field(&self, path: &[String], value: &Self) -> Result<Self, Invalid> {
        // Checked before anything nests that deep.
        if path.len() > JSON_DEPTH {
            return Err(too_deep());
        }
        let mut root = match self.json()? {
            Json::Map(members) => members,
            _ => BTreeMap::new(),
        };
        if let Some((last, way)) = path.split_last() {
            let mut at = &mut root;
            for key in way {
                at = at.entry(key.clone()).or_insert(Json::Null).members_mut();
            }
            at.insert(last.clone(), value.json()?);
        }
        let root = Json::Map(root);
        if root.depth() > JSON_DEPTH {
            return Err(too_deep());
        }
        Self::written(&root)
    }

    fn json(&self) -> Result<Json, Invalid> {
        parsed(&self.text)
    }

    fn written(json: &Json) -> Result<Self, Invalid> {
        let text = tree::write(json, None).ok_or_else(too_large)?;
        Ok(Self { text: text.into() })
    }
}

fn parsed(text: &str) -> Result<Json, Invalid> {
    if text.len() > JSON_LIMIT {
        return Err(too_large());
    }
    serde_json::from_str(text).map_err(|error| Invalid::new(format!("invalid JSON: {error}")))
}

fn too_large() -> Invalid {
    Invalid::new(format!("JSON exceeds limit {JSON_LIMIT}"))
}

fn too_deep() -> Invalid {
    Invalid::new(format!("JSON nests deeper than {JSON_DEPTH} levels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> JsonValue {
        JsonValue::parse(text).expect(text)
    }

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn scalars() {
        assert_eq!(&**JsonValue::null().text(), "null");
        assert_eq!(JsonValue::integer(-123).as_integer(), Ok(-123));
        assert_eq!(JsonValue::boolean(true).as_boolean(), Ok(true));
        assert_eq!(JsonValue::string("x\n").unwrap().as_string().unwrap(), "x\n");
        assert_eq!(JsonValue::null().as_integer(), Ok(0));
        assert_eq!(JsonValue::null().as_string().unwrap(), "");
    }

    #[test]
    fn types_are_checked_in_the_words_of_0_19() {
        let string = "json: cannot unmarshal object into Go value of type string";
        assert_eq!(value(r#"{"k":1}"#).field(&[]).unwrap().as_string().unwrap_err().0, string);
        for (text, problem) in [
            ("1.5", "json: cannot unmarshal number 1.5 into Go value of type int"),
            (" 1e3 ", "json: cannot unmarshal number 1e3 into Go value of type int"),
            (
                "10000000000000000001",
                "json: cannot unmarshal number 10000000000000000001 into Go value of type int",
            ),
            ("true", "json: cannot unmarshal bool into Go value of type int"),
            ("[]", "json: cannot unmarshal array into Go value of type int"),
            (r#""1""#, "json: cannot unmarshal string into Go value of type int"),
        ] {
            assert_eq!(value(text).as_integer().unwrap_err().0, problem);
        }
        assert_eq!(value("1").as_boolean().unwrap_err().0, "value is not a boolean");
        assert_eq!(value("1").as_array().unwrap_err().0, "value is not an array");
        assert_eq!(value("1").fields().unwrap_err().0, "value is not an object");
    }

    #[test]
    fn texts_are_kept_and_re_encoded_values_are_canonical() {
        let text = r#"{ "b":1,  "a":2 }"#;
        assert_eq!(&**value(text).text(), text);
        assert_eq!(value(text).pretty("  ").unwrap(), "{\n  \"a\": 2,\n  \"b\": 1\n}");
        assert_eq!(value(r#"[[],{},[1]]"#).pretty("\t").unwrap(), "[\n\t[],\n\t{},\n\t[\n\t\t1\n\t]\n]");
        let elements = value(r#"[1,"a",true,null]"#).as_array().unwrap();
        let elements: Vec<&str> = elements.iter().map(|element| &**element.text()).collect();
        assert_eq!(elements, ["1", "\"a\"", "true", "null"]);
    }

    #[test]
    fn fields_are_found_and_set() {
        let x = JsonValue::string("x").unwrap();
        let check = |receiver: &str, keys: &[&str], value_: &JsonValue, expected: &str| {
            assert_eq!(&**value(receiver).with_field(&path(keys), value_).unwrap().text(), expected);
        };
        check("null", &["a", "b"], &x, r#"{"a":{"b":"x"}}"#);
        check(r#"{"a":[1],"c":1}"#, &["a", "b"], &x, r#"{"a":{"b":"x"},"c":1}"#);
        check("[1]", &["a"], &JsonValue::integer(1), r#"{"a":1}"#);
        check(r#"{"k":1}"#, &[], &x, r#"{"k":1}"#);
        check("[1]", &[], &x, "{}");
        check(
            r#"{"a":"<&>","n":10000000000000000001}"#,
            &["z"],
            &JsonValue::boolean(true),
            r#"{"a":"\u003c\u0026\u003e","n":10000000000000000000,"z":true}"#,
        );
        let nested = value(r#"{"k":{"x":[1, 2]}}"#);
        assert_eq!(&**nested.field(&path(&["k", "x"])).unwrap().text(), "[1,2]");
        assert_eq!(nested.field(&path(&["y"])).unwrap_err().0, "no such field: 'y'");
        let problem = value(r#"{"k":1}"#).field(&path(&["k", "x"])).unwrap_err().0;
        assert_eq!(problem, "can't lookup field 'x' in non-object value");
        assert_eq!(value(r#"{"b":1,"a":1,"b":2}"#).fields().unwrap(), ["a", "b"]);
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in ["", "{", "[1,]", "{} x", "nul", "\"\u{1}\"", "01"] {
            let problem = JsonValue::parse(text).expect_err(text).0;
            assert!(problem.starts_with("invalid JSON: "), "{text}: {problem}");
        }
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deepest = value(&nested(JSON_DEPTH));
        assert!(JsonValue::parse(&nested(JSON_DEPTH + 1)).is_err());
        assert!(JsonValue::parse(&nested(1 << 20)).is_err());
        assert!(JsonValue::parse(&"[".repeat(1 << 20)).is_err());
        assert!(JsonValue::parse(&" ".repeat(JSON_LIMIT + 1)).is_err());
        assert!(deepest.with_field(&path(&["a"]), &JsonValue::null()).is_ok(), "the list is replaced");
        assert!(JsonValue::null().with_field(&path(&["a"]), &deepest).is_err());
        assert!(JsonValue::null().with_field(&vec!["a".to_owned(); 100_000], &JsonValue::null()).is_err());
        let deepest_path = vec!["a".to_owned(); JSON_DEPTH];
        let made = JsonValue::null().with_field(&deepest_path, &JsonValue::integer(1)).unwrap();
        assert_eq!(made.field(&deepest_path).unwrap().as_integer(), Ok(1));
        // Indentation cannot make a small text a huge one.
        assert!(deepest.pretty(&" ".repeat(1 << 20)).is_err());
        assert!(JsonValue::string(&"<".repeat(JSON_LIMIT / 2)).is_err());
    }

    #[test]
    fn doubling_ends_at_the_limit() {
        let mut growing = JsonValue::string(&"x".repeat(1 << 10)).unwrap();
        let mut steps = 0;
        let problem = loop {
            let pair = JsonValue::null().with_field(&path(&["a"]), &growing).unwrap();
            match pair.with_field(&path(&["b"]), &growing) {
                Ok(next) => growing = next,
                Err(problem) => break problem.0,
            }
            steps += 1;
        };
        assert_eq!((steps, problem.as_str()), (13, "JSON exceeds limit 16777216"));
    }
}
