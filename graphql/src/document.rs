//! A GraphQL document as a flat arena.
//!
//! Selections refer to each other by index, never by ownership, so parsing, checking, cloning and dropping a chain of
//! 100 000 nested selections take linear time and constant stack. Only values nest, and not deeper than
//! [`limits::VALUE_DEPTH`]. That is also why async-graphql's own AST is not used here: it is a tree of boxes, its parser stops
//! at 64 levels and its drop recurses.
//!
//! Invariant: selections and sets are stored in the order of the source, a parent before its children.

mod lexer;
mod parser;

use std::sync::Arc;

pub(crate) use lexer::{Kind, Lexer, Span, Token, block_string_value, string_value};
pub(crate) use parser::{Parser, parse};

/// What one document may cost. Beyond a limit the answer is a typed error, not a slow or dead service.
pub mod limits {
    /// Bytes of a document. A file of 128 MiB given inline must pass, even with every byte escaped.
    pub const BYTES: usize = 512 << 20;
    /// Tokens of a document.
    pub const TOKENS: usize = 8_000_000;
    /// Fields, spreads and inline fragments of a document.
    pub const SELECTIONS: usize = 1_000_000;
    /// Nested selection sets, with fragments expanded.
    pub const DEPTH: u32 = 100_000;
    /// Nested lists and objects in one value.
    pub const VALUE_DEPTH: usize = 64;
    /// Operations and fragments of a document.
    pub const DEFINITIONS: usize = 10_000;
    /// Fields of all operations after fragments have been expanded.
    pub const EXPANDED_FIELDS: u64 = 2_000_000;
    /// Uses of variables, counted once for each operation that reaches them.
    pub const VARIABLE_USES: usize = 10_000_000;
    /// Errors reported for one document.
    pub const ERRORS: usize = 50;
    /// Bytes of an introspection answer. The whole schema takes less than 2 MiB; selections that go in circles could ask for any amount.
    pub const INTROSPECTION_BYTES: usize = 64 << 20;
}

/// A place in a document; both numbers count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    pub(crate) fn at(source: &str, offset: usize) -> Self {
        let before = &source.as_bytes()[..offset.min(source.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before[line_start..].iter().filter(|b| **b & 0xC0 != 0x80).count();
        Self { line, column }
    }
}

/// How many bytes of `text`, which begins with a field of a document that parses, the field takes with its alias and
/// its arguments.
pub(crate) fn field_length(text: &str) -> usize {
    let mut lexer = Lexer::new(text);
    let (mut length, mut depth) = (0, 0_u32);
    while let Ok(token) = lexer.next() {
        match token.kind {
            Kind::ParenL => depth += 1,
            Kind::ParenR => depth = depth.saturating_sub(1),
            // A second name is another field, unless a colon has made the first one an alias.
            Kind::Name if depth == 0 && length > 0 && !text[..length].ends_with(':') => break,
            Kind::Name | Kind::Colon => {}
            _ if depth == 0 => break,
            _ => {}
        }
        length = token.span.end as usize;
        if token.kind == Kind::ParenR && depth == 0 {
            break;
        }
    }
    length
}

/// Why a text is no document.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The text breaks the grammar. The message is what 0.19 clients see.
    #[error("{message}")]
    Syntax {
        /// What was found, and what was expected.
        message: String,
        /// Where.
        position: Position,
    },
    /// The document is larger than [`limits`] allow.
    #[error("document has too many {what}: the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

/// An index into one of the arena's lists.
pub(crate) type Index = u32;
/// No index.
pub(crate) const NONE: Index = u32::MAX;

/// A parsed document.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) source: Arc<str>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) sets: Vec<Set>,
    pub(crate) selections: Vec<Selection>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) directives: Vec<Directive>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

impl OperationKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    pub(crate) name: Option<Span>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) directives: Range,
    pub(crate) set: Index,
    pub(crate) at: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: Span,
    pub(crate) ty: TypeText,
    pub(crate) default: Option<Literal>,
    pub(crate) directives: Range,
}

/// A type as a variable names it. Lists nest no deeper than [`limits::VALUE_DEPTH`].
#[derive(Clone, Debug)]
pub(crate) enum TypeText {
    Named { name: Span, non_null: bool },
    List { of: Box<TypeText>, non_null: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) name: Span,
    pub(crate) condition: Span,
    pub(crate) directives: Range,
    pub(crate) set: Index,
}

/// A selection set: its first selection, and which definition it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    pub(crate) first: Index,
    /// Operations count from 0, fragments from [`FRAGMENTS`].
    pub(crate) definition: u32,
    /// Levels between this set and its definition.
    pub(crate) depth: u32,
}

