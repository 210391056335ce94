//! Does a document fit the schema?
//!
//! Every rule is a loop over the flat document: linear in its size, or bounded by a limit of
//! [`limits`](crate::document::limits) where fragments and operations multiply. The rules "values of correct type" and "scalar
//! leafs" are off, because SDKs rely on it. `__typename`, inline fragments, `@skip` and `@include` are valid here.
//!
//! # Source
//! GraphQL specification of October 2021, section 5; the texts are those that 0.19 clients see (`contract/session.md` 7).

mod expand;
mod fields;
mod variables;

use async_graphql::Variables;

use crate::coerce::Given;
use crate::document::{Document, FRAGMENTS, Index, NONE, Operation, Position, Selection, Span, limits};
use crate::error::{ErrorEntry, Extension, PathSegment, RequestError};
use crate::sdl::{FieldDef, SchemaModel, TypeId, TypeRef};
use std::collections::HashMap;

/// What checking found out about a document.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// The field behind each selection; meaningless for selections that are no field.
    fields: Vec<Option<FieldRef>>,
    /// Where the fragment of each name is in the document.
    fragments: HashMap<String, usize>,
    /// Which variables each definition uses itself.
    uses: HashMap<u32, Vec<Use>>,
    /// Which fragments each definition spreads itself.
    spreads: HashMap<u32, Vec<usize>>,
}

/// A place where a variable is used.
#[derive(Debug)]
struct Use {
    name: Span,
    /// The type expected there, if the place is known.
    place: Option<TypeRef>,
    /// Whether the place has a value of its own.
    has_default: bool,
}

/// A field of the schema by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRef {
    pub(crate) owner: TypeId,
    /// [`NONE`] for `__typename`.
    index: u32,
}

impl FieldRef {
    pub(crate) fn def(self, model: &SchemaModel) -> &FieldDef {
        match model.get(self.owner).fields.get(self.index as usize) {
            Some(field) => field,
            None => model.typename(),
        }
    }
}

impl Checked {
    /// The field of a selection of a valid document.
    pub(crate) fn field(&self, selection: Index) -> FieldRef {
        self.fields[selection as usize]
            .expect("only valid documents are planned, and in those every field is known")
    }

    /// The set of the fragment that a selection of a valid document spreads.
    pub(crate) fn spread(&self, document: &Document, selection: &Selection) -> Index {
        let fragment = self.fragments.get(document.text(selection.name));
        fragment.map_or(NONE, |at| document.fragments[*at].set)
    }
}

/// Errors so far, capped.
struct Errors<'d> {
    document: &'d Document,
    found: Vec<ErrorEntry>,
}

impl Errors<'_> {
    fn add(&mut self, at: Span, message: String) {
        if self.found.len() < limits::ERRORS {
            let locations = vec![Position::at(&self.document.source, at.start as usize)];
            self.found.push(ErrorEntry { locations, ..invalid(message) });
        }
    }
}

fn invalid(message: impl Into<String>) -> ErrorEntry {
    ErrorEntry::new(message).with_extension("code", Extension::Text("GRAPHQL_VALIDATION_FAILED".into()))
}

/// Checks a document against a schema.
///
/// # Errors
/// [`RequestError::Invalid`] with what is wrong, in the order of the document for each rule.
pub(crate) fn check(model: &SchemaModel, document: &Document) -> Result<Checked, RequestError> {
    if document.operations.is_empty() {
        return Err(RequestError::Invalid(vec![invalid("no operation provided")]));
    }
    let mut errors = Errors { document, found: Vec::new() };
    let mut checked = Checked::default();
    operations(document, &mut errors);
    fragments(document, &mut checked, &mut errors);
    fields::check(model, document, &mut checked, &mut errors);
    variables::check(model, document, &checked, &mut errors)?;
    let acyclic = expand::cycles(document, &checked, &mut errors);
    // Whether equal keys mean equal fields can only be asked of a document that is right otherwise.
    if errors.found.is_empty() {
        expand::sizes(document, &checked, &acyclic)?;
        expand::conflicts(document, &checked, &mut errors);
    }
    if errors.found.is_empty() { Ok(checked) } else { Err(RequestError::Invalid(errors.found)) }
}

/// Names of operations, and what kind they are.
fn operations(document: &Document, errors: &mut Errors<'_>) {
    let mut names = HashMap::new();
    for operation in &document.operations {
        let at = Span { start: operation.at, end: operation.at };
        if operation.kind.name() != "query" {
            errors.add(at, format!("Schema does not support operation type {:?}", operation.kind.name()));
        }
        match operation.name {
            None if document.operations.len() > 1 => {
                errors.add(at, "This anonymous operation must be the only defined operation.".into())
            }
            Some(name) if names.insert(document.text(name), ()).is_some() => {
                errors.add(name, format!("There can be only one operation named {:?}.", document.text(name)));
            }
            None | Some(_) => {}
        }
    }
}

fn fragments(document: &Document, checked: &mut Checked, errors: &mut Errors<'_>) {
    for (at, fragment) in document.fragments.iter().enumerate() {
        let name = document.text(fragment.name);
        if checked.fragments.insert(name.to_owned(), at).is_some() {
            errors.add(fragment.name, format!("There can be only one fragment named {name:?}."));
        }
    }
}

/// The operation to run.
///
/// # Errors
/// [`RequestError::Invalid`] when the name fits none, or is empty where there is a choice.
pub(crate) fn choose<'d>(document: &'d Document, name: &str) -> Result<&'d Operation, RequestError> {
    match document.operations.as_slice() {
        [only] if name.is_empty() => Ok(only),
        several => several
            .iter()
            .find(|operation| operation.name.is_some_and(|own| document.text(own) == name))
            .ok_or_else(|| RequestError::Invalid(vec![invalid(format!("operation {name} not found"))])),
    }
}

/// The values of an operation's variables: as given, else by default. An absent nullable one has none.
///
/// # Errors
/// [`RequestError::Invalid`] when one that cannot be null is missing or null.
pub(crate) fn variables<'a>(
    document: &'a Document,
    operation: &'a Operation,
    given: &'a Variables,
) -> Result<HashMap<&'a str, Given<'a>>, RequestError> {
    let mut values = HashMap::new();
    for variable in &operation.variables {
        let name = document.text(variable.name);
        let refuse = |message: &str| {
            let path = vec!["variable".into(), PathSegment::Key(name.to_owned())];
            Err(RequestError::Invalid(vec![ErrorEntry { path, ..invalid(message) }]))
        };
        let non_null = document.type_text(&variable.ty).ends_with('!');
        match (given.get(name), &variable.default) {
            (Some(async_graphql::Value::Null), _) if non_null => return refuse("cannot be null"),
            (Some(value), _) => drop(values.insert(name, Given::Json(value))),
            (None, Some(default)) => drop(values.insert(name, Given::Default(default))),
            (None, None) if non_null => return refuse("must be defined"),
            (None, None) => {}
        }
    }
    Ok(values)
}

/// The number of a definition as [`Set::definition`](crate::document::Set::definition) counts.
fn fragment_number(at: usize) -> u32 {
    FRAGMENTS + at as u32
}

#[cfg(test)]
mod tests;
