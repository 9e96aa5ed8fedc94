//! Where a producer writes its tar.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use cache_core::{Digest, DigestHasher, Result};

use crate::codec::{Block, DiffIdRule, EncodedBlock, Ending, TarTotal, io_error};
use crate::pack::line::Line;
use crate::pack::stage::{Follower, Stage};
use crate::pack::workers::Turns;

/// Takes the tar of one layer in order. A write blocks while the layer has its share of the budget in use; it fails with
/// a carried `Cancelled` (see [`error_of_io`](crate::codec::error_of_io)) as soon as nobody wants the layer any more.
pub struct PackWriter {
    line: Arc<Line>,
    turns: Arc<Turns>,
    follower: Follower,
    /// `None` where the blob's digest is the DiffID.
    hasher: Option<DigestHasher>,
    block: Option<Block>,
    written: u64,
    submitted: u64,
    followed: u64,
    blob_bytes: u64,
}

/// What is known of a layer when all of it is written.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The digest of the tar; `None` where it is the blob's.
    pub(super) tar_digest: Option<Digest>,
    pub(super) tar_bytes: u64,
    pub(super) ending: Ending,
}

impl PackWriter {
    pub(super) fn new(line: Arc<Line>, turns: Arc<Turns>, follower: Follower) -> Self {
        let hasher = match line.stage() {
            Stage::Identity => None,
            Stage::Blocks { .. } | Stage::Stream { .. } => Some(DigestHasher::default()),
        };
        Self { line, turns, follower, hasher, block: None, written: 0, submitted: 0, followed: 0, blob_bytes: 0 }
    }

    /// Bytes of tar so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest of the tar so far; `None` where nobody computes it, because it is going to be the blob's.
    pub fn digest(&self) -> Option<Digest> {
        self.hasher.clone().map(DigestHasher::finish)
    }

    /// The hasher of the tar so far, for a digest of it and of more; `None` where there is none.
    pub(crate) fn hasher(&self) -> Option<DigestHasher> {
        self.hasher.clone()
    }

    /// Adds to the block that is being filled, or to a new one when there is memory for it, what fits of `bytes`; says how
    /// much that was.
    fn fill(&mut self, bytes: &[u8]) -> Result<usize> {
        let capacity = self.line.stage().block_bytes();
        if self.block.is_none() {
            self.line.reserve()?;
        }
        let offset = self.written;
        let block = self.block.get_or_insert_with(|| Block { offset, bytes: Vec::with_capacity(capacity), plan: None });
        let (now, _later) = bytes.split_at(bytes.len().min(capacity - block.bytes.len()));
        block.bytes.extend_from_slice(now);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(now);
        }
        self.written += now.len() as u64;
        if block.bytes.len() == capacity {
            self.submit()?;
        }
        Ok(now.len())
    }

    fn submit(&mut self) -> Result<()> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        if let Follower::Sequence(sequence) = &mut self.follower {
            sequence.block(&mut block)?;
        }
        self.line.submit(block, &self.turns);
        self.submitted += 1;
        self.follow()
    }

    /// Tells the follower of the blocks whose place in the blob is known by now.
    fn follow(&mut self) -> Result<()> {
        if let Follower::Nobody = self.follower {
            return Ok(());
        }
        while let Some((blob_bytes, notes)) = self.line.take_notes(self.followed) {
            if let Follower::Sequence(sequence) = &mut self.follower {
                sequence.encoded(EncodedBlock { blob_offset: self.blob_bytes, blob_bytes, notes })?;
            }
            self.followed += 1;
            self.blob_bytes += blob_bytes;
        }
        Ok(())
    }

    /// Ends the blob.
    pub(super) fn finish(mut self) -> Result<Sealed> {
        let Some(hasher) = self.hasher.clone() else {
            self.submit()?;
            let ending = Ending { diff_id: DiffIdRule::OfBlob, ..Ending::default() };
            return Ok(Sealed { tar_digest: None, tar_bytes: self.written, ending });
        };
        if self.written == 0 {
            self.fill(&[])?;
        }
        self.submit()?;
        let mut ending = match self.follower {
            Follower::Nobody => Ending::default(),
            Follower::Sequence(_) | Follower::Stream => {
                self.line.wait_encoded()?;
                self.follow()?;
                let hasher = hasher.clone();
                let total = TarTotal { hasher, tar_bytes: self.written, blob_bytes: self.blob_bytes };
                match self.follower {
                    Follower::Sequence(sequence) => sequence.finish(total)?,
                    Follower::Stream | Follower::Nobody => self.line.stage().take_stream()?.finish(total)?,
                }
            }
        };
        self.line.push_trailer(std::mem::take(&mut ending.trailer));
        Ok(Sealed { tar_digest: Some(hasher.finish()), tar_bytes: self.written, ending })
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
        f.debug_struct("PackWriter").field("written", &self.written).field("line", &self.line).finish_non_exhaustive()
    }
}
