//! Where a producer writes its tar.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use cache_core::{Digest, DigestHasher, Result};

use crate::codec::{Ending, io_error};
use crate::pack::strand::Strand;
use crate::pack::workers::Turns;

/// Takes the tar of one layer in order, for all variants that are made of it. A write blocks while one of them has its share of
/// the budget in use; it fails with a carried `Cancelled` (see [`error_of_io`](crate::codec::error_of_io)) as soon as nobody wants
/// the layer any more.
pub struct PackWriter {
    strands: Vec<Strand>,
    turns: Arc<Turns>,
    /// `None` where the DiffID is a blob's digest.
    hasher: Option<DigestHasher>,
    written: u64,
}

/// What is known of a layer when all of it is written.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The digest of the tar; `None` where it is a blob's.
    pub(super) tar_digest: Option<Digest>,
    pub(super) tar_bytes: u64,
    /// How each variant ends.
    pub(super) endings: Vec<Ending>,
}

impl PackWriter {
    pub(super) fn new(strands: Vec<Strand>, turns: Arc<Turns>) -> Self {
        let is_hashed_by_store = strands.iter().any(Strand::is_plain);
        let is_hashed = !is_hashed_by_store || strands.iter().any(Strand::ends_with_hasher);
        Self { strands, turns, hasher: is_hashed.then(DigestHasher::default), written: 0 }
    }

    /// Bytes of tar so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest of the tar so far; `None` where nobody computes it, because it is going to be a blob's.
    pub fn digest(&self) -> Option<Digest> {
        self.hasher.clone().map(DigestHasher::finish)
    }

    /// The hasher of the tar so far, for a digest of it and of more; `None` where there is none.
    pub(crate) fn hasher(&self) -> Option<DigestHasher> {
        self.hasher.clone()
    }

    /// Adds what fits of `bytes` to the block of every variant; says how much that was.
    fn fill(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut room = bytes.len();
        for strand in &mut self.strands {
            room = room.min(strand.room(self.written)?);
        }
        let (now, _later) = bytes.split_at(room);
        for strand in &mut self.strands {
            strand.fill(now, &self.turns)?;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(now);
        }
        self.written += now.len() as u64;
        Ok(now.len())
    }

    /// Ends the blobs.
    pub(super) fn finish(mut self) -> Result<Sealed> {
        for strand in &mut self.strands {
            strand.end_blocks(self.written, &self.turns)?;
        }
        let hasher = self.hasher.as_ref();
        let endings = self.strands.into_iter().map(|strand| strand.finish(hasher, self.written));
        let endings = endings.collect::<Result<_>>()?;
        Ok(Sealed { tar_digest: self.hasher.map(DigestHasher::finish), tar_bytes: self.written, endings })
    }
}

impl Write for PackWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() { Ok(0) } else { self.fill(bytes).map_err(io_error) }
    }

    /// Does nothing: blocks leave when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackWriter")
            .field("written", &self.written)
            .field("strands", &self.strands)
            .finish_non_exhaustive()
    }
}
