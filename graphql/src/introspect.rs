//! Answers `__schema`, `__type`, `__schemaVersion` and `__typename` from the schema model.
//!
//! Works for any selection, with an explicit stack: types refer to each other in circles, so a selection may nest as deep as a
//! document may, and its answer may grow with every level. [`limits::INTROSPECTION_BYTES`] ends that.
//!
//! # Source
//! `contract/session.md` 9: what 0.19.11 shows beyond the standard, what it hides, its orders; lists are empty rather than
//! null, descriptions are strings.

use std::sync::Arc;

use crate::coerce::ArgValue;
use crate::document::limits;
use crate::error::ErrorEntry;
use crate::json;
use crate::prepare::{Field, Fields, Prepared};
use crate::sdl::{
    AppliedDirective, ArgDef, DirectiveDef, EnumValueDef, FieldDef, Meta, SchemaModel, TypeDef, TypeRef,
};

/// Appends the value of a field that has a [`Meta`].
///
/// # Errors
/// An entry to answer when the answer would pass [`limits::INTROSPECTION_BYTES`]. What was appended by then is not
/// complete; truncate it.
pub fn answer(prepared: &Prepared, field: Field<'_>, out: &mut Vec<u8>) -> Result<(), ErrorEntry> {
    let schema = &**prepared.schema();
    let found = match field.def().meta {
        Some(Meta::Schema) => Found::Node(Node::Schema),
        Some(Meta::SchemaVersion) => Found::Text(schema.version()),
        Some(Meta::Typename) => Found::Text(&field.parent().name),
        Some(Meta::Type) => match field.argument("name") {
            Some(ArgValue::String(name)) => {
                schema.named(name).map_or(Found::Null, |ty| Found::Node(Node::Type(ty)))
            }
            _ => Found::Null,
        },
        None => Found::Null,
    };
    Writer { schema, out, start: 0, open: Vec::new() }.run(field, found)
}

