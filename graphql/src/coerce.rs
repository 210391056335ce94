//! Values of arguments: what clients write to what resolvers see.
//!
//! The rules are laxer than the GraphQL specification's, since SDKs quote enums and numbers: a string may stand for an integer, a
//! number, a boolean, an enum member or (as a JSON array) a list. An enum literal reads as a string everywhere, as it does in
//! 0.19.11. Literals and variables follow the same rules.
//!
//! Values of variables arrive as `async_graphql::Value`; it nests no deeper than the JSON reader allows (128), so its
//! recursive drop is safe. A value that is used many times is coerced once and shared.
//!
//! # Source
//! `contract/session.md` 7, table "Input coercion"; `contract/ids.md` 2 for input objects.

mod number;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::Value;

use crate::document::{Document, Kind, Literal, Parser, Span};
use crate::sdl::{ArgDef, SchemaModel, TypeDef, TypeKind, TypeRef};

/// A value as resolvers see it. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgValue {
    /// An explicit null.
    Null,
    /// `Boolean`.
    Bool(bool),
    /// `Int`, of 64 bits.
    Int(i64),
    /// `Float`.
    Float(f64),
    /// `String`, and every scalar that is no ID: `Platform`, `JSON`.
    String(Arc<str>),
    /// The member of an enum; an alias has become what it stands for.
    Enum(Arc<str>),
    /// The ID of an object, not decoded yet.
    Id {
        /// The object type: `Container` for a `ContainerID`.
        type_name: Arc<str>,
        /// The ID as given.
        text: Arc<str>,
    },
    /// A list.
    List(Arc<[ArgValue]>),
    /// An input object: every field, in declared order; what was not given is its default or null.
    Object(Arc<[(Arc<str>, ArgValue)]>),
}

