//! Text to tokens.
//!
//! Tokens are spans; nothing is copied here. Invariant: every span lies on character boundaries of the source.
//!
//! # Source
//! GraphQL specification of October 2021, section 2.1 and appendix B; the texts of errors are those that 0.19 clients see.

use super::{ParseError, Position};

/// A stretch of the source: byte offsets, end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn of(self, source: &str) -> &str {
        &source[self.start as usize..self.end as usize]
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Eof,
    Bang,
    Dollar,
    Amp,
    ParenL,
    ParenR,
    Spread,
    Colon,
    Equals,
    At,
    BracketL,
    BracketR,
    BraceL,
    BraceR,
    Pipe,
    Name,
    Int,
    Float,
    String,
    BlockString,
}

impl Kind {
    /// The kind as error texts name it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Eof => "<EOF>",
            Self::Bang => "!",
            Self::Dollar => "$",
            Self::Amp => "&",
            Self::ParenL => "(",
            Self::ParenR => ")",
            Self::Spread => "...",
            Self::Colon => ":",
            Self::Equals => "=",
            Self::At => "@",
            Self::BracketL => "[",
            Self::BracketR => "]",
            Self::BraceL => "{",
            Self::BraceR => "}",
            Self::Pipe => "|",
            Self::Name => "Name",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::String => "String",
            Self::BlockString => "BlockString",
        }
    }
}

/// One token; a string's span includes its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

impl Token {
    /// The token as error texts show it: the kind, with the text where the kind alone says little.
    pub(crate) fn describe(self, source: &str) -> String {
        match self.kind {
            Kind::Name | Kind::Int | Kind::Float => {
                format!("{} {:?}", self.kind.label(), self.span.of(source))
            }
            Kind::String | Kind::BlockString => {
                // Invariant: an error never repeats a long text; a string may be a whole file.
                let text: String = self.span.of(source).trim_matches('"').chars().take(40).collect();
                format!("{} {text:?}", self.kind.label())
            }
            _ => self.kind.label().to_owned(),
        }
    }
}

/// Reads tokens off a source.
pub(crate) struct Lexer<'s> {
    source: &'s str,
    bytes: &'s [u8],
    at: usize,
}

