//! Variables: declared, used, and of a type that fits.

use std::collections::{HashMap, HashSet};

use super::{Checked, Errors, Use, fragment_number, invalid};
use crate::document::{Document, Literal, Operation, TypeText, Variable, limits};
use crate::error::RequestError;
use crate::sdl::{SchemaModel, TypeKind, TypeRef};

struct Declared<'d> {
    variable: &'d Variable,
    ty: Option<TypeRef>,
    used: bool,
}

/// Checks the variables of every operation against all places that it reaches.
///
/// # Errors
/// [`RequestError::Invalid`] when operations and fragments multiply beyond [`limits::VARIABLE_USES`].
pub(super) fn check(
    model: &SchemaModel,
    document: &Document,
    checked: &Checked,
    errors: &mut Errors<'_>,
) -> Result<(), RequestError> {
    let mut budget = limits::VARIABLE_USES;
    for (number, operation) in document.operations.iter().enumerate() {
        let mut declared = declare(model, document, operation, errors);
        let owner = operation.name.map(|name| document.text(name));
        for used in reachable(checked, number as u32, &mut budget)? {
            let name = document.text(used.name);
            match declared.get_mut(name) {
                Some(declared) => {
                    declared.used = true;
                    check_place(document, declared, used, errors);
                }
                None => {
                    let by = owner.map(|owner| format!(" by operation {owner:?}")).unwrap_or_default();
                    errors.add(used.name, format!("Variable \"${name}\" is not defined{by}."));
                }
            }
        }
        for variable in &operation.variables {
            let name = document.text(variable.name);
            if declared.get(name).is_some_and(|declared| !declared.used) {
                let of = owner.map(|owner| format!(" in operation {owner:?}")).unwrap_or_default();
                errors.add(variable.name, format!("Variable \"${name}\" is never used{of}."));
            }
        }
    }
    Ok(())
}

fn declare<'d>(
    model: &SchemaModel,
    document: &'d Document,
    operation: &'d Operation,
    errors: &mut Errors<'_>,
) -> HashMap<&'d str, Declared<'d>> {
    let mut declared = HashMap::new();
    for variable in &operation.variables {
        let name = document.text(variable.name);
        for directive in variable.directives.of(&document.directives) {
            errors.add(directive.name, format!("Unknown directive \"@{}\".", document.text(directive.name)));
        }
        let ty = resolve(model, document, &variable.ty);
        match &ty {
            None => errors
                .add(variable.name, format!("Unknown type {:?}.", document.text(innermost(&variable.ty)))),
            Some(ty) if model.get(ty.named_id()).kind == TypeKind::Object => {
                errors.add(variable.name, format!("Variable \"${name}\" cannot be non-input type \"{ty}\"."));
            }
            Some(_) => {}
        }
        if declared.insert(name, Declared { variable, ty, used: false }).is_some() {
            errors.add(variable.name, format!("There can be only one variable named \"${name}\"."));
        }
    }
    declared
}

/// The places that an operation reaches, itself and through fragments.
fn reachable<'c>(
    checked: &'c Checked,
    operation: u32,
    budget: &mut usize,
) -> Result<Vec<&'c Use>, RequestError> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([operation]);
    let mut waiting = vec![operation];
    while let Some(definition) = waiting.pop() {
        let uses = checked.uses.get(&definition).map_or(&[][..], Vec::as_slice);
        let spreads = checked.spreads.get(&definition).map_or(&[][..], Vec::as_slice);
        let cost = uses.len() + spreads.len();
        if cost > *budget {
            let limit = limits::VARIABLE_USES;
            return Err(RequestError::Invalid(vec![invalid(format!(
                "document has too many uses of variables: the limit is {limit}"
            ))]));
        }
        *budget -= cost;
        found.extend(uses);
        waiting.extend(spreads.iter().map(|at| fragment_number(*at)).filter(|number| seen.insert(*number)));
    }
    Ok(found)
}

fn check_place(document: &Document, declared: &Declared<'_>, used: &Use, errors: &mut Errors<'_>) {
    let (Some(ty), Some(place)) = (&declared.ty, &used.place) else { return };
    let has_value = used.has_default
        || declared.variable.default.as_ref().is_some_and(|default| !matches!(default, Literal::Null));
    let fits = if place.non_null() && !ty.non_null() {
        has_value && ty.fits_nullable(place)
    } else {
        ty.fits(place)
    };
    if !fits {
        let name = document.text(used.name);
        errors.add(
            used.name,
            format!("Variable \"${name}\" of type \"{ty}\" used in position expecting type \"{place}\"."),
        );
    }
}

fn resolve(model: &SchemaModel, document: &Document, ty: &TypeText) -> Option<TypeRef> {
    Some(match ty {
        TypeText::Named { name, non_null } => {
            let ty = model.named(document.text(*name))?;
            TypeRef::Named { name: ty.name.clone(), id: ty.id, non_null: *non_null }
        }
        TypeText::List { of, non_null } => {
            TypeRef::List { of: Box::new(resolve(model, document, of)?), non_null: *non_null }
        }
    })
}

fn innermost(ty: &TypeText) -> crate::document::Span {
    match ty {
        TypeText::Named { name, .. } => *name,
        TypeText::List { of, .. } => innermost(of),
    }
}
