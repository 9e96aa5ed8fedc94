//! Memory of blocks.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

/// From so many bytes on memory is mapped for a block alone: the system gets it back as soon as the block is gone, whatever else
/// lives, and gives it in large pages, if it has them, which saves page faults and misses of the processor's address translation. It is
/// several such pages; what is smaller, like gzip's blocks of 2 MiB, the heap uses again.
#[cfg(unix)]
const MAPPED_BYTES: usize = 4 << 20;

/// The bytes of a large page on most processors. Linux puts a mapping of whole ones where one can begin.
#[cfg(unix)]
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes that grow at their end. Like a `Vec<u8>`, which it can be made of, except that room for 4 MiB or more is memory of its own from the
/// system, where that is possible.
#[derive(Default)]
pub struct BlockBytes {
    memory: Memory,
    filled: usize,
    capacity: usize,
}

/// Every byte of it is initialised, the filled ones first.
enum Memory {
    Heap(Vec<u8>),
    #[cfg(unix)]
    Mapped(memmap2::MmapMut),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Memory {
    fn new(capacity: usize) -> Self {
        #[cfg(unix)]
        if capacity >= MAPPED_BYTES
            && let Some(map) = map(capacity)
        {
            return Self::Mapped(map);
        }
        Self::Heap(Vec::with_capacity(capacity))
    }
}

/// New memory of at least `capacity` bytes.
#[cfg(unix)]
fn map(capacity: usize) -> Option<memmap2::MmapMut> {
    let map = memmap2::MmapMut::map_anon(capacity.checked_next_multiple_of(LARGE_PAGE_BYTES)?).ok()?;
    // Without large pages it is as good, only slower.
    #[cfg(target_os = "linux")]
    if let Err(error) = map.advise(memmap2::Advice::HugePage) {
        tracing::trace!(%error, "blocks have no large pages");
    }
    Some(map)
}

impl BlockBytes {
    /// None, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { memory: Memory::new(capacity), filled: 0, capacity }
    }

    /// Bytes that fit without new memory.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// What the bytes cost as [`Bytes`]: large pages are there as a whole.
    pub(crate) fn cost(&self) -> usize {
        match &self.memory {
            Memory::Heap(_) => self.filled,
            #[cfg(unix)]
            Memory::Mapped(_) => self.filled.next_multiple_of(LARGE_PAGE_BYTES),
        }
    }

    /// Forgets the bytes and keeps their memory.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Adds `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let filled = self.filled;
        match &mut self.memory {
            Memory::Heap(heap) if heap.len() - filled < bytes.len() => {
                heap.truncate(filled);
                heap.extend_from_slice(bytes);
            }
            memory => memory[filled..filled + bytes.len()].copy_from_slice(bytes),
        }
        self.filled += bytes.len();
    }

    /// Adds what `write` puts at the begin of `room` bytes, which are anything before; it says how many these are.
    ///
    /// # Errors
    /// What `write` gives; nothing is added then.
    ///
    /// # Panics
    /// If it says more than there was room for.
    pub fn write_with<E>(&mut self, room: usize, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.reserve(room);
        let end = self.filled + room;
        if let Memory::Heap(heap) = &mut self.memory
            && heap.len() < end
        {
            heap.resize(end, 0);
        }
        let written = write(&mut self.memory[self.filled..end])?;
        assert!(written <= room, "{written} bytes were written where there was room for {room}");
        self.filled += written;
        Ok(())
    }

    /// Makes room for `more` bytes.
    fn reserve(&mut self, more: usize) {
        let wanted = self.filled + more;
        if wanted > self.capacity {
            let mut larger = Self::with_capacity(wanted.max(2 * self.capacity));
            larger.extend_from_slice(self);
            *self = larger;
        }
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(heap) => heap,
            #[cfg(unix)]
            Self::Mapped(map) => map,
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(heap) => heap,
            #[cfg(unix)]
            Self::Mapped(map) => map,
        }
    }
}

impl Deref for BlockBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.filled]
    }
}

impl DerefMut for BlockBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.filled]
    }
}

impl AsRef<[u8]> for BlockBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for BlockBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { filled: bytes.len(), capacity: bytes.capacity(), memory: Memory::Heap(bytes) }
    }
}

impl From<BlockBytes> for Bytes {
    fn from(bytes: BlockBytes) -> Self {
        match bytes.memory {
            Memory::Heap(mut heap) => {
                heap.truncate(bytes.filled);
                // What is kept costs what is counted.
                heap.shrink_to_fit();
                heap.into()
            }
            #[cfg(unix)]
            Memory::Mapped(_) => Self::from_owner(bytes),
        }
    }
}

impl fmt::Debug for BlockBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockBytes").field("filled", &self.filled).field("capacity", &self.capacity).finish()
    }
}