impl<'s> Lexer<'s> {
    /// Starts at the beginning. The caller has checked that offsets fit 32 bits.
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, bytes: source.as_bytes(), at: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::Syntax { message: message.into(), position: Position::at(self.source, at) }
    }

    fn token(&mut self, kind: Kind, length: usize) -> Token {
        let start = self.at;
        self.at += length;
        Token { kind, span: Span { start: start as u32, end: self.at as u32 } }
    }

    fn skip_ignored(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                0xEF if self.bytes[self.at..].starts_with(&[0xEF, 0xBB, 0xBF]) => self.at += 3,
                b'#' => {
                    while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// The next token; [`Kind::Eof`] at the end, as often as asked.
    pub(crate) fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_ignored();
        if self.at >= self.bytes.len() {
            return Ok(self.token(Kind::Eof, 0));
        }
        let kind = match self.peek(0) {
            b'!' => Kind::Bang,
            b'$' => Kind::Dollar,
            b'&' => Kind::Amp,
            b'(' => Kind::ParenL,
            b')' => Kind::ParenR,
            b':' => Kind::Colon,
            b'=' => Kind::Equals,
            b'@' => Kind::At,
            b'[' => Kind::BracketL,
            b']' => Kind::BracketR,
            b'{' => Kind::BraceL,
            b'}' => Kind::BraceR,
            b'|' => Kind::Pipe,
            b'.' if self.peek(1) == b'.' && self.peek(2) == b'.' => return Ok(self.token(Kind::Spread, 3)),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let rest = &self.bytes[self.at..];
                let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                return Ok(self.token(Kind::Name, length));
            }
            b'-' | b'0'..=b'9' => return self.number(),
            b'"' if self.peek(1) == b'"' && self.peek(2) == b'"' => return self.block_string(),
            b'"' => return self.string(),
            _ => {
                let found = self.source[self.at..].chars().next().unwrap_or('\0');
                return Err(self.error(
                    self.at,
                    format!("Cannot parse the unexpected character {:?}.", found.to_string()),
                ));
            }
        };
        Ok(self.token(kind, 1))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let mut at = self.at;
        let mut kind = Kind::Int;
        let digit = |at: usize| self.bytes.get(at).is_some_and(u8::is_ascii_digit);
        let digits = |mut at: usize| -> Result<usize, ParseError> {
            if !digit(at) {
                let found = self.source[at..]
                    .chars()
                    .next()
                    .map_or_else(|| "<EOF>".to_owned(), |c| format!("{:?}", c.to_string()));
                return Err(self.error(at, format!("Invalid number, expected digit but got: {found}.")));
            }
            while digit(at) {
                at += 1;
            }
            Ok(at)
        };
        if self.bytes[at] == b'-' {
            at += 1;
        }
        if self.bytes.get(at) == Some(&b'0') {
            at += 1;
            if digit(at) {
                let found = self.bytes[at] as char;
                return Err(self.error(at, format!("Invalid number, unexpected digit after 0: \"{found}\".")));
            }
        } else {
            at = digits(at)?;
        }
        if self.bytes.get(at) == Some(&b'.') {
            kind = Kind::Float;
            at = digits(at + 1)?;
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            kind = Kind::Float;
            at += 1;
            if matches!(self.bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = digits(at)?;
        }
        if self.bytes.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_' || *b == b'.') {
            let found = self.bytes[at] as char;
            return Err(self.error(at, format!("Invalid number, expected digit but got: \"{found}\".")));
        }
        Ok(self.token(kind, at - start))
    }

    fn string(&mut self) -> Result<Token, ParseError> {
        let mut at = self.at + 1;
        loop {
            match self.bytes.get(at) {
                None | Some(b'\n' | b'\r') => return Err(self.error(at, "Unterminated string.")),
                Some(b'"') => return Ok(self.token(Kind::String, at + 1 - self.at)),
                Some(b'\\') => at = self.escape(at)?,
                Some(b) if *b < 0x20 && *b != b'\t' => {
                    return Err(self.error(at, format!("Invalid character within String: \"\\u{b:04x}\".")));
                }
                Some(_) => at += 1,
            }
        }
    }

    /// Checks the escape at `at`, where the backslash is; the offset behind it.
    fn escape(&self, at: usize) -> Result<usize, ParseError> {
        let bad = |length: usize| {
            let shown: String = self.source[at..].chars().take(length).collect();
            Err(self.error(at, format!("Invalid character escape sequence: {shown}.")))
        };
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') if self.bytes.get(at + 2) == Some(&b'{') => {
                let digits =
                    self.bytes[at + 3..].iter().take(9).take_while(|b| b.is_ascii_hexdigit()).count();
                let end = at + 3 + digits;
                let value = u32::from_str_radix(&self.source[at + 3..end], 16).ok();
                match value.and_then(char::from_u32) {
                    Some(_) if self.bytes.get(end) == Some(&b'}') => Ok(end + 1),
                    _ => bad(digits + 4),
                }
            }
            Some(b'u')
                if self.bytes[at + 2..].iter().take(4).take_while(|b| b.is_ascii_hexdigit()).count() == 4 =>
            {
                Ok(at + 6)
            }
            Some(b'u') => bad(6),
            _ => bad(2),
        }
    }

    fn block_string(&mut self) -> Result<Token, ParseError> {
        let mut at = self.at + 3;
        loop {
            match self.bytes.get(at) {
                None => return Err(self.error(at, "Unterminated string.")),
                Some(b'"') if self.bytes[at..].starts_with(b"\"\"\"") => {
                    return Ok(self.token(Kind::BlockString, at + 3 - self.at));
                }
                Some(b'\\') if self.bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
                Some(b) if *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r') => {
                    return Err(self.error(at, format!("Invalid character within String: \"\\u{b:04x}\".")));
                }
                Some(_) => at += 1,
            }
        }
    }
}

/// The value of a string token that the lexer accepted; `raw` includes the quotes.
///
/// A lone surrogate escape becomes U+FFFD, as Go's decoders do.
pub(crate) fn string_value(raw: &str) -> String {
    let inner = &raw[1..raw.len() - 1];
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (value, used) = match escape.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => unicode_escape(escape),
            Some(other) => (*other as char, 1),
            None => break,
        };
        out.push(value);
        rest = &escape[used..];
    }
    out.push_str(rest);
    out
}

