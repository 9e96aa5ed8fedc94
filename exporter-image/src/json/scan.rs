//! A scanner that walks over one JSON value and copies what it keeps of it.

use super::JsonLimits;
use crate::error::JsonError;

/// Takes the compacted bytes.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// For those who only want to know whether the text is JSON.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _bytes: &[u8]) {}
}

/// Stands somewhere in a text that is UTF-8. It does not recurse: depth costs one byte a level.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], limits: JsonLimits) -> Result<Self, JsonError> {
        if text.len() as u64 > limits.bytes {
            return Err(JsonError::TooLong { maximum: limits.bytes });
        }
        if let Err(error) = std::str::from_utf8(text) {
            return Err(JsonError::NotUtf8 { offset: error.valid_up_to() });
        }
        Ok(Self { text, at: 0, depth: limits.depth })
    }

    /// Walks over the next value.
    pub(super) fn value(&mut self, out: &mut impl Sink) -> Result<(), JsonError> {
        let mut open: Vec<Container> = Vec::new();
        loop {
            // A value begins here.
            match self.next_token() {
                Some(b'{') => {
                    self.open(&mut open, Container::Object, out)?;
                    if self.next_token() != Some(b'}') {
                        self.key(out)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(&mut open, Container::Array, out)?;
                    if self.next_token() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => self.string(out)?,
                Some(b'-' | b'0'..=b'9') => self.number(out)?,
                Some(b't') => self.word(b"true", out)?,
                Some(b'f') => self.word(b"false", out)?,
                Some(b'n') => self.word(b"null", out)?,
                _ => return Err(self.syntax()),
            }
            // A value ended here, or an empty container is about to.
            loop {
                let Some(container) = open.last() else { return Ok(()) };
                match (self.next_token(), container) {
                    (Some(b','), Container::Object) => {
                        self.take(out);
                        self.next_token();
                        self.key(out)?;
                        break;
                    }
                    (Some(b','), Container::Array) => {
                        self.take(out);
                        break;
                    }
                    (Some(b'}'), Container::Object) | (Some(b']'), Container::Array) => {
                        self.take(out);
                        open.pop();
                    }
                    _ => return Err(self.syntax()),
                }
            }
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        if self.next_token().is_none() { Ok(()) } else { Err(self.syntax()) }
    }

    /// Passes over `byte`, if it is the next token.
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let found = self.next_token() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Walks over the next string and gives it as it is spelled, with its quotes.
    pub(super) fn raw_string(&mut self) -> Result<&'a [u8], JsonError> {
        self.next_token();
        let start = self.at;
        self.string(&mut Nowhere)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    pub(super) fn syntax(&self) -> JsonError {
        JsonError::Syntax { offset: self.at }
    }

    fn open(&mut self, open: &mut Vec<Container>, container: Container, out: &mut impl Sink) -> Result<(), JsonError> {
        if open.len() == self.depth {
            return Err(JsonError::TooDeep { maximum: self.depth });
        }
        open.push(container);
        self.take(out);
        Ok(())
    }

    fn key(&mut self, out: &mut impl Sink) -> Result<(), JsonError> {
        self.string(out)?;
        if self.next_token() != Some(b':') {
            return Err(self.syntax());
        }
        self.take(out);
        Ok(())
    }

    fn string(&mut self, out: &mut impl Sink) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let mut kept = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    out.put(self.text.get(kept..self.at).unwrap_or_default());
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(special @ (b'<' | b'>' | b'&')) => {
                    out.put(self.text.get(kept..self.at).unwrap_or_default());
                    out.put(format!("\\u{special:04x}").as_bytes());
                    self.at += 1;
                    kept = self.at;
                }
                Some(0xe2) if self.separator().is_some() => {
                    out.put(self.text.get(kept..self.at).unwrap_or_default());
                    out.put(self.separator().unwrap_or_default());
                    self.at += 3;
                    kept = self.at;
                }
                Some(0x20..) => self.at += 1,
                Some(_) | None => return Err(self.syntax()),
            }
        }
    }

    /// How Go spells the line or paragraph separator that stands here.
    fn separator(&self) -> Option<&'static [u8]> {
        match self.text.get(self.at..self.at + 3)? {
            [0xe2, 0x80, 0xa8] => Some(b"\\u2028"),
            [0xe2, 0x80, 0xa9] => Some(b"\\u2029"),
            _ => None,
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return Err(self.syntax());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    fn number(&mut self, out: &mut impl Sink) -> Result<(), JsonError> {
        let start = self.at;
        self.skip(b"-");
        if self.skip(b"0") == 0 {
            self.digits()?;
        }
        if self.skip(b".") == 1 {
            self.digits()?;
        }
        if self.skip(b"eE") == 1 {
            self.skip(b"+-");
            self.digits()?;
        }
        out.put(self.text.get(start..self.at).unwrap_or_default());
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            return Err(self.syntax());
        }
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8], out: &mut impl Sink) -> Result<(), JsonError> {
        for byte in word {
            if self.peek() != Some(*byte) {
                return Err(self.syntax());
            }
            self.at += 1;
        }
        out.put(word);
        Ok(())
    }

    /// Passes over the next byte if it is one of `set`; how many bytes that were.
    fn skip(&mut self, set: &[u8]) -> usize {
        let found = usize::from(self.peek().is_some_and(|byte| set.contains(&byte)));
        self.at += found;
        found
    }

    /// Copies the next byte.
    fn take(&mut self, out: &mut impl Sink) {
        out.put(self.text.get(self.at..=self.at).unwrap_or_default());
        self.at += 1;
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
    }
}