/// Where the numbers of fragments begin in [`Set::definition`].
pub(crate) const FRAGMENTS: u32 = 1 << 31;

/// Neighbours in one of the arena's lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: Index,
    pub(crate) end: Index,
}

impl Range {
    pub(crate) fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.start as usize..self.end as usize]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) kind: SelectionKind,
    /// The name of a field or fragment; the type condition, or the dots, of an inline fragment.
    pub(crate) name: Span,
    pub(crate) directives: Range,
    /// The set that this selection is in.
    pub(crate) owner: Index,
    /// The next selection of that set.
    pub(crate) next: Index,
}

#[derive(Clone, Debug)]
pub(crate) enum SelectionKind {
    Field { alias: Option<Span>, arguments: Range, set: Index },
    Spread,
    Inline { condition: bool, set: Index },
}

#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) name: Span,
    pub(crate) value: Literal,
}

#[derive(Clone, Debug)]
pub(crate) struct Directive {
    pub(crate) name: Span,
    pub(crate) arguments: Range,
}

/// A value as written. Strings are decoded and shared, the rest are spans.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(Span),
    Float(Span),
    String(Arc<str>),
    Enum(Span),
    Variable(Span),
    List(Vec<Literal>),
    Object(Vec<(Span, Literal)>),
}

impl Document {
    /// The text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        span.of(&self.source)
    }

    /// The key under which a field is answered.
    pub(crate) fn response_key(&self, selection: &Selection) -> Span {
        match selection.kind {
            SelectionKind::Field { alias: Some(alias), .. } => alias,
            _ => selection.name,
        }
    }

    /// Whether two values are written alike; the order of an object's fields does not count.
    pub(crate) fn same_value(&self, one: &Literal, other: &Literal) -> bool {
        match (one, other) {
            (Literal::Null, Literal::Null) => true,
            (Literal::Bool(a), Literal::Bool(b)) => a == b,
            (Literal::String(a), Literal::String(b)) => a == b,
            (Literal::Int(a), Literal::Int(b))
            | (Literal::Float(a), Literal::Float(b))
            | (Literal::Enum(a), Literal::Enum(b))
            | (Literal::Variable(a), Literal::Variable(b)) => self.text(*a) == self.text(*b),
            (Literal::List(a), Literal::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_value(a, b))
            }
            (Literal::Object(a), Literal::Object(b)) => a.len() == b.len() && self.same_fields(a, b),
            _ => false,
        }
    }

    fn same_fields(&self, one: &[(Span, Literal)], other: &[(Span, Literal)]) -> bool {
        let sorted = |fields: &[(Span, Literal)]| {
            let mut order: Vec<usize> = (0..fields.len()).collect();
            order.sort_by_key(|at| self.text(fields[*at].0));
            order
        };
        sorted(one).into_iter().zip(sorted(other)).all(|(a, b)| {
            let ((one_name, one), (other_name, other)) = (&one[a], &other[b]);
            self.text(*one_name) == self.text(*other_name) && self.same_value(one, other)
        })
    }

    /// Whether two lists of arguments are the same, whatever their order. Names are unique in each.
    pub(crate) fn same_arguments(&self, one: Range, other: Range) -> bool {
        let (one, other) = (one.of(&self.arguments), other.of(&self.arguments));
        one.len() == other.len()
            && one.iter().all(|a| {
                other
                    .iter()
                    .any(|b| self.text(a.name) == self.text(b.name) && self.same_value(&a.value, &b.value))
            })
    }

    /// A type as written.
    pub(crate) fn type_text(&self, ty: &TypeText) -> String {
        match ty {
            TypeText::Named { name, non_null } => {
                format!("{}{}", self.text(*name), if *non_null { "!" } else { "" })
            }
            TypeText::List { of, non_null } => {
                format!("[{}]{}", self.type_text(of), if *non_null { "!" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::field_length;

    #[test]
    fn a_field_ends_with_its_arguments() {
        for (field, rest) in [
            ("id", " stdout"),
            ("id", " }"),
            ("stdout", ""),
            ("from(address: \"a)(\")", " { id }"),
            ("short: withExec(args: [\"a\"],\n  stdin: \"(\")", " { a(b: 1) }"),
            ("short: version", "\nother"),
            ("a", " @include(if: true)"),
        ] {
            assert_eq!(field_length(&format!("{field}{rest}")), field.len(), "{field}{rest}");
        }
    }
}
