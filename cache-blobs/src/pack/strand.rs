//! The producer's side of one variant: its blocks, and who follows them.

use std::fmt;
use std::sync::Arc;

use cache_core::{DigestHasher, Result};

use crate::codec::{Block, DiffIdRule, EncodedBlock, Ending, TarTotal};
use crate::pack::failed_variant::VariantName;
use crate::pack::line::Line;
use crate::pack::stage::{Follower, Stage};
use crate::pack::workers::Turns;

/// One variant of the layer that a [`PackWriter`](super::PackWriter) takes.
pub(super) struct Strand {
    line: Arc<Line>,
    follower: Follower,
    name: VariantName,
    block: Option<Block>,
    followed: u64,
    blob_bytes: u64,
}

impl Strand {
    pub(super) fn new(line: Arc<Line>, follower: Follower, name: VariantName) -> Self {
        Self { line, follower, name, block: None, followed: 0, blob_bytes: 0 }
    }

    /// Whether the digest of the tar is going to be that of the blob.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.line.stage(), Stage::Identity)
    }

    /// Whether somebody needs the hasher of the tar at its end.
    pub(super) fn ends_with_hasher(&self) -> bool {
        !matches!(self.follower, Follower::Nobody)
    }

    /// Bytes that fit into the block that is being filled, or into a new one, which begins at `offset` when there is memory
    /// for it.
    pub(super) fn room(&mut self, offset: u64) -> Result<usize> {
        let capacity = self.line.stage().block_bytes();
        let block = match &mut self.block {
            Some(block) => block,
            none => none.insert(Block { offset, bytes: self.line.reserve()?, plan: None }),
        };
        Ok(capacity - block.bytes.len())
    }

    /// Adds `bytes`, which fit, to the block for which there was room.
    pub(super) fn fill(&mut self, bytes: &[u8], turns: &Turns) -> Result<()> {
        let capacity = self.line.stage().block_bytes();
        let Some(block) = &mut self.block else { return Ok(()) };
        block.bytes.extend_from_slice(bytes);
        if block.bytes.len() == capacity { self.submit(turns) } else { Ok(()) }
    }

    /// Sends the last block on its way; of an empty tar there is one too, unless it is plain.
    pub(super) fn end_blocks(&mut self, tar_bytes: u64, turns: &Turns) -> Result<()> {
        if tar_bytes == 0 && !self.is_plain() {
            self.room(0)?;
        }
        self.submit(turns)
    }

    fn submit(&mut self, turns: &Turns) -> Result<()> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        if let Follower::Sequence(sequence) = &mut self.follower {
            sequence.block(&mut block).map_err(|error| self.name.name(error))?;
        }
        self.line.submit(block, turns);
        self.follow()
    }

    /// Tells the follower of the blocks whose place in the blob is known by now.
    fn follow(&mut self) -> Result<()> {
        if let Follower::Nobody = self.follower {
            return Ok(());
        }
        while let Some((blob_bytes, notes)) = self.line.take_notes(self.followed) {
            if let Follower::Sequence(sequence) = &mut self.follower {
                let encoded = EncodedBlock { blob_offset: self.blob_bytes, blob_bytes, notes };
                sequence.encoded(encoded).map_err(|error| self.name.name(error))?;
            }
            self.followed += 1;
            self.blob_bytes += blob_bytes;
        }
        Ok(())
    }

    /// Ends the blob of a tar of `tar_bytes` bytes after its last block. Where the tar has no `hasher`, nobody follows.
    pub(super) fn finish(mut self, hasher: Option<&DigestHasher>, tar_bytes: u64) -> Result<Ending> {
        if self.is_plain() {
            return Ok(Ending { diff_id: DiffIdRule::OfBlob, ..Ending::default() });
        }
        let Some(hasher) = hasher.filter(|_| self.ends_with_hasher()) else { return Ok(Ending::default()) };
        self.line.wait_encoded()?;
        self.follow()?;
        let total = TarTotal { hasher: hasher.clone(), tar_bytes, blob_bytes: self.blob_bytes };
        let ending = match self.follower {
            Follower::Sequence(sequence) => sequence.finish(total),
            Follower::Stream | Follower::Nobody => {
                self.line.stage().take_stream().and_then(|stream| stream.finish(total))
            }
        };
        let mut ending = ending.map_err(|error| self.name.name(error))?;
        self.line.push_trailer(std::mem::take(&mut ending.trailer));
        Ok(ending)
    }
}

impl fmt::Debug for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)
    }
}
