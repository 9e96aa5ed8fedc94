//! What the layers that are packed at once may use together.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cache_core::Result;

use crate::pack::memory::Memory;
use crate::pack::workers::{Turns, Workers};

/// CPU workers and bytes for all layers that are being packed. Layers take turns at the workers. Each admitted layer owns
/// the memory of one block, of a plain tar of two, and so always moves; further blocks come from what is free. A layer that finds not even its
/// minimum free waits for its admission, in order of arrival. A layer that becomes several variants at once owns a block of each,
/// and each variant has turns of its own.
///
/// Counted are the blocks of tar and what they become, until the ingest has taken it. Not counted are compression contexts
/// (one per worker and level; below 2 MiB at default levels), what producers and ingests hold, and trailers. Blocks that are done leave their memory
/// to later ones within what is free, as long as there is a layer.
///
/// Dropping it ends its threads, after the blocks that they are encoding.
#[derive(Debug)]
pub struct Budget {
    memory: Arc<Memory>,
    workers: Workers,
}

/// Bytes of a [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUsage {
    /// What there is.
    pub total_bytes: u64,
    /// What layers own or use now.
    pub used_bytes: u64,
    /// The most that they ever did.
    pub peak_bytes: u64,
    /// What waits for another block in the memory of blocks that are done. It is free, and goes as soon as it is wanted for anything else.
    pub spare_bytes: u64,
}

impl Budget {
    /// Bytes that keep two workers busy with zstd, whose blocks need about 16 MiB each, and many more with gzip; half
    /// of the 128 MiB that a whole export is to stay below.
    pub const DEFAULT_MEMORY_BYTES: u64 = 64 << 20;

    /// A budget of `workers` threads, which start now, and of `memory_bytes` bytes. One block of the codec has to fit:
    /// 4.1 MiB for gzip, 16.1 MiB for zstd, both for both at once; a plain tar needs 2 MiB; to keep `n` workers busy takes `n + 2` blocks.
    ///
    /// # Errors
    /// `Unavailable` if the threads cannot be had.
    pub fn new(workers: NonZeroUsize, memory_bytes: u64) -> Result<Self> {
        Ok(Self { memory: Arc::new(Memory::new(memory_bytes)), workers: Workers::start(workers)? })
    }

    /// The bytes and their use now.
    pub fn usage(&self) -> BudgetUsage {
        self.memory.usage()
    }

    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
        self.workers.turns()
    }

    /// Blocks beyond which one layer gains nothing: each worker has one and finds the next one filled, while as many wait for the
    /// ingest.
    pub(super) fn blocks_per_layer(&self) -> usize {
        2 * self.workers.count() + 2
    }
}
