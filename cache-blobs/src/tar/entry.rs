//! An entry of an archive that is being read.

use std::fmt::Debug;
use std::io::{self, BufRead, Read};

use super::{Error, Header, Reader};
use crate::content::{Content, Extent};

/// One entry of an archive; its contents are read through [`Read`] or as [`Content`].
#[derive(Debug)]
pub struct Entry<'a, R> {
    reader: &'a mut Reader<R>,
    header: Header,
}

impl<'a, R: Read> Entry<'a, R> {
    pub(super) fn new(reader: &'a mut Reader<R>, header: Header) -> Self {
        Self { reader, header }
    }

    /// What the archive says of the entry.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The same, for those who read another meaning into it. The contents stay as long as they are.
    #[cfg(target_os = "linux")]
    pub(crate) fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Takes the header out, for those who do not want the contents.
    #[must_use]
    pub fn into_header(self) -> Header {
        self.header
    }

    /// The next run of contents; a hole of a sparse file costs no reading.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::Malformed`] when the archive ends too early.
    pub fn next_extent(&mut self, buffer: &mut [u8]) -> Result<Extent, Error> {
        let reader = &mut *self.reader;
        let extent = reader.body.next_extent(&mut reader.source, buffer);
        extent.map_err(|error| self.fail(error))
    }

    fn fail(&mut self, mut error: Error) -> Error {
        if let Error::Read { place, .. } | Error::Malformed { place, .. } = &mut error {
            place.path = Some(self.header.path.clone());
        }
        self.reader.fail(error)
    }
}

impl<R: BufRead> Entry<'_, R> {
    /// Shows the next run of contents, where it lies in the underlying reader, to `take`, which says how many bytes of it are taken;
    /// more than there are means all. Gives `None` where a hole is next, or the end, which [`next_extent`](Self::next_extent) tells.
    ///
    /// # Errors
    /// As [`next_extent`](Self::next_extent).
    pub fn lend<T>(&mut self, take: impl FnOnce(&[u8]) -> (usize, T)) -> Result<Option<T>, Error> {
        let reader = &mut *self.reader;
        let lent = reader.body.lend(&mut reader.source, take);
        lent.map_err(|error| self.fail(error))
    }
}

impl<R: Read + Debug + Send> Content for Entry<'_, R> {
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent> {
        Entry::next_extent(self, buffer).map_err(into_io)
    }
}

impl<R: Read> Read for Entry<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let reader = &mut *self.reader;
        reader.body.read(&mut reader.source, buffer).map_err(|error| into_io(reader.fail(error)))
    }
}

/// Keeps the kind of the reader's own errors and calls the others invalid data.
fn into_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::Read { source, .. } => source.kind(),
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
