//! Schema files to raw definitions, nothing resolved yet.

use std::sync::Arc;

use super::{AppliedDirective, SdlError, TypeKind};
use crate::document::{
    Argument, Kind, Literal, ParseError, Parser, TypeText, block_string_value, string_value,
};
use crate::json;

/// A type before names are resolved.
pub(super) struct RawType {
    pub(super) kind: TypeKind,
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) directives: Vec<AppliedDirective>,
    pub(super) fields: Vec<RawField>,
    pub(super) inputs: Vec<RawArg>,
    pub(super) values: Vec<RawField>,
}

/// A field; for an enum's member `ty` is absent.
pub(super) struct RawField {
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) args: Vec<RawArg>,
    pub(super) ty: Option<RawRef>,
    pub(super) directives: Vec<AppliedDirective>,
}

pub(super) struct RawArg {
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) ty: RawRef,
    pub(super) default: Option<Arc<str>>,
    pub(super) directives: Vec<AppliedDirective>,
}

pub(super) enum RawRef {
    Named { name: Arc<str>, non_null: bool },
    List { of: Box<RawRef>, non_null: bool },
}

pub(super) struct RawDirective {
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) args: Vec<RawArg>,
    pub(super) locations: Vec<Arc<str>>,
}

#[derive(Default)]
pub(super) struct Raw {
    pub(super) types: Vec<RawType>,
    pub(super) directives: Vec<RawDirective>,
}

pub(super) fn read(files: &[(&str, &str)]) -> Result<Raw, SdlError> {
    let mut raw = Raw::default();
    for (file, text) in files {
        read_file(text, &mut raw).map_err(|source| SdlError::Parse { file: (*file).to_owned(), source })?;
    }
    Ok(raw)
}

fn read_file(text: &str, raw: &mut Raw) -> Result<(), ParseError> {
    let mut reader = Reader { parser: Parser::new(text.into(), text)?, text };
    while reader.parser.token.kind != Kind::Eof {
        reader.definition(raw)?;
    }
    Ok(())
}

struct Reader<'s> {
    parser: Parser<'s>,
    text: &'s str,
}

