//! A request made ready to run: parsed, checked, its arguments read, its fragments expanded.
//!
//! Everything that can be refused without running is refused here, so that nothing has run when a document turns out to be
//! wrong. What is left for the executor is a table of selection sets, walked by index:
//!
//! ```
//! # use std::sync::Arc;
//! # use treenail_graphql::{prepare::{Request, prepare}, sdl::SchemaModel};
//! let prepared = prepare(SchemaModel::core(), &Request::new("{container{withUser(name:\"app\"){user}}}")).unwrap();
//! let mut set = Some(prepared.root());
//! let mut path = Vec::new();
//! while let Some(field) = set.and_then(|set| prepared.fields(set).next()) {
//!     path.push(field.key());
//!     set = field.children();
//! }
//! assert_eq!(path, ["container", "withUser", "user"]);
//! ```
//!
//! Two selections with one response key must have equal arguments; the last one is answered, in the place of the first, as
//! 0.19.11 does it. (The specification would merge them.)
//!
//! Invariant: a [`Prepared`] is flat; cloning the handles and dropping it take constant stack.

mod plan;

use std::sync::Arc;

use async_graphql::Variables;
use serde::Deserialize;

use crate::check;
use crate::coerce::ArgValue;
use crate::document::{self, ParseError, Position};
use crate::error::{ErrorEntry, Extension, RequestError};
use crate::sdl::{ArgDef, FieldDef, SchemaModel, TypeDef, TypeId};

/// What a client sends.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The document.
    pub query: Arc<str>,
    /// The operation to run; empty chooses none.
    pub operation_name: String,
    /// Values of variables.
    pub variables: Variables,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    query: Option<String>,
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
}

impl Request {
    /// A request of a document alone.
    pub fn new(query: impl Into<Arc<str>>) -> Self {
        Self { query: query.into(), ..Self::default() }
    }

    /// Reads the body of a POST: `{"query", "operationName"?, "variables"?}`; nulls stand for absence.
    ///
    /// # Errors
    /// [`RequestError::Body`] when it is not that JSON.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            RequestError::Body(ErrorEntry::new(format!("json request body could not be decoded: {error}")))
        })?;
        Ok(Self {
            query: body.query.unwrap_or_default().into(),
            operation_name: body.operation_name.unwrap_or_default(),
            variables: body.variables,
        })
    }
}

/// Parses, checks and reads a request against a schema.
///
/// # Errors
/// [`RequestError`], with the texts of `contract/session.md` 7.
pub fn prepare(schema: Arc<SchemaModel>, request: &Request) -> Result<Prepared, RequestError> {
    let document = document::parse(Arc::clone(&request.query)).map_err(parse_error)?;
    let checked = check::check(&schema, &document)?;
    let operation = check::choose(&document, &request.operation_name)?;
    let variables = check::variables(&document, operation, &request.variables)?;
    let plan = plan::plan(&schema, &document, &checked, operation, variables)
        .map_err(|cause| RequestError::Argument(argument_error(&request.query, &cause)))?;
    let name = operation.name.map(|name| Arc::from(document.text(name)));
    Ok(Prepared { schema, source: Arc::clone(&request.query), name, plan })
}

pub(crate) fn parse_error(error: ParseError) -> RequestError {
    let entry = ErrorEntry::new(error.to_string())
        .with_extension("code", Extension::Text("GRAPHQL_PARSE_FAILED".into()));
    match error {
        ParseError::Syntax { position, .. } => {
            RequestError::Parse(ErrorEntry { locations: vec![position], ..entry })
        }
        ParseError::Limit { .. } => RequestError::Parse(entry),
    }
}

fn argument_error(query: &str, cause: &str) -> ErrorEntry {
    ErrorEntry::new(format!("query:\n{query}\n\nerror: parse selections: {cause}"))
}

/// A selection set of a [`Prepared`] request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SelectionSetId(u32);

/// An operation ready to run.
#[derive(Debug)]
pub struct Prepared {
    schema: Arc<SchemaModel>,
    source: Arc<str>,
    name: Option<Arc<str>>,
    plan: plan::Plan,
}

impl Prepared {
    /// The schema that the request was checked against.
    pub fn schema(&self) -> &Arc<SchemaModel> {
        &self.schema
    }

    /// The document as sent.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The name of the operation.
    pub fn operation_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The selections on `Query`.
    pub fn root(&self) -> SelectionSetId {
        SelectionSetId(self.plan.root)
    }

