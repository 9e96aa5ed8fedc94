//! JSON that somebody else wrote: checked against limits, compacted without being interpreted.
//!
//! What nobody changes must come out with the bytes that Go would write: white space gone, everything else as it was.
//! No value passes through a parsed form, so key order, the spelling of numbers and escapes survive.

mod object;
mod scan;

use std::sync::Arc;

pub(crate) use object::Object;

use crate::error::JsonError;
use scan::Scanner;

/// What a JSON document may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonLimits {
    /// Bytes of the text.
    pub bytes: u64,
    /// Objects and arrays inside of each other.
    pub depth: usize,
}

/// Four times as deep as any image config in use, and less than what serde_json follows.
const DEPTH: usize = 64;

impl JsonLimits {
    /// For a manifest or an index: 4 MiB, the least that the distribution specification asks registries to accept.
    pub const MANIFEST: Self = Self { bytes: 4 << 20, depth: DEPTH };
    /// For an image config: 16 MiB, because it may carry a whole inline cache.
    pub const CONFIG: Self = Self { bytes: 16 << 20, depth: DEPTH };

    /// The same with another bound on [`bytes`](Self::bytes).
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same with another bound on [`depth`](Self::depth); more than 120 is taken as 120.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        // serde_json gives up at 128, and its error would not name this limit.
        self.depth = depth.min(120);
        self
    }
}

/// `text` without white space, as Go's `encoding/json` embeds a raw value: `<`, `>`, `&`, U+2028 and U+2029 become
/// escapes, everything else stays as it is spelled. Mirrors: Go `encoding/json.Compact` with HTML escaping.
///
/// # Errors
/// [`JsonError`] if `text` is not one JSON value or exceeds `limits`.
pub fn compact(text: &[u8], limits: JsonLimits) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(text.len());
    let mut scanner = Scanner::new(text, limits)?;
    scanner.value(&mut out)?;
    scanner.end()?;
    Ok(out)
}

/// What the object `text` means, after it was checked against `limits`. Of keys that repeat in it none would be the right
/// one, so they are refused.
pub(crate) fn parse_object<'a, T: serde::Deserialize<'a>>(text: &'a [u8], limits: JsonLimits) -> Result<T, JsonError> {
    // serde would take an array for a struct, its elements for the fields.
    Object::parse(text, limits)?;
    parse(text)
}

/// What the list `text` means, after it was checked against `limits`.
pub(crate) fn parse_list<'a, T: serde::Deserialize<'a>>(
    text: &'a [u8],
    limits: JsonLimits,
) -> Result<Vec<T>, JsonError> {
    let mut scanner = Scanner::new(text, limits)?;
    scanner.value(&mut scan::Nowhere)?;
    scanner.end()?;
    parse(text)
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, JsonError> {
    serde_json::from_slice(text).map_err(|source| JsonError::Shape(Arc::new(source)))
}
