//! Variables as in a `.env` file: raw entries in order, evaluated when they are asked for.
//!
//! A value may refer to other entries and to the environment of the client, which is handed in as a function.
//! Invariant: evaluation is bounded in depth ([`ENVFILE_DEPTH_LIMIT`]), in references ([`ENVFILE_REFERENCE_LIMIT`]) and in bytes
//! ([`ENVFILE_BYTE_LIMIT`]), so cycles end and doubling references cannot fill the memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Environment;

mod assignment;

use assignment::{Assignment, Condition, Piece};

/// Most bytes of one text of variables, and of one value.
pub const ENVFILE_TEXT_LIMIT: usize = 4 << 20;

/// Most references inside references, and defaults inside defaults.
pub const ENVFILE_DEPTH_LIMIT: usize = 48;

/// Most references followed for one answer.
pub const ENVFILE_REFERENCE_LIMIT: usize = 100_000;

/// Most bytes made for one answer.
pub const ENVFILE_BYTE_LIMIT: usize = 16 << 20;

/// The environment of the client that asks.
pub type ClientEnvironment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why variables could not be read or evaluated. The texts are those that a 0.19 client expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvFileError {
    /// A reference leads nowhere.
    #[error("{entry}: {name}: unbound variable")]
    Unbound {
        /// The entry that was asked for.
        entry: Arc<str>,
        /// The name that it refers to.
        name: String,
    },
    /// `${X:?text}`, and there is no `X`.
    #[error("{entry}: {name}: {text}")]
    Demanded {
        /// The entry that refers to it.
        entry: Arc<str>,
        /// The name that is missing.
        name: String,
        /// What the entry says to that.
        text: String,
    },
    /// A command would have to run.
    #[error("{entry}: unexpected command substitution at {line}:{column}")]
    Command {
        /// The entry that holds it.
        entry: Arc<str>,
        /// Line in the entry, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
    },
    /// The entry is another statement of the shell.
    #[error("parse error: {0:?}: not a bare assignment")]
    NotAnAssignment(String),
    /// The entry assigns more than one variable.
    #[error("can't assign multiple variables: {0:?}")]
    SeveralAssignments(String),
    /// The entry is no text of the shell, or uses a form that is not supported.
    #[error("parse error: {text:?}: {reason}")]
    Syntax {
        /// The entry.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// One of the limits of this module is exceeded.
    #[error("{entry}: {what} exceeds limit {limit}")]
    Limit {
        /// The entry being evaluated, or what is read.
        entry: Arc<str>,
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

/// Variables as in a `.env` file. Values are persistent, so a chain of additions stays linear.
///
/// # Source
/// `contract/values.md` 3.
#[derive(Clone, Debug, Default)]
pub struct EnvFile {
    entries: Environment,
}

impl EnvFile {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text: one entry a line, blank lines skipped, the last value of a name in the place of the first. A
    /// line without `=` is a name with an empty value.
    ///
    /// # Errors
    /// Too large; what evaluating an entry gives, unset references apart.
    pub fn parse(text: &str, client: ClientEnvironment<'_>) -> Result<Self, EnvFileError> {
        check_size(".env", text)?;
        let mut entries = Environment::default();
        for line in text.split('\n').filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            entries.set(name, value);
        }
        let file = Self { entries };
        let mut evaluation = Evaluation::new(&file.entries, client, false);
        for (name, value) in file.entries.iter() {
            evaluation.entry(name, value)?;
        }
        Ok(file)
    }

    /// The same variables and one more, or with another value for it at its place. The value is raw.
    ///
    /// # Errors
    /// Too large; what evaluating it gives, unset references apart.
    pub fn with_variable(
        &self,
        name: &str,
        value: &str,
        client: ClientEnvironment<'_>,
    ) -> Result<Self, EnvFileError> {
        check_size(name, value)?;
        let mut next = self.clone();
        next.entries.set(name, value);
        Evaluation::new(&next.entries, client, false).entry(&name.into(), value)?;
        Ok(next)
    }

    /// The same variables without one.
    #[must_use]
    pub fn without_variable(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.entries.remove(name);
        next
    }

    /// Is there an entry of this name?
    pub fn exists(&self, name: &str) -> bool {
        self.entries.get(name).is_some()
    }

    /// The value as stored.
    pub fn raw(&self, name: &str) -> Option<&Arc<str>> {
        self.entries.get(name)
    }

    /// The evaluated value; empty when there is no such entry.
    ///
    /// # Errors
    /// A reference leads nowhere; a limit is exceeded.
    pub fn get(&self, name: &str, client: ClientEnvironment<'_>) -> Result<String, EnvFileError> {
        let Some(value) = self.entries.get(name) else { return Ok(String::new()) };
        let evaluated = Evaluation::new(&self.entries, client, true).entry(&name.into(), value)?;
        Ok(evaluated.unwrap_or_default())
    }

    /// Names and values as stored, sorted by name. Comments are left out.
    pub fn raw_variables(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.entries
            .iter()
            .filter(|(name, _)| !name.trim_start().starts_with('#'))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Names and evaluated values, sorted by name. Comments are left out.
    ///
    /// # Errors
    /// As [`EnvFile::get`], for any of them.
    pub fn variables(
        &self,
        client: ClientEnvironment<'_>,
    ) -> Result<BTreeMap<Arc<str>, String>, EnvFileError> {
        let mut evaluation = Evaluation::new(&self.entries, client, true);
        let mut variables = BTreeMap::new();
        for (name, value) in self.entries.iter() {
            if let Some(value) = evaluation.entry(name, value)? {
                variables.insert(name.clone(), value);
            }
        }
        Ok(variables)
    }

    /// The entries as stored, one a line.
    pub fn to_text(&self) -> String {
        self.entries.iter().flat_map(|(name, value)| [name, "=", value, "\n"]).collect()
    }

    /// The variables below a prefix, without it, evaluated: those that start, whatever their case, with the prefix in
    /// camel case or in snake case, and an underscore.
    ///
    /// # Errors
    /// As [`EnvFile::get`], for any of them.
    pub fn namespace(&self, prefix: &str, client: ClientEnvironment<'_>) -> Result<Self, EnvFileError> {
        let words = words_of(prefix);
        let forms = [format!("{}_", words.concat()), format!("{}_", words.join("_"))];
        let mut evaluation = Evaluation::new(&self.entries, client, true);
        let mut entries = Environment::default();
        for (name, value) in self.entries.iter() {
            let below = forms.iter().find_map(|form| {
                let start = name.get(..form.len())?;
                start.eq_ignore_ascii_case(form).then(|| &name[form.len()..])
            });
            let Some(below) = below.filter(|below| !below.is_empty()) else { continue };
            if let Some(value) = evaluation.entry(name, value)? {
                entries.set(below, &stored(below, value));
            }
        }
        Ok(Self { entries })
    }
}

fn check_size(entry: &str, text: &str) -> Result<(), EnvFileError> {
    if text.len() > ENVFILE_TEXT_LIMIT {
        return Err(EnvFileError::Limit { entry: entry.into(), what: "text", limit: ENVFILE_TEXT_LIMIT });
    }
    Ok(())
}

/// The entry that evaluates to this value: the value itself, or in quotes where it would mean something else.
fn stored(name: &str, value: String) -> String {
    if is_plain(name, &value) { value } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

/// Is the value of this entry taken as it is?
fn is_plain(name: &str, value: &str) -> bool {
    let refers = |(at, _): (usize, &str)| {
        let next = value.as_bytes().get(at + 1);
        next.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'{' | b'('))
    };
    assignment::is_name(name)
        && !value.contains(['\'', '"', '\\', '`'])
        && !value.match_indices('$').any(refers)
}

/// Words of a name in any case: at what is no letter or digit, and where a small letter meets a large one.
fn words_of(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut small = false;
    for char in name.chars() {
        if !char.is_alphanumeric() || small && char.is_uppercase() {
            words.push(std::mem::take(&mut word));
        }
        if char.is_alphanumeric() {
            word.extend(char.to_lowercase());
        }
        small = char.is_lowercase() || char.is_ascii_digit();
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The work on one answer, with what is left of its limits.
struct Evaluation<'a> {
    entries: &'a Environment,
    client: ClientEnvironment<'a>,
    /// Is a reference that leads nowhere an error? Otherwise it is empty.
    strict: bool,
    /// Entries being evaluated: they do not see themselves.
    busy: Vec<Arc<str>>,
    depth: usize,
    references: usize,
    bytes: usize,
}

impl<'a> Evaluation<'a> {
    fn new(entries: &'a Environment, client: ClientEnvironment<'a>, strict: bool) -> Self {
        Self {
            entries,
            client,
            strict,
            busy: Vec::new(),
            depth: 0,
            references: ENVFILE_REFERENCE_LIMIT,
            bytes: ENVFILE_BYTE_LIMIT,
        }
    }

    /// The value of an entry; `None` for a comment.
    fn entry(&mut self, name: &Arc<str>, value: &str) -> Result<Option<String>, EnvFileError> {
        if is_plain(name, value) {
            self.made(name, value.len())?;
            return Ok(Some(value.to_owned()));
        }
        let Some(Assignment { words }) = assignment::parse(&format!("{name}={value}"))? else {
            return Ok(None);
        };
        self.busy.push(name.clone());
        let evaluated = self.words(name, &words);
        self.busy.pop();
        evaluated.map(Some)
    }

    fn words(&mut self, entry: &Arc<str>, words: &[Vec<Piece>]) -> Result<String, EnvFileError> {
        let mut text = String::new();
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            self.pieces(entry, word, &mut text)?;
        }
        Ok(text)
    }

    fn pieces(&mut self, entry: &Arc<str>, pieces: &[Piece], text: &mut String) -> Result<(), EnvFileError> {
        for piece in pieces {
            match piece {
                Piece::Text(part) => {
                    self.made(entry, part.len())?;
                    text.push_str(part);
                }
                Piece::Command { line, column } => {
                    return Err(EnvFileError::Command { entry: entry.clone(), line: *line, column: *column });
                }
                Piece::Variable(name) => {
                    let value = self.demanded(entry, name)?;
                    text.push_str(&value);
                }
                Piece::Length(name) => {
                    let value = self.demanded(entry, name)?;
                    text.push_str(&value.chars().count().to_string());
                }
                Piece::Conditional { name, condition, or_empty, word } => {
                    let value = self.reference(entry, name)?.filter(|value| !(*or_empty && value.is_empty()));
                    match (condition, value) {
                        (Condition::Otherwise | Condition::Demand, Some(value)) => text.push_str(&value),
                        (Condition::Otherwise, None) | (Condition::Instead, Some(_)) => {
                            self.deeper(entry)?;
                            self.pieces(entry, word, text)?;
                            self.depth -= 1;
                        }
                        (Condition::Instead, None) => {}
                        (Condition::Demand, None) => {
                            let mut message = String::new();
                            self.deeper(entry)?;
                            self.pieces(entry, word, &mut message)?;
                            self.depth -= 1;
                            if message.is_empty() {
                                message.push_str("parameter null or not set");
                            }
                            return Err(EnvFileError::Demanded {
                                entry: entry.clone(),
                                name: name.clone(),
                                text: message,
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn demanded(&mut self, entry: &Arc<str>, name: &str) -> Result<String, EnvFileError> {
        match self.reference(entry, name)? {
            Some(value) => Ok(value),
            None if self.strict => Err(EnvFileError::Unbound { entry: entry.clone(), name: name.to_owned() }),
            None => Ok(String::new()),
        }
    }

    /// What a name stands for: another entry, else a variable of the client that is not empty. An entry that
    /// itself leads nowhere stands for nothing.
    fn reference(&mut self, entry: &Arc<str>, name: &str) -> Result<Option<String>, EnvFileError> {
        let limit = |what, limit| EnvFileError::Limit { entry: entry.clone(), what, limit };
        self.references =
            self.references.checked_sub(1).ok_or_else(|| limit("references", ENVFILE_REFERENCE_LIMIT))?;
        match self.entries.get(name) {
            Some(value) if !self.busy.iter().any(|busy| &**busy == name) => {
                self.deeper(entry)?;
                let evaluated = self.entry(&name.into(), value);
                self.depth -= 1;
                match evaluated {
                    Err(EnvFileError::Unbound { .. }) => Ok(None),
                    other => other,
                }
            }
            _ => {
                let value = (self.client)(name).filter(|value| !value.is_empty());
                self.made(entry, value.as_ref().map_or(0, String::len))?;
                Ok(value)
            }
        }
    }

    fn deeper(&mut self, entry: &Arc<str>) -> Result<(), EnvFileError> {
        if self.depth == ENVFILE_DEPTH_LIMIT {
            return Err(EnvFileError::Limit {
                entry: entry.clone(),
                what: "depth of references",
                limit: ENVFILE_DEPTH_LIMIT,
            });
        }
        self.depth += 1;
        Ok(())
    }

    fn made(&mut self, entry: &Arc<str>, bytes: usize) -> Result<(), EnvFileError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| EnvFileError::Limit {
            entry: entry.clone(),
            what: "text",
            limit: ENVFILE_BYTE_LIMIT,
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