    /// The fields of a selection set in the order of the answer: fragments expanded, conditions applied, one per response key.
    /// May be empty, when everything in it is skipped.
    pub fn fields(&self, set: SelectionSetId) -> Fields<'_> {
        let range = self.plan.sets[set.0 as usize];
        Fields { prepared: self, at: range.start, end: range.end }
    }

    /// Shows every ID among the arguments to `accept`, which says what is wrong with it: for the check that must
    /// pass before anything runs.
    ///
    /// `accept` gets the expected object type and the ID's text. Repeated IDs are shown as often as they stand there.
    ///
    /// # Errors
    /// [`RequestError::Argument`], in the form of all arguments that cannot be decoded.
    pub fn check_ids(
        &self,
        mut accept: impl FnMut(&Arc<str>, &Arc<str>) -> Result<(), String>,
    ) -> Result<(), RequestError> {
        for field in self.all_fields() {
            for argument in field.arguments() {
                check_id(argument.value, &mut accept).map_err(|cause| {
                    let (field, arg) = (field.name(), argument.def);
                    let cause = format!(
                        "parse field {field:?}: init arg {:?} value as {}: {cause}",
                        &*arg.name, arg.ty
                    );
                    RequestError::Argument(argument_error(&self.source, &cause))
                })?;
            }
        }
        Ok(())
    }

    /// The field whose [`Field::index`] is `index`.
    ///
    /// # Panics
    /// When this request has no such field.
    pub fn at(&self, index: usize) -> Field<'_> {
        assert!(index < self.plan.fields.len(), "an index comes from a field of the same request");
        Field { prepared: self, at: index as u32 }
    }

    /// Every field of every reachable selection set once, parents before children.
    pub fn all_fields(&self) -> Fields<'_> {
        Fields { prepared: self, at: 0, end: self.plan.fields.len() as u32 }
    }
}

fn check_id(
    value: &ArgValue,
    accept: &mut impl FnMut(&Arc<str>, &Arc<str>) -> Result<(), String>,
) -> Result<(), String> {
    match value {
        ArgValue::Id { type_name, text } => accept(type_name, text),
        ArgValue::List(items) => items.iter().try_for_each(|item| check_id(item, accept)),
        ArgValue::Object(fields) => fields.iter().try_for_each(|(_, value)| check_id(value, accept)),
        _ => Ok(()),
    }
}

/// Iterates over fields of a [`Prepared`] request.
#[derive(Clone, Debug)]
pub struct Fields<'p> {
    prepared: &'p Prepared,
    at: u32,
    end: u32,
}

impl<'p> Iterator for Fields<'p> {
    type Item = Field<'p>;

    fn next(&mut self) -> Option<Field<'p>> {
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        self.at += 1;
        Some(Field { prepared: self.prepared, at })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.at) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// One field to answer.
#[derive(Clone, Copy, Debug)]
pub struct Field<'p> {
    prepared: &'p Prepared,
    at: u32,
}

/// One argument that the caller passed.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'p> {
    /// What the schema says about it.
    pub def: &'p ArgDef,
    /// What was passed.
    pub value: &'p ArgValue,
}

impl<'p> Field<'p> {
    fn plan(self) -> &'p plan::FieldPlan {
        &self.prepared.plan.fields[self.at as usize]
    }

    /// A number of its own among the fields of this request; see [`Prepared::all_fields`].
    pub fn index(self) -> usize {
        self.at as usize
    }

    /// The key of the answer: the alias, or the name.
    pub fn key(self) -> &'p str {
        self.plan().key.of(&self.prepared.source)
    }

    /// The field's name.
    pub fn name(self) -> &'p str {
        &self.def().name
    }

    /// What the schema says about the field: type, arguments, ordinal.
    pub fn def(self) -> &'p FieldDef {
        self.plan().field.def(&self.prepared.schema)
    }

    /// The type that the field is selected on.
    pub fn parent(self) -> &'p TypeDef {
        self.prepared.schema.get(self.parent_id())
    }

    /// The id of [`Field::parent`].
    pub fn parent_id(self) -> TypeId {
        self.plan().field.owner
    }

    /// The arguments that the caller passed, in schema order. What was left out is [`ArgDef::default`] or nothing.
    pub fn arguments(self) -> impl ExactSizeIterator<Item = Argument<'p>> + Clone {
        let def = self.def();
        let values =
            &self.prepared.plan.values[self.plan().values.start as usize..self.plan().values.end as usize];
        values.iter().map(move |(at, value)| Argument { def: &def.args[*at as usize], value })
    }

    /// The value passed for an argument; `None` when it was left out.
    pub fn argument(self, name: &str) -> Option<&'p ArgValue> {
        self.arguments().find(|argument| &*argument.def.name == name).map(|argument| argument.value)
    }

    /// The fields of another set of the same request.
    pub(crate) fn selected(self, set: SelectionSetId) -> Fields<'p> {
        self.prepared.fields(set)
    }

    /// Where it stands in the document: from its response key to the end of its arguments.
    pub fn extent(self) -> (Position, Position) {
        let source = &self.prepared.source;
        let start = self.plan().key.start as usize;
        let end = start + document::field_length(&source[start..]);
        (Position::at(source, start), Position::at(source, end))
    }

    /// What is selected below; `None` without braces.
    pub fn children(self) -> Option<SelectionSetId> {
        let set = self.plan().children;
        (set != document::NONE).then_some(SelectionSetId(set))
    }
}

#[cfg(test)]
mod tests;
