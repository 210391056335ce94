//! Tokens to a document, without recursion over selections.
//!
//! Open selection sets wait on an explicit stack. Values and list types do recurse, up to [`limits::VALUE_DEPTH`].
//!
//! # Source
//! GraphQL specification of October 2021, section 2 (executable documents; type system definitions are refused).

use std::sync::Arc;

use super::{
    Argument, Directive, Document, FRAGMENTS, Fragment, Index, Kind, Lexer, Literal, NONE, Operation,
    OperationKind, ParseError, Position, Range, Selection, SelectionKind, Set, Span, Token, TypeText,
    Variable, block_string_value, limits, string_value,
};

/// Parses a document. An empty one has no operations.
///
/// # Errors
/// [`ParseError`] when the text breaks the grammar or a limit.
pub(crate) fn parse(source: Arc<str>) -> Result<Document, ParseError> {
    if source.len() > limits::BYTES {
        return Err(ParseError::Limit { what: "bytes", limit: limits::BYTES });
    }
    let text = Arc::clone(&source);
    let mut parser = Parser::new(source, &text)?;
    while parser.token.kind != Kind::Eof {
        parser.definition()?;
    }
    Ok(parser.document)
}

/// Reads the grammar's parts off the tokens; schema files share those parts.
pub(crate) struct Parser<'s> {
    source: &'s str,
    lexer: Lexer<'s>,
    /// The token not yet taken.
    pub(crate) token: Token,
    tokens: usize,
    /// The number of the definition being read, as in [`Set::definition`].
    definition: u32,
    /// What was read so far.
    pub(crate) document: Document,
}

/// A set whose closing brace has not come yet, and its last selection so far.
struct Open {
    set: Index,
    last: Index,
}

