//! Contents held in memory, holes as holes.

use std::io::{self, Read};
use std::sync::Arc;

use crate::content::{Content, Extent};
use crate::tar::{self, Entry};

/// A run of a content.
#[derive(Debug, Clone)]
enum Run {
    Data(Vec<u8>),
    Hole(u64),
}

/// The bytes of a file in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryContent {
    runs: Vec<Run>,
}

impl MemoryContent {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { runs: vec![Run::Data(bytes.to_vec())] }
    }

    pub(super) fn read_from<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self, tar::Error> {
        let mut runs = Vec::new();
        let mut buffer = vec![0; crate::content::BLOCK_BYTES];
        loop {
            match entry.next_extent(&mut buffer)? {
                Extent::Data(count) => match runs.last_mut() {
                    Some(Run::Data(data)) => data.extend_from_slice(&buffer[..count]),
                    _ => runs.push(Run::Data(buffer[..count].to_vec())),
                },
                Extent::Hole(length) => runs.push(Run::Hole(length)),
                Extent::End => return Ok(Self { runs }),
            }
        }
    }
}

/// Reads a shared [`MemoryContent`].
#[derive(Debug)]
pub(super) struct MemoryReader {
    content: Arc<MemoryContent>,
    run: usize,
    at: usize,
}

impl MemoryReader {
    pub(super) fn new(content: Arc<MemoryContent>) -> Self {
        Self { content, run: 0, at: 0 }
    }
}

impl Content for MemoryReader {
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent> {
        loop {
            match self.content.runs.get(self.run) {
                None => return Ok(Extent::End),
                Some(Run::Hole(length)) => {
                    self.run += 1;
                    return Ok(Extent::Hole(*length));
                }
                Some(Run::Data(data)) if self.at < data.len() => {
                    let count = buffer.len().min(data.len() - self.at);
                    buffer[..count].copy_from_slice(&data[self.at..self.at + count]);
                    self.at += count;
                    return Ok(Extent::Data(count));
                }
                Some(Run::Data(_)) => {
                    self.run += 1;
                    self.at = 0;
                }
            }
        }
    }
}
