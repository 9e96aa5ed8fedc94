//! The byte-exact writer.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::Arc;

use super::body::padding;
use super::encode::encode;
use super::{Error, Header, Place, TAR_BLOCK_BYTES};
use crate::content::{BLOCK_BYTES, Content, Extent, read_some};

/// Zeros for holes, padding and the end of the archive, which nobody has to allocate.
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Writes an archive entry by entry, with the bytes that Go's `archive/tar` would write.
///
/// It issues one write per header and does not buffer contents. Dropping it leaves the archive without its end.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    offset: u64,
    /// An entry was begun and not finished, or a write failed.
    broken: bool,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, offset: 0, broken: false, buffer: Vec::new() }
    }

    /// Writes an entry whose contents are the next [`Header::size`] bytes of `data`, which must end there.
    ///
    /// # Errors
    /// [`Error::NotEncodable`] (nothing was written), [`Error::WrongSize`], [`Error::Contents`], [`Error::Write`],
    /// [`Error::Unfinished`]. After any but the first the archive is unusable.
    pub fn append(&mut self, header: &Header, mut data: impl Read) -> Result<(), Error> {
        self.append_with(header, |buffer| {
            read_some(&mut data, buffer).map(|count| if count == 0 { Extent::End } else { Extent::Data(count) })
        })
    }

    /// Writes an entry whose contents are `content`, with its holes as zeros.
    ///
    /// # Errors
    /// Those of [`append`](Self::append).
    pub fn append_content(&mut self, header: &Header, content: &mut (impl Content + ?Sized)) -> Result<(), Error> {
        self.append_with(header, |buffer| content.next_extent(buffer))
    }

    /// Writes an entry without contents.
    ///
    /// # Errors
    /// Those of [`append`](Self::append); [`Error::WrongSize`] if the header promises contents.
    pub fn append_header(&mut self, header: &Header) -> Result<(), Error> {
        self.begin(header)?.finish()
    }

    /// Starts an entry; its contents are written into the result, which must be finished.
    ///
    /// # Errors
    /// [`Error::NotEncodable`] (nothing was written), [`Error::Write`], [`Error::Unfinished`].
    pub fn begin(&mut self, header: &Header) -> Result<EntryWriter<'_, W>, Error> {
        let place = Place { offset: self.offset, path: Some(header.path.clone()) };
        if self.broken {
            return Err(Error::Unfinished { place });
        }
        let blocks = encode(header).map_err(|field| Error::NotEncodable { place: place.clone(), field })?;
        self.broken = true;
        self.put(&blocks, &place)?;
        Ok(EntryWriter { writer: self, place, size: header.size, left: header.size })
    }

    /// Ends the archive with two zero blocks and gives the underlying writer back, not flushed.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Unfinished`].
    pub fn finish(mut self) -> Result<W, Error> {
        let place = Place { offset: self.offset, path: None };
        if self.broken {
            return Err(Error::Unfinished { place });
        }
        self.put(&ZEROS[..2 * TAR_BLOCK_BYTES], &place)?;
        Ok(self.inner)
    }

    /// Bytes written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The underlying writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    fn append_with(
        &mut self,
        header: &Header,
        mut next: impl FnMut(&mut [u8]) -> std::io::Result<Extent>,
    ) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(BLOCK_BYTES, 0);
        let result = self.begin(header).and_then(|mut entry| {
            loop {
                let extent = next(&mut buffer)
                    .map_err(|source| Error::Contents { place: entry.place.clone(), source: Arc::new(source) })?;
                match extent {
                    Extent::Data(count) => entry.write_all(&buffer[..count])?,
                    Extent::Hole(length) => entry.write_hole(length)?,
                    Extent::End => return entry.finish(),
                }
            }
        });
        self.buffer = buffer;
        result
    }

    fn put(&mut self, bytes: &[u8], place: &Place) -> Result<(), Error> {
        match self.inner.write_all(bytes) {
            Ok(()) => {
                self.offset += bytes.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.broken = true;
                Err(Error::Write { place: place.clone(), source: Arc::new(source) })
            }
        }
    }
}

/// The contents of an entry that is being written. Dropping it unfinished makes the archive unusable.
#[derive(Debug)]
pub struct EntryWriter<'a, W> {
    writer: &'a mut Writer<W>,
    place: Place,
    size: u64,
    left: u64,
}

impl<W: Write> EntryWriter<'_, W> {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`Error::WrongSize`] if that is more than the header said, [`Error::Write`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.take(bytes.len() as u64)?;
        self.writer.put(bytes, &self.place)
    }

    /// Writes so many zeros.
    ///
    /// # Errors
    /// Those of [`write_all`](Self::write_all).
    pub fn write_hole(&mut self, length: u64) -> Result<(), Error> {
        self.take(length)?;
        self.zeros(length)
    }

    /// Pads the contents and ends the entry.
    ///
    /// # Errors
    /// [`Error::WrongSize`] if the contents are shorter than the header said, [`Error::Write`].
    pub fn finish(mut self) -> Result<(), Error> {
        if self.left != 0 {
            return Err(self.wrong_size());
        }
        self.zeros(padding(self.size))?;
        self.writer.broken = false;
        Ok(())
    }

    fn take(&mut self, length: u64) -> Result<(), Error> {
        self.left = self.left.checked_sub(length).ok_or_else(|| self.wrong_size())?;
        Ok(())
    }

    fn zeros(&mut self, mut length: u64) -> Result<(), Error> {
        while length > 0 {
            let count = usize::try_from(length).map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
            self.writer.put(&ZEROS[..count], &self.place)?;
            length -= count as u64;
        }
        Ok(())
    }

    fn wrong_size(&self) -> Error {
        Error::WrongSize { place: self.place.clone(), expected: self.size }
    }
}
