//! One entry read as an assignment of the POSIX shell. Nothing is looked up here.
//!
//! Invariant: a parsed entry nests at most [`super::ENVFILE_DEPTH_LIMIT`] levels.

use super::{ENVFILE_DEPTH_LIMIT, EnvFileError};

/// An assignment. Words after the first are joined to the value, as a `.env` file without quotes means them.
pub(super) struct Assignment {
    /// Never empty; a value that is missing before further words is left out.
    pub(super) words: Vec<Vec<Piece>>,
}

/// A part of a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Literal text.
    Text(String),
    /// `$NAME`, `${NAME}`.
    Variable(String),
    /// `${#NAME}`.
    Length(String),
    /// `${NAME:-word}` and its like.
    Conditional {
        name: String,
        condition: Condition,
        /// With a colon: an empty value is as good as none.
        or_empty: bool,
        word: Vec<Self>,
    },
    /// `$(…)`, `` `…` ``: where it starts, in lines and bytes from 1.
    Command { line: usize, column: usize },
}

/// What the word of a [`Piece::Conditional`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// `-`, `=`: stands where there is no value.
    Otherwise,
    /// `+`: stands where there is a value.
    Instead,
    /// `?`: the error where there is no value.
    Demand,
}

/// Is it a name that the shell assigns to?
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        return 0;
    }
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

/// Length of `NAME=` at the start of a text.
fn assigned(text: &str) -> Option<usize> {
    let length = name_length(text);
    (length > 0 && text[length..].starts_with('=')).then_some(length + 1)
}

/// Reads an entry; `None` for one without an assignment or anything else: a comment.
///
/// # Errors
/// It is another statement, several assignments, or no text of the shell.
pub(super) fn parse(text: &str) -> Result<Option<Assignment>, EnvFileError> {
    let mut reader = Reader { text, at: 0 };
    let other = || EnvFileError::NotAnAssignment(text.to_owned());
    let mut words: Vec<Vec<Piece>> = Vec::new();
    let mut ended = false;
    let mut assigning = true;
    loop {
        reader.skip_blanks();
        let Some(next) = reader.peek() else { break };
        match next {
            '\n' => {
                reader.at += 1;
                ended = !words.is_empty();
                continue;
            }
            ';' if !words.is_empty() && !ended => {
                reader.at += 1;
                ended = true;
                continue;
            }
            '#' => {
                reader.skip_line();
                continue;
            }
            _ if ended || is_operator(next) => return Err(other()),
            _ => {}
        }
        match assigned(reader.rest()) {
            Some(length) if words.is_empty() => reader.at += length,
            Some(_) if assigning => return Err(EnvFileError::SeveralAssignments(text.to_owned())),
            None if words.is_empty() => return Err(other()),
            _ => assigning = false,
        }
        words.push(reader.word(End::Blank, 0)?);
    }
    if words.len() > 1 && words[0].is_empty() {
        words.remove(0);
    }
    Ok((!words.is_empty()).then_some(Assignment { words }))
}

fn is_operator(char: char) -> bool {
    matches!(char, ';' | '|' | '&' | '<' | '>' | '(' | ')')
}

