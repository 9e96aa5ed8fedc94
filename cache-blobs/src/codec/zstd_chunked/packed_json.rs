//! JSON that is compressed while it is written.

use std::fmt;
use std::io::Write;

use ::zstd::stream::write::Encoder;
use cache_core::{Digest, Error, ErrorKind, Result};

use super::footer::JsonPlace;
use super::skippable;

/// Above this level tables get hardly smaller, and need much memory beside the blocks: both of them 4 MiB of window at this one,
/// 2 MiB at the default.
const MAX_LEVEL: i32 = 9;

/// One zstd frame of JSON.
pub(super) struct PackedJson {
    encoder: Encoder<'static, Vec<u8>>,
    bytes: u64,
}

/// A complete frame.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) frame: Vec<u8>,
    /// Bytes of JSON in it.
    pub(super) bytes: u64,
}

impl PackedJson {
    /// An empty one, compressed as layers of `level` are.
    pub(super) fn new(level: i32) -> Result<Self> {
        let encoder = Encoder::new(Vec::new(), level.min(MAX_LEVEL)).map_err(failure)?;
        Ok(Self { encoder, bytes: 0 })
    }

    pub(super) fn write(&mut self, json: &[u8]) -> Result<()> {
        self.bytes += json.len() as u64;
        self.encoder.write_all(json).map_err(failure)
    }

    pub(super) fn finish(self) -> Result<Packed> {
        Ok(Packed { frame: self.encoder.finish().map_err(failure)?, bytes: self.bytes })
    }
}

impl Packed {
    /// The digest of the frame.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.frame)
    }

    /// Appends it in a skippable frame to `trailer`, which follows `before` bytes of blob, and gives its place.
    pub(super) fn append(&self, before: u64, trailer: &mut Vec<u8>) -> Result<JsonPlace> {
        let offset = before + trailer.len() as u64 + skippable::HEADER_BYTES;
        skippable::append(&self.frame, trailer)?;
        Ok(JsonPlace { offset, compressed_bytes: self.frame.len() as u64, bytes: self.bytes })
    }
}

fn failure(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "compress", "a table of contents").with_source(error)
}

impl fmt::Debug for PackedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedJson").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
