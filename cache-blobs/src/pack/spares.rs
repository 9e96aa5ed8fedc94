//! Memory of blocks that is used again: new memory of the kernel costs a page fault each 4 KiB, in all a twentieth of what zstd costs.

/// Empty buffers of blocks.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<Vec<u8>>,
    bytes: u64,
}

impl Spares {
    /// A buffer of exactly `capacity` bytes, if there is one.
    pub(super) fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let place = self.buffers.iter().position(|buffer| buffer.capacity() == capacity)?;
        self.bytes -= capacity as u64;
        Some(self.buffers.swap_remove(place))
    }

    /// Keeps `buffer` if all of them have at most `room` bytes then; otherwise it comes back, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn keep(&mut self, mut buffer: Vec<u8>, room: u64) -> Option<Vec<u8>> {
        let bytes = buffer.capacity() as u64;
        if bytes == 0 || self.bytes + bytes > room {
            return Some(buffer);
        }
        buffer.clear();
        self.bytes += bytes;
        self.buffers.push(buffer);
        None
    }

    /// Those that are too many for `room` bytes, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn shrink(&mut self, room: u64) -> Vec<Vec<u8>> {
        let mut left = Vec::new();
        while self.bytes > room
            && let Some(buffer) = self.buffers.pop()
        {
            self.bytes -= buffer.capacity() as u64;
            left.push(buffer);
        }
        left
    }
}