impl<'s> Parser<'s> {
    /// Stands before the first token of `text`, which is the text of `source`.
    pub(crate) fn new(source: Arc<str>, text: &'s str) -> Result<Self, ParseError> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        let document = Document {
            source,
            operations: Vec::new(),
            fragments: Vec::new(),
            sets: Vec::new(),
            selections: Vec::new(),
            arguments: Vec::new(),
            directives: Vec::new(),
        };
        Ok(Self { source: text, lexer, token, tokens: 0, definition: 0, document })
    }

    pub(crate) fn advance(&mut self) -> Result<Token, ParseError> {
        self.tokens += 1;
        if self.tokens > limits::TOKENS {
            return Err(ParseError::Limit { what: "tokens", limit: limits::TOKENS });
        }
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn error(&self, token: Token, message: String) -> ParseError {
        ParseError::Syntax { message, position: Position::at(self.source, token.span.start as usize) }
    }

    pub(crate) fn unexpected<T>(&self) -> Result<T, ParseError> {
        Err(self.error(self.token, format!("Unexpected {}", self.token.describe(self.source))))
    }

    pub(crate) fn expect(&mut self, kind: Kind) -> Result<Token, ParseError> {
        if self.token.kind == kind {
            return self.advance();
        }
        Err(self.error(self.token, format!("Expected {}, found {}", kind.label(), self.token.kind.label())))
    }

    pub(crate) fn skip(&mut self, kind: Kind) -> Result<bool, ParseError> {
        if self.token.kind != kind {
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    pub(crate) fn word(&self) -> &'s str {
        if self.token.kind == Kind::Name { self.token.span.of(self.source) } else { "" }
    }

    pub(crate) fn name(&mut self) -> Result<Span, ParseError> {
        Ok(self.expect(Kind::Name)?.span)
    }

    fn definition(&mut self) -> Result<(), ParseError> {
        if self.document.operations.len() + self.document.fragments.len() >= limits::DEFINITIONS {
            return Err(ParseError::Limit { what: "operations and fragments", limit: limits::DEFINITIONS });
        }
        let kind = match self.word() {
            "query" => OperationKind::Query,
            "mutation" => OperationKind::Mutation,
            "subscription" => OperationKind::Subscription,
            "fragment" => return self.fragment(),
            _ if self.token.kind == Kind::BraceL => {
                let at = self.token.span.start;
                self.definition = self.document.operations.len() as u32;
                let set = self.selection_set()?;
                let operation = Operation {
                    kind: OperationKind::Query,
                    name: None,
                    variables: Vec::new(),
                    directives: Range::default(),
                    set,
                    at,
                };
                self.document.operations.push(operation);
                return Ok(());
            }
            _ => return self.unexpected(),
        };
        self.operation(kind)
    }

    fn operation(&mut self, kind: OperationKind) -> Result<(), ParseError> {
        self.definition = self.document.operations.len() as u32;
        let at = self.advance()?.span.start;
        let name = if self.token.kind == Kind::Name { Some(self.name()?) } else { None };
        let mut variables = Vec::new();
        if self.skip(Kind::ParenL)? {
            while variables.is_empty() || self.token.kind != Kind::ParenR {
                variables.push(self.variable()?);
            }
            self.advance()?;
        }
        let directives = self.directives()?;
        let set = self.selection_set()?;
        self.document.operations.push(Operation { kind, name, variables, directives, set, at });
        Ok(())
    }

    fn variable(&mut self) -> Result<Variable, ParseError> {
        self.expect(Kind::Dollar)?;
        let name = self.name()?;
        self.expect(Kind::Colon)?;
        let ty = self.type_text(0)?;
        let default = if self.skip(Kind::Equals)? { Some(self.value(true, 0)?) } else { None };
        let directives = self.directives()?;
        Ok(Variable { name, ty, default, directives })
    }

    pub(crate) fn type_text(&mut self, depth: usize) -> Result<TypeText, ParseError> {
        if depth > limits::VALUE_DEPTH {
            return Err(ParseError::Limit { what: "nested list types", limit: limits::VALUE_DEPTH });
        }
        if self.skip(Kind::BracketL)? {
            let of = Box::new(self.type_text(depth + 1)?);
            self.expect(Kind::BracketR)?;
            return Ok(TypeText::List { of, non_null: self.skip(Kind::Bang)? });
        }
        let name = self.name()?;
        Ok(TypeText::Named { name, non_null: self.skip(Kind::Bang)? })
    }

    fn fragment(&mut self) -> Result<(), ParseError> {
        self.definition = FRAGMENTS + self.document.fragments.len() as u32;
        self.advance()?;
        if self.word() == "on" {
            return self.unexpected();
        }
        let name = self.name()?;
        if self.word() != "on" {
            return Err(self
                .error(self.token, format!("Expected \"on\", found {}", self.token.describe(self.source))));
        }
        self.advance()?;
        let condition = self.name()?;
        let directives = self.directives()?;
        let set = self.selection_set()?;
        self.document.fragments.push(Fragment { name, condition, directives, set });
        Ok(())
    }

    /// Reads `{ … }` with all that is nested in it; the outermost set.
    fn selection_set(&mut self) -> Result<Index, ParseError> {
        let mut open = Vec::new();
        let root = self.open_set(&mut open)?;
        while let Some(Open { set, last }) = open.last() {
            let (set, last) = (*set, *last);
            if self.token.kind == Kind::BraceR && last != NONE {
                self.advance()?;
                open.pop();
                continue;
            }
            let selection = self.selection(set)?;
            let at = self.document.selections.len() as Index;
            if self.document.selections.len() >= limits::SELECTIONS {
                return Err(ParseError::Limit { what: "selections", limit: limits::SELECTIONS });
            }
            self.document.selections.push(selection);
            match last {
                NONE => self.document.sets[set as usize].first = at,
                last => self.document.selections[last as usize].next = at,
            }
            if let Some(open) = open.last_mut() {
                open.last = at;
            }
            let inline = matches!(self.document.selections[at as usize].kind, SelectionKind::Inline { .. });
            let spread = matches!(self.document.selections[at as usize].kind, SelectionKind::Spread);
            if inline || (!spread && self.token.kind == Kind::BraceL) {
                let child = self.open_set(&mut open)?;
                match &mut self.document.selections[at as usize].kind {
                    SelectionKind::Field { set, .. } | SelectionKind::Inline { set, .. } => *set = child,
                    SelectionKind::Spread => {}
                }
            }
        }
        Ok(root)
    }

    fn open_set(&mut self, open: &mut Vec<Open>) -> Result<Index, ParseError> {
        self.expect(Kind::BraceL)?;
        let depth = open.len() as u32;
        if depth >= limits::DEPTH {
            return Err(ParseError::Limit { what: "nested selections", limit: limits::DEPTH as usize });
        }
        let set = self.document.sets.len() as Index;
        self.document.sets.push(Set { first: NONE, definition: self.definition, depth });
        open.push(Open { set, last: NONE });
        Ok(set)
    }

    /// One selection up to, but without, its selection set.
    fn selection(&mut self, owner: Index) -> Result<Selection, ParseError> {
        if self.token.kind == Kind::Spread {
            let dots = self.advance()?.span;
            let (kind, name) = match self.word() {
                "on" => {
                    self.advance()?;
                    (SelectionKind::Inline { condition: true, set: NONE }, self.name()?)
                }
                "" => (SelectionKind::Inline { condition: false, set: NONE }, dots),
                _ => (SelectionKind::Spread, self.name()?),
            };
            let directives = self.directives()?;
            return Ok(Selection { kind, name, directives, owner, next: NONE });
        }
        let first = self.name()?;
        let (alias, name) = if self.skip(Kind::Colon)? { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments(false)?;
        let directives = self.directives()?;
        Ok(Selection {
            kind: SelectionKind::Field { alias, arguments, set: NONE },
            name,
            directives,
            owner,
            next: NONE,
        })
    }

    fn arguments(&mut self, constant: bool) -> Result<Range, ParseError> {
        let start = self.document.arguments.len() as Index;
        if self.skip(Kind::ParenL)? {
            while self.document.arguments.len() as Index == start || self.token.kind != Kind::ParenR {
                let name = self.name()?;
                self.expect(Kind::Colon)?;
                let value = self.value(constant, 0)?;
                self.document.arguments.push(Argument { name, value });
            }
            self.advance()?;
        }
        Ok(Range { start, end: self.document.arguments.len() as Index })
    }

    pub(crate) fn directives(&mut self) -> Result<Range, ParseError> {
        let start = self.document.directives.len() as Index;
        while self.skip(Kind::At)? {
            let name = self.name()?;
            let arguments = self.arguments(false)?;
            self.document.directives.push(Directive { name, arguments });
        }
        Ok(Range { start, end: self.document.directives.len() as Index })
    }

    pub(crate) fn value(&mut self, constant: bool, depth: usize) -> Result<Literal, ParseError> {
        if depth > limits::VALUE_DEPTH {
            return Err(ParseError::Limit { what: "nested values", limit: limits::VALUE_DEPTH });
        }
        let span = self.token.span;
        let literal = match self.token.kind {
            Kind::Int => Literal::Int(span),
            Kind::Float => Literal::Float(span),
            Kind::String => Literal::String(string_value(span.of(self.source)).into()),
            Kind::BlockString => Literal::String(block_string_value(span.of(self.source)).into()),
            Kind::Name => match span.of(self.source) {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                _ => Literal::Enum(span),
            },
            Kind::Dollar if !constant => {
                self.advance()?;
                return Ok(Literal::Variable(self.name()?));
            }
            Kind::BracketL => return self.list(constant, depth),
            Kind::BraceL => return self.object(constant, depth),
            _ => return self.unexpected(),
        };
        self.advance()?;
        Ok(literal)
    }

    fn list(&mut self, constant: bool, depth: usize) -> Result<Literal, ParseError> {
        self.advance()?;
        let mut items = Vec::new();
        while !self.skip(Kind::BracketR)? {
            items.push(self.value(constant, depth + 1)?);
        }
        Ok(Literal::List(items))
    }

    fn object(&mut self, constant: bool, depth: usize) -> Result<Literal, ParseError> {
        self.advance()?;
        let mut fields = Vec::new();
        while !self.skip(Kind::BraceR)? {
            let name = self.name()?;
            self.expect(Kind::Colon)?;
            fields.push((name, self.value(constant, depth + 1)?));
        }
        Ok(Literal::Object(fields))
    }
}

#[cfg(test)]
mod tests;