/// Where a word ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// At a blank or an operator.
    Blank,
    /// At the brace that closes an expansion.
    Brace,
    /// The same, inside double quotes: single quotes are ordinary there.
    QuotedBrace,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn syntax(&self, reason: &'static str) -> EnvFileError {
        EnvFileError::Syntax { text: self.text.to_owned(), reason }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with([' ', '\t']) {
                self.at += 1;
            } else if rest.starts_with("\\\n") {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// The pieces up to the end of a word, which is not consumed.
    fn word(&mut self, end: End, depth: usize) -> Result<Vec<Piece>, EnvFileError> {
        let mut pieces = Vec::new();
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\n' if end == End::Blank => break,
                _ if end == End::Blank && is_operator(next) => break,
                '}' if end != End::Blank => break,
                '\'' if end != End::QuotedBrace => {
                    self.at += 1;
                    let length = self
                        .rest()
                        .find('\'')
                        .ok_or_else(|| self.syntax("reached EOF without closing quote '"))?;
                    push(&mut pieces, &self.rest()[..length]);
                    self.at += length + 1;
                }
                '"' => self.quoted(&mut pieces, depth)?,
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some(next) if end == End::QuotedBrace && !"$`\"\\}".contains(next) => {
                            push(&mut pieces, "\\")
                        }
                        Some(_) => self.take(&mut pieces),
                        None => push(&mut pieces, "\\"),
                    }
                }
                '$' => self.dollar(&mut pieces, depth, end == End::QuotedBrace)?,
                '`' => self.backquoted(&mut pieces)?,
                _ => self.take(&mut pieces),
            }
        }
        Ok(pieces)
    }

    /// `"…"`; an empty text is a piece, too.
    fn quoted(&mut self, pieces: &mut Vec<Piece>, depth: usize) -> Result<(), EnvFileError> {
        self.at += 1;
        push(pieces, "");
        loop {
            match self.peek().ok_or_else(|| self.syntax("reached EOF without closing quote \""))? {
                '"' => {
                    self.at += 1;
                    return Ok(());
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some('$' | '`' | '"' | '\\') => self.take(pieces),
                        _ => push(pieces, "\\"),
                    }
                }
                '$' => self.dollar(pieces, depth, true)?,
                '`' => self.backquoted(pieces)?,
                _ => self.take(pieces),
            }
        }
    }

    /// Takes one character as text.
    fn take(&mut self, pieces: &mut Vec<Piece>) {
        let from = self.at;
        if self.next().is_some() {
            push(pieces, &self.text[from..self.at]);
        }
    }

    fn dollar(&mut self, pieces: &mut Vec<Piece>, depth: usize, in_quotes: bool) -> Result<(), EnvFileError> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let name = name_length(rest);
        if name > 0 {
            pieces.push(Piece::Variable(rest[..name].to_owned()));
            self.at += name;
        } else if rest.starts_with("((") {
            return Err(self.syntax("arithmetic is not supported"));
        } else if rest.starts_with('(') {
            pieces.push(self.command(start));
            self.skip_parentheses()?;
        } else if rest.starts_with('{') {
            self.at += 1;
            let piece = self.parameter(depth, in_quotes)?;
            pieces.push(piece);
        } else if let Some(special) = rest.chars().next().filter(|next| is_special(*next)) {
            pieces.push(Piece::Variable(special.to_string()));
            self.at += 1;
        } else {
            push(pieces, "$");
        }
        Ok(())
    }

    /// `NAME…}`, after `${`.
    fn parameter(&mut self, depth: usize, in_quotes: bool) -> Result<Piece, EnvFileError> {
        const UNSUPPORTED: &str = "unsupported parameter expansion";
        if depth == ENVFILE_DEPTH_LIMIT {
            return Err(self.syntax("expansions nest too deeply"));
        }
        let rest = self.rest();
        let length = rest.starts_with('#') && name_length(&rest[1..]) > 0;
        if length {
            self.at += 1;
        }
        let name = self.parameter_name().ok_or_else(|| self.syntax(UNSUPPORTED))?;
        if length {
            return self.close().map(|()| Piece::Length(name));
        }
        let or_empty = self.rest().starts_with(':');
        if or_empty {
            self.at += 1;
        }
        let condition = match self.peek() {
            Some('-' | '=') => Condition::Otherwise,
            Some('+') => Condition::Instead,
            Some('?') => Condition::Demand,
            Some('}') | None if !or_empty => return self.close().map(|()| Piece::Variable(name)),
            _ => return Err(self.syntax(UNSUPPORTED)),
        };
        self.at += 1;
        let word = self.word(if in_quotes { End::QuotedBrace } else { End::Brace }, depth + 1)?;
        self.close()?;
        Ok(Piece::Conditional { name, condition, or_empty, word })
    }

    fn parameter_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = match name_length(rest) {
            0 => match rest.bytes().take_while(u8::is_ascii_digit).count() {
                0 => usize::from(rest.starts_with(is_special)),
                digits => digits,
            },
            name => name,
        };
        self.at += length;
        (length > 0).then(|| rest[..length].to_owned())
    }

    fn close(&mut self) -> Result<(), EnvFileError> {
        if !self.rest().starts_with('}') {
            return Err(self.syntax("reached EOF without matching ${ with }"));
        }
        self.at += 1;
        Ok(())
    }

    fn command(&self, start: usize) -> Piece {
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = start - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        Piece::Command { line, column }
    }

    fn backquoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), EnvFileError> {
        pieces.push(self.command(self.at));
        self.at += 1;
        while let Some(next) = self.next() {
            match next {
                '`' => return Ok(()),
                '\\' => {
                    self.next();
                }
                _ => {}
            }
        }
        Err(self.syntax("reached EOF without closing quote `"))
    }

    /// Skips `(…)`. What it holds is never run, so quotes are all that matters.
    fn skip_parentheses(&mut self) -> Result<(), EnvFileError> {
        let mut open = 0_usize;
        while let Some(next) = self.next() {
            match next {
                '(' => open += 1,
                ')' if open == 1 => return Ok(()),
                ')' => open -= 1,
                '\\' => {
                    self.next();
                }
                '\'' | '"' => while self.next().is_some_and(|inside| inside != next) {},
                _ => {}
            }
        }
        Err(self.syntax("reached EOF without matching ( with )"))
    }
}

/// Parameters of one character that no entry can have.
fn is_special(char: char) -> bool {
    char.is_ascii_digit() || "@*#?-$!".contains(char)
}

/// Adds text to the last piece.
fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}
