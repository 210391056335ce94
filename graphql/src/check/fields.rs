//! Fields, arguments, directives and type conditions: one pass over all selections.

use std::collections::HashSet;

use super::{Checked, Errors, FieldRef, Use, fragment_number};
use crate::document::{Argument, Document, Literal, NONE, Range, Selection, SelectionKind, Span};
use crate::sdl::{ArgDef, SchemaModel, TypeId, TypeKind, TypeRef};

/// Checks every selection and notes which variables and fragments each definition uses.
pub(super) fn check(
    model: &SchemaModel,
    document: &Document,
    checked: &mut Checked,
    errors: &mut Errors<'_>,
) {
    let mut pass = Pass {
        model,
        document,
        parents: vec![None; document.sets.len()],
        spread: HashSet::new(),
        checked,
        errors,
    };
    for operation in &document.operations {
        pass.parents[operation.set as usize] = Some(model.query().id);
        let definition = document.sets[operation.set as usize].definition;
        pass.directives(operation.directives, "QUERY", definition);
    }
    for (at, fragment) in document.fragments.iter().enumerate() {
        pass.parents[fragment.set as usize] =
            pass.condition(fragment.condition, || format!("Fragment {:?}", document.text(fragment.name)));
        pass.directives(fragment.directives, "FRAGMENT_DEFINITION", fragment_number(at));
    }
    // A parent stands before its children, so its type is known when they are reached.
    for selection in &document.selections {
        let field = pass.selection(selection);
        pass.checked.fields.push(field);
    }
    for fragment in &document.fragments {
        let name = document.text(fragment.name);
        if !pass.spread.contains(name) {
            pass.errors.add(fragment.name, format!("Fragment {name:?} is never used."));
        }
    }
}

struct Pass<'a, 'e, 'd> {
    model: &'a SchemaModel,
    document: &'a Document,
    /// The type that each set selects on, as far as it is known.
    parents: Vec<Option<TypeId>>,
    /// Names of the fragments that are spread somewhere.
    spread: HashSet<&'a str>,
    checked: &'e mut Checked,
    errors: &'e mut Errors<'d>,
}

impl<'a> Pass<'a, '_, '_> {
    fn selection(&mut self, selection: &'a Selection) -> Option<FieldRef> {
        let set = self.document.sets[selection.owner as usize];
        let parent = self.parents[selection.owner as usize];
        match selection.kind {
            SelectionKind::Spread => {
                self.directives(selection.directives, "FRAGMENT_SPREAD", set.definition);
                self.fragment_spread(selection, parent, set.definition);
                None
            }
            SelectionKind::Inline { condition, set: child } => {
                self.directives(selection.directives, "INLINE_FRAGMENT", set.definition);
                let on =
                    if condition { self.condition(selection.name, || "Fragment".to_owned()) } else { parent };
                if let (Some(on), Some(parent)) = (on, parent) {
                    self.applies(selection.name, "Fragment", parent, on);
                }
                self.parents[child as usize] = on;
                None
            }
            SelectionKind::Field { arguments, set: child, .. } => {
                self.directives(selection.directives, "FIELD", set.definition);
                let field = self.field(selection, parent?, arguments, set.definition);
                if child != NONE {
                    self.parents[child as usize] = field.map(|field| field.def(self.model).ty.named_id());
                }
                field
            }
        }
    }

    fn field(
        &mut self,
        selection: &Selection,
        parent: TypeId,
        arguments: Range,
        definition: u32,
    ) -> Option<FieldRef> {
        let name = self.document.text(selection.name);
        let model = self.model;
        let Some(field) = model.field(parent, name) else {
            self.errors.add(
                selection.name,
                format!("Cannot query field {name:?} on type {:?}.", &*model.get(parent).name),
            );
            self.unknown_uses(arguments, definition);
            return None;
        };
        let owner = &model.get(parent).name;
        self.arguments(
            arguments,
            &field.args,
            definition,
            selection.name,
            &ArgumentsOf::Field { owner, name },
        );
        let index = if field.meta == Some(crate::sdl::Meta::Typename) { NONE } else { model.index_of(field) };
        Some(FieldRef { owner: parent, index })
    }

    fn arguments(
        &mut self,
        range: Range,
        defs: &'a [ArgDef],
        definition: u32,
        at: Span,
        of: &ArgumentsOf<'_>,
    ) {
        let written = range.of(&self.document.arguments);
        let mut seen = HashSet::new();
        for argument in written {
            let name = self.document.text(argument.name);
            if !seen.insert(name) {
                self.errors.add(argument.name, format!("There can be only one argument named {name:?}."));
            }
            let def = defs.iter().find(|def| &*def.name == name);
            if def.is_none() {
                self.errors.add(argument.name, format!("Unknown argument {name:?} on {}.", of.long()));
            }
            self.uses(argument, def, definition);
        }
        for def in defs.iter().filter(|def| def.required() && !seen.contains(&*def.name)) {
            let message = format!(
                "{} argument {:?} of type \"{}\" is required, but it was not provided.",
                of.short(),
                &*def.name,
                def.ty
            );
            self.errors.add(at, message);
        }
    }

