//! What fragments expand to: cycles, sizes, and fields that would share a response key.

use std::collections::HashMap;

use super::{Checked, Errors, fragment_number, invalid};
use crate::document::{Document, FRAGMENTS, Index, NONE, SelectionKind, limits};
use crate::error::RequestError;

/// Reports fragments that lead back to themselves; the fragments in an order where each comes after those that it spreads.
pub(super) fn cycles(document: &Document, checked: &Checked, errors: &mut Errors<'_>) -> Vec<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let none = Vec::new();
    let spreads = |at: usize| checked.spreads.get(&fragment_number(at)).unwrap_or(&none);
    let mut state = vec![State::New; document.fragments.len()];
    let mut order = Vec::new();
    for start in 0..document.fragments.len() {
        // The fragments on the way down, each with how many of its spreads are done.
        let mut path = if state[start] == State::New { vec![(start, 0)] } else { Vec::new() };
        state[start] = if path.is_empty() { state[start] } else { State::Open };
        while let Some((at, done)) = path.last_mut() {
            let Some(target) = spreads(*at).get(*done).copied() else {
                state[*at] = State::Done;
                order.push(*at);
                path.pop();
                continue;
            };
            *done += 1;
            match state[target] {
                State::Done => {}
                State::New => {
                    state[target] = State::Open;
                    path.push((target, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(at, _)| *at == target).unwrap_or(0);
                    let name = |at: usize| document.text(document.fragments[at].name);
                    let via: Vec<&str> = path[from + 1..].iter().take(10).map(|(at, _)| name(*at)).collect();
                    let via = if via.is_empty() { String::new() } else { format!(" via {}", via.join(", ")) };
                    let message = format!("Cannot spread fragment {:?} within itself{via}.", name(target));
                    errors.add(document.fragments[target].name, message);
                }
            }
        }
    }
    order
}

/// Refuses what would expand beyond the limits. `order` is that of [`cycles`].
pub(super) fn sizes(document: &Document, checked: &Checked, order: &[usize]) -> Result<(), RequestError> {
    // Selections by the definition that they stand in; the document lists them in that order already.
    let mut by_definition: HashMap<u32, Vec<Index>> = HashMap::new();
    for (at, selection) in document.selections.iter().enumerate() {
        by_definition
            .entry(document.sets[selection.owner as usize].definition)
            .or_default()
            .push(at as Index);
    }
    let mut fragments = vec![(0u64, 0u32); document.fragments.len()];
    let size = |definition: u32, fragments: &[(u64, u32)]| {
        let (mut fields, mut depth) = (0u64, 0u32);
        for at in by_definition.get(&definition).map_or(&[][..], Vec::as_slice) {
            let selection = &document.selections[*at as usize];
            let level = document.sets[selection.owner as usize].depth + 1;
            let (inner_fields, inner_depth) = match selection.kind {
                SelectionKind::Field { .. } => (1, 0),
                SelectionKind::Inline { .. } => (0, 0),
                SelectionKind::Spread => {
                    checked.fragments.get(document.text(selection.name)).map_or((0, 0), |at| fragments[*at])
                }
            };
            fields = fields.saturating_add(inner_fields);
            depth = depth.max(level.saturating_add(inner_depth));
        }
        (fields, depth)
    };
    for at in order {
        fragments[*at] = size(fragment_number(*at), &fragments);
    }
    let operations: Vec<(u64, u32)> =
        (0..document.operations.len() as u32).map(|number| size(number, &fragments)).collect();
    let total = operations.iter().fold(0u64, |sum, (fields, _)| sum.saturating_add(*fields));
    if total > limits::EXPANDED_FIELDS {
        let limit = limits::EXPANDED_FIELDS;
        return Err(RequestError::Invalid(vec![invalid(format!(
            "document has too many fields after expanding fragments: the limit is {limit}"
        ))]));
    }
    if operations.iter().any(|(_, depth)| *depth > limits::DEPTH) {
        let limit = limits::DEPTH;
        return Err(RequestError::Invalid(vec![invalid(format!(
            "document has too many nested selections: the limit is {limit}"
        ))]));
    }
    Ok(())
}

/// Reports fields that would be answered under one key but differ.
///
/// Visits every field of the expansion once, so [`sizes`] bounds it.
pub(super) fn conflicts(document: &Document, checked: &Checked, errors: &mut Errors<'_>) {
    let mut waiting: Vec<Vec<Index>> =
        document.operations.iter().map(|operation| vec![operation.set]).collect();
    while let Some(sets) = waiting.pop() {
        let fields = expanded(document, checked, sets);
        if let [only] = fields.as_slice() {
            if let SelectionKind::Field { set, .. } = document.selections[*only as usize].kind
                && set != NONE
            {
                waiting.push(vec![set]);
            }
            continue;
        }
        let mut groups: HashMap<&str, (Index, Vec<Index>)> = HashMap::with_capacity(fields.len());
        for at in fields {
            let selection = &document.selections[at as usize];
            let key = document.text(document.response_key(selection));
            let (first, children) = groups.entry(key).or_insert_with(|| (at, Vec::new()));
            if *first != at {
                conflict(document, *first, at, errors);
            }
            if let SelectionKind::Field { set, .. } = selection.kind
                && set != NONE
            {
                children.push(set);
            }
        }
        waiting.extend(
            groups.into_values().map(|(_, children)| children).filter(|children| !children.is_empty()),
        );
    }
}

/// The fields of some sets, fragments expanded.
fn expanded(document: &Document, checked: &Checked, sets: Vec<Index>) -> Vec<Index> {
    let mut fields = Vec::new();
    let mut next: Vec<Index> = sets.iter().rev().map(|set| document.sets[*set as usize].first).collect();
    while let Some(at) = next.pop() {
        let Some(selection) = document.selections.get(at as usize) else { continue };
        next.push(selection.next);
        match selection.kind {
            SelectionKind::Field { .. } => fields.push(at),
            SelectionKind::Inline { set, .. } => next.push(document.sets[set as usize].first),
            SelectionKind::Spread => {
                next.push(document.sets[checked.spread(document, selection) as usize].first)
            }
        }
    }
    fields
}

fn conflict(document: &Document, first: Index, other: Index, errors: &mut Errors<'_>) {
    let (one, two) = (&document.selections[first as usize], &document.selections[other as usize]);
    let (SelectionKind::Field { arguments: a, .. }, SelectionKind::Field { arguments: b, .. }) =
        (&one.kind, &two.kind)
    else {
        return;
    };
    let because = if document.text(one.name) != document.text(two.name) {
        format!("{} and {} are different fields", document.text(one.name), document.text(two.name))
    } else if !document.same_arguments(*a, *b) {
        "they have differing arguments".to_owned()
    } else {
        return;
    };
    let key = document.text(document.response_key(one));
    let hint = "Use different aliases on the fields to fetch both if this was intentional.";
    errors.add(two.name, format!("Fields {key:?} conflict because {because}. {hint}"));
}

const _: () = assert!(limits::DEFINITIONS < FRAGMENTS as usize);