impl Reader<'_> {
    fn name(&mut self) -> Result<Arc<str>, ParseError> {
        Ok(self.parser.name()?.of(self.text).into())
    }

    fn description(&mut self) -> Result<Arc<str>, ParseError> {
        let raw = self.parser.token.span.of(self.text);
        let text = match self.parser.token.kind {
            Kind::String => string_value(raw),
            Kind::BlockString => block_string_value(raw),
            _ => return Ok("".into()),
        };
        self.parser.advance()?;
        Ok(text.into())
    }

    fn definition(&mut self, raw: &mut Raw) -> Result<(), ParseError> {
        let description = self.description()?;
        let kind = match self.parser.word() {
            "scalar" => TypeKind::Scalar,
            "type" => TypeKind::Object,
            "enum" => TypeKind::Enum,
            "input" => TypeKind::InputObject,
            "directive" => {
                let directive = self.directive(description)?;
                raw.directives.push(directive);
                return Ok(());
            }
            _ => return self.parser.unexpected(),
        };
        self.parser.advance()?;
        let (name, directives) = (self.name()?, self.applied()?);
        let mut found = RawType {
            kind,
            name,
            description,
            directives,
            fields: Vec::new(),
            inputs: Vec::new(),
            values: Vec::new(),
        };
        if kind != TypeKind::Scalar {
            self.parser.expect(Kind::BraceL)?;
            while !self.parser.skip(Kind::BraceR)? {
                match kind {
                    TypeKind::Object => found.fields.push(self.field()?),
                    TypeKind::InputObject => found.inputs.push(self.arg()?),
                    _ => found.values.push(self.member()?),
                }
            }
        }
        raw.types.push(found);
        Ok(())
    }

    fn field(&mut self) -> Result<RawField, ParseError> {
        let (description, name, args) = (self.description()?, self.name()?, self.args()?);
        self.parser.expect(Kind::Colon)?;
        let (ty, directives) = (Some(self.ty()?), self.applied()?);
        Ok(RawField { name, description, args, ty, directives })
    }

    fn member(&mut self) -> Result<RawField, ParseError> {
        let (description, name, directives) = (self.description()?, self.name()?, self.applied()?);
        Ok(RawField { name, description, args: Vec::new(), ty: None, directives })
    }

    fn args(&mut self) -> Result<Vec<RawArg>, ParseError> {
        let mut args = Vec::new();
        if self.parser.skip(Kind::ParenL)? {
            while !self.parser.skip(Kind::ParenR)? {
                args.push(self.arg()?);
            }
        }
        Ok(args)
    }

    fn arg(&mut self) -> Result<RawArg, ParseError> {
        let (description, name) = (self.description()?, self.name()?);
        self.parser.expect(Kind::Colon)?;
        let ty = self.ty()?;
        let default = if self.parser.skip(Kind::Equals)? {
            let literal = self.parser.value(true, 0)?;
            Some(self.print(&literal))
        } else {
            None
        };
        Ok(RawArg { name, description, ty, default, directives: self.applied()? })
    }

    fn ty(&mut self) -> Result<RawRef, ParseError> {
        let text = self.parser.type_text(0)?;
        Ok(self.resolve_type(&text))
    }

    fn resolve_type(&self, ty: &TypeText) -> RawRef {
        match ty {
            TypeText::Named { name, non_null } => {
                RawRef::Named { name: name.of(self.text).into(), non_null: *non_null }
            }
            TypeText::List { of, non_null } => {
                RawRef::List { of: Box::new(self.resolve_type(of)), non_null: *non_null }
            }
        }
    }

    fn applied(&mut self) -> Result<Vec<AppliedDirective>, ParseError> {
        let range = self.parser.directives()?;
        let document = &self.parser.document;
        let print = |arg: &Argument| (document.text(arg.name).into(), self.print(&arg.value));
        let applied = range.of(&document.directives).iter().map(|directive| AppliedDirective {
            name: document.text(directive.name).into(),
            args: directive.arguments.of(&document.arguments).iter().map(print).collect(),
        });
        Ok(applied.collect())
    }

    fn directive(&mut self, description: Arc<str>) -> Result<RawDirective, ParseError> {
        self.parser.advance()?;
        self.parser.expect(Kind::At)?;
        let (name, args) = (self.name()?, self.args()?);
        if self.parser.word() != "on" {
            return self.parser.unexpected();
        }
        self.parser.advance()?;
        let mut locations = vec![self.name()?];
        while self.parser.skip(Kind::Pipe)? {
            locations.push(self.name()?);
        }
        Ok(RawDirective { name, description, args, locations })
    }

    /// A constant as a GraphQL literal, in one canonical spelling.
    fn print(&self, literal: &Literal) -> Arc<str> {
        let mut out = Vec::new();
        self.print_to(literal, &mut out);
        String::from_utf8_lossy(&out).as_ref().into()
    }

    fn print_to(&self, literal: &Literal, out: &mut Vec<u8>) {
        match literal {
            Literal::Null => json::null(out),
            Literal::Bool(value) => json::bool(out, *value),
            Literal::Int(span) | Literal::Float(span) | Literal::Enum(span) | Literal::Variable(span) => {
                out.extend_from_slice(span.of(self.text).as_bytes());
            }
            Literal::String(text) => json::string(out, text),
            Literal::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b", " } else { b"" });
                    self.print_to(item, out);
                }
                out.push(b']');
            }
            Literal::Object(fields) => {
                out.push(b'{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b", " } else { b"" });
                    out.extend_from_slice(name.of(self.text).as_bytes());
                    out.extend_from_slice(b": ");
                    self.print_to(value, out);
                }
                out.push(b'}');
            }
        }
    }
}
