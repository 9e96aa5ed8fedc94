//! JSON bytes as Go's `encoding/json` writes them, for everything that gets hashed.

use std::io;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// `value` without white space: configs, cache configs, `index.json`.
///
/// # Errors
/// `Invalid` if the value has no JSON form.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    write(value, GoEscaping(CompactFormatter))
}

/// `value` with an indent of two spaces, as BuildKit writes manifests and indexes of images.
///
/// # Errors
/// `Invalid` if the value has no JSON form.
pub fn to_vec_indented<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    write(value, GoEscaping(PrettyFormatter::with_indent(b"  ")))
}

/// `value` with an indent of one tab, as the eStargz library writes tables of contents.
///
/// # Errors
/// `Invalid` if the value has no JSON form.
pub fn to_vec_tabbed<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    write(value, GoEscaping(PrettyFormatter::with_indent(b"\t")))
}

/// Reads JSON `null`, which Go writes for an empty list or map, as the empty value.
pub fn null_as_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn write<T: Serialize + ?Sized, F: Formatter>(value: &T, formatter: F) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|source| Error::new(ErrorKind::Invalid, "encode", "JSON").with_source(source))?;
    Ok(bytes)
}

/// Go escapes `<`, `>`, `&`, U+2028 and U+2029 inside of strings; serde_json does not.
struct GoEscaping<F>(F);

impl<F: Formatter> Formatter for GoEscaping<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, from) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = from.chars();
            if let Some(special) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(special))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
