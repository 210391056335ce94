//! The table behind a [`Prepared`](super::Prepared) request.

use std::collections::{HashMap, VecDeque};

use crate::check::{Checked, FieldRef};
use crate::coerce::{ArgValue, Given, Scope};
use crate::document::{Document, Index, NONE, Operation, Range, SelectionKind, Span};
use crate::sdl::SchemaModel;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Index,
    pub(super) sets: Vec<Range>,
    pub(super) fields: Vec<FieldPlan>,
    /// Values of arguments, each with its place among the field's arguments.
    pub(super) values: Vec<(u32, ArgValue)>,
}

#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) key: Span,
    pub(super) field: FieldRef,
    pub(super) values: Range,
    pub(super) children: Index,
}

/// Lays out every set that the operation reaches, breadth first: parents come before children.
///
/// The document has passed [`check`](crate::check::check), so it has no cycles and its expansion is within limits.
///
/// # Errors
/// The message of an argument that cannot be decoded, from `parse field` on.
pub(super) fn plan<'a>(
    model: &'a SchemaModel,
    document: &'a Document,
    checked: &'a Checked,
    operation: &'a Operation,
    variables: HashMap<&'a str, Given<'a>>,
) -> Result<Plan, String> {
    let planner = Planner { document, checked, scope: Scope::new(model, document, variables), model };
    let mut plan = Plan { root: 0, sets: Vec::new(), fields: Vec::new(), values: Vec::new() };
    // Which set of the plan a set of the document has become.
    let mut planned = vec![NONE; document.sets.len()];
    let mut waiting = VecDeque::from([operation.set]);
    planned[operation.set as usize] = 0;
    plan.sets.push(Range::default());
    let mut filled = 0;
    while let Some(set) = waiting.pop_front() {
        let start = plan.fields.len() as Index;
        for selection in planner.fields_of(set)? {
            let SelectionKind::Field { set: child, .. } = document.selections[selection as usize].kind else {
                continue;
            };
            let values = planner.arguments(selection, &mut plan.values)?;
            if child != NONE && planned[child as usize] == NONE {
                planned[child as usize] = plan.sets.len() as Index;
                plan.sets.push(Range::default());
                waiting.push_back(child);
            }
            let children = if child == NONE { NONE } else { planned[child as usize] };
            let key = document.response_key(&document.selections[selection as usize]);
            plan.fields.push(FieldPlan { key, field: checked.field(selection), values, children });
        }
        plan.sets[filled] = Range { start, end: plan.fields.len() as Index };
        filled += 1;
    }
    Ok(plan)
}

struct Planner<'a> {
    model: &'a SchemaModel,
    document: &'a Document,
    checked: &'a Checked,
    scope: Scope<'a>,
}

impl<'a> Planner<'a> {
    /// The fields of a set, one per response key.
    fn fields_of(&self, set: Index) -> Result<Vec<Index>, String> {
        let mut fields: Vec<Index> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut next = vec![self.document.sets[set as usize].first];
        while let Some(at) = next.pop() {
            let Some(selection) = self.document.selections.get(at as usize) else { continue };
            next.push(selection.next);
            if self.skipped(selection.directives)? {
                continue;
            }
            match selection.kind {
                SelectionKind::Inline { set, .. } => next.push(self.document.sets[set as usize].first),
                SelectionKind::Spread => next
                    .push(self.document.sets[self.checked.spread(self.document, selection) as usize].first),
                // A single field is by far the most common set; it needs no table.
                SelectionKind::Field { .. }
                    if fields.is_empty() && selection.next == NONE && next.len() == 1 =>
                {
                    fields.push(at)
                }
                SelectionKind::Field { .. } => {
                    let key = self.document.text(self.document.response_key(selection));
                    match places.get(key) {
                        Some(place) => fields[*place] = at,
                        None => {
                            places.insert(key, fields.len());
                            fields.push(at);
                        }
                    }
                }
            }
        }
        Ok(fields)
    }

    fn skipped(&self, directives: Range) -> Result<bool, String> {
        for directive in directives.of(&self.document.directives) {
            let skip_when = match self.document.text(directive.name) {
                "skip" => true,
                "include" => false,
                _ => continue,
            };
            for argument in directive.arguments.of(&self.document.arguments) {
                if self.scope.condition(&argument.value)? == skip_when {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn arguments(&self, selection: Index, values: &mut Vec<(u32, ArgValue)>) -> Result<Range, String> {
        let start = values.len() as Index;
        let SelectionKind::Field { arguments, .. } = self.document.selections[selection as usize].kind else {
            return Ok(Range { start, end: start });
        };
        let written = arguments.of(&self.document.arguments);
        if !written.is_empty() {
            let field = self.checked.field(selection).def(self.model);
            for (at, def) in field.args.iter().enumerate() {
                let Some(argument) =
                    written.iter().find(|argument| self.document.text(argument.name) == &*def.name)
                else {
                    continue;
                };
                let value = self
                    .scope
                    .argument(def, &argument.value)
                    .map_err(|cause| format!("parse field {:?}: {cause}", &*field.name))?;
                values.extend(value.map(|value| (at as u32, value)));
            }
        }
        Ok(Range { start, end: values.len() as Index })
    }
}
