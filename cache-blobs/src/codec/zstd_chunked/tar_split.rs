//! The tar-split data: all of the archive but the files' contents, so that the same archive can be made of unpacked files.

use std::collections::HashSet;

use cache_core::{Result, json};
use serde::Serialize;

use super::packed_json::{Packed, PackedJson};
use crate::codec::toc::{Base64Bytes, clean};
use crate::tar::TAR_BLOCK_BYTES;

/// Numbers of tar-split's `storage.Type`.
const FILE: u8 = 1;
const SEGMENT: u8 = 2;

/// The data, a line of JSON for each run of archive and each entry. Mirrors: vbatts/tar-split `tar/asm`, `NewInputTarStream`, and
/// `tar/storage`, `NewJSONPacker`.
///
/// containers/storage refuses a layer whose data does not agree with the table of contents, and reads one without data whole. So
/// data are only kept for archives of which the table can say all.
#[derive(Debug)]
pub(super) struct TarSplit(Option<Writing>);

#[derive(Debug)]
struct Writing {
    json: PackedJson,
    position: u64,
    names: HashSet<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    payload: Option<Base64Bytes>,
    position: u64,
}

impl TarSplit {
    pub(super) fn new(level: i32) -> Result<Self> {
        Ok(Self(Some(Writing { json: PackedJson::new(level)?, position: 0, names: HashSet::new() })))
    }

    /// Says that the table of contents cannot tell all that the archive does.
    pub(super) fn give_up(&mut self) {
        self.0 = None;
    }

    /// The headers of an entry, with the padding before them.
    pub(super) fn headers(&mut self, bytes: Vec<u8>) -> Result<()> {
        if tells_more(&bytes) {
            self.give_up();
        }
        self.segment(bytes)
    }

    /// Archive behind the last entry. If it is not zeros alone, readers of the data would look for entries there.
    pub(super) fn rest(&mut self, bytes: Vec<u8>) -> Result<()> {
        if bytes.iter().any(|byte| *byte != 0) {
            self.give_up();
        }
        self.segment(bytes)
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<()> {
        match &mut self.0 {
            Some(writing) => writing.line(SEGMENT, "", 0, Some(bytes)),
            None => Ok(()),
        }
    }

    /// An entry whose headers were told, with the checksum of its contents if it has any. Names must not repeat.
    pub(super) fn entry(&mut self, name: &str, size: u64, checksum: Option<[u8; 8]>) -> Result<()> {
        let Some(writing) = &mut self.0 else { return Ok(()) };
        if writing.names.insert(clean(name)) {
            writing.line(FILE, name, size, checksum.map(|it| it.to_vec()))
        } else {
            self.give_up();
            Ok(())
        }
    }

    /// The data, if the archive can have any.
    pub(super) fn finish(self) -> Result<Option<Packed>> {
        self.0.map(|writing| writing.json.finish()).transpose()
    }
}

impl Writing {
    fn line(&mut self, kind: u8, name: &str, size: u64, payload: Option<Vec<u8>>) -> Result<()> {
        let size = (size > 0).then_some(size);
        let line = Line { kind, name, size, payload: payload.map(Base64Bytes), position: self.position };
        let mut line = json::to_vec(&line)?;
        line.push(b'\n');
        self.position += 1;
        self.json.write(&line)
    }
}

/// Whether headers say what our table leaves out but Go's reader sees: times in the fields that old GNU archives and star's have for
/// them, and kinds of files that few know.
fn tells_more(headers: &[u8]) -> bool {
    let Some(block) = headers.len().checked_sub(TAR_BLOCK_BYTES).and_then(|at| headers.get(at..)) else { return true };
    let at = |range: std::ops::Range<usize>| block.get(range).unwrap_or_default();
    let is_gnu = at(257..265) == b"ustar  \0";
    let is_star = at(508..512) == b"tar\0";
    let known = matches!(at(156..157), [0 | b'0'..=b'6']);
    !known || is_star || (is_gnu && (at(345..346) != b"\0" || at(357..358) != b"\0"))
}
