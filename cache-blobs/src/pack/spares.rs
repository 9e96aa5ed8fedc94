//! Memory of blocks that is used again: new memory of the kernel costs a page fault each 4 KiB.

use std::collections::VecDeque;

use crate::codec::BlockBytes;

/// Empty buffers of blocks, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: VecDeque<BlockBytes>,
    bytes: u64,
}

impl Spares {
    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A buffer of exactly `capacity` bytes, if there is one.
    pub(super) fn take(&mut self, capacity: usize) -> Option<BlockBytes> {
        let place = self.buffers.iter().position(|buffer| buffer.capacity() == capacity)?;
        let buffer = self.buffers.remove(place)?;
        self.bytes -= capacity as u64;
        Some(buffer)
    }

    /// Keeps `buffer`, if it has not more than `room` bytes alone. Gives those that are too many then, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn keep(&mut self, mut buffer: BlockBytes, room: u64) -> Vec<BlockBytes> {
        let bytes = buffer.capacity() as u64;
        if bytes == 0 || bytes > room {
            return vec![buffer];
        }
        buffer.clear();
        self.bytes += bytes;
        self.buffers.push_back(buffer);
        self.shrink(room)
    }

    /// The oldest ones, which are too many for `room` bytes, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn shrink(&mut self, room: u64) -> Vec<BlockBytes> {
        let mut left = Vec::new();
        while self.bytes > room
            && let Some(buffer) = self.buffers.pop_front()
        {
            self.bytes -= buffer.capacity() as u64;
            left.push(buffer);
        }
        left
    }
}