/// A thing that introspection shows.
#[derive(Clone, Copy)]
enum Node<'m> {
    Schema,
    Type(&'m TypeDef),
    /// A list or non-null wrapper; with `nullable` its own `!` is taken off.
    Wrapper {
        ty: &'m TypeRef,
        nullable: bool,
    },
    Field(&'m FieldDef),
    Input(&'m ArgDef),
    Value(&'m EnumValueDef),
    Directive(&'m DirectiveDef),
    Applied(&'m AppliedDirective),
    AppliedArg(&'m (Arc<str>, Arc<str>)),
}

/// The value of one field of a node.
enum Found<'m> {
    Null,
    Bool(bool),
    Text(&'m str),
    Names(&'m [Arc<str>]),
    Node(Node<'m>),
    Nodes(Vec<Node<'m>>),
}

/// An object or list whose end has not been written.
enum Open<'m, 'p> {
    Object { node: Node<'m>, fields: Fields<'p>, first: bool },
    List { nodes: std::vec::IntoIter<Node<'m>>, field: Field<'p>, first: bool },
}

struct Writer<'m, 'p, 'o> {
    schema: &'m SchemaModel,
    out: &'o mut Vec<u8>,
    start: usize,
    open: Vec<Open<'m, 'p>>,
}

impl<'m, 'p> Writer<'m, 'p, '_> {
    fn run(mut self, field: Field<'p>, found: Found<'m>) -> Result<(), ErrorEntry> {
        self.start = self.out.len();
        self.value(field, found);
        while let Some(open) = self.open.last_mut() {
            if self.out.len() - self.start > limits::INTROSPECTION_BYTES {
                let limit = limits::INTROSPECTION_BYTES;
                return Err(ErrorEntry::new(format!(
                    "the introspection answer is too large: the limit is {limit} bytes"
                )));
            }
            match open {
                Open::Object { node, fields, first } => match fields.next() {
                    None => self.close(b'}'),
                    Some(field) => {
                        json::comma(self.out, first);
                        json::key(self.out, field.key());
                        let found = resolve(self.schema, *node, field);
                        self.value(field, found);
                    }
                },
                Open::List { nodes, field, first } => match nodes.next() {
                    None => self.close(b']'),
                    Some(node) => {
                        let field = *field;
                        json::comma(self.out, first);
                        self.node(field, node);
                    }
                },
            }
        }
        Ok(())
    }

    fn close(&mut self, end: u8) {
        self.out.push(end);
        self.open.pop();
    }

    fn value(&mut self, field: Field<'p>, found: Found<'m>) {
        match found {
            Found::Null => json::null(self.out),
            Found::Bool(value) => json::bool(self.out, value),
            Found::Text(text) => json::string(self.out, text),
            Found::Names(names) => {
                self.out.push(b'[');
                let mut first = true;
                for name in names {
                    json::comma(self.out, &mut first);
                    json::string(self.out, name);
                }
                self.out.push(b']');
            }
            Found::Node(node) => self.node(field, node),
            Found::Nodes(nodes) => {
                self.out.push(b'[');
                self.open.push(Open::List { nodes: nodes.into_iter(), field, first: true });
            }
        }
    }

    /// Begins an object; one without a selection is answered empty, since 0.19 allows that.
    fn node(&mut self, field: Field<'p>, node: Node<'m>) {
        let Some(set) = field.children() else {
            self.out.extend_from_slice(b"{}");
            return;
        };
        self.out.push(b'{');
        self.open.push(Open::Object { node, fields: field.selected(set), first: true });
    }
}

fn resolve<'m>(schema: &'m SchemaModel, node: Node<'m>, field: Field<'_>) -> Found<'m> {
    let name = field.name();
    if name == "__typename" {
        return Found::Text(schema.named(&field.parent().name).map_or("", |ty| &ty.name));
    }
    let all = matches!(field.argument("includeDeprecated"), Some(ArgValue::Bool(true)));
    match node {
        Node::Schema => schema_field(schema, name),
        Node::Type(ty) => type_field(ty, name, all),
        Node::Wrapper { ty, nullable } => wrapper_field(schema, ty, nullable, name),
        Node::Field(def) => match name {
            "name" => Found::Text(&def.name),
            "description" => Found::Text(&def.description),
            "args" => inputs(&def.args, all),
            "type" => Found::Node(type_node(schema, &def.ty, false)),
            _ => common(&def.deprecation, &def.directives, name),
        },
        Node::Input(def) => match name {
            "name" => Found::Text(&def.name),
            "description" => Found::Text(&def.description),
            "type" => Found::Node(type_node(schema, &def.ty, false)),
            "defaultValue" => def.default.as_ref().map_or(Found::Null, |default| Found::Text(&default.text)),
            _ => common(&def.deprecation, &def.directives, name),
        },
        Node::Value(def) => match name {
            "name" => Found::Text(&def.name),
            "description" => Found::Text(&def.description),
            _ => common(&def.deprecation, &def.directives, name),
        },
        Node::Directive(def) => match name {
            "name" => Found::Text(&def.name),
            "description" => Found::Text(&def.description),
            "locations" => Found::Names(&def.locations),
            "args" => inputs(&def.args, all),
            _ => Found::Null,
        },
        Node::Applied(applied) => match name {
            "name" => Found::Text(&applied.name),
            "args" => Found::Nodes(applied.args.iter().map(Node::AppliedArg).collect()),
            _ => Found::Null,
        },
        Node::AppliedArg((arg, value)) => match name {
            "name" => Found::Text(arg),
            "value" => Found::Text(value),
            _ => Found::Null,
        },
    }
}

fn schema_field<'m>(schema: &'m SchemaModel, name: &str) -> Found<'m> {
    match name {
        "description" => Found::Text(""),
        "types" => Found::Nodes(schema.types().iter().map(Node::Type).collect()),
        "directives" => Found::Nodes(schema.directives().iter().map(Node::Directive).collect()),
        "queryType" => Found::Node(Node::Type(schema.query())),
        _ => Found::Null,
    }
}

fn type_field<'m>(ty: &'m TypeDef, name: &str, all: bool) -> Found<'m> {
    match name {
        "kind" => Found::Text(ty.kind.name()),
        "name" => Found::Text(&ty.name),
        "description" => Found::Text(&ty.description),
        "fields" => {
            let shown =
                ty.fields.iter().filter(|field| !field.hidden && (all || field.deprecation.is_none()));
            Found::Nodes(shown.map(Node::Field).collect())
        }
        "inputFields" => inputs(&ty.inputs, all),
        "enumValues" => {
            let shown = ty.values.iter().filter(|value| all || value.deprecation.is_none());
            Found::Nodes(shown.map(Node::Value).collect())
        }
        "interfaces" | "possibleTypes" => Found::Nodes(Vec::new()),
        _ => common(&None, &ty.directives, name),
    }
}

fn wrapper_field<'m>(schema: &'m SchemaModel, ty: &'m TypeRef, nullable: bool, name: &str) -> Found<'m> {
    let non_null = ty.non_null() && !nullable;
    match (name, ty) {
        ("kind", _) => Found::Text(if non_null { "NON_NULL" } else { "LIST" }),
        ("ofType", _) if non_null => Found::Node(type_node(schema, ty, true)),
        ("ofType", TypeRef::List { of, .. }) => Found::Node(type_node(schema, of, false)),
        ("description", _) => Found::Text(""),
        ("fields" | "inputFields" | "enumValues" | "interfaces" | "possibleTypes" | "directives", _) => {
            Found::Nodes(Vec::new())
        }
        _ => Found::Null,
    }
}

fn type_node<'m>(schema: &'m SchemaModel, ty: &'m TypeRef, nullable: bool) -> Node<'m> {
    match ty {
        TypeRef::Named { id, .. } if nullable || !ty.non_null() => Node::Type(schema.get(*id)),
        _ => Node::Wrapper { ty, nullable },
    }
}

fn inputs(args: &[ArgDef], all: bool) -> Found<'_> {
    Found::Nodes(args.iter().filter(|arg| all || arg.deprecation.is_none()).map(Node::Input).collect())
}

/// What types, fields, arguments and enum members have in common.
fn common<'m>(
    deprecation: &'m Option<Arc<str>>,
    directives: &'m [AppliedDirective],
    name: &str,
) -> Found<'m> {
    match name {
        "isDeprecated" => Found::Bool(deprecation.is_some()),
        "deprecationReason" => deprecation.as_deref().map_or(Found::Null, Found::Text),
        "directives" => Found::Nodes(directives.iter().map(Node::Applied).collect()),
        _ => Found::Null,
    }
}

#[cfg(test)]
mod tests;
