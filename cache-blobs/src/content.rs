//! The bytes of a file as a stream of data and holes.

use std::fmt::Debug;
use std::io::{self, Read};

/// Bytes per block in which contents are read, compared and copied. The double walk of containerd compares blocks
/// of 32 KiB; 64 KiB halves the system calls and still fits the second-level cache of every processor in use.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// What comes next in a [`Content`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many bytes were put at the start of the buffer; never 0.
    Data(usize),
    /// So many zero bytes follow, and nobody had to read them; never 0.
    Hole(u64),
    /// There is no more.
    End,
}

/// A file's bytes from first to last, with the holes known where the source knows them.
///
/// Any [`Read`] is a content without holes (see [`Plain`]).
pub trait Content: Debug + Send {
    /// Gives the next run of bytes. After [`Extent::End`] it gives `End` again.
    ///
    /// # Errors
    /// Whatever the source reports. `buffer` must not be empty.
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent>;
}

impl<C: Content + ?Sized> Content for Box<C> {
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent> {
        (**self).next_extent(buffer)
    }
}

/// A reader used as a [`Content`] that has no holes.
#[derive(Debug)]
pub struct Plain<R>(pub R);

impl<R: Read + Debug + Send> Content for Plain<R> {
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent> {
        match read_some(&mut self.0, buffer)? {
            0 => Ok(Extent::End),
            count => Ok(Extent::Data(count)),
        }
    }
}

/// A [`Content`] used as a reader, its holes spelled out as zeros.
#[derive(Debug)]
pub struct Filled<C> {
    content: C,
    hole: u64,
}

impl<C: Content> Filled<C> {
    /// Reads `content` from where it stands.
    pub fn new(content: C) -> Self {
        Self { content, hole: 0 }
    }
}

impl<C: Content> Read for Filled<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.hole == 0 {
            match self.content.next_extent(buffer)? {
                Extent::Data(count) => return Ok(count),
                Extent::Hole(length) => self.hole = length,
                Extent::End => return Ok(0),
            }
        }
        let count = usize::try_from(self.hole).map_or(buffer.len(), |hole| hole.min(buffer.len()));
        buffer[..count].fill(0);
        self.hole -= count as u64;
        Ok(count)
    }
}

/// One successful read; an interrupted one is tried again.
pub(crate) fn read_some(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
