//! Calls as text for people: `container.from(address: "alpine").withExec(args: ["sh"])`.
//!
//! Invariant: the value of a sensitive argument never appears, and no call's arguments take more than
//! [`ARGUMENTS_LIMIT`] characters.

use std::fmt::{self, Write};

use crate::id::CallId;
use crate::literal::{Argument, Literal};

/// How many characters the arguments of one call may take; the rest is `…`.
pub const ARGUMENTS_LIMIT: usize = 256;

/// One call of a chain as text, without what it is selected on. See [`CallId::selection`].
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a>(&'a CallId);

impl CallId {
    /// This call alone as text: `withExec(args: ["sh"])`; an element of a list is `envVariables[0]`.
    pub fn selection(&self) -> Selection<'_> {
        Selection(self)
    }
}

impl fmt::Display for Selection<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        field_and_args(out, self.0)?;
        self.0.index().map_or(Ok(()), |index| write!(out, "[{index}]"))
    }
}

impl fmt::Display for CallId {
    /// The chain from its root. An element of a list is `[0]` behind the list.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, call) in self.chain_from_root().into_iter().enumerate() {
            match call.index() {
                Some(index) => write!(out, "[{index}]")?,
                None => {
                    out.write_str(if place > 0 { "." } else { "" })?;
                    field_and_args(out, call)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.field(), self.digest())
    }
}

fn field_and_args(out: &mut fmt::Formatter<'_>, call: &CallId) -> fmt::Result {
    out.write_str(call.field())?;
    if call.args().is_empty() {
        return Ok(());
    }
    out.write_char('(')?;
    let mut cut = Cut { out, left: ARGUMENTS_LIMIT, full: false };
    let written = arguments(&mut cut, call.args());
    let full = cut.full;
    if full {
        out.write_char('…')?;
    } else {
        written?;
    }
    out.write_char(')')
}

/// Passes on so many characters, then reports an error, so that writing a huge value stops early.
struct Cut<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    left: usize,
    full: bool,
}

impl Write for Cut<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.char_indices().nth(self.left) {
            Some((end, _)) => {
                self.full = true;
                self.left = 0;
                self.out.write_str(&text[..end])?;
                Err(fmt::Error)
            }
            None => {
                self.left -= text.chars().count();
                self.out.write_str(text)
            }
        }
    }
}

fn arguments(out: &mut impl Write, args: &[Argument]) -> fmt::Result {
    for (place, arg) in args.iter().enumerate() {
        out.write_str(if place > 0 { ", " } else { "" })?;
        write!(out, "{}: ", arg.name)?;
        if arg.sensitive {
            out.write_str("***")?;
        } else {
            literal(out, &arg.value)?;
        }
    }
    Ok(())
}

fn literal(out: &mut impl Write, value: &Literal) -> fmt::Result {
    match value {
        Literal::Id(id) => write!(out, "{}@{}", id.type_name(), id.digest()),
        Literal::Null => out.write_str("null"),
        Literal::Bool(value) => write!(out, "{value}"),
        Literal::Enum(member) => out.write_str(member),
        Literal::Int(value) => write!(out, "{value}"),
        Literal::Float(value) => write!(out, "{value}"),
        Literal::String(text) => quoted(out, text),
        Literal::List(elements) => {
            out.write_char('[')?;
            for (place, element) in elements.iter().enumerate() {
                out.write_str(if place > 0 { ", " } else { "" })?;
                literal(out, element)?;
            }
            out.write_char(']')
        }
        Literal::Object(fields) => {
            out.write_char('{')?;
            for (place, (name, value)) in fields.iter().enumerate() {
                out.write_str(if place > 0 { ", " } else { "" })?;
                write!(out, "{name}: ")?;
                literal(out, value)?;
            }
            out.write_char('}')
        }
    }
}

/// A string as GraphQL writes it. Control characters are escaped, so a name cannot move a terminal's cursor.
fn quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}
