//! Arguments and the values written in them.

use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::CallId;

/// How many lists and objects may sit inside each other in one argument and still be decoded again.
///
/// Arguments that a schema has checked stay far below: none of its input types contains itself.
pub const MAX_LITERAL_DEPTH: usize = 30;

/// A value written in a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Another call's value.
    Id(CallId),
    /// An explicit null. An argument that was left out is no argument at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The member of an enum, an alias already replaced by what it stands for.
    Enum(Arc<str>),
    /// A whole number.
    Int(i64),
    /// A number that is not whole.
    Float(f64),
    /// Text. Scalars that have no kind of their own (JSON, Platform) are text too.
    String(Arc<str>),
    /// Elements in the order given.
    List(Vec<Literal>),
    /// The fields of an input object in the order of its declaration.
    Object(Vec<(Arc<str>, Literal)>),
}

impl Literal {
    /// Text.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// The calls inside this value, in the order written.
    pub(crate) fn collect_ids<'a>(&'a self, found: &mut Vec<&'a CallId>) {
        match self {
            Self::Id(id) => found.push(id),
            Self::List(elements) => elements.iter().for_each(|element| element.collect_ids(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, value)| value.collect_ids(found)),
            _ => {}
        }
    }

    /// Moves the calls inside this value out and leaves nulls.
    pub(crate) fn take_ids(&mut self, taken: &mut Vec<CallId>) {
        match self {
            Self::Id(_) => {
                if let Self::Id(id) = mem::replace(self, Self::Null) {
                    taken.push(id);
                }
            }
            Self::List(elements) => elements.iter_mut().for_each(|element| element.take_ids(taken)),
            Self::Object(fields) => fields.iter_mut().for_each(|(_, value)| value.take_ids(taken)),
            _ => {}
        }
    }
}

impl From<&CallId> for Literal {
    fn from(id: &CallId) -> Self {
        Self::Id(id.clone())
    }
}

/// An argument that was passed to a call.
#[derive(Clone, PartialEq)]
pub struct Argument {
    /// As the schema names it.
    pub name: Arc<str>,
    /// What was passed.
    pub value: Literal,
    /// The value is kept for whoever runs the call, but is neither hashed, encoded nor shown.
    pub sensitive: bool,
}

impl Argument {
    /// An ordinary argument.
    pub fn new(name: impl Into<Arc<str>>, value: Literal) -> Self {
        Self { name: name.into(), value, sensitive: false }
    }

    /// An argument whose value never leaves the process.
    pub fn sensitive(name: impl Into<Arc<str>>, value: Literal) -> Self {
        Self { name: name.into(), value, sensitive: true }
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sensitive {
            write!(out, "{}: ***", self.name)
        } else {
            write!(out, "{}: {:?}", self.name, self.value)
        }
    }
}
