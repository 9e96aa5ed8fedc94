//! A compressor of either library at one level.

use cache_core::{Error, ErrorKind, Result};
use zlib_rs::{Deflate, DeflateFlush, Status};

use super::library::DeflateLibrary;

/// The largest window of deflate: 32 KiB.
const WINDOW_BITS: u8 = 15;

/// Compresses one block after the other; what it gives does not depend on the blocks before.
pub(in crate::codec) enum Deflater {
    #[cfg(feature = "libdeflate")]
    Libdeflate(libdeflater::Compressor),
    ZlibRs(Deflate),
}

impl Deflater {
    /// A compressor of `library` at `level`.
    ///
    /// # Errors
    /// `Invalid` for a level that the library has not.
    pub(super) fn new(library: DeflateLibrary, level: i32) -> Result<Self> {
        let refused =
            || Error::new(ErrorKind::Invalid, "accept the level", format_args!("{level} of {}", library.name()));
        match library {
            #[cfg(feature = "libdeflate")]
            DeflateLibrary::Libdeflate => {
                let level = libdeflater::CompressionLvl::new(level).map_err(|_| refused())?;
                Ok(Self::Libdeflate(libdeflater::Compressor::new(level)))
            }
            // Its constructor panics at such a level.
            DeflateLibrary::ZlibRs if !library.levels().accepts(level) => Err(refused()),
            DeflateLibrary::ZlibRs => Ok(Self::ZlibRs(Deflate::new(level, false, WINDOW_BITS))),
        }
    }

    /// The most bytes that a block of `bytes` bytes becomes.
    pub(super) fn bound(&mut self, bytes: usize) -> usize {
        match self {
            #[cfg(feature = "libdeflate")]
            Self::Libdeflate(compressor) => compressor.deflate_compress_bound(bytes),
            // For zlib's frame, which is six bytes more.
            Self::ZlibRs(_) => zlib_rs::compress_bound(bytes),
        }
    }

    /// Compresses `block` into `room`, and tells how many bytes it became. The room may not be less than [`bound`](Self::bound), and
    /// not another one for equal blocks: how much there is shows in the bytes of zlib-rs at level 0.
    ///
    /// # Errors
    /// `LimitExceeded` if the room is too small.
    pub(super) fn deflate(&mut self, block: &[u8], room: &mut [u8]) -> Result<usize> {
        let failure = || Error::new(ErrorKind::LimitExceeded, "compress gzip member", "past the bound of deflate");
        match self {
            #[cfg(feature = "libdeflate")]
            Self::Libdeflate(compressor) => {
                compressor.deflate_compress(block, room).map_err(|source| failure().with_source(source))
            }
            Self::ZlibRs(deflate) => {
                deflate.reset();
                match deflate.compress(block, room, DeflateFlush::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).map_err(|_| failure()),
                    Ok(Status::Ok | Status::BufError) => Err(failure()),
                    Err(source) => Err(failure().with_source(source.as_str())),
                }
            }
        }
    }
}