/// The value that a request gave for a variable.
pub(crate) enum Given<'a> {
    /// As JSON, beside the document.
    Json(&'a Value),
    /// By the default in the document.
    Default(&'a Literal),
}

/// Reads a constant of a schema file.
pub(crate) fn constant(model: &SchemaModel, text: &str, ty: &TypeRef) -> Result<ArgValue, String> {
    let mut parser = Parser::new(text.into(), text).map_err(|error| error.to_string())?;
    let literal = parser.value(true, 0).map_err(|error| error.to_string())?;
    if parser.token.kind != Kind::Eof {
        return Err(format!("more than one value in `{text}`"));
    }
    Scope::new(model, &parser.document, HashMap::new()).value(Source::Literal(&literal), ty, true)
}

/// What values are read against: the schema, the document that holds the literals, and the variables.
pub(crate) struct Scope<'a> {
    model: &'a SchemaModel,
    document: &'a Document,
    variables: HashMap<&'a str, Given<'a>>,
    /// Values of whole variables by name and by the address of the type asked for.
    shared: RefCell<HashMap<(&'a str, usize), ArgValue>>,
}

/// A value still in the client's form.
#[derive(Clone, Copy)]
enum Source<'a> {
    Literal(&'a Literal),
    Json(&'a Value),
}

/// One level of a [`Source`].
enum Shape<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits.
    Huge(&'a str),
    Float(f64),
    Text(&'a str, Option<&'a Arc<str>>),
    List(Vec<Source<'a>>),
    Object(Vec<(&'a str, Source<'a>)>),
    Other(&'static str),
}

impl Shape<'_> {
    /// The name that 0.19's messages give this kind of value.
    fn label(&self) -> &'static str {
        match self {
            Self::Null => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Huge(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(..) => "string",
            Self::List(_) => "[]interface {}",
            Self::Object(_) => "map[string]interface {}",
            Self::Other(name) => name,
        }
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        model: &'a SchemaModel,
        document: &'a Document,
        variables: HashMap<&'a str, Given<'a>>,
    ) -> Self {
        Self { model, document, variables, shared: RefCell::default() }
    }

    /// The value of an argument as passed; `None` when the caller passed none after all: an absent variable, empty JSON.
    ///
    /// # Errors
    /// The end of 0.19's message, from `init arg` or `missing required argument` on.
    pub(crate) fn argument(&self, def: &'a ArgDef, literal: &'a Literal) -> Result<Option<ArgValue>, String> {
        let missing = || {
            if def.required() {
                Err(format!("missing required argument: {:?}", &*def.name))
            } else {
                Ok(None)
            }
        };
        let Some(source) = self.resolve(literal) else { return missing() };
        if &**def.ty.named() == "JSON"
            && def.ty.element().is_none()
            && matches!(self.shape(source), Shape::Text("", _))
        {
            return missing();
        }
        let coerced = match literal {
            Literal::Variable(name) => self.shared(self.document.text(*name), source, def),
            _ => self.value(source, &def.ty, nullable(def)),
        };
        coerced.map(Some).map_err(|cause| format!("init arg {:?} value as {}: {cause}", &*def.name, def.ty))
    }

    /// A condition of `@skip` or `@include`.
    pub(crate) fn condition(&self, literal: &'a Literal) -> Result<bool, String> {
        let shape = self.resolve(literal).map_or(Shape::Null, |source| self.shape(source));
        match boolean(&shape) {
            Some(value) => Ok(value),
            None => Err(format!("cannot create Boolean from {}", shape.label())),
        }
    }

    fn shared(&self, name: &'a str, source: Source<'a>, def: &'a ArgDef) -> Result<ArgValue, String> {
        let key = (name, std::ptr::from_ref(&def.ty) as usize);
        if let Some(value) = self.shared.borrow().get(&key) {
            return Ok(value.clone());
        }
        let value = self.value(source, &def.ty, nullable(def))?;
        self.shared.borrow_mut().insert(key, value.clone());
        Ok(value)
    }

    /// The source behind a literal; `None` for a variable that was not given.
    fn resolve(&self, literal: &'a Literal) -> Option<Source<'a>> {
        let Literal::Variable(name) = literal else { return Some(Source::Literal(literal)) };
        match self.variables.get(self.document.text(*name))? {
            Given::Json(value) => Some(Source::Json(value)),
            Given::Default(literal) => Some(Source::Literal(literal)),
        }
    }

    fn text(&self, span: Span) -> &'a str {
        self.document.text(span)
    }

    fn shape<'s>(&self, source: Source<'s>) -> Shape<'s>
    where
        'a: 's,
    {
        match source {
            Source::Literal(literal) => self.literal_shape(literal),
            Source::Json(value) => json_shape(value),
        }
    }

    fn literal_shape<'s>(&self, literal: &'s Literal) -> Shape<'s>
    where
        'a: 's,
    {
        match literal {
            Literal::Null => Shape::Null,
            Literal::Bool(value) => Shape::Bool(*value),
            Literal::Int(span) => self.text(*span).parse().map_or(Shape::Huge(self.text(*span)), Shape::Int),
            Literal::Float(span) => Shape::Float(self.text(*span).parse().unwrap_or(f64::NAN)),
            Literal::String(text) => Shape::Text(text, Some(text)),
            Literal::Enum(span) => Shape::Text(self.text(*span), None),
            Literal::Variable(name) => match self.variables.get(self.text(*name)) {
                None => Shape::Null,
                Some(Given::Json(value)) => json_shape(value),
                // The grammar allows no variable inside a default.
                Some(Given::Default(literal)) => self.literal_shape(literal),
            },
            Literal::List(items) => Shape::List(items.iter().map(Source::Literal).collect()),
            Literal::Object(fields) => {
                let given = |literal: &Literal| match literal {
                    Literal::Variable(name) => self.variables.contains_key(self.text(*name)),
                    _ => true,
                };
                let fields = fields.iter().filter(|(_, literal)| given(literal));
                Shape::Object(
                    fields.map(|(name, literal)| (self.text(*name), Source::Literal(literal))).collect(),
                )
            }
        }
    }

    fn value(&self, source: Source<'_>, ty: &TypeRef, null_passes: bool) -> Result<ArgValue, String> {
        let shape = self.shape(source);
        if matches!(shape, Shape::Null) && null_passes {
            return Ok(ArgValue::Null);
        }
        match ty {
            TypeRef::List { of, .. } => self.list(&shape, of),
            TypeRef::Named { id, .. } => self.named(&shape, self.model.get(*id)),
        }
    }

    fn list(&self, shape: &Shape<'_>, of: &TypeRef) -> Result<ArgValue, String> {
        let element = |source: &Source<'_>| self.value(*source, of, !of.non_null());
        match shape {
            Shape::List(items) => Ok(ArgValue::List(items.iter().map(element).collect::<Result<_, _>>()?)),
            Shape::Text(text, _) => {
                let items = json_array(text)?;
                Ok(ArgValue::List(
                    items.iter().map(|item| element(&Source::Json(item))).collect::<Result<_, _>>()?,
                ))
            }
            other => Err(format!("expected array, got {}", other.label())),
        }
    }

    fn named(&self, shape: &Shape<'_>, ty: &TypeDef) -> Result<ArgValue, String> {
        let refuse = || format!("cannot create {} from {}", ty.name, shape.label());
        match (ty.kind, shape) {
            (TypeKind::Enum, Shape::Text(name, _)) => match ty.value(name) {
                Some(member) => Ok(ArgValue::Enum(Arc::clone(&member.canonical))),
                None => Err(format!("invalid enum member {name:?} for {}", ty.name)),
            },
            (TypeKind::InputObject, Shape::Object(fields)) => self.object(fields, ty),
            (TypeKind::Scalar, _) => scalar(shape, ty),
            _ => Err(refuse()),
        }
    }

    fn object(&self, fields: &[(&str, Source<'_>)], ty: &TypeDef) -> Result<ArgValue, String> {
        if let Some((name, _)) =
            fields.iter().find(|(name, _)| !ty.inputs.iter().any(|def| &*def.name == *name))
        {
            return Err(format!("{} has no such field: {name:?}", ty.name));
        }
        let values = ty.inputs.iter().map(|def| {
            let given = fields.iter().rev().find(|(name, _)| *name == &*def.name);
            let value = match (given, &def.default) {
                (Some((_, source)), _) => self
                    .value(*source, &def.ty, nullable(def))
                    .map_err(|cause| format!("{}: {cause}", def.name))?,
                (None, Some(default)) => default.value.clone(),
                (None, None) if def.ty.non_null() => {
                    return Err(format!("missing required input field {:?}", &*def.name));
                }
                (None, None) => ArgValue::Null,
            };
            Ok((Arc::clone(&def.name), value))
        });
        Ok(ArgValue::Object(values.collect::<Result<_, String>>()?))
    }
}

/// Whether null may be passed. What has a default always has a value, so 0.19 decodes a null there and refuses it.
fn nullable(def: &ArgDef) -> bool {
    !def.ty.non_null() && def.default.is_none()
}

fn json_shape(value: &Value) -> Shape<'_> {
    match value {
        Value::Null => Shape::Null,
        Value::Boolean(value) => Shape::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Shape::Int(value),
            (None, Some(value)) => Shape::Float(value),
            (None, None) => Shape::Other("json.Number"),
        },
        Value::String(text) => Shape::Text(text, None),
        Value::Enum(name) => Shape::Text(name, None),
        Value::Binary(_) => Shape::Other("[]uint8"),
        Value::List(items) => Shape::List(items.iter().map(Source::Json).collect()),
        Value::Object(fields) => {
            Shape::Object(fields.iter().map(|(name, value)| (name.as_str(), Source::Json(value))).collect())
        }
    }
}

/// Reads the JSON array in a string. The messages are those of Go's decoder, which clients of 0.19 see.
fn json_array(text: &str) -> Result<Vec<Value>, String> {
    let unexpected =
        |kind: &str| Err(format!("json: cannot unmarshal {kind} into Go value of type []interface {{}}"));
    match serde_json::from_str(text) {
        Ok(Value::List(items)) => Ok(items),
        Ok(Value::Null) => Ok(Vec::new()),
        Ok(Value::Boolean(_)) => unexpected("bool"),
        Ok(Value::Number(_)) => unexpected("number"),
        Ok(Value::Object(_)) => unexpected("object"),
        Ok(_) => unexpected("string"),
        Err(error) if error.is_eof() => Err("unexpected end of JSON input".to_owned()),
        Err(error) => {
            match text.trim_start().chars().next().filter(|first| !"[{\"tfn-0123456789".contains(*first)) {
                Some(first) => Err(format!("invalid character {first:?} looking for beginning of value")),
                None => Err(format!("invalid JSON array: {error}")),
            }
        }
    }
}

fn boolean(shape: &Shape<'_>) -> Option<bool> {
    match shape {
        Shape::Bool(value) => Some(*value),
        Shape::Text("true", _) => Some(true),
        Shape::Text("false", _) => Some(false),
        _ => None,
    }
}

fn scalar(shape: &Shape<'_>, ty: &TypeDef) -> Result<ArgValue, String> {
    let refuse = || Err(format!("cannot create {} from {}", ty.name, shape.label()));
    match (&*ty.name, shape) {
        ("Int", Shape::Int(value)) => Ok(ArgValue::Int(*value)),
        ("Int", Shape::Float(value)) => match number::whole(*value) {
            Some(value) => Ok(ArgValue::Int(value)),
            None => Err(format!("cannot create Int from {value}")),
        },
        ("Int", Shape::Huge(text) | Shape::Text(text, _)) => number::parse_int(text).map(ArgValue::Int),
        ("Float", Shape::Int(value)) => Ok(ArgValue::Float(*value as f64)),
        ("Float", Shape::Float(value)) => Ok(ArgValue::Float(*value)),
        ("Float", Shape::Huge(text) | Shape::Text(text, _)) => number::parse_float(text).map(ArgValue::Float),
        ("Boolean", _) => boolean(shape).map_or_else(refuse, |value| Ok(ArgValue::Bool(value))),
        ("Void", Shape::Null) => Ok(ArgValue::Null),
        ("Int" | "Float" | "Void", _) => refuse(),
        (_, Shape::Text(text, shared)) => {
            let text = shared.map_or_else(|| Arc::from(*text), Arc::clone);
            Ok(match &ty.id_of {
                Some(type_name) => ArgValue::Id { type_name: Arc::clone(type_name), text },
                None => ArgValue::String(text),
            })
        }
        _ => refuse(),
    }
}

#[cfg(test)]
mod tests;
