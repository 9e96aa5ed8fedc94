//! The reader of gzip, of any number of members.

use std::io::{self, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use crate::codec::failure::carried;

/// Bytes that are read ahead of the inflater.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Inflates every member up to the blob's end. Whatever follows a member and is no member, zeros too, is an error, as in
/// Go's reader, which containerd uses.
pub(in crate::codec) struct GzipDecoder(MultiGzDecoder<BufReader<Box<dyn Read + Send>>>);

impl GzipDecoder {
    pub(in crate::codec) fn new(source: Box<dyn Read + Send>) -> Self {
        Self(MultiGzDecoder::new(BufReader::with_capacity(READ_AHEAD_BYTES, source)))
    }
}

impl Read for GzipDecoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput if carried(&error).is_none() => io::Error::new(ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}