    fn unknown_uses(&mut self, range: Range, definition: u32) {
        for argument in range.of(&self.document.arguments) {
            self.uses(argument, None, definition);
        }
    }

    /// Notes the variables in an argument's value.
    fn uses(&mut self, argument: &'a Argument, def: Option<&'a ArgDef>, definition: u32) {
        if matches!(
            argument.value,
            Literal::Bool(_) | Literal::String(_) | Literal::Int(_) | Literal::Enum(_)
        ) {
            return;
        }
        let has_default = def.is_some_and(|def| def.default.is_some());
        self.uses_in(&argument.value, def.map(|def| &def.ty), has_default, definition);
    }

    /// Recurses as deep as values may nest, [`limits::VALUE_DEPTH`](crate::document::limits::VALUE_DEPTH).
    fn uses_in(
        &mut self,
        value: &'a Literal,
        place: Option<&'a TypeRef>,
        has_default: bool,
        definition: u32,
    ) {
        match value {
            Literal::Variable(name) => {
                let place = place.cloned();
                self.checked.uses.entry(definition).or_default().push(Use {
                    name: *name,
                    place,
                    has_default,
                });
            }
            Literal::List(items) => {
                for item in items {
                    self.uses_in(item, place.and_then(TypeRef::element), false, definition);
                }
            }
            Literal::Object(fields) => {
                let inputs = place.map_or(&[][..], |place| &self.model.get(place.named_id()).inputs);
                for (name, value) in fields {
                    let def = inputs.iter().find(|def| &*def.name == self.document.text(*name));
                    let has_default = def.is_some_and(|def| def.default.is_some());
                    self.uses_in(value, def.map(|def| &def.ty), has_default, definition);
                }
            }
            _ => {}
        }
    }

    fn directives(&mut self, range: Range, place: &str, definition: u32) {
        let document = self.document;
        let mut seen = HashSet::new();
        for directive in range.of(&document.directives) {
            let name = document.text(directive.name);
            if !seen.insert(name) {
                self.errors.add(
                    directive.name,
                    format!("The directive \"@{name}\" can only be used once at this location."),
                );
            }
            let executable = matches!(name, "skip" | "include");
            if executable && matches!(place, "FIELD" | "FRAGMENT_SPREAD" | "INLINE_FRAGMENT") {
                self.arguments(
                    directive.arguments,
                    self.model.condition(),
                    definition,
                    directive.name,
                    &ArgumentsOf::Directive { name },
                );
                continue;
            }
            let known = executable || self.model.directives().iter().any(|def| &*def.name == name);
            let message = if known {
                format!("Directive \"@{name}\" may not be used on {place}.")
            } else {
                format!("Unknown directive \"@{name}\".")
            };
            self.errors.add(directive.name, message);
            self.unknown_uses(directive.arguments, definition);
        }
    }

    fn fragment_spread(&mut self, selection: &'a Selection, parent: Option<TypeId>, definition: u32) {
        let name = self.document.text(selection.name);
        self.spread.insert(name);
        let Some(at) = self.checked.fragments.get(name).copied() else {
            return self.errors.add(selection.name, format!("Unknown fragment {name:?}."));
        };
        self.checked.spreads.entry(definition).or_default().push(at);
        let on = self.model.named(self.document.text(self.document.fragments[at].condition));
        if let (Some(on), Some(parent)) = (on, parent) {
            self.applies(selection.name, &format!("Fragment {name:?}"), parent, on.id);
        }
    }

    /// The type of a type condition.
    fn condition(&mut self, name: Span, what: impl Fn() -> String) -> Option<TypeId> {
        let text = self.document.text(name);
        let Some(ty) = self.model.named(text) else {
            self.errors.add(name, format!("Unknown type {text:?}."));
            return None;
        };
        if ty.kind != TypeKind::Object {
            self.errors.add(name, format!("{} cannot condition on non composite type {text:?}.", what()));
            return None;
        }
        Some(ty.id)
    }

    /// The schema has neither interfaces nor unions, so a condition must name the very type.
    fn applies(&mut self, at: Span, what: &str, parent: TypeId, on: TypeId) {
        if parent != on {
            let (parent, on) = (&self.model.get(parent).name, &self.model.get(on).name);
            let message = format!(
                "{what} cannot be spread here as objects of type \"{parent}\" can never be of type \"{on}\"."
            );
            self.errors.add(at, message);
        }
    }
}

/// Whose arguments they are.
enum ArgumentsOf<'a> {
    Field { owner: &'a str, name: &'a str },
    Directive { name: &'a str },
}

impl ArgumentsOf<'_> {
    fn long(&self) -> String {
        match self {
            Self::Field { owner, name } => format!("field \"{owner}.{name}\""),
            Self::Directive { name } => format!("directive \"@{name}\""),
        }
    }

    fn short(&self) -> String {
        match self {
            Self::Field { name, .. } => format!("Field {name:?}"),
            Self::Directive { name } => format!("Directive \"@{name}\""),
        }
    }
}