/// Decodes `uXXXX`, `uXXXX\uXXXX` (a pair) or `u{X…}`: the character and how many bytes it took.
fn unicode_escape(escape: &str) -> (char, usize) {
    let hex =
        |from: usize| escape.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if let Some(braced) = escape.strip_prefix("u{") {
        let length = braced.find('}').unwrap_or(0);
        let value = u32::from_str_radix(&braced[..length], 16).ok().and_then(char::from_u32);
        return (value.unwrap_or(char::REPLACEMENT_CHARACTER), length + 3);
    }
    let high = hex(1).unwrap_or(0xFFFD);
    if (0xD800..0xDC00).contains(&high)
        && escape.get(5..7) == Some("\\u")
        && let Some(low) = hex(7).filter(|low| (0xDC00..0xE000).contains(low))
    {
        let value = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

/// The value of a block string token: common indentation and blank outer lines removed.
///
/// # Source
/// GraphQL specification of October 2021, `BlockStringValue()`.
pub(crate) fn block_string_value(raw: &str) -> String {
    let inner = raw[3..raw.len() - 3].replace("\\\"\"\"", "\"\"\"");
    let inner = inner.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = inner.split('\n').collect();
    let indent_of = |line: &str| line.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let blank = |line: &&str| indent_of(line) == line.len();
    let indent =
        lines.iter().skip(1).filter(|line| !blank(line)).map(|line| indent_of(line)).min().unwrap_or(0);
    let Some(first) = lines.iter().position(|line| !blank(line)) else { return String::new() };
    let last = lines.iter().rposition(|line| !blank(line)).unwrap_or(first);
    let mut out = String::with_capacity(inner.len());
    for (index, line) in lines.iter().enumerate().take(last + 1).skip(first) {
        if index > first {
            out.push('\n');
        }
        out.push_str(if index == 0 { line } else { line.get(indent..).unwrap_or("") });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Result<Vec<Kind>, ParseError> {
        let mut lexer = Lexer::new(source);
        let mut found = Vec::new();
        loop {
            match lexer.next()?.kind {
                Kind::Eof => return Ok(found),
                kind => found.push(kind),
            }
        }
    }

    fn message(source: &str) -> String {
        kinds(source).expect_err(source).to_string()
    }

    #[test]
    fn reads_every_token() {
        use Kind::*;
        assert_eq!(
            kinds("\u{feff}!$&()...:=@[]{}|,# note\n_a1 -1 0 1.5 -2e+3 \"s\" \"\"\"b\"\"\" \"\"")
                .expect("valid"),
            [
                Bang,
                Dollar,
                Amp,
                ParenL,
                ParenR,
                Spread,
                Colon,
                Equals,
                At,
                BracketL,
                BracketR,
                BraceL,
                BraceR,
                Pipe,
                Name,
                Int,
                Int,
                Float,
                Float,
                String,
                BlockString,
                String
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_token() {
        for (source, expected) in [
            ("?", "Cannot parse the unexpected character \"?\"."),
            ("..", "Cannot parse the unexpected character \".\"."),
            ("é", "Cannot parse the unexpected character \"é\"."),
            ("01", "Invalid number, unexpected digit after 0: \"1\"."),
            ("-", "Invalid number, expected digit but got: <EOF>."),
            ("1.x", "Invalid number, expected digit but got: \"x\"."),
            ("1é", "Cannot parse the unexpected character \"é\"."),
            ("1a", "Invalid number, expected digit but got: \"a\"."),
            ("\"a", "Unterminated string."),
            ("\"a\nb\"", "Unterminated string."),
            ("\"\"\"a", "Unterminated string."),
            ("\"\\x\"", "Invalid character escape sequence: \\x."),
            ("\"\\u12\"", "Invalid character escape sequence: \\u12\"."),
            ("\"\\u{110000}\"", "Invalid character escape sequence: \\u{110000}."),
            ("\"\\", "Invalid character escape sequence: \\."),
            ("\"\u{1}\"", "Invalid character within String: \"\\u0001\"."),
        ] {
            assert_eq!(message(source), expected, "{source}");
        }
    }

    #[test]
    fn decodes_strings() {
        for (raw, expected) in [
            (r#""""#, ""),
            (r#""plain é""#, "plain é"),
            (r#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u{1F600}\ud83d\ude00""#, "é😀😀"),
            (r#""\ud83dx\udc00""#, "\u{fffd}x\u{fffd}"),
        ] {
            assert_eq!(string_value(raw), expected, "{raw}");
        }
    }

    #[test]
    fn decodes_block_strings() {
        for (inner, expected) in [
            ("", ""),
            ("  \n \n", ""),
            ("one", "one"),
            ("\n    a\n      b\n\n    c\n  ", "a\n  b\n\nc"),
            ("  first\n  second", "  first\nsecond"),
            ("x \\\"\"\" y", "x \"\"\" y"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("\\n", "\\n"),
        ] {
            assert_eq!(block_string_value(&format!("\"\"\"{inner}\"\"\"")), expected, "{inner:?}");
        }
    }
}
